"""The record that each vendor's format fills, and what passes between it and the gateway.

As in ``translate``, everything is pure; what a *client* sent wrong raises ``OmniError("invalid_request")`` with the field
in ``param``, and what an *upstream* sent wrong raises :class:`..translate.format.BadAnswer`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec import Raw

from ..errors import OmniError
from ..translate.events import Usage
from ..translate.format import BadAnswer
from ..translate.peek import Peek, peek
from .forms import Pieces

T = TypeVar("T")
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are no JSON of the wanted shape."""


class Units(NamedTuple):
    """What is counted and priced beside tokens."""

    images: int = 0
    seconds: float = 0.0  # of sound
    characters: int = 0  # of text to be spoken
    searches: int = 0  # rankings


NO_UNITS: Final = Units()


class Mark(NamedTuple):
    """What an answer says that no upstream knows."""

    model: str  # as the client named it
    created: int  # Unix seconds
    id: str = ""


class Sent(NamedTuple):
    """A request for one vendor.  ``path`` replaces the usual one."""

    body: bytes | Pieces  # pieces: bytes and files that the client sent
    dropped: tuple[str, ...] = ()  # what the vendor cannot hold, for X-OmniRoute-Dropped
    path: str = ""
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()  # beside those of the provider, e.g. ``accept``


class Got(NamedTuple):
    """An answer in the client's form, and what the books want to know of it."""

    body: bytes
    usage: Usage | None = None
    units: Units = NO_UNITS
    model: str = ""  # as the upstream named it
    content_type: bytes = b"application/json"
    urls: tuple[str, ...] = ()  # of images that the client wants in the body: to be fetched, see ``images.inline``


class Next(NamedTuple):
    """What to ask next of a vendor that answers in steps (upload, submit, look again)."""

    method: str
    path: str
    body: bytes = b""
    wait: float = 0.0  # seconds before it is asked


class Refused(Exception):
    """The vendor reported an error in an answer whose HTTP status says otherwise; ``status`` is what it means."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Codec(NamedTuple):
    """One vendor's format of one operation, answers whole."""

    render: Callable[[Any, str], Sent]  # (the ask, the model's name there)
    read: Callable[[bytes, Any, Mark], Got]  # (the answer's body, the ask, the mark); raises BadAnswer
    follow: Callable[[bytes, Any, str], Next | None] | None = None  # (an answer's body, the ask, the model); None: read it
    raw: bool = False  # the answer's bytes are what the client wants, and are sent on as they come
    form: bool = False  # takes the client's files in a form; others get them in ``data:`` URLs


class _Model(msgspec.Struct):
    model: str | None = None
    stream: bool | None = None


MODEL: Final = msgspec.json.Decoder(_Model)


def look(body: bytes) -> Peek:
    """The members of a client's JSON object; of their types only that of ``model`` is checked."""
    return peek(body, MODEL)


def member(found: Peek, name: str, decoder: msgspec.json.Decoder[T], expected: str) -> T | None:
    """One member, None when it is missing or null.  *expected* describes the type: "a string or an array"."""
    raw = found.members.get(name)
    if raw is None or bytes(raw) == b"null":
        return None
    try:
        return decoder.decode(raw)
    except UNREADABLE:
        raise OmniError("invalid_request", f"Invalid '{name}': expected {expected}", param=name) from None


def decoded(body: bytes, shape: type[T]) -> T:
    """An upstream's answer in the given *shape*.  Raises BadAnswer."""
    try:
        return msgspec.json.decode(body, type=shape)
    except UNREADABLE as error:
        raise BadAnswer(str(error)) from None


def others(found: Peek, known: frozenset[str]) -> dict[str, Raw]:
    """The members beside the *known* ones, for vendors that take them."""
    return {name: raw for name, raw in found.members.items() if name not in known and bytes(raw) != b"null"}
