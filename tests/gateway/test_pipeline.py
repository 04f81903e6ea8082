from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from data_plane import JSON, MODEL
from fakes_exchange import FakeExchange
from fakes_gateway import SSE, FakeGateway, exchange, fake_gateway, one_provider
from hypothesis import given, settings
from hypothesis import strategies as st
from wires import ANTHROPIC, CHAT, CHAT_USAGE, SAID, WIRES, Wire

from omniroute.gateway import auth, pipeline
from omniroute.gateway.job import Line
from omniroute.gateway.snapshot import GatewayKey, GatewaySettings
from omniroute.proto.h1_client import TransportError

BOTH = pytest.mark.parametrize("wire", WIRES, ids=repr)
SECRET = b"s" * 32


async def ask(
    gateway: FakeGateway, wire: Wire, body: Any = None, *headers: tuple[bytes, bytes], only: str = ""
) -> FakeExchange:
    made = exchange(wire, wire.ask(MODEL) if body is None else body, *headers)
    await pipeline.serve(gateway, made, Line(wire.name, only))
    return made


def failing(
    wire: Wire, status: int, *headers: tuple[bytes, bytes], text: str = "No"
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    return status, [*JSON, *headers], wire.error("some_error", text)


def good(wire: Wire) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    return 200, JSON, wire.whole


def key(**more: Any) -> tuple[GatewayKey, tuple[bytes, bytes]]:
    made = GatewayKey("k1", "agent", auth.digest(SECRET, "sk-agent"), **more)
    return made, (b"authorization", b"Bearer sk-agent")


# -- fallback


async def test_accounts_are_tried_in_their_order_until_one_answers() -> None:
    gateway = fake_gateway(one_provider(CHAT, "a", "b", "c"), failing(CHAT, 500), failing(CHAT, 429), good(CHAT))
    got = await ask(gateway, CHAT)
    assert (got.status, CHAT.text(got.text, False)) == (200, SAID)
    assert got.header(b"x-omniroute-route") == b"up/acct-3; attempt=3/3; failed=up/acct-1 (500); failed=up/acct-2 (429)"
    assert got.header(b"x-request-id") is not None
    (record,) = gateway.records
    assert (record.attempts, record.account, record.status) == (3, "acct-3", 200)


async def test_when_all_fail_the_last_failure_is_told() -> None:
    gateway = fake_gateway(one_provider(CHAT, "a", "b"), failing(CHAT, 500, text="first"), failing(CHAT, 503, text="second"))
    got = await ask(gateway, CHAT)
    assert got.status == 503
    assert CHAT.error_of(got.text)["message"] == "second"
    assert gateway.records[0].error == "second"


async def test_a_failure_of_the_network_is_one_of_the_account() -> None:
    gateway = fake_gateway(one_provider(CHAT, "a", "b"), TransportError("refused", "refused"), good(CHAT))
    assert (await ask(gateway, CHAT)).status == 200
    assert gateway.live.health.blocked_until("c1", "m") is not None


@pytest.mark.parametrize("status", [400, 413, 415, 422])
async def test_what_the_request_is_to_blame_for_is_no_matter_for_other_accounts(status: int) -> None:
    gateway = fake_gateway(one_provider(CHAT, "a", "b"), failing(CHAT, status))
    got = await ask(gateway, CHAT)
    assert got.status == status
    assert len(gateway.upstream.sent) == 1
    assert gateway.live.health.cooling() == {}


async def test_a_cooling_account_is_passed_over_and_named() -> None:
    gateway = fake_gateway(one_provider(CHAT, "a", "b"), failing(CHAT, 401), good(CHAT))
    await ask(gateway, CHAT)
    got = await ask(gateway, CHAT)
    assert got.header(b"x-omniroute-route") == b"up/acct-2; attempt=1/1; skipped=acct-1 (cooling 2m)"
    gateway.hands.advance(121.0)
    got = await ask(gateway, CHAT)
    assert got.header(b"x-omniroute-route") == b"up/acct-1; attempt=1/2"


async def test_an_account_that_answers_is_well_again() -> None:
    gateway = fake_gateway(one_provider(CHAT), failing(CHAT, 500), good(CHAT))
    await ask(gateway, CHAT)
    gateway.hands.advance(10.0)
    assert gateway.live.health.view("c1").backoff_level == 1
    await ask(gateway, CHAT)
    assert not gateway.live.health.view("c1").troubled


@BOTH
async def test_while_all_cool_the_wait_is_told(wire: Wire) -> None:
    gateway = fake_gateway(one_provider(wire, "a", "b"), failing(wire, 429, (b"retry-after", b"65")), failing(wire, 401))
    await ask(gateway, wire)
    got = await ask(gateway, wire)
    assert got.status == 429
    assert got.header(b"retry-after") == b"65"
    assert wire.error_of(got.text)["message"] == "[up/m] No (reset after 1m 5s)"
    assert len(gateway.upstream.sent) == 2
    assert gateway.records[1].attempts == 0


async def test_a_model_that_one_account_lacks_is_locked_there_only() -> None:
    gateway = fake_gateway(one_provider(CHAT, "a", "b"), failing(CHAT, 404), good(CHAT))
    assert (await ask(gateway, CHAT)).status == 200
    assert [lock.model for lock in gateway.live.health.locks()] == ["m"]
    await ask(gateway, CHAT, CHAT.ask("up/other"))
    assert gateway.records[1].account == "acct-1"


# -- before anything is sent


async def test_without_an_account_the_client_learns_that() -> None:
    got = await ask(fake_gateway(one_provider(CHAT)), CHAT, CHAT.ask("nobody/m"))
    assert got.status == 400
    assert CHAT.error_of(got.text)["message"] == "No credentials for provider: nobody"
    empty = one_provider(CHAT)
    empty.connections.clear()
    got = await ask(fake_gateway(empty), CHAT)
    assert CHAT.error_of(got.text)["message"] == "No credentials for provider: up"


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
async def test_where_a_key_is_required_none_or_a_wrong_one_is_401_in_the_clients_wire(wire: Wire) -> None:
    gateway = fake_gateway(one_provider(wire), good(wire), require_key=True)
    for headers in ((), [(b"x-api-key", b"wrong")]):
        got = await ask(gateway, wire, None, *headers)
        assert got.status == 401
        assert wire.error_of(got.text)["type"] == "authentication_error"
    assert gateway.upstream.sent == []
    assert [record.status for record in gateway.records] == [401, 401]


@BOTH
async def test_a_dedicated_route_keeps_to_its_provider(wire: Wire) -> None:
    gateway = fake_gateway(one_provider(wire), good(wire))
    assert (await ask(gateway, wire, wire.ask("m"), only="up")).status == 200
    assert (await ask(gateway, wire, wire.ask("up/m"), only="up")).status == 200
    got = await ask(gateway, wire, wire.ask("m"), only="nobody")
    assert got.status == 400
    assert "Unknown provider: nobody" in wire.error_of(got.text)["message"]


# -- whatever happens


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


async def test_being_stopped_is_not_taken_for_a_client_that_left() -> None:
    gateway = fake_gateway(one_provider(CHAT), asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await ask(gateway, CHAT)
    assert len(gateway.records) == 1


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


async def test_a_change_of_the_configuration_is_in_force_for_the_next_request() -> None:
    gateway = fake_gateway(one_provider(CHAT), good(CHAT))
    assert (await ask(gateway, CHAT)).status == 200
    gateway.live.snapshot = one_provider(ANTHROPIC)
    gateway.upstream.replies = [good(ANTHROPIC)]
    got = await ask(gateway, CHAT)
    assert CHAT.text(got.text, False) == SAID
    assert json.loads(gateway.upstream.sent[1])["max_tokens"] == 64
    assert gateway.records[1].target_format == "anthropic"
    assert CHAT_USAGE["prompt_tokens"] == gateway.records[1].tokens_in


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["model", "messages", "stream", "max_tokens", "tools", "system", "tool_choice", "stop", "thinking", "n"]
)
BODIES = st.dictionaries(NAMES, JSON_VALUES).map(lambda body: json.dumps({"model": MODEL, **body}).encode())
MESSAGES = st.lists(st.dictionaries(st.sampled_from(["role", "content", "tool_calls", "name"]), JSON_VALUES), max_size=3)
TALKS = MESSAGES.map(lambda turns: json.dumps({"model": MODEL, "max_tokens": 5, "messages": turns}).encode())


@settings(max_examples=300, deadline=None)
@given(body=st.binary(max_size=60) | BODIES | TALKS, client=st.sampled_from(WIRES), wire=st.sampled_from(WIRES))
def test_no_body_whatever_is_an_internal_error(body: bytes, client: Wire, wire: Wire) -> None:
    gateway = fake_gateway(one_provider(wire), good(wire), (200, SSE, b"".join(wire.stream)))
    got = asyncio.run(ask(gateway, client, body))
    assert got.status in (200, 400)
    assert got.finished
    assert len(gateway.records) == 1
    if got.status == 400:
        client.error_of(got.text)
