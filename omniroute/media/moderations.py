"""Moderation, in OpenAI's format on both sides: only the model's name in the request is replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from ..errors import OmniError
from ..translate.events import Usage
from ..translate.format import BadAnswer
from ..translate.peek import Peek, patch
from .codec import UNREADABLE, Codec, Got, Mark, Sent, look, member

_inputs: Final = msgspec.json.Decoder(str | list[str | dict[str, Any]])


class ModerationAsk(Struct):
    """A moderation request; an empty ``model`` means the default."""

    found: Peek
    model: str = ""


class _Counts(Struct):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _Answer(Struct):
    results: list[msgspec.Raw]
    model: str = ""
    usage: _Counts | None = None


_answer: Final = msgspec.json.Decoder(_Answer)


def decode(body: bytes) -> ModerationAsk:
    """Decode the body of ``POST /v1/moderations``.  Raises ``OmniError("invalid_request")``."""
    found = look(body)
    if not member(found, "input", _inputs, "a string, an array of strings or an array of content parts"):
        raise OmniError("invalid_request", "Missing input", param="input")
    return ModerationAsk(found, found.model)


def _render(ask: ModerationAsk, model: str) -> Sent:
    return Sent(patch(ask.found, {"model": msgspec.json.encode(model)}))


def _read(body: bytes, ask: ModerationAsk, mark: Mark) -> Got:
    try:
        answer = _answer.decode(body)
    except UNREADABLE as error:
        raise BadAnswer(str(error)) from None
    counts = answer.usage
    tokens = counts.prompt_tokens if counts is not None else 0  # most vendors report no usage: moderation is free
    return Got(body, Usage(input=tokens, output=0), model=answer.model)


CODECS: Final[Mapping[str, Codec]] = {"openai": Codec(_render, _read)}
