"""Fallback between targets: :func:`place` tries the routes of a plan until the client has been answered.

The first byte to the client is the point of no return; until then the next target can hide any failure.
"""

from __future__ import annotations

from collections.abc import Awaitable

from ..translate.events import Failure
from . import combo_run
from .answer import nobody
from .job import Gateway, Job
from .plan import Plan
from .walk import Attempt, try_accounts


def place(gateway: Gateway, job: Job, plan: Plan, attempt: Attempt) -> Awaitable[Failure | None]:
    """Try the routes of *plan* in order.  None: the client has been answered.  Else nothing has been sent to it."""
    if plan.combo is not None:
        return combo_run.place(gateway, job, plan, plan.combo, attempt)
    if plan.targets:
        return _chain(gateway, job, plan, attempt)
    return try_accounts(gateway, job, plan.routes[0], attempt)


async def _chain(gateway: Gateway, job: Job, plan: Plan, attempt: Attempt) -> Failure | None:
    """Try a provider, then those of the model's fallback chain.  If all fail, return the failure of the first one called."""
    told: Failure | None = None
    route, account = job.route, job.account
    job.ahead = len(plan.routes)
    called = 0  # attempts before the present target
    for target in plan.targets:
        if target.route is None:
            combo_run.skip(job, target.name, target.barred)
            continue
        job.ahead -= 1
        job.final, job.failure = False, None
        failure = await try_accounts(gateway, job, target.route, attempt)
        if failure is None or job.final:
            return failure
        if told is None or (not called and job.attempts):
            told, route, account = failure, job.route, job.account
        called = job.attempts
    job.route, job.account = route, account
    job.notes = nobody(job)
    return told or Failure(503, combo_run.NONE_FREE)
