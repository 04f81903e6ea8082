"""Signatures and encrypted reasoning are sent back only to their maker: the same account, model and effort.

A bounded memory maps each signature to the identity whose answer contained it, or to the one that refused it.  A request on
the same wire is checked before it is sent (between different wire formats the encoders never carry signatures):

* a signature of another identity is removed from completed turns, but kept in the open turn, whose tool loop may need it;
* a signature that the target has refused before is removed everywhere;
* an unknown signature is kept: it may be older than this process.

If the upstream still refuses, all signatures are removed and the same account is called once more.  Removals are listed in
``X-OmniRoute-Dropped``.  A removed signature is never replaced, except by a vendor's own placeholder for a missing one.
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
    """The maker of a signature; no other identity accepts it."""

    connection: str
    provider: str
    model: str
    effort: str


class Signatures:
    """The makers of signatures, or those who refused one of unknown origin.  The least recently used are dropped first."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: OrderedDict[bytes, tuple[Identity, bool]] = OrderedDict()  # hash -> (identity, refused by it)

    def __len__(self) -> int:
        return len(self._known)

    def made(self, signature: bytes, by: Identity) -> None:
        """Note that an answer of *by* contained *signature*."""
        self._note(signature, by, False)

    def refused(self, signature: bytes, by: Identity) -> None:
        """Note that *by* refused *signature*."""
        self._note(signature, by, True)

    def _note(self, signature: bytes, who: Identity, refused: bool) -> None:
        key = _key(signature)
        self._known[key] = (who, refused)
        self._known.move_to_end(key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def condemns(self, signature: bytes, closed: bool, target: Identity) -> bool:
        """Whether *signature* must not be sent to *target*; *closed*: it stands in a completed turn."""
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
    """A hash of the signature, in the standard alphabet: clients may return it as base64url (RFC 4648 section 5).

    Only the end is hashed.  It is effectively random, and a request carries many signatures of several kilobytes.
    """
    return blake2b(signature.rstrip(b"=")[-_TAIL:].translate(_STANDARD), digest_size=16).digest()


# -- answers


def watcher(known: Signatures, wire: str, found: Peek, route: Route, account: Connection) -> Callable[[bytes], None] | None:
    """A function that learns signatures from the response data; None if *wire* has no signatures."""
    marks = MARKS.get(wire)
    if marks is None:
        return None

    def watch(data: bytes) -> None:
        for mark in marks:  # runs for each read of a stream: any() with a generator takes three times as long
            if mark in data:
                learn(data)
                return

    def learn(data: bytes) -> None:
        by = identity(wire, found, route, account)
        for signature in found_in(wire, data):
            known.made(signature, by)

    return watch


# -- requests


class Kept(NamedTuple):
    """A request that may be sent, and what was removed from it."""

    found: Peek
    dropped: tuple[str, ...] = ()


def keep_own(known: Signatures, wire: str, found: Peek, route: Route, account: Connection) -> Kept:
    """The request without the signatures that must not be sent to *account*."""
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
    """Whether an upstream refused a request because of a signature; the wording differs between vendors."""
    text = f"{failure.code} {failure.message}"
    return failure.status == 400 and _COMPLAINT.search(text) is not None and _OTHER.search(text) is None


def without_any(wire: str, found: Peek, route: Route) -> Kept | None:
    """The request without any signatures; None if it has none."""
    if not has_marks(wire, history(wire, found)):
        return None
    return _stripped(wire, found, route, lambda signature, closed: True)


def remember_refusal(known: Signatures, wire: str, found: Peek, route: Route, account: Connection) -> None:
    """Note that *account* refused the signatures in *found*: clients resend them with every later request."""
    target = identity(wire, found, route, account)
    for signature in found_in(wire, history(wire, found)):
        known.refused(signature, target)


def _stripped(wire: str, found: Peek, route: Route, judge: Judge) -> Kept | None:
    done = strip(wire, found, judge, Target(route.model, quirks=route.quirks))
    return Kept(edited(found, done.changes), done.dropped) if done is not None else None


# -- identity


class _Thinks(Struct):
    thinkingLevel: str | None = None


class _Wish(Struct):
    """The reasoning effort, in the top-level member where each wire format has it."""

    effort: str | None = None
    thinkingConfig: _Thinks | None = None


_wish: Final = msgspec.json.Decoder(_Wish)
_EFFORT_IN: Final = {"anthropic": "output_config", "openai-responses": "reasoning", "gemini": "generationConfig"}


def identity(wire: str, found: Peek, route: Route, account: Connection) -> Identity:
    """The identity that would answer this request."""
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
