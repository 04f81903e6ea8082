"""Chat attempts without the pipeline before them."""

from __future__ import annotations

from typing import Any

import pytest
from data_plane import MODEL
from fakes_gateway import FakeGateway, job
from wires import WIRES, Wire

from omniroute.gateway.attempt import attempt
from omniroute.gateway.job import ChatJob
from omniroute.translate.events import Failure
from omniroute.translate.formats import RELAYS
from omniroute.translate.peek import peek

BOTH = pytest.mark.parametrize("wire", WIRES, ids=repr)


def ready(gateway: FakeGateway, client: Wire, **more: Any) -> ChatJob:
    """A job as far as the pipeline takes it before an attempt."""
    made = job(client, client.ask(MODEL, **more), gateway.hands.monotonic())
    made.peek = peek(made.exchange.request.body, RELAYS[client.name].members)
    made.requested = made.peek.model
    made.route = gateway.routes.resolve(gateway.live.snapshot, made.requested, "")
    made.account = gateway.live.snapshot.connections["node-up"][0]
    return made


async def run(gateway: FakeGateway, made: ChatJob) -> Failure | None:
    assert made.route is not None
    assert made.account is not None
    return await attempt(gateway, made, made.route, made.account)


def route_of(gateway: FakeGateway) -> Any:
    return gateway.routes.resolve(gateway.live.snapshot, MODEL, "")
