"""AssemblyAI: upload the file, submit a job, poll until it is done.

https://www.assemblyai.com/docs/api-reference/transcripts/submit
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import msgspec

from ..translate.format import BadAnswer
from .codec import Codec, Got, Mark, Next, Refused, Sent, Units, decoded
from .transcriptions import TranscriptionAsk, lost, no_translation, spans
from .transcripts import Transcript, written

_BEST: Final = "universal-3-pro"
_REST: Final = "universal-2"  # the fallback for languages that the newer models do not support
_EVERY: Final = 2.0  # seconds between polls


def _render(ask: TranscriptionAsk, model: str) -> Sent:
    no_translation(ask, model)
    taken = ("prompt",) if _takes_prompt(model) else ()
    return Sent((ask.file,), lost(ask, *taken), "./upload", b"application/octet-stream")


def _takes_prompt(model: str) -> bool:
    return model == "best" or model.startswith("universal-3")


class _Answer(msgspec.Struct):
    """The members that distinguish the three kinds of response, and those of a finished transcript."""

    upload_url: str | None = None
    id: str | None = None
    status: str | None = None
    error: str | None = None
    text: str | None = None
    words: list[Any] | None = None
    language_code: str | None = None
    audio_duration: float | None = None


def _follow(body: bytes, ask: TranscriptionAsk, model: str) -> Next | None:
    answer = decoded(body, _Answer)
    if answer.upload_url:
        return Next("POST", "./transcript", msgspec.json.encode(_job(answer.upload_url, ask, model)))
    if answer.status == "error":
        raise Refused(400, answer.error or "The transcription failed")
    if answer.status == "completed":
        return None
    if not answer.id or answer.status not in ("queued", "processing"):
        raise BadAnswer(f"unknown status {answer.status!r}")
    return Next("GET", f"./transcript/{quote(answer.id, safe='')}", wait=_EVERY)


def _job(url: str, ask: TranscriptionAsk, model: str) -> dict[str, Any]:
    model = _BEST if model == "best" else model
    job: dict[str, Any] = {"audio_url": url, "speech_models": [model, _REST] if _takes_prompt(model) else [model]}
    job |= {"language_code": ask.language} if ask.language else {"language_detection": True}
    if ask.prompt and _takes_prompt(model):
        job["prompt"] = ask.prompt
    return job


def _read(body: bytes, ask: TranscriptionAsk, mark: Mark) -> Got:
    answer = decoded(body, _Answer)
    seconds = answer.audio_duration if answer.audio_duration is not None else ask.seconds
    transcript = Transcript(
        text=answer.text or "",
        language=answer.language_code or ask.language,
        duration=seconds,
        words=spans(answer.words or [], 0.001),
    )
    kind, text = written(transcript, ask.format, ask.granularities)
    return Got(text, units=Units(seconds=seconds or 0.0), content_type=kind)


ASSEMBLYAI: Final = Codec(_render, _read, _follow)
