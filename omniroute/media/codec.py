"""The interface of a media codec: :class:`Codec`, and the types that it exchanges with the gateway.

As in ``translate``, everything is pure.  An error in a *client's* request raises ``OmniError("invalid_request")`` with the
field in ``param``; an unusable *upstream* response raises :class:`..translate.format.BadAnswer`.
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
"""What msgspec raises for bytes that are not JSON of the expected shape."""


class Units(NamedTuple):
    """Billable quantities other than tokens."""

    images: int = 0
    seconds: float = 0.0  # of audio
    characters: int = 0  # of the text of a speech request
    searches: int = 0  # of rerank requests


NO_UNITS: Final = Units()


class Mark(NamedTuple):
    """Values of a client's response that come from the gateway, not from the upstream."""

    model: str  # as the client named it
    created: int  # Unix seconds
    id: str = ""


class Sent(NamedTuple):
    """A request in a vendor's format.  A non-empty ``path`` replaces the operation's usual path."""

    body: bytes | Pieces  # pieces: bytes, and files that the client uploaded
    dropped: tuple[str, ...] = ()  # parameters that the vendor does not support, for X-OmniRoute-Dropped
    path: str = ""
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()  # in addition to the provider's, e.g. ``accept``


class Got(NamedTuple):
    """A response in the client's format, with the usage to account for."""

    body: bytes
    usage: Usage | None = None
    units: Units = NO_UNITS
    model: str = ""  # as the upstream named it
    content_type: bytes = b"application/json"
    urls: tuple[str, ...] = ()  # images to fetch, because the client wants them in the body; see ``images.inline``


class Next(NamedTuple):
    """The next request to a vendor whose operation takes several (upload, submit, poll)."""

    method: str
    path: str
    body: bytes = b""
    wait: float = 0.0  # seconds before the request is sent


class Refused(Exception):
    """The vendor reported an error in a response with a success status; ``status`` is the one that fits the error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Codec(NamedTuple):
    """One vendor's format of one operation, for responses that are not streamed."""

    render: Callable[[Any, str], Sent]  # (the ask, the vendor's name of the model)
    read: Callable[[bytes, Any, Mark], Got]  # (the response body, the ask, the mark); raises BadAnswer
    follow: Callable[[bytes, Any, str], Next | None] | None = None  # (a response body, the ask, the model); None: read it
    raw: bool = False  # the response body is the file itself and can be relayed as it arrives
    form: bool = False  # accepts the client's files as a form; other vendors get them as ``data:`` URLs


class _Model(msgspec.Struct):
    model: str | None = None
    stream: bool | None = None


MODEL: Final = msgspec.json.Decoder(_Model)


def look(body: bytes) -> Peek:
    """The members of a client's JSON object.  Only the types of ``model`` and ``stream`` are checked.

    Raises ``OmniError("invalid_request")``.
    """
    return peek(body, MODEL)


def member(found: Peek, name: str, decoder: msgspec.json.Decoder[T], expected: str) -> T | None:
    """The decoded member *name*, None when it is missing or null.

    Raises ``OmniError("invalid_request")`` for a wrong type; *expected* describes the right one: "a string or an array".
    """
    raw = found.members.get(name)
    if raw is None or bytes(raw) == b"null":
        return None
    try:
        return decoder.decode(raw)
    except UNREADABLE:
        raise OmniError("invalid_request", f"Invalid '{name}': expected {expected}", param=name) from None


def decoded(body: bytes, shape: type[T]) -> T:
    """An upstream's response body decoded as *shape*.  Raises BadAnswer."""
    try:
        return msgspec.json.decode(body, type=shape)
    except UNREADABLE as error:
        raise BadAnswer(str(error)) from None


def others(found: Peek, known: frozenset[str]) -> dict[str, Raw]:
    """The members that are not *known* and not null, for vendors that accept them."""
    return {name: raw for name, raw in found.members.items() if name not in known and bytes(raw) != b"null"}
