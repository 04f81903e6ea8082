from __future__ import annotations

import json
from typing import Any

import pytest
from sounds import wav

from omniroute.media.codec import Next, Refused
from omniroute.media.forms import File, Form
from omniroute.media.transcriptions import TranscriptionAsk, read_ask
from omniroute.media.transcriptions_assemblyai import ASSEMBLYAI
from omniroute.translate.format import BadAnswer

CONTENT = wav()
FILE = File("file", "a.wav", "", 0, len(CONTENT), CONTENT[:4096])


def ask(**fields: str) -> TranscriptionAsk:
    return read_ask(Form(tuple(fields.items()), (FILE,)), "transcribe", "B")


def follow(body: Any, one: TranscriptionAsk, model: str = "universal-2") -> Next | None:
    assert ASSEMBLYAI.follow is not None
    return ASSEMBLYAI.follow(json.dumps(body).encode(), one, model)


def test_the_prompt_goes_to_models_that_take_one() -> None:
    one = ask(prompt="p", language="de")
    assert ASSEMBLYAI.render(one, "universal-2").dropped == ("prompt",)
    assert ASSEMBLYAI.render(one, "universal-3-pro").dropped == ()
    old, new = follow({"upload_url": "u"}, one), follow({"upload_url": "u"}, one, "universal-3-pro")
    assert old is not None
    assert new is not None
    assert json.loads(old.body) == {"audio_url": "u", "speech_models": ["universal-2"], "language_code": "de"}
    assert json.loads(new.body)["prompt"] == "p"
    assert json.loads(new.body)["speech_models"] == ["universal-3-pro", "universal-2"]


def test_a_job_is_asked_about_until_it_is_complete_or_has_failed() -> None:
    assert follow({"id": "a/b", "status": "queued"}, ask()) == Next("GET", "./transcript/a%2Fb", b"", 2.0)
    assert follow({"id": "a", "status": "completed"}, ask()) is None
    with pytest.raises(Refused, match="no speech"):
        follow({"id": "a", "status": "error", "error": "no speech"}, ask())
    for odd in ({"id": "a", "status": "dreaming"}, {"status": "queued"}, {}):
        with pytest.raises(BadAnswer):
            follow(odd, ask())
