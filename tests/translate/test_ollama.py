"""The two records of the Ollama wire."""

from __future__ import annotations

import time

import pytest

from omniroute.translate.events import TextDelta
from omniroute.translate.format import Stamp
from omniroute.translate.formats import FORMATS, RELAYS
from omniroute.translate.ollama import FORMAT, GENERATE
from omniroute.translate.peek import peek


def test_both_endpoints_are_in_the_tables() -> None:
    assert (FORMATS["ollama"], FORMATS["ollama-generate"]) == (FORMAT, GENERATE)
    assert {"ollama", "ollama-generate"} <= RELAYS.keys()


def test_generate_differs_from_chat_in_what_clients_send_and_see_alone() -> None:
    names = {name for name in FORMAT.__struct_fields__ if getattr(FORMAT, name) != getattr(GENERATE, name)}
    assert names == {"name", "decode_request", "encode_answer", "stream_encoder"}


@pytest.mark.parametrize("wire", ["ollama", "ollama-generate"])
@pytest.mark.parametrize(("more", "stream"), [(b"", True), (b',"stream":null', True), (b',"stream":false', False)])
def test_a_look_at_a_request_sees_a_stream_by_default(wire: str, more: bytes, stream: bool) -> None:
    assert peek(b'{"model":"m"' + more + b"}", RELAYS[wire].members).stream is stream


def test_a_request_on_the_same_wire_keeps_its_bytes_but_for_the_model() -> None:
    body = b'{ "model": "up/m", "messages": [], "options": {"num_ctx": 4096}, "new": 1 }'
    found = peek(body, RELAYS["ollama"].members)
    assert RELAYS["ollama"].prepare(found, "m", frozenset()) == (body.replace(b"up/m", b"m"), False)


def test_a_large_argument_in_small_pieces_stays_linear() -> None:
    def encoded(size: int) -> float:
        encoder = FORMAT.stream_encoder(Stamp("i", 0, "m"))
        events = [TextDelta("x")] * size
        began = time.process_time()
        for event in events:
            encoder.feed([event])
        return time.process_time() - began

    encoded(1000)
    assert min(encoded(40_000) for _ in range(3)) < 20 * max(encoded(4_000), 0.002)
