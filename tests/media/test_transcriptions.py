from __future__ import annotations

import json
from typing import Any

import pytest
from sounds import wav

from omniroute.errors import OmniError
from omniroute.media.codec import Mark
from omniroute.media.forms import File, Form
from omniroute.media.transcriptions import OPENAI, TranscriptionAsk, read_ask, spans
from omniroute.media.transcripts import Span
from omniroute.translate.format import BadAnswer

MARK = Mark("openai/m", 7)
CONTENT = wav(2.0)
FILE = File("file", "a.wav", "application/x", 0, len(CONTENT), CONTENT[:4096])


def ask(task: str = "transcribe", **fields: str) -> TranscriptionAsk:
    return read_ask(Form(tuple(fields.items()), (FILE,)), task, "B")


def sent_format(model: str, **fields: str) -> str:
    head: Any = OPENAI.render(ask(**fields), model).body[0]
    return str(head.decode().partition('name="response_format"\r\n\r\n')[2].partition("\r\n")[0])


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        ("whisper-1", {}, "verbose_json"),
        ("whisper-large-v3", {"response_format": "json"}, "verbose_json"),
        ("whisper-1", {"response_format": "srt"}, "srt"),
        ("whisper-1", {"stream": "true"}, "json"),
        ("gpt-4o-transcribe", {}, "json"),
        ("gpt-4o-transcribe", {"response_format": "text"}, "json"),
        ("gpt-4o-transcribe-diarize", {"response_format": "diarized_json"}, "diarized_json"),
    ],
)
def test_the_response_format_depends_on_the_model(model: str, fields: dict[str, str], expected: str) -> None:
    assert sent_format(model, **fields) == expected


def test_the_model_is_replaced_and_the_other_fields_kept_in_order() -> None:
    sent = OPENAI.render(ask(model="openai/whisper-1", prompt="p", language="de"), "whisper-1")
    text = b"".join(piece for piece in sent.body if isinstance(piece, bytes)).decode()
    assert [part.partition('"')[2].partition('"')[0] for part in text.split("--B\r\n")[1:]] == [
        "model", "response_format", "prompt", "language", "file",
    ]  # fmt: skip
    assert "openai/" not in text
    assert "Content-Type: audio/wav" in text  # by its content, whatever the client says
    assert OPENAI.render(ask("translate"), "whisper-1").path == "./audio/translations"


def read(body: Any, **fields: str) -> Any:
    got = OPENAI.read(json.dumps(body).encode(), ask(**fields), MARK)
    return json.loads(got.body), got


def test_unknown_members_are_null_and_a_wav_file_gives_its_duration() -> None:
    answer, got = read({"text": "x"})
    assert answer == {"text": "x", "task": "transcribe", "language": None, "duration": 2.0}
    assert got.units.seconds == 2.0


def test_seconds_that_the_vendor_reports_are_billed() -> None:
    answer, got = read({"text": "x", "duration": 2.1, "usage": {"type": "duration", "seconds": 3}})
    assert (answer["duration"], got.units.seconds, got.usage) == (2.1, 3.0, None)


def test_the_long_form_keeps_what_the_vendor_adds() -> None:
    answer, _ = read({"text": "x", "segments": [1], "speaker": "A"}, response_format="verbose_json")
    assert (answer["segments"], answer["speaker"], answer["task"]) == ([1], "A", "transcribe")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"segments": []}'])
def test_invalid_answers_are_bad_answers(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        OPENAI.read(body, ask(), MARK)


def test_a_form_without_a_file_is_refused() -> None:
    with pytest.raises(OmniError, match="file is required"):
        read_ask(Form((), ()), "transcribe", "B")


def test_times_that_are_no_numbers_are_the_beginning() -> None:
    rows = [{"start": "soon", "end": 1500, "text": " a "}, {"word": "b"}, "c"]
    assert spans(rows, 0.001) == (Span(0.0, 1.5, "a"), Span(0.0, 0.0, "b"))
