"""Signatures and encrypted reasoning go back only to who made them: the same account, model and effort.

A bounded memory says which serving identity an answer's signature came from, or which one has refused it.  On the same wire
(between different ones the encoders never carry a signature) a request is looked at before it is sent:

* one that another identity made is taken out of closed history, but stays in the open turn, a tool loop that may work on;
* one that this very identity has refused before is taken out wherever it stands;
* an unknown one passes: it may be older than this process.

If the upstream still complains, all of them are taken out and the same account is asked once more.  Both are named in
``X-OmniRoute-Dropped``; nothing is ever put in the place of a signature but the word that a vendor gives for a missing one.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec
from msgspec import Raw, Struct

from ..translate.events import Failure
from ..translate.format import Target
from ..translate.peek import Peek, edited
from ..translate.signed import MARKS, Judge, found_in, has_marks, history, strip
from .resolve import Route
from .snapshot import Connection

MOST: Final = 16384  # signatures remembered, about 300 bytes each
RESENT: Final = "; resent without signatures"  # for X-OmniRoute-Route


class Identity(NamedTuple):
    """Who answers: a signature is worth nothing to any other."""

    connection: str
    provider: str
    model: str
    effort: str


class Signatures:
    """Who made a signature, or who refused one whose maker is not known; the least recently met are forgotten first."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: OrderedDict[bytes, tuple[Identity, bool]] = OrderedDict()  # hash -> (who, refused it)

    def __len__(self) -> int:
        return len(self._known)

    def made(self, signature: bytes, by: Identity) -> None:
        """An answer of *by* brought *signature*."""
        self._note(signature, by, False)

    def refused(self, signature: bytes, by: Identity) -> None:
        """*by* would not take *signature*."""
        self._note(signature, by, True)

    def _note(self, signature: bytes, who: Identity, refused: bool) -> None:
        key = _key(signature)
        self._known[key] = (who, refused)
        self._known.move_to_end(key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def condemns(self, signature: bytes, closed: bool, target: Identity) -> bool:
        """Whether *signature*, in closed history or not, must not go to *target*."""
        key = _key(signature)
        known = self._known.get(key)
        if known is None:
            return False
        self._known.move_to_end(key)
        who, refused = known
        return who == target if refused else closed and who != target


_TAIL: Final = 256
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")


def _key(signature: bytes) -> bytes:
    """Clients that keep signatures as bytes send them back in another alphabet of base64 (RFC 4648 section 5).

    They are kilobytes long and a request brings all of its conversation; their end is as good as random.
    """
    return blake2b(signature.rstrip(b"=")[-_TAIL:].translate(_STANDARD), digest_size=16).digest()


# ------------------------------------------------------------------- answers


def watcher(known: Signatures, wire: str, found: Peek, route: Route, account: Connection) -> Callable[[bytes], None] | None:
    """What is to be shown the events of an answer on *wire*; None where that wire has no signatures."""
    marks = MARKS.get(wire)
    if marks is None:
        return None

    def watch(data: bytes) -> None:
        for mark in marks:  # for each read of a stream: a generator would cost three times as much
            if mark in data:
                learn(data)
                return

    def learn(data: bytes) -> None:
        by = identity(wire, found, route, account)
        for signature in found_in(wire, data):
            known.made(signature, by)

    return watch


# ------------------------------------------------------------------ requests


class Kept(NamedTuple):
    """A request that may be sent, and what was taken out of it."""

    found: Peek
    dropped: tuple[str, ...] = ()


def keep_own(known: Signatures, wire: str, found: Peek, route: Route, account: Connection) -> Kept:
    """The request without the signatures that *account* must not get."""
    if not known or not has_marks(wire, said := history(wire, found)):
        return Kept(found)
    target = identity(wire, found, route, account)
    judge: Judge = lambda signature, closed: known.condemns(signature, closed, target)  # noqa: E731
    if not any(judge(signature, True) for signature in found_in(wire, said)):
        return Kept(found)
    return _stripped(wire, found, route, judge) or Kept(found)


_COMPLAINT: Final = re.compile(r"signature|encrypted[ _]content|could not be verified|cannot be modified", re.IGNORECASE)
_OTHER: Final = re.compile(r"missing an? [`'\"]?thought[ _]?signature", re.IGNORECASE)


def complains(failure: Failure) -> bool:
    """Whether an upstream refused a request for a signature in it; the words vary from vendor to vendor."""
    text = f"{failure.code} {failure.message}"
    return failure.status == 400 and _COMPLAINT.search(text) is not None and _OTHER.search(text) is None


def without_any(wire: str, found: Peek, route: Route) -> Kept | None:
    """The request without all its signatures.  None: there were none."""
    if not has_marks(wire, history(wire, found)):
        return None
    return _stripped(wire, found, route, lambda signature, closed: True)


def remember_refusal(known: Signatures, wire: str, found: Peek, route: Route, account: Connection) -> None:
    """*account* took the request only without the signatures in *found*: clients send them again for ever, we do not."""
    target = identity(wire, found, route, account)
    for signature in found_in(wire, history(wire, found)):
        known.refused(signature, target)


def _stripped(wire: str, found: Peek, route: Route, judge: Judge) -> Kept | None:
    done = strip(wire, found, judge, Target(route.model, quirks=route.quirks))
    return Kept(edited(found, done.changes), done.dropped) if done is not None else None


# ------------------------------------------------------------------ identity


class _Thinks(Struct):
    thinkingLevel: str | None = None


class _Wish(Struct):
    """Where the wires say how much to think: each within one top-level member."""

    effort: str | None = None
    thinkingConfig: _Thinks | None = None


_wish: Final = msgspec.json.Decoder(_Wish)
_EFFORT_IN: Final = {"anthropic": "output_config", "openai-responses": "reasoning", "gemini": "generationConfig"}


def identity(wire: str, found: Peek, route: Route, account: Connection) -> Identity:
    """Who would answer this request."""
    return Identity(account.id, route.provider.id, route.model, _effort(found.members.get(_EFFORT_IN.get(wire, ""))))


def _effort(raw: Raw | None) -> str:
    if raw is None:
        return ""
    try:
        wish = _wish.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    level = wish.thinkingConfig.thinkingLevel if wish.thinkingConfig is not None else None
    return (wish.effort or level or "").lower()
