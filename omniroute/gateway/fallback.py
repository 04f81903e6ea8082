"""From one target to the next: :func:`place` tries the routes of a plan until the client has been answered.

The first byte to the client is the point of no return; until then every failure may be hidden by the next target.
"""

from __future__ import annotations

from ..translate.events import Failure
from .job import Gateway, Job
from .plan import Plan
from .walk import Attempt, ask


async def place(gateway: Gateway, job: Job, plan: Plan, attempt: Attempt) -> Failure | None:
    """None: the client has been answered.  Else why not, with nothing sent."""
    failure: Failure | None = None
    for route in plan.routes:
        failure = await ask(gateway, job, route, attempt)
        if failure is None or job.final:
            break
    return failure
