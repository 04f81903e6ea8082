"""The state that changes with every request, in one object.  The event loop owns it, so it needs no locks."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

from msgspec import Struct

from ..clock import Clock
from .breakers import Breakers
from .budgets import Budgets
from .cache import Cache
from .combo_metrics import Combos
from .health import Health
from .limiter import Limiter
from .outbound import ProxiedCall
from .replay import Replays
from .sessions import Sessions
from .signatures import Signatures
from .snapshot import Snapshot
from .tokens import Tokens
from .usage import CallRecord
from .uses import Uses


class Timing(Struct, gc=False):
    """The timing of a finished call.  Moments are monotonic seconds, None for a step that the call did not reach."""

    at: float
    provider: str
    status: int
    ms: float  # in all
    began: float
    read_at: float | None = None
    planned_at: float | None = None
    checked_at: float | None = None
    placed_at: float | None = None
    first_byte: float | None = None
    stream: bool = False


class Live:
    """The current snapshot, the health of accounts, the calls in flight, and the callbacks for finished calls."""

    def __init__(self, clock: Clock, snapshot: Snapshot, on_record: Callable[[CallRecord], None]) -> None:
        self.clock = clock
        self.snapshot = snapshot  # replaced as a whole by the control plane
        self.health = Health(clock)
        self.breakers = Breakers(clock)
        self.limiter = Limiter(clock)
        self.uses = Uses(clock)
        self.dice = random.Random()
        self.signatures = Signatures()
        self.sessions = Sessions(clock)
        self.tokens = Tokens(clock, lambda: self.snapshot)
        self.replays = Replays(clock)
        self.cache = Cache(clock)
        self.combos = Combos()
        self.budgets = Budgets(clock)
        self.on_record = on_record
        self.on_proxied: Callable[[ProxiedCall], object] | None = None
        self.in_flight: dict[tuple[str, str, str], int] = {}  # (provider, model, connection id)
        self.recent: deque[Timing] = deque(maxlen=1000)
        self.running = 0  # exchanges of the data plane
        self.draining = False

    def forget(self, connection_id: str) -> None:
        """Remove the state of a deleted connection."""
        self.health.forget(connection_id)
        self.limiter.forget(connection_id)
        self.uses.forget(connection_id)
        self.tokens.forget(connection_id)

    def begin(self, target: tuple[str, str, str]) -> None:
        """Count one more call in flight to *target*."""
        self.in_flight[target] = self.in_flight.get(target, 0) + 1

    def finish(self, target: tuple[str, str, str]) -> None:
        """Count one call less; a count of zero is removed, so the table stays small."""
        count = self.in_flight[target] - 1
        if count > 0:
            self.in_flight[target] = count
        else:
            del self.in_flight[target]
