"""The money of one call: what it may cost is reserved before it is sent, what it did cost is charged when it ends."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any, Final, NamedTuple

from ..media.codec import Units
from ..translate.events import Usage
from ..translate.max_tokens import wanted
from .budgets import Purse, Reservation
from .cost import cost
from .job import Gateway, Job
from .live import Live
from .plan import Plan
from .render import printable
from .resolve import Route
from .usage import CallRecord

BYTES_A_TOKEN: Final = 4
BYTES_A_SECOND: Final = 16_000  # of sound at 128 kbit/s
USUAL_ANSWER: Final = 2048  # tokens; a limit above it is a ceiling that answers seldom come near to
_SILENT: Final = frozenset({"embeddings", "rerank", "moderations"})  # their answers are not paid by the token


class Expected(NamedTuple):
    """Dollars: what a call may cost, on the dearest route, and what it costs in any case.  The same where that is sure."""

    most: float
    least: float


def reserve(gateway: Gateway, job: Job, plan: Plan) -> None:
    """Set aside what the dearest of the plan's routes may cost.  Raises ``OmniError("budget_exceeded")``.

    Where nobody says how long the answer may be, or the limit is but a ceiling, that is a guess, which does not stand in the
    way of a call as long as there is money left.
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
    """The call is over, however it ended."""
    reservation: Reservation | None = job.reservation
    if reservation is not None:
        live.budgets.release(reservation)


def charge(live: Live, job: Job, row: CallRecord) -> None:
    """Enter the call's cost; ``row.charged`` then names the purses, for the books.

    Calls of a key without a budget are entered too: it may be given one before the window ends.
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
    """What the call will cost, as far as can be said beforehand; None when a route's price is unknown."""
    found: Any = getattr(job, "peek", None)
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
    """Bytes of the request; a form's are counted by its length field."""
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
