"""Speech to text: the request as a form, OpenAI's format, and the members common to all JSON responses.

Each JSON response has ``text``, ``task``, ``language`` and ``duration``, null where unknown.  To learn them, a request for
``json`` is sent as ``verbose_json`` to models that support it (the Whisper family).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from ..errors import OmniError
from ..translate.events import Usage
from .codec import Codec, Got, Mark, Sent, Units, decoded
from .forms import File, Form, write
from .sounds import TYPES, check, wav_seconds
from .transcripts import FORMATS, Span, Transcript, written

_GRANULARITIES: Final = ("word", "segment")
_MORE: Final = "diarized_json"  # OpenAI's own, relayed


class TranscriptionAsk(NamedTuple):
    """One request.  ``task``: ``transcribe``, or ``translate`` into English; ``boundary``: of the form sent upstream."""

    form: Form
    file: File
    task: str
    kind: str  # format of the file, a key of ``sounds.TYPES``
    language: str | None
    prompt: str | None
    format: str
    granularities: tuple[str, ...]
    stream: bool
    boundary: str

    @property
    def seconds(self) -> float | None:
        """The duration of the audio, where the file itself states it."""
        return wav_seconds(self.file)

    @property
    def units(self) -> Units:
        return Units(seconds=self.seconds or 0.0)


def read_ask(form: Form, task: str, boundary: str) -> TranscriptionAsk:
    """Check and read a client's form.  Raises ``OmniError("invalid_request")`` for what no vendor supports."""
    file = form.file("file")
    if file is None:
        raise OmniError("invalid_request", "file is required", param="file")
    kind = check(file)
    shape = form.first("response_format") or "json"
    if shape not in (*FORMATS, _MORE):
        message = f"Invalid response_format '{shape}': use one of {', '.join(FORMATS)}"
        raise OmniError("invalid_request", message, param="response_format")
    granularities = tuple(form.all("timestamp_granularities"))
    if any(word not in _GRANULARITIES for word in granularities):
        message = "Invalid timestamp_granularities: use word, segment or both"
        raise OmniError("invalid_request", message, param="timestamp_granularities")
    temperature = form.number("temperature")
    if temperature is not None and not 0 <= temperature <= 1:
        raise OmniError("invalid_request", "Invalid temperature: expected a number from 0 to 1", param="temperature")
    return TranscriptionAsk(
        form=form,
        file=file._replace(content_type=TYPES[kind]),
        task=task,
        kind=kind,
        language=form.first("language"),
        prompt=form.first("prompt"),
        format=shape,
        granularities=granularities,
        stream=form.flag("stream"),
        boundary=boundary,
    )


def no_translation(ask: TranscriptionAsk, model: str) -> None:
    """Refuse translation, for vendors that only transcribe.  Raises ``OmniError("invalid_request")``."""
    if ask.task == "translate":
        message = f"Invalid transcription model: {model}. It does not translate; use whisper-1"
        raise OmniError("invalid_request", message, param="model")


_COMMON: Final = ("model", "response_format", "language", "timestamp_granularities")  # handled for every vendor


def lost(ask: TranscriptionAsk, *taken: str) -> tuple[str, ...]:
    """For ``Sent.dropped``: the client's fields that a vendor other than OpenAI ignores; *taken* are those it supports."""
    known = {*_COMMON, *taken} | (set() if ask.stream else {"stream"})
    names = dict.fromkeys(name for name, value in ask.form.fields if value and name.removesuffix("[]") not in known)
    return (*names, *(("response_format",) if ask.format == _MORE else ()))


# -- OpenAI and compatible vendors


def _verbose(model: str) -> bool:
    """Whether the model supports ``verbose_json``."""
    return "whisper" in model.lower()


def _upstream_format(ask: TranscriptionAsk, model: str) -> str:
    if _verbose(model):
        return "verbose_json" if ask.format == "json" and not ask.stream else ask.format
    return "json" if ask.format == "text" else ask.format  # the other models support only JSON


def _render(ask: TranscriptionAsk, model: str) -> Sent:
    fields = [field for field in ask.form.fields if field[0] not in ("model", "response_format")]
    fields = [("model", model), ("response_format", _upstream_format(ask, model)), *fields]
    body = write(fields, [("file", ask.file)], ask.boundary)
    path = "./audio/translations" if ask.task == "translate" else "./audio/transcriptions"
    return Sent(body.pieces, path=path, content_type=body.content_type, headers=((b"accept", b"*/*"),))


class _Answer(msgspec.Struct):
    text: str
    language: str | None = None
    duration: float | None = None
    usage: dict[str, Any] | None = None


def _read(body: bytes, ask: TranscriptionAsk, mark: Mark) -> Got:
    if ask.format in ("srt", "vtt") or (ask.format == "text" and body.lstrip()[:1] != b"{"):
        kind, _ = written(Transcript(""), ask.format)
        return Got(body, units=ask.units, content_type=kind)
    answer, whole = decoded(body, _Answer), decoded(body, dict[str, Any])
    transcript = Transcript(answer.text, ask.task, answer.language, answer.duration or ask.seconds)
    usage, seconds = _usage(answer.usage)
    units = Units(seconds=seconds or transcript.duration or 0.0)
    if ask.format == "text":
        kind, text = written(transcript, "text")
        return Got(text, usage, units, content_type=kind)
    kept = whole if ask.format != "json" else {key: whole[key] for key in ("usage", "logprobs") if key in whole}
    sure = {"text": answer.text, "task": ask.task, "language": transcript.language, "duration": transcript.duration}
    return Got(msgspec.json.encode({**sure, **{k: v for k, v in kept.items() if v is not None}}), usage, units)


def _usage(usage: dict[str, Any] | None) -> tuple[Usage | None, float]:
    """(tokens, seconds): newer models report tokens, older ones seconds."""
    if not usage:
        return None, 0.0
    into, out = usage.get("input_tokens"), usage.get("output_tokens")
    seconds = usage.get("seconds") or usage.get("prompt_audio_seconds")
    tokens = Usage(input=into, output=out) if isinstance(into, int) and isinstance(out, int) else None
    return tokens, float(seconds) if isinstance(seconds, int | float) else 0.0


OPENAI: Final = Codec(_render, _read, form=True)


def spans(rows: list[Any], scale: float = 1.0) -> tuple[Span, ...]:
    """The words or segments of a response as spans; their times times *scale* are seconds."""
    return tuple(
        Span(_number(row.get("start")) * scale, _number(row.get("end")) * scale, _said(row))
        for row in rows
        if isinstance(row, dict)
    )


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _said(row: dict[str, Any]) -> str:
    for name in ("punctuated_word", "text", "transcript", "word"):
        if isinstance(found := row.get(name), str):
            return found.strip()
    return ""
