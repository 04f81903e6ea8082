"""A vendor-neutral transcript, and its rendering in OpenAI's five response formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

FORMATS: Final = ("json", "text", "srt", "vtt", "verbose_json")
_JSON: Final = b"application/json"
_TEXT: Final = b"text/plain; charset=utf-8"
_VTT: Final = b"text/vtt; charset=utf-8"
_LINE: Final = 84  # maximum characters of a subtitle: two lines of the usual width
_SECONDS: Final = 7.0  # maximum duration of a subtitle
_PAUSE: Final = 1.0  # seconds of silence that end a subtitle


class Span(NamedTuple):
    """A word or a segment; times in seconds."""

    start: float
    end: float
    text: str


class Transcript(NamedTuple):
    """One transcript; ``language`` and ``duration`` (seconds) are None when unknown."""

    text: str
    task: str = "transcribe"
    language: str | None = None
    duration: float | None = None
    words: tuple[Span, ...] = ()
    segments: tuple[Span, ...] = ()


def written(transcript: Transcript, form: str, granularities: Sequence[str] = ()) -> tuple[bytes, bytes]:
    """(content type, body) of the transcript in *form*, one of :data:`FORMATS`."""
    if form == "text":
        return _TEXT, transcript.text.encode() + b"\n"
    if form == "srt":
        return _TEXT, _srt(cues(transcript)).encode()
    if form == "vtt":
        return _VTT, _vtt(cues(transcript)).encode()
    return _JSON, msgspec.json.encode(_verbose(transcript, granularities) if form == "verbose_json" else _plain(transcript))


def _plain(transcript: Transcript) -> dict[str, Any]:
    return {
        "text": transcript.text,
        "task": transcript.task,
        "language": transcript.language,
        "duration": transcript.duration,
    }


def _verbose(transcript: Transcript, granularities: Sequence[str]) -> dict[str, Any]:
    answer = _plain(transcript)
    if "word" in granularities:
        answer["words"] = [{"word": word.text, "start": word.start, "end": word.end} for word in transcript.words]
    if "segment" in granularities or "word" not in granularities:
        answer["segments"] = [
            {"id": number, "start": cue.start, "end": cue.end, "text": cue.text}
            for number, cue in enumerate(cues(transcript))
        ]
    return answer


def cues(transcript: Transcript) -> list[Span]:
    """Subtitles: the vendor's segments, else words grouped by sentence, pause, length and duration."""
    if transcript.segments:
        return list(transcript.segments)
    if not transcript.words:
        return [Span(0.0, transcript.duration or 0.0, transcript.text)] if transcript.text else []
    groups: list[list[Span]] = [[]]
    for word in transcript.words:
        group = groups[-1]
        if group and _ends(group, word):
            group = []
            groups.append(group)
        group.append(word)
    return [Span(group[0].start, group[-1].end, " ".join(word.text for word in group)) for group in groups]


def _ends(group: list[Span], word: Span) -> bool:
    size = sum(len(one.text) + 1 for one in group) + len(word.text)
    return (
        group[-1].text.endswith((".", "?", "!", "…", "。"))
        or size > _LINE
        or word.start - group[-1].end >= _PAUSE
        or word.end - group[0].start > _SECONDS
    )


def _clock(seconds: float, point: str) -> str:
    millis = max(0, round(seconds * 1000))
    minutes, millis = divmod(millis, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{millis // 1000:02}{point}{millis % 1000:03}"


def _srt(lines: list[Span]) -> str:
    return "".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_flat(cue.text)}\n\n"
        for number, cue in enumerate(lines, 1)
    )


def _vtt(lines: list[Span]) -> str:
    return "WEBVTT\n\n" + "".join(
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_flat(cue.text).replace('-->', '->')}\n\n" for cue in lines
    )


def _flat(text: str) -> str:
    """The text on one line, because an empty line would end the subtitle."""
    return " ".join(text.split())
