"""What a call asks for, and in which order its targets are tried.

Pure but for the dice: the snapshot and what is live go in, a :class:`Plan` comes out.  Nothing has been sent yet, so the
same plan explains a route without taking it.
"""

from __future__ import annotations

from typing import NamedTuple

from . import auth
from .job import Gateway, Job
from .resolve import Route
from .snapshot import Snapshot


class Plan(NamedTuple):
    """The routes to try, in order."""

    routes: tuple[Route, ...]


def make_plan(gateway: Gateway, snapshot: Snapshot, job: Job, only: str = "") -> Plan:
    """The plan for ``job.requested``; *only* restricts it to one provider.

    Raises ``OmniError`` when the name leads nowhere or the caller's key does not allow it.
    """
    route = gateway.routes.resolve(snapshot, job.requested, only)
    auth.check_model(job.key, job.requested, route.provider, route.model)
    job.route = route
    return Plan((route,))
