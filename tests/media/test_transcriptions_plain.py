from __future__ import annotations

import json
from typing import Any

import pytest
from shared import needs_shared, recordings
from sounds import wav

from omniroute.errors import OmniError
from omniroute.media.codec import Codec, Mark
from omniroute.media.forms import File, Form
from omniroute.media.transcriptions import TranscriptionAsk, read_ask
from omniroute.media.transcriptions_plain import MISTRAL, XAI
from omniroute.translate.format import BadAnswer

MARK = Mark("m", 1)
CONTENT = wav(2.0)
FILE = File("file", "a.wav", "", 0, len(CONTENT), CONTENT[:4096])


def ask(task: str = "transcribe", **fields: str) -> TranscriptionAsk:
    return read_ask(Form(tuple(fields.items()), (FILE,)), task, "B")


def fields_of(codec: Codec, one: TranscriptionAsk) -> dict[str, str]:
    text = b"".join(piece for piece in codec.render(one, "m").body if isinstance(piece, bytes)).decode()
    parts = [part.partition('name="')[2].partition('"') for part in text.split("--B\r\n")[1:]]
    return {name: rest.partition("\r\n\r\n")[2].partition("\r\n")[0] for name, _, rest in parts if name != "file"}


def test_only_what_the_vendor_knows_is_sent() -> None:
    everything = {"model": "p/m", "language": "de", "prompt": "p", "temperature": "0", "response_format": "json"}
    assert fields_of(MISTRAL, ask(**everything)) == {"model": "m", "language": "de", "temperature": "0"}
    assert fields_of(XAI, ask(**everything)) == {"language": "de", "format": "true"}
    assert XAI.render(ask(**everything), "m").dropped == ("prompt", "temperature")
    assert fields_of(XAI, ask()) == {}


def test_times_are_asked_for_where_subtitles_are_wanted() -> None:
    assert fields_of(MISTRAL, ask(response_format="srt")) == {"model": "m", "timestamp_granularities": "segment"}
    assert fields_of(MISTRAL, ask(response_format="srt", language="de")) == {"model": "m", "language": "de"}
    asked = ask(response_format="verbose_json", **{"timestamp_granularities[]": "word"})
    assert fields_of(MISTRAL, asked) == {"model": "m", "timestamp_granularities": "word"}


@needs_shared
@pytest.mark.parametrize(
    ("codec", "recording"),
    [
        pytest.param(codec, one, id=one["id"])
        for codec, provider in ((MISTRAL, "mistral"), (XAI, "xai"))
        for one in recordings("audio-transcription")
        if one["provider"] == provider
    ],
)
def test_recorded_answers(codec: Codec, recording: dict[str, Any]) -> None:
    body = recording["response"]["body"].encode()
    got = codec.read(body, ask(), MARK)
    answer = json.loads(got.body)
    assert answer["text"].startswith("Ruby is a programming language")
    assert answer["duration"]
    assert got.units.seconds
    cue = codec.read(body, ask(response_format="srt"), MARK).body.decode()
    assert cue.startswith("1\n00:00:00,")


def test_neither_translates_and_both_check_the_answer() -> None:
    for codec in (MISTRAL, XAI):
        with pytest.raises(OmniError):
            codec.render(ask("translate"), "m")
        with pytest.raises(BadAnswer):
            codec.read(b"{}", ask(), MARK)
