from __future__ import annotations

import asyncio

import msgspec
import pytest
from data_plane import JSON, accounts
from fakes_gateway import FakeGateway, ask, failing, fake_gateway, good, one_provider
from wires import ANTHROPIC, CHAT, SAID, WIRES, Wire, chat_message

from omniroute.gateway.blame import blame
from omniroute.gateway.health import AccountHealth
from omniroute.gateway.snapshot import GatewaySettings, RateDefaults
from omniroute.proto.transport import TransportError
from omniroute.tasks import spawn
from omniroute.translate.events import Failure

BOTH = pytest.mark.parametrize("wire", WIRES, ids=repr)


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
    assert gateway.records[0].error == "[503]: second"


async def test_a_failure_of_the_network_is_one_of_the_account() -> None:
    gateway = fake_gateway(one_provider(CHAT, "a", "b"), TransportError("refused", "refused"), good(CHAT))
    assert (await ask(gateway, CHAT)).status == 200
    assert gateway.live.health.blocked_until("c1", "m") is not None


@pytest.mark.parametrize(
    ("reason", "cools"), [("function_call_filter: MALFORMED_FUNCTION_CALL", False), ("network_error", True)]
)
async def test_an_unusable_answer_goes_to_another_account(reason: str, cools: bool) -> None:
    slip = (200, JSON, chat_message({"content": ""}, finish=reason))
    gateway = fake_gateway(one_provider(CHAT, "a", "b"), slip, slip)
    got = await ask(gateway, ANTHROPIC)
    assert (got.status, len(gateway.upstream.sent)) == (502, 2)
    assert (reason in ANTHROPIC.error_of(got.text)["message"], gateway.records[0].status) == (True, 502)
    assert (gateway.live.health.calm, gateway.live.breakers.calm) == (not cools, not cools)


@pytest.mark.parametrize("status", [400, 413, 415, 422])
async def test_an_error_of_the_request_itself_is_not_retried_on_other_accounts(status: int) -> None:
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


async def test_an_account_that_answers_is_healthy_again() -> None:
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


@pytest.mark.parametrize("code", ["200", "204", "100", "99", "1000", "\u00b2", "x", ""])
async def test_an_error_code_that_is_no_errors_status_is_not_sent(code: str) -> None:
    """It can be set through the API, with an account's cooldown."""
    gateway = fake_gateway(one_provider(CHAT))
    state = AccountHealth(last_error="no", error_code=code, rate_limited_until=gateway.clock.time() + 60)
    gateway.live.health.restore("c1", state)
    assert (await ask(gateway, CHAT)).status == 503


async def test_a_model_that_one_account_lacks_is_locked_there_only() -> None:
    gateway = fake_gateway(one_provider(CHAT, "a", "b"), failing(CHAT, 404), good(CHAT))
    assert (await ask(gateway, CHAT)).status == 200
    assert [lock.model for lock in gateway.live.health.locks()] == ["m"]
    await ask(gateway, CHAT, CHAT.ask("up/other"))
    assert gateway.records[1].account == "acct-1"


async def test_while_a_model_is_locked_everywhere_its_own_failure_is_told() -> None:
    gateway = fake_gateway(one_provider(CHAT), failing(CHAT, 404, text="No such model"))
    await ask(gateway, CHAT)
    got = await ask(gateway, CHAT)
    assert (got.status, got.header(b"retry-after"), len(gateway.upstream.sent)) == (404, b"60", 1)
    assert CHAT.error_of(got.text)["message"] == "[up/m] No such model (reset after 1m)"


async def test_without_an_account_the_client_learns_that() -> None:
    got = await ask(fake_gateway(one_provider(CHAT)), CHAT, CHAT.ask("nobody/m"))
    assert got.status == 400
    assert CHAT.error_of(got.text)["message"] == "No credentials for provider: nobody"
    empty = one_provider(CHAT)
    empty.connections.clear()
    got = await ask(fake_gateway(empty), CHAT)
    assert CHAT.error_of(got.text)["message"] == "No credentials for provider: up"
    empty.unopened[next(iter(empty.providers))] = {"acct-1": "It cannot be decrypted"}
    got = await ask(fake_gateway(empty), CHAT)
    assert CHAT.error_of(got.text)["message"] == "No credentials for provider: up. It cannot be decrypted"


KEY = "sk/very-secret-key-0001"


@pytest.mark.parametrize("written", [KEY, KEY.replace("/", "\\/")], ids=["plain", "escaped"])
async def test_an_upstream_that_repeats_the_key_does_not_make_it_known(written: str) -> None:
    body = CHAT.error("auth", "Wrong key: KEY").replace(b"KEY", written.encode())
    gateway = fake_gateway(one_provider(CHAT, KEY), (401, [*JSON, (b"request-id", KEY.encode())], body))
    got = await ask(gateway, CHAT)
    assert got.status == 401
    assert CHAT.error_of(got.text)["message"] == "Wrong key: [key]"
    assert (KEY.encode() in got.text, written.encode() in got.text) == (False, False)
    assert got.header(b"request-id") == b"[key]"
    assert KEY not in (gateway.live.health.view("c1").last_error or "")
    assert KEY not in gateway.records[0].error


@BOTH
async def test_an_answer_that_cannot_be_read_is_a_failure_of_its_account(wire: Wire) -> None:
    gateway = fake_gateway(one_provider(wire, "a", "b"), (200, JSON, b"<html>"), good(wire))
    got = await ask(gateway, wire)
    assert (got.status, gateway.records[0].attempts) == (200, 2)
    assert gateway.live.health.blocked_until("c1", "m") is not None


async def broken(gateway: FakeGateway, calls: int = 5) -> None:
    """So many calls, each of which the provider fails."""
    for _ in range(calls):
        await ask(gateway, CHAT)
        gateway.hands.advance(60.0)


async def test_after_so_many_failures_a_provider_is_left_alone_and_then_probed_by_one_call() -> None:
    gateway = fake_gateway(one_provider(CHAT), *[failing(CHAT, 500)] * 5, good(CHAT))
    await broken(gateway, 4)
    assert (await ask(gateway, CHAT)).status == 500
    gateway.hands.advance(12.0)
    got = await ask(gateway, CHAT)
    assert (got.status, got.header(b"retry-after")) == (503, b"18")
    assert CHAT.error_of(got.text)["message"] == "Provider up circuit breaker is open (reset after 18s)"
    assert (len(gateway.upstream.sent), gateway.records[-1].attempts) == (5, 0)
    gateway.hands.advance(60.0)
    assert (await ask(gateway, CHAT)).status == 200
    assert gateway.live.breakers.calm


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 413, 422, 429])
async def test_what_is_not_the_providers_fault_does_not_open_its_breaker(status: int) -> None:
    gateway = fake_gateway(one_provider(CHAT, "a", "b", "c"), failing(CHAT, status))
    await broken(gateway)
    assert gateway.live.breakers.calm


@pytest.mark.parametrize("status", [500, 502, 503, 504, 529, 0])
async def test_the_providers_faults_do(status: int) -> None:
    reply = failing(CHAT, status) if status else TransportError("timeout", "nothing came")
    gateway = fake_gateway(one_provider(CHAT), reply)
    await ask(gateway, CHAT)
    assert gateway.live.breakers.view("node-up").failures == 1


async def test_accounts_that_die_beside_a_healthy_one_do_not_count() -> None:
    gateway = fake_gateway(one_provider(CHAT, "a", "b", "c"), *[failing(CHAT, 500), failing(CHAT, 502), good(CHAT)] * 9)
    await broken(gateway, 9)
    assert {record.status for record in gateway.records} == {200}
    assert gateway.live.breakers.calm


async def test_a_client_that_disconnects_during_the_call_counts_against_no_account() -> None:
    gateway = fake_gateway(one_provider(CHAT, "a", "b"), asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await ask(gateway, CHAT)
    assert (gateway.live.health.calm, gateway.live.breakers.calm, gateway.live.in_flight) == (True, True, {})
    assert len(gateway.upstream.sent) == 1


async def test_a_new_profile_is_in_force_for_the_next_failure() -> None:
    gateway = fake_gateway(one_provider(CHAT), failing(CHAT, 500))
    profile = {"transient_cooldown": 9.0, "rate_limit_cooldown": 0.0, "max_backoff_level": 5, "breaker_threshold": 1,
               "breaker_reset": 40.0}  # fmt: skip
    settings = GatewaySettings(profiles={"apikey": profile})
    gateway.live.snapshot = msgspec.structs.replace(gateway.live.snapshot, settings=settings)
    await ask(gateway, CHAT)
    assert gateway.live.health.blocked_until("c1", "m") == gateway.hands.time() + 9.0
    assert gateway.live.breakers.wait("node-up") == 40.0


async def test_a_probe_whose_client_leaves_is_followed_by_another() -> None:
    gateway = fake_gateway(one_provider(CHAT), *[failing(CHAT, 500)] * 5, asyncio.CancelledError(), good(CHAT))
    await broken(gateway)
    with pytest.raises(asyncio.CancelledError):
        await ask(gateway, CHAT)
    assert gateway.live.breakers.view("node-up").state == "OPEN"
    assert (await ask(gateway, CHAT)).status == 200


@pytest.mark.parametrize(("hint", "seconds"), [((), 60), (((b"retry-after", b"7"),), 7)])
async def test_when_every_account_is_out_of_capacity_the_model_is_unavailable_for_a_while(
    hint: tuple[tuple[bytes, bytes], ...], seconds: int
) -> None:
    gateway = fake_gateway(one_provider(CHAT, "a", "b"), failing(CHAT, 429, *hint), failing(CHAT, 503, *hint), good(CHAT))
    await ask(gateway, CHAT)
    assert [closed.model for closed in gateway.live.health.closed()] == ["m"]
    gateway.hands.advance(seconds - 1)
    got = await ask(gateway, CHAT)
    if not hint:
        assert (got.status, got.header(b"retry-after")) == (503, b"1")
        assert CHAT.error_of(got.text)["message"] == "Model up/m is temporarily unavailable (cooldown)"
        assert gateway.records[-1].attempts == 0
        assert (await ask(gateway, CHAT, CHAT.ask("up/other"))).status == 200
    gateway.hands.advance(1.5)
    assert (await ask(gateway, CHAT)).status == 200
    assert gateway.live.health.closed() == []


async def test_one_account_that_failed_otherwise_keeps_the_model_available() -> None:
    gateway = fake_gateway(one_provider(CHAT, "a", "b"), failing(CHAT, 429), failing(CHAT, 500), good(CHAT))
    await ask(gateway, CHAT)
    assert gateway.live.health.closed() == []


def learn(gateway: FakeGateway, account: str, left: str = "0", reset: str = "20s") -> None:
    """The account's last answer said how much is left."""
    said = {"limit": "100", "remaining": left, "reset": reset}
    gateway.live.limiter.learn(account, [(f"x-ratelimit-{k}-requests".encode(), v.encode()) for k, v in said.items()])


async def test_an_account_that_is_free_now_goes_before_one_that_is_held_back() -> None:
    gateway = fake_gateway(one_provider(CHAT, "a", "b"), good(CHAT))
    learn(gateway, "c1")
    got = await ask(gateway, CHAT)
    assert got.header(b"x-omniroute-route") == b"up/acct-2; attempt=1/2; skipped=acct-1 (rate limit 20s)"
    gateway.hands.advance(20.0)
    await ask(gateway, CHAT)
    assert (gateway.records[1].account, gateway.live.limiter.lanes) == ("acct-1", {})


async def test_when_none_is_free_the_call_waits_for_the_soonest() -> None:
    gateway = fake_gateway(one_provider(CHAT, "a", "b"), good(CHAT))
    learn(gateway, "c1")
    learn(gateway, "c2", reset="10s")
    call = spawn(ask(gateway, CHAT), "call")
    await settle()
    gateway.hands.advance(9.9)
    await settle()
    assert not call.done()
    gateway.hands.advance(0.1)
    assert (await call).status == 200
    assert gateway.records[0].account == "acct-2"


async def test_a_too_long_wait_is_a_429_that_counts_against_no_account() -> None:
    gateway = fake_gateway(one_provider(CHAT), good(CHAT))
    learn(gateway, "c1", reset="5m")
    got = await ask(gateway, CHAT)
    assert (got.status, got.header(b"retry-after")) == (429, b"300")
    assert CHAT.error_of(got.text)["message"] == "Rate limit of account 'acct-1' reached (reset after 5m)"
    assert (gateway.records[0].attempts, gateway.live.health.calm) == (0, True)


async def test_who_waits_for_an_account_that_begins_to_cool_goes_on_to_the_next() -> None:
    gateway = fake_gateway(one_provider(CHAT, "a", "b"), good(CHAT))
    learn(gateway, "c1", reset="10s")
    learn(gateway, "c2", reset="30s")
    call = spawn(ask(gateway, CHAT), "call")
    await settle()
    account = gateway.live.snapshot.connections["node-up"][0]
    route = gateway.routes.resolve(gateway.live.snapshot, "up/m", "")
    blame(gateway, route, account, Failure(429, "Slow down", retry_after=60.0))
    await settle()
    gateway.hands.advance(30.0)
    assert (await call).status == 200
    assert gateway.records[0].account == "acct-2"


async def test_a_client_that_leaves_the_queue_leaves_nothing_behind() -> None:
    gateway = fake_gateway(one_provider(CHAT), good(CHAT))
    learn(gateway, "c1")
    call = spawn(ask(gateway, CHAT), "call")
    await settle()
    assert len(gateway.live.limiter.lanes["c1"].queue) == 1
    call.cancel()
    await settle()
    assert len(gateway.live.limiter.lanes["c1"].queue) == 0
    assert (gateway.upstream.sent, gateway.live.in_flight) == ([], {})


async def test_a_protected_account_takes_no_more_than_its_fixed_limits_and_gives_every_slot_back() -> None:
    state = one_provider(CHAT)
    state = msgspec.structs.replace(
        state,
        connections={"node-up": accounts("a", rate_limit_protection=True)},
        settings=GatewaySettings(rate_defaults=RateDefaults(100, 0.2, 1)),
    )
    gateway = fake_gateway(state, failing(CHAT, 400), TransportError("reset", "reset"), good(CHAT))
    assert [(await ask(gateway, CHAT)).status] == [400]
    second = spawn(ask(gateway, CHAT), "second")
    await settle()
    assert len(gateway.upstream.sent) == 1  # 200 ms have not passed
    gateway.hands.advance(0.2)
    assert (await second).status == 502
    gateway.hands.advance(6.0)
    assert (await ask(gateway, CHAT)).status == 200
    assert gateway.live.limiter.lanes["c1"].running == 0


async def test_a_429_without_a_hint_holds_a_protected_account_back_for_a_minute() -> None:
    state = one_provider(CHAT)
    state = msgspec.structs.replace(state, connections={"node-up": accounts("a", rate_limit_protection=True)})
    gateway = fake_gateway(state, failing(CHAT, 429))
    await ask(gateway, CHAT)
    assert gateway.live.limiter.wait("c1") == 60.0


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)
