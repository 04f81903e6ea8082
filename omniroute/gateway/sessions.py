"""Which conversations are running, and which account each was served by last.

A vendor's prompt cache belongs to one account, so a conversation does better where it was.  Sessions live in memory only.
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

    ``named``: the client gave its id; ``continued``: the model has spoken in it before, so something may be cached.
    """

    id: str
    named: bool
    continued: bool


class Sessions:
    """The sessions by id, longest idle first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sessions: dict[str, Session] = {}

    def prefer(self, mark: Mark) -> str:
        """The account that served the session last, or "".

        A first turn has nothing cached anywhere: unless the client named its session, the accounts' own order decides.
        """
        if not (mark.named or mark.continued):
            return ""
        session = self._sessions.get(mark.id)
        return session.connection_id if session is not None and self._alive(session) else ""

    def touch(self, mark: Mark, connection_id: str) -> None:
        """One more call of the session, served by *connection_id* ("" = by none)."""
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
        """Those that are not over, the most recently active first."""
        return [session for session in reversed(self._sessions.values()) if self._alive(session)]

    def _alive(self, session: Session) -> bool:
        return self._clock.time() - session.last_active < IDLE_SECONDS

    def _make_room(self) -> None:
        """Drop those that are over, and the longest idle one when there are too many."""
        while self._sessions:
            oldest = next(iter(self._sessions.values()))
            if self._alive(oldest) and len(self._sessions) < MOST:
                return
            del self._sessions[oldest.id]


def mark_of(named: Mapping[bytes, bytes], wire: str, model: str, provider: str, members: Mapping[str, Raw]) -> Mark:
    """The session of a request: the client's own id, or one made from where it goes and how it begins.

    *named*: the request's header fields by name.
    """
    if sent := named_by(named):
        return Mark(sent, True, True)
    digest, continued = fingerprint(wire, members)
    return Mark(f"{hash((model, provider, digest)) & _64_BITS:016x}", False, continued)


def named_by(named: Mapping[bytes, bytes]) -> str:
    """The session id the client sent; "" when it sent none that is fit to be shown."""
    for name in sorted(SESSION_FIELDS, reverse=True):  # x-session-id first
        value = named.get(name)
        if value and len(value) <= _LONGEST_ID and value.isascii() and value.decode().isprintable():
            return value.decode()
    return ""
