from __future__ import annotations

import asyncio
from typing import Any

import pytest
from data_plane import MODEL
from fakes_gateway import SSE, ask, exchange, fake_gateway, good, one_provider
from wires import CHAT, WIRES, Wire

from omniroute.gateway import pipeline
from omniroute.gateway.job import Line

BOTH = pytest.mark.parametrize("wire", WIRES, ids=repr)


@BOTH
async def test_where_a_key_is_required_none_or_a_wrong_one_is_401_in_the_clients_wire(wire: Wire) -> None:
    gateway = fake_gateway(one_provider(wire), good(wire), require_key=True)
    for headers in ((), [(b"x-api-key", b"wrong")]):
        got = await ask(gateway, wire, None, *headers)
        assert got.status == 401
        assert wire.error_of(got.text)["type"] == "authentication_error"
    assert gateway.upstream.sent == []
    assert [record.status for record in gateway.records] == [401, 401]


@BOTH
async def test_an_error_of_our_own_shows_nothing_of_its_inside(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    gateway = fake_gateway(one_provider(wire), RuntimeError("secret detail"))
    got = await ask(gateway, wire)
    assert got.status == 500
    assert "secret detail" not in str(got.text)
    assert "log" in wire.error_of(got.text)["message"]
    assert "secret detail" in caplog.text
    assert gateway.records[0].status == 500
    assert gateway.live.in_flight == {}
    assert gateway.live.running == 0


async def test_a_client_that_leaves_is_logged_as_499_and_no_account_suffers() -> None:
    gateway = fake_gateway(one_provider(CHAT), good(CHAT))
    waiting = asyncio.Event()

    async def never(*_: Any, **__: Any) -> Any:
        waiting.set()
        await asyncio.Event().wait()

    gateway.upstream.whole_as = never  # type: ignore[method-assign]
    made = exchange(CHAT, CHAT.ask(MODEL))
    task = asyncio.ensure_future(pipeline.serve(gateway, made, Line("openai-chat")))
    await waiting.wait()
    assert gateway.live.in_flight == {("node-up", "m", "c1"): 1}
    made.gone = True
    task.cancel()
    await task
    (record,) = gateway.records
    assert (record.status, record.estimated) == (499, True)
    assert gateway.live.in_flight == {}
    assert gateway.live.health.cooling() == {}


@BOTH
async def test_being_stopped_is_not_taken_for_a_client_that_left(wire: Wire) -> None:
    gateway = fake_gateway(one_provider(wire), asyncio.CancelledError())
    made = exchange(wire, wire.ask(MODEL))
    with pytest.raises(asyncio.CancelledError):
        await pipeline.serve(gateway, made, Line(wire.name))
    assert (made.status, made.header(b"retry-after")) == (503, b"1")
    assert wire.error_of(made.text)["message"] == "Server is shutting down"
    (record,) = gateway.records
    assert (record.status, record.error) == (503, "Server is shutting down")
    assert gateway.live.health.cooling() == {}


@BOTH
async def test_usage_and_cost_are_recorded(wire: Wire) -> None:
    gateway = fake_gateway(one_provider(wire), good(wire), (200, SSE, b"".join(wire.stream)))
    await ask(gateway, wire)
    await ask(gateway, wire, wire.ask(MODEL, stream=True))
    for record in gateway.records:
        assert (record.tokens_in, record.tokens_out, record.tokens_cache_read) == (21, 5, 16)
        assert record.cost == pytest.approx((5 * 3.0 + 16 * 0.3 + 5 * 15.0) / 1e6)
        assert not record.estimated
        assert (record.provider, record.model, record.requested_model) == ("node-up", "m", "up/m")
        assert (record.source_format, record.target_format) == (wire.name, wire.name)
    assert [record.stream for record in gateway.records] == [False, True]
