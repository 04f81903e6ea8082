"""What changes from request to request: one object, owned by the event loop, so no locks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ..clock import Clock
from .health import Health
from .signatures import Signatures
from .snapshot import Snapshot
from .usage import CallRecord

Timing = tuple[float, str, int, float, float | None]
"""A finished call: when (monotonic), provider id, status, milliseconds in all and to the first byte."""


class Live:
    """Health of the accounts, calls in flight, the snapshot in force and where finished calls go."""

    def __init__(self, clock: Clock, snapshot: Snapshot, on_record: Callable[[CallRecord], None]) -> None:
        self.clock = clock
        self.snapshot = snapshot  # swapped whole by the control plane
        self.health = Health(clock)
        self.signatures = Signatures()
        self.on_record = on_record
        self.in_flight: dict[tuple[str, str, str], int] = {}  # (provider, model, connection id)
        self.recent: deque[Timing] = deque(maxlen=1000)
        self.running = 0  # exchanges of the data plane
        self.draining = False

    def begin(self, target: tuple[str, str, str]) -> None:
        """One more call to *target*."""
        self.in_flight[target] = self.in_flight.get(target, 0) + 1

    def finish(self, target: tuple[str, str, str]) -> None:
        """One call less; a count that reaches zero is removed, so the table stays small."""
        count = self.in_flight[target] - 1
        if count > 0:
            self.in_flight[target] = count
        else:
            del self.in_flight[target]
