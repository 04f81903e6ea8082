from __future__ import annotations

from typing import Any

import pytest
from fakes_gateway import fake_gateway, job, one_provider
from wires import CHAT

from omniroute.gateway.fallback import place
from omniroute.gateway.plan import Plan
from omniroute.gateway.resolve import Route
from omniroute.translate.events import Failure

DOWN, BAD = Failure(404, "down"), Failure(400, "bad")


@pytest.mark.parametrize(
    ("outcomes", "asked", "status"),
    [
        ({"a": DOWN, "b": None}, ["a", "b"], None),
        ({"a": BAD}, ["a"], 400),
        ({"a": DOWN, "b": DOWN, "c": DOWN}, ["a", "b", "c"], 404),
    ],
)
async def test_routes_are_tried_in_order_until_one_answers_or_the_request_is_to_blame(
    outcomes: dict[str, Failure | None], asked: list[str], status: int | None
) -> None:
    gateway = fake_gateway(one_provider(CHAT))
    route = gateway.routes.resolve(gateway.live.snapshot, "up/m", "")
    seen: list[str] = []

    async def attempt(gateway: object, job: object, route: Route, account: object) -> Failure | None:
        seen.append(route.model)
        return outcomes[route.model]

    plan: Any = Plan(tuple(route._replace(model=name) for name in ("a", "b", "c")))
    failure = await place(gateway, job(CHAT, {}), plan, attempt)
    assert (seen, failure.status if failure is not None else None) == (asked, status)
