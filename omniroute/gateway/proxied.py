"""Entries of the log of proxied calls."""

from __future__ import annotations

from typing import Final

from ..translate.events import Failure
from .blame import without_secret
from .job import Gateway, Job
from .outbound import ProxiedCall
from .render import told
from .resolve import Route
from .snapshot import Connection

_TIMED_OUT: Final = 504


def note(gateway: Gateway, job: Job, route: Route, account: Connection, began: float, failure: Failure | None) -> None:
    """Log one call through the proxy of *account*, unless its client disconnected.  ``began`` is monotonic time."""
    live, via, clock = gateway.live, account.proxy, gateway.clock
    if live.on_proxied is None or via is None:
        return
    problem = failure if failure is not None else job.failure  # job.failure: of a stream that broke after its start
    seconds = clock.monotonic() - began
    combo = live.snapshot.combos.get(job.combo)
    live.on_proxied(
        ProxiedCall(
            via=via,
            at=clock.time() - seconds,
            status="success" if problem is None else "timeout" if problem.status == _TIMED_OUT else "error",
            provider=route.provider.id,
            model=route.model,
            latency_ms=seconds * 1000,
            error="" if problem is None else told(without_secret(problem, account.secret)),
            connection_id=account.id,
            account=account.name,
            combo_id=combo.id if combo is not None else None,
        )
    )
