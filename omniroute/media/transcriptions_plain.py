"""Speech to text with a form like OpenAI's and a single response format: Mistral, xAI.

https://docs.mistral.ai/api/endpoint/audio/transcriptions, https://docs.x.ai/docs/guides/voice
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from .codec import Codec, Got, Mark, Sent, Units, decoded
from .forms import write
from .transcriptions import TranscriptionAsk, lost, no_translation, spans
from .transcripts import Transcript, written

_MISTRAL: Final = ("language", "temperature", "diarize", "context_bias", "timestamp_granularities")


def _sent(ask: TranscriptionAsk, fields: list[tuple[str, str]], path: str, *taken: str) -> Sent:
    body = write(fields, [("file", ask.file)], ask.boundary)
    return Sent(body.pieces, lost(ask, *taken), path, body.content_type)


def _render_mistral(ask: TranscriptionAsk, model: str) -> Sent:
    no_translation(ask, model)
    plain = [(name.removesuffix("[]"), value) for name, value in ask.form.fields]
    fields = [("model", model), *(field for field in plain if field[0] in _MISTRAL)]
    # Mistral refuses timestamps together with a language
    if ask.format in ("srt", "vtt", "verbose_json") and not (ask.granularities or ask.language):
        fields.append(("timestamp_granularities", "segment"))
    return _sent(ask, fields, "./audio/transcriptions", *_MISTRAL)


def _render_xai(ask: TranscriptionAsk, model: str) -> Sent:
    """The request names no model, because there is only one; ``format`` (numbers as digits) requires a language."""
    no_translation(ask, model)
    fields = [("language", ask.language), ("format", "true")] if ask.language else []
    return _sent(ask, fields, "./stt")


class _Answer(msgspec.Struct):
    text: str
    language: str | None = None
    duration: float | None = None
    words: list[Any] | None = None
    segments: list[Any] | None = None
    usage: dict[str, Any] | None = None


def _read(body: bytes, ask: TranscriptionAsk, mark: Mark) -> Got:
    answer = decoded(body, _Answer)
    counted = (answer.usage or {}).get("prompt_audio_seconds")
    seconds = float(counted) if isinstance(counted, int | float) else None
    lasts = answer.duration or ask.seconds or seconds
    transcript = Transcript(
        text=answer.text,
        language=answer.language or ask.language,
        duration=lasts,
        words=spans(answer.words or []),
        segments=spans(answer.segments or []),
    )
    kind, text = written(transcript, ask.format, ask.granularities)
    return Got(text, units=Units(seconds=seconds or lasts or 0.0), content_type=kind)


MISTRAL: Final = Codec(_render_mistral, _read, form=True)
XAI: Final = Codec(_render_xai, _read, form=True)
