"""The pool of idle connections.  Pure bookkeeping, no I/O.

The most recently used connection to an origin is taken first, so that surplus ones stay idle and expire.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from ..proto.transport import Origin


class Idle(Protocol):
    """What the pool needs to know of a connection."""

    @property
    def origin(self) -> Origin: ...
    @property
    def idle_since(self) -> float: ...
    @property
    def reusable(self) -> bool: ...


C = TypeVar("C", bound=Idle)


class Pool(Generic[C]):
    """Idle connections by origin: at most ``per_origin`` each, kept for ``idle`` seconds."""

    __slots__ = ("_idle", "_idle_seconds", "_per_origin")

    def __init__(self, per_origin: int, idle: float) -> None:
        self._per_origin = per_origin
        self._idle_seconds = idle
        self._idle: dict[Origin, list[C]] = {}

    def take(self, origin: Origin, now: float) -> C | None:
        """Remove and return the most recently used healthy connection to *origin*, or None."""
        stack = self._idle.get(origin)
        while stack:
            connection = stack.pop()
            if connection.reusable and now - connection.idle_since < self._idle_seconds:
                return connection
        return None

    def put(self, connection: C) -> C | None:
        """Add *connection*; returns the oldest one, for the caller to close, when there are too many."""
        stack = self._idle.setdefault(connection.origin, [])
        stack.append(connection)
        return stack.pop(0) if len(stack) > self._per_origin else None

    def drop(self, connection: C) -> None:
        """Remove *connection*, if it is in the pool."""
        stack = self._idle.get(connection.origin)
        if stack is not None:
            if connection in stack:
                stack.remove(connection)
            if not stack:
                del self._idle[connection.origin]

    def __len__(self) -> int:
        return sum(map(len, self._idle.values()))
