"""Budgets of a call: its possible cost is reserved before it is sent, its actual cost is charged when it ends."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Final, NamedTuple

from ..media.codec import Units
from ..translate.events import Usage
from ..translate.max_tokens import wanted
from .budgets import Purse, Reservation
from .cost import cost
from .job import ChatJob, Gateway, Job
from .live import Live
from .plan import Plan
from .render import printable
from .resolve import Route
from .usage import CallRecord

BYTES_A_TOKEN: Final = 4
BYTES_A_SECOND: Final = 16_000  # of audio at 128 kbit/s
USUAL_ANSWER: Final = 2048  # tokens; answers rarely come near a limit above it
_SILENT: Final = frozenset({"embeddings", "rerank", "moderations"})  # operations without billed output tokens


class Expected(NamedTuple):
    """The cost of a call in dollars: at most, on the most expensive route, and at least.  Equal if there is a limit."""

    most: float
    least: float


def reserve(gateway: Gateway, job: Job, plan: Plan) -> None:
    """Reserve the cost of the most expensive of the plan's routes.  Raises ``OmniError("budget_exceeded")``.

    Without a limit on the length of the answer, or with a high one, that cost is a guess.  Such a call is refused only when
    nothing is left or less than its least cost.
    """
    budgets, key = gateway.live.snapshot.budgets, job.key
    own = budgets.get(key.id) if key is not None and budgets else None
    if own is None and not plan.purses:
        return
    purses = plan.purses if own is None or key is None else (Purse(key.id, own), *plan.purses)
    found = expected(job, plan.routes)
    if found is None:
        job.trail += "; budget=unpriced"
        job.reservation = gateway.live.budgets.reserve(purses, None)
    else:
        job.reservation = gateway.live.budgets.reserve(purses, found.most, found.least if found.least < found.most else None)


def release(live: Live, job: Job) -> None:
    """Release the reservation of a call that has ended."""
    reservation: Reservation | None = job.reservation
    if reservation is not None:
        live.budgets.release(reservation)


def charge(live: Live, job: Job, row: CallRecord) -> None:
    """Charge the call's cost; ``row.charged`` then has the ids of the purses, to be stored.

    Calls of a key without a budget are charged too, because it may get a budget within the same period.
    """
    key = job.key
    ids: tuple[str, ...] = () if key is None else (key.id,)
    purses: tuple[Purse, ...] = ()
    if job.reservation is not None:
        purses = job.reservation.purses
        ids = tuple(dict.fromkeys((*(purse.id for purse in purses), *ids)))
    if not ids or row.cost == 0:
        return
    if row.cost is not None:
        row.charged = ids
        live.budgets.charge(ids, row.cost)
        for purse in purses:
            who = purse.policy or (key.name if key is not None else purse.id)
            live.budgets.warn(purse, printable(who))
    elif row.tokens_in is not None or row.tokens_out is not None or job.units is not None:
        live.budgets.charge(ids, None)
        if purses:
            live.budgets.note_unpriced("/".join(map(printable, (row.provider, row.model))))


def expected(job: Job, routes: Iterable[Route]) -> Expected | None:
    """The expected cost of the call; None when a route's price is unknown."""
    found = job.peek if isinstance(job, ChatJob) else None
    most, copies = wanted(job.wire, found.members) if found is not None else (None, 1)
    size = len(found.raw) if found is not None else _size(job)
    units = _units(job, size)
    silent = job.operation in _SILENT
    highest, lowest = 0.0, inf
    for route in routes:
        answer = 0 if silent else _answer(route, most) * copies
        price = cost(Usage(input=size // BYTES_A_TOKEN, output=answer), route.price, units)
        least = cost(Usage(input=size // BYTES_A_TOKEN, output=0), route.price, units)
        if price is None or least is None:
            return None
        highest, lowest = max(highest, price), min(lowest, least)
    sure = silent or (most is not None and most <= USUAL_ANSWER)
    return Expected(highest, highest if sure else min(lowest, highest))


def _answer(route: Route, most: int | None) -> int:
    known = route.provider.models.get(route.model)
    limit = known.max_output if known is not None else None
    if most is None:
        return min(USUAL_ANSWER, limit) if limit else USUAL_ANSWER
    return min(most, limit) if limit else most


def _size(job: Job) -> int:
    """The size of the request body in bytes; of a form, which is not in memory, from Content-Length."""
    request = job.exchange.request
    length = request.header(b"content-length") or b""
    return len(request.body) or (int(length) if length.isdigit() and len(length) < 16 else 0)


def _units(job: Job, size: int) -> Units | None:
    if job.operation == "chat":
        return None
    if job.operation == "rerank":
        return Units(searches=1)
    units: Units | None = getattr(getattr(job, "ask", None), "units", None)
    if units is not None and not any(units) and job.operation in ("transcriptions", "translations"):
        return Units(seconds=size / BYTES_A_SECOND)
    return units
