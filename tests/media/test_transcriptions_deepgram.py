from __future__ import annotations

import json

import pytest
from sounds import wav

from omniroute.errors import OmniError
from omniroute.media.codec import Mark
from omniroute.media.forms import File, Form
from omniroute.media.transcriptions import TranscriptionAsk, read_ask
from omniroute.media.transcriptions_deepgram import DEEPGRAM
from omniroute.translate.format import BadAnswer

CONTENT = wav(2.0)
FILE = File("file", "a.wav", "", 0, len(CONTENT), CONTENT[:4096])


def ask(task: str = "transcribe", **fields: str) -> TranscriptionAsk:
    return read_ask(Form(tuple(fields.items()), (FILE,)), task, "B")


def test_parameters_unsupported_by_deepgram_are_named() -> None:
    sent = DEEPGRAM.render(ask(prompt="p", temperature="0", language="de"), "nova-3")
    assert (sent.body, sent.dropped, sent.content_type) == ((ask().file,), ("prompt", "temperature"), b"audio/wav")
    assert sent.path == "./listen?model=nova-3&smart_format=true&utterances=true&language=de"
    more = {
        "include[]": "logprobs",
        "timestamp_granularities[]": "word",
        "stream": "false",
        "response_format": "diarized_json",
    }
    assert DEEPGRAM.render(ask(**more), "nova-3").dropped == ("include[]", "response_format")
    assert DEEPGRAM.render(ask(stream="true"), "nova-3").dropped == ("stream",)


def test_it_does_not_translate() -> None:
    with pytest.raises(OmniError, match="It does not translate"):
        DEEPGRAM.render(ask("translate"), "nova-3")


def test_silence_is_an_empty_text() -> None:
    got = DEEPGRAM.read(b'{"metadata":{"duration":2.5},"results":{"channels":[{"alternatives":[]}]}}', ask(), Mark("m", 1))
    assert json.loads(got.body) == {"text": "", "task": "transcribe", "language": None, "duration": 2.5}
    assert got.units.seconds == 2.5


def test_invalid_answers_are_bad_answers() -> None:
    with pytest.raises(BadAnswer):
        DEEPGRAM.read(b"{}", ask(), Mark("m", 1))
