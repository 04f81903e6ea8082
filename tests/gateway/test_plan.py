from __future__ import annotations

from typing import Any

import pytest
from data_plane import JSON, MODEL
from fakes_exchange import FakeExchange
from fakes_gateway import FakeGateway, exchange, fake_gateway, one_provider
from wires import CHAT, WIRES, Wire

from omniroute.gateway import auth, pipeline
from omniroute.gateway.job import Line
from omniroute.gateway.snapshot import GatewayKey, GatewaySettings

BOTH = pytest.mark.parametrize("wire", WIRES, ids=repr)


SECRET = b"s" * 32


async def ask(
    gateway: FakeGateway, wire: Wire, body: Any = None, *headers: tuple[bytes, bytes], only: str = ""
) -> FakeExchange:
    made = exchange(wire, wire.ask(MODEL) if body is None else body, *headers)
    await pipeline.serve(gateway, made, Line(wire.name, only))
    return made


def good(wire: Wire) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    return 200, JSON, wire.whole


def key(**more: Any) -> tuple[GatewayKey, tuple[bytes, bytes]]:
    made = GatewayKey("k1", "agent", auth.digest(SECRET, "sk-agent"), **more)
    return made, (b"authorization", b"Bearer sk-agent")


@BOTH
async def test_a_blocked_provider_is_not_asked(wire: Wire) -> None:
    state = one_provider(wire, settings=GatewaySettings(blocked_providers=frozenset({"node-up"})))
    gateway = fake_gateway(state, good(wire))
    got = await ask(gateway, wire)
    assert got.status == 400
    assert "blocked" in wire.error_of(got.text)["message"]
    assert gateway.upstream.sent == []


@pytest.mark.parametrize(
    ("allowed", "status"),
    [
        ((), 200),
        (("up/m",), 200),
        (("up/*",), 200),
        (("node-up/m",), 200),
        (("other/*",), 403),
        (("up/large",), 403),
        (("u",), 403),
    ],
)
async def test_a_key_opens_the_models_it_allows(allowed: tuple[str, ...], status: int) -> None:
    known, field = key(allowed_models=allowed)
    state = one_provider(CHAT, key_secret=SECRET, keys={known.digest: known})
    gateway = fake_gateway(state, good(CHAT), require_key=True)
    got = await ask(gateway, CHAT, None, field)
    assert got.status == status
    assert gateway.records[0].key_id == "k1"
    assert bool(gateway.upstream.sent) == (status == 200)


@BOTH
async def test_a_dedicated_route_keeps_to_its_provider(wire: Wire) -> None:
    gateway = fake_gateway(one_provider(wire), good(wire))
    assert (await ask(gateway, wire, wire.ask("m"), only="up")).status == 200
    assert (await ask(gateway, wire, wire.ask("up/m"), only="up")).status == 200
    got = await ask(gateway, wire, wire.ask("m"), only="nobody")
    assert got.status == 400
    assert "Unknown provider: nobody" in wire.error_of(got.text)["message"]
