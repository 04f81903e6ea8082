"""The record of the Gemini wire."""

from __future__ import annotations

from playbook import STAMP, assert_same_however_cut, translate

from omniroute.translate.formats import FORMATS
from omniroute.translate.gemini import ARRAY_TYPE, FORMAT, array_encoder

PIECE = b'data: {"candidates":[{"content":{"parts":[{"text":"%b"}],"role":"model"},"index":0}],"responseId":"r"}\r\n\r\n'
LAST = b'data: {"candidates":[{"content":{"role":"model"},"finishReason":"STOP","index":0}],"responseId":"r"}\r\n\r\n'
STREAM = PIECE % "Zü".encode() + PIECE % "rich 👋".encode() + LAST


def test_it_is_in_the_list() -> None:
    assert FORMATS["gemini"] is FORMAT
    assert (FORMAT.framing, FORMAT.stream_type.partition(b";")[0]) == ("sse", b"text/event-stream")
    assert ARRAY_TYPE.startswith(b"application/json")
    assert array_encoder(STAMP).eof().startswith(b'[{"error"')


def test_a_stream_is_the_same_however_it_is_cut() -> None:
    for wire in FORMATS.values():
        out = assert_same_however_cut(STREAM, lambda pieces, wire=wire: translate(FORMAT, wire, pieces), samples=40)
        assert "rich 👋".encode() in out or b"rich" in out
