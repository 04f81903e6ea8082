"""The active conversations, and the account that served each last.

A vendor's prompt cache belongs to one account, so a conversation should stay with its account.  Sessions are kept only in
memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from msgspec import Raw, Struct

from ..clock import Clock
from ..translate.fingerprint import fingerprint

IDLE_SECONDS: Final = 1800.0
MOST: Final = 10_000
SESSION_FIELDS: Final = frozenset({b"x-session-id", b"x-omniroute-session-id"})
_LONGEST_ID: Final = 128
_64_BITS: Final = (1 << 64) - 1


class Session(Struct):
    """One conversation; times are Unix seconds."""

    id: str
    created_at: float
    last_active: float
    requests: int = 0
    connection_id: str = ""


class Mark(NamedTuple):
    """The session of one call.

    ``named``: the client sent its id; ``continued``: it has an earlier answer of the model, so the prompt may be cached.
    """

    id: str
    named: bool
    continued: bool


class Sessions:
    """The sessions by id, the longest idle first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sessions: dict[str, Session] = {}

    def prefer(self, mark: Mark) -> str:
        """The id of the account that served the session last, or "".

        Also "" for the first turn of an unnamed session: nothing is cached yet, so the usual order of accounts applies.
        """
        if not (mark.named or mark.continued):
            return ""
        session = self._sessions.get(mark.id)
        return session.connection_id if session is not None and self._alive(session) else ""

    def touch(self, mark: Mark, connection_id: str) -> None:
        """Count a call of the session, served by *connection_id* ("" if it failed)."""
        now = self._clock.time()
        session = self._sessions.pop(mark.id, None)
        if session is None or not self._alive(session):
            session = Session(mark.id, now, now)
            self._make_room()
        session.last_active = now
        session.requests += 1
        session.connection_id = connection_id or session.connection_id
        self._sessions[mark.id] = session

    def list(self) -> list[Session]:
        """The active sessions, the most recently used first."""
        return [session for session in reversed(self._sessions.values()) if self._alive(session)]

    def _alive(self, session: Session) -> bool:
        return self._clock.time() - session.last_active < IDLE_SECONDS

    def _make_room(self) -> None:
        """Drop expired sessions, and the longest idle one when there are too many."""
        while self._sessions:
            oldest = next(iter(self._sessions.values()))
            if self._alive(oldest) and len(self._sessions) < MOST:
                return
            del self._sessions[oldest.id]


def mark_of(named: Mapping[bytes, bytes], wire: str, model: str, provider: str, members: Mapping[str, Raw]) -> Mark:
    """The session of a request: the client's id, or a hash of model, provider and the beginning of the conversation.

    *named*: the request's header fields by name.
    """
    if sent := named_by(named):
        return Mark(sent, True, True)
    digest, continued = fingerprint(wire, members)
    return Mark(f"{hash((model, provider, digest)) & _64_BITS:016x}", False, continued)


def named_by(named: Mapping[bytes, bytes]) -> str:
    """The session id that the client sent; "" if there is none or it is too long or not printable ASCII."""
    for name in sorted(SESSION_FIELDS, reverse=True):  # x-session-id first
        value = named.get(name)
        if value and len(value) <= _LONGEST_ID and value.isascii() and value.decode().isprintable():
            return value.decode()
    return ""
