"""From one target to the next: :func:`place` tries the routes of a plan until the client has been answered.

The first byte to the client is the point of no return; until then every failure may be hidden by the next target.
"""

from __future__ import annotations

from ..translate.events import Failure
from . import combo_run
from .job import Gateway, Job
from .plan import Plan
from .walk import Attempt, ask


async def place(gateway: Gateway, job: Job, plan: Plan, attempt: Attempt) -> Failure | None:
    """None: the client has been answered.  Else why not, with nothing sent."""
    if plan.combo is not None:
        return await combo_run.place(gateway, job, plan, plan.combo, attempt)
    if plan.targets:
        return await _chain(gateway, job, plan, attempt)
    failure: Failure | None = None
    for route in plan.routes:
        failure = await ask(gateway, job, route, attempt)
        if failure is None or job.final:
            break
    return failure


async def _chain(gateway: Gateway, job: Job, plan: Plan, attempt: Attempt) -> Failure | None:
    """A provider, then those of the model's fallback chain.  When none answers, the first that was asked has the word."""
    told: Failure | None = None
    job.ahead = len(plan.routes)
    asked = 0
    for target in plan.targets:
        if target.route is None:
            combo_run.skip(job, target.name, target.barred)
            continue
        job.ahead -= 1
        job.final, job.failure = False, None
        failure = await ask(gateway, job, target.route, attempt)
        if failure is None or job.final:
            return failure
        if told is None or (not asked and job.attempts):
            told, route, account = failure, job.route, job.account
        asked = job.attempts
    job.route, job.account = route, account
    job.notes = f"none; attempt={job.attempts}/{job.attempts}{job.trail}"
    return told
