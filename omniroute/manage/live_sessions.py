"""The conversations that are active now."""

from __future__ import annotations

from msgspec import Struct

from .call import Call, Reply


class SessionView(Struct, rename="camel"):
    """A conversation.  Times are Unix milliseconds; ``age_ms`` counts from the first call."""

    session_id: str
    created_at: int
    last_active: int
    request_count: int
    connection_id: str | None
    age_ms: int


class SessionList(Struct):
    count: int
    sessions: list[SessionView]


async def read(call: Call) -> Reply:
    """Return the conversations of the last half hour; times in Unix milliseconds, ages in milliseconds."""
    views = [
        SessionView(
            session.id,
            round(session.created_at * 1000),
            round(session.last_active * 1000),
            session.requests,
            session.connection_id or None,
            round((call.now - session.created_at) * 1000),
        )
        for session in call.live.sessions.list()
    ]
    return Reply(200, SessionList(len(views), views))
