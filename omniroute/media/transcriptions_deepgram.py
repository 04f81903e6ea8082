"""Deepgram: the file is the body of a request to ``/listen``; all parameters are in the query.

https://developers.deepgram.com/reference/speech-to-text/listen-pre-recorded
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from .codec import Codec, Got, Mark, Sent, Units, decoded
from .sounds import TYPES
from .transcriptions import TranscriptionAsk, lost, no_translation, spans
from .transcripts import Transcript, written


def _render(ask: TranscriptionAsk, model: str) -> Sent:
    no_translation(ask, model)
    query = {"model": model, "smart_format": "true", "utterances": "true"}
    query |= {"language": ask.language} if ask.language else {"detect_language": "true"}  # the default is English
    return Sent((ask.file,), lost(ask), f"./listen?{urlencode(query)}", TYPES[ask.kind].encode())


class _Alternative(msgspec.Struct):
    transcript: str = ""
    words: list[Any] = []


class _Channel(msgspec.Struct):
    alternatives: list[_Alternative] = []
    detected_language: str | None = None


class _Results(msgspec.Struct):
    channels: list[_Channel] = []
    utterances: list[Any] = []


class _Metadata(msgspec.Struct):
    duration: float | None = None


class _Answer(msgspec.Struct):
    results: _Results
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


def _read(body: bytes, ask: TranscriptionAsk, mark: Mark) -> Got:
    answer = decoded(body, _Answer)
    results = answer.results
    channel = results.channels[0] if results.channels else _Channel()
    said = channel.alternatives[0] if channel.alternatives else _Alternative()
    seconds = answer.metadata.duration if answer.metadata.duration is not None else ask.seconds
    transcript = Transcript(
        text=said.transcript,
        language=channel.detected_language or ask.language,
        duration=seconds,
        words=spans(said.words),
        segments=spans(results.utterances),
    )
    kind, text = written(transcript, ask.format, ask.granularities)
    return Got(text, units=Units(seconds=seconds or 0.0), content_type=kind)


DEEPGRAM: Final = Codec(_render, _read)
