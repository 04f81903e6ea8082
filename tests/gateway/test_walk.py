from __future__ import annotations

from typing import Any

import pytest
from data_plane import JSON, MODEL
from fakes_exchange import FakeExchange
from fakes_gateway import FakeGateway, exchange, fake_gateway, one_provider
from wires import CHAT, SAID, WIRES, Wire

from omniroute.gateway import pipeline
from omniroute.gateway.job import Line
from omniroute.proto.h1_client import TransportError

BOTH = pytest.mark.parametrize("wire", WIRES, ids=repr)


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


async def test_without_an_account_the_client_learns_that() -> None:
    got = await ask(fake_gateway(one_provider(CHAT)), CHAT, CHAT.ask("nobody/m"))
    assert got.status == 400
    assert CHAT.error_of(got.text)["message"] == "No credentials for provider: nobody"
    empty = one_provider(CHAT)
    empty.connections.clear()
    got = await ask(fake_gateway(empty), CHAT)
    assert CHAT.error_of(got.text)["message"] == "No credentials for provider: up"


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
