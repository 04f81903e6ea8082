from __future__ import annotations

import json
from typing import Any

import pytest

from omniroute.errors import OmniError
from omniroute.media.codec import Mark, Units
from omniroute.media.speech import DEEPGRAM, HYPERBOLIC, OPENAI, SpeechAsk, read_ask
from omniroute.translate.format import BadAnswer

MARK = Mark("m", 1)


def ask(**members: Any) -> SpeechAsk:
    return read_ask(json.dumps({"model": "p/m", "input": "Hello", "voice": "v", **members}).encode())


def test_characters_are_counted_and_everything_is_passed_on() -> None:
    one = ask(instructions="slow", speed=1.5)
    assert one.units == Units(characters=5)
    sent = OPENAI.render(one, "tts-1")
    assert isinstance(sent.body, bytes)
    assert json.loads(sent.body) == {"model": "tts-1", "input": "Hello", "voice": "v", "instructions": "slow", "speed": 1.5}


@pytest.mark.parametrize("form", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
def test_each_format_has_an_encoding_and_a_type(form: str) -> None:
    one = ask(response_format=form)
    assert "encoding=" in DEEPGRAM.render(one, "aura").path
    assert OPENAI.read(b"", one, MARK).content_type.startswith(b"audio/")


def test_a_voice_may_be_an_object_where_the_vendor_knows_such() -> None:
    assert ask(voice={"id": "voice_1"}).voice is None


@pytest.mark.parametrize("members", [{"input": ""}, {"input": " "}, {"input": None}, {"input": 5}, {"speed": "fast"}])
def test_what_cannot_be_spoken_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(OmniError):
        ask(**members)


@pytest.mark.parametrize("body", [b"x", b"{}", b'{"audio": "?"}'])
def test_invalid_answers_are_bad_answers(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        HYPERBOLIC.read(body, ask(), MARK)


def test_settings_of_the_vendor_are_passed_on() -> None:
    body = HYPERBOLIC.render(ask(language="EN", sdp_ratio=0.2, speed=2), "melo-tts").body
    assert isinstance(body, bytes)
    assert json.loads(body) == {"text": "Hello", "speaker": "v", "speed": 2.0, "language": "EN", "sdp_ratio": 0.2}
