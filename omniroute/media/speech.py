"""Text to speech: the request, OpenAI's format, and those of Deepgram and Hyperbolic.

Deepgram: https://developers.deepgram.com/reference/text-to-speech/speak-request.  Hyperbolic returns base64 in JSON.
"""

from __future__ import annotations

import base64
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import msgspec

from ..errors import OmniError
from ..translate.format import BadAnswer
from ..translate.peek import Peek
from .codec import Codec, Got, Mark, Sent, Units, decoded, look, member
from .sounds import TYPES as _SOUND_TYPES
from .sounds import sound_format

TYPES: Final = {
    **{name: _SOUND_TYPES[name] for name in ("mp3", "wav", "flac")},
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "pcm": "audio/pcm",
}
_ANY: Final = ((b"accept", b"*/*"),)
_TEXT: Final = msgspec.json.Decoder(str)
_NUMBER: Final = msgspec.json.Decoder(float)


class SpeechAsk(NamedTuple):
    """One request; ``found`` has its members unchanged."""

    found: Peek
    text: str
    voice: str | None
    format: str
    speed: float | None
    events: bool  # the client wants server-sent events instead of a file

    @property
    def units(self) -> Units:
        return Units(characters=len(self.text))


def read_ask(body: bytes) -> SpeechAsk:
    """Decode the body of ``POST /v1/audio/speech``.  Raises ``OmniError("invalid_request")``."""
    found = look(body)
    text = member(found, "input", _TEXT, "a string")
    if not text or text.isspace():
        raise OmniError("invalid_request", "Missing input", param="input")
    form = member(found, "response_format", _TEXT, "a string") or "mp3"
    if form not in TYPES:
        message = f"Invalid response_format '{form}': use one of {', '.join(TYPES)}"
        raise OmniError("invalid_request", message, param="response_format")
    return SpeechAsk(
        found=found,
        text=text,
        voice=_voice(found),
        format=form,
        speed=member(found, "speed", _NUMBER, "a number"),
        events=member(found, "stream_format", _TEXT, "a string") == "sse",
    )


def _voice(found: Peek) -> str | None:
    raw = found.members.get("voice")
    return member(found, "voice", _TEXT, "a string") if raw is not None and bytes(raw)[:1] == b'"' else None


def dropped(ask: SpeechAsk, *names: str) -> tuple[str, ...]:
    """Those of *names* that the request has."""
    return tuple(name for name in names if name in ask.found.members)


def _as_it_came(body: bytes, ask: SpeechAsk, mark: Mark) -> Got:
    return Got(body, units=ask.units, content_type=TYPES[ask.format].encode())


# -- OpenAI and compatible vendors


def _render_openai(ask: SpeechAsk, model: str) -> Sent:
    return Sent(msgspec.json.encode({**ask.found.members, "model": model}), headers=_ANY)


OPENAI: Final = Codec(_render_openai, _as_it_came, raw=True)

# -- Deepgram

_ENCODINGS: Final = {
    "mp3": {"encoding": "mp3"},
    "opus": {"encoding": "opus", "container": "ogg"},
    "aac": {"encoding": "aac"},
    "flac": {"encoding": "flac"},
    "wav": {"encoding": "linear16", "container": "wav"},
    "pcm": {"encoding": "linear16", "container": "none"},
}


def _render_deepgram(ask: SpeechAsk, model: str) -> Sent:
    query = urlencode({"model": model, **_ENCODINGS[ask.format]})
    body = msgspec.json.encode({"text": ask.text})
    gone = dropped(ask, "voice", "speed", "instructions", "stream_format")
    return Sent(body, gone, f"./speak?{query}", headers=_ANY)


DEEPGRAM: Final = Codec(_render_deepgram, _as_it_came, raw=True)

# -- Hyperbolic


def _render_hyperbolic(ask: SpeechAsk, model: str) -> Sent:
    body: dict[str, Any] = {"text": ask.text}
    if ask.voice:
        body["speaker"] = ask.voice
    if ask.speed is not None:
        body["speed"] = ask.speed
    for name in ("language", "sdp_ratio", "noise_scale", "noise_scale_w"):
        if name in ask.found.members:
            body[name] = ask.found.members[name]
    return Sent(msgspec.json.encode(body), dropped(ask, "instructions", "stream_format"), "./audio/generation")


class _Sound(msgspec.Struct):
    audio: str
    duration: float = 0.0


def _read_hyperbolic(body: bytes, ask: SpeechAsk, mark: Mark) -> Got:
    try:
        sound = base64.b64decode(decoded(body, _Sound).audio, validate=True)
    except ValueError as error:  # binascii.Error, or text that is not ASCII
        raise BadAnswer(f"the audio is not base64: {error}") from None
    kind = _SOUND_TYPES.get(sound_format(sound), "audio/mpeg")
    return Got(sound, units=ask.units, content_type=kind.encode())


HYPERBOLIC: Final = Codec(_render_hyperbolic, _read_hyperbolic)
