from __future__ import annotations

import pytest
from data_plane import MODEL
from fakes_gateway import FakeGateway, fake_gateway, job, one_provider
from wires import CHAT

from omniroute.gateway.job import Job
from omniroute.gateway.live import Timing
from omniroute.gateway.record import record
from omniroute.gateway.snapshot import GatewayKey
from omniroute.translate.events import Failure, Usage


def finished(gateway: FakeGateway, status: int = 200) -> Job:
    made = job(CHAT, CHAT.ask(MODEL), gateway.hands.monotonic())
    made.requested = MODEL
    made.route = gateway.routes.resolve(gateway.live.snapshot, MODEL, "")
    made.account = gateway.live.snapshot.connections["node-up"][0]
    made.attempts, made.status = 1, status
    return made


def test_times_are_counted_from_the_calls_beginning() -> None:
    gateway = fake_gateway(one_provider(CHAT))
    began = gateway.hands.time()
    made = finished(gateway)
    gateway.hands.advance(0.5)
    made.first_byte = gateway.hands.monotonic()
    gateway.hands.advance(1.0)
    row = record(gateway, made)
    assert (row.at, row.duration_ms, row.first_byte_ms) == (began, 1500.0, 500.0)


def test_what_was_used_is_priced() -> None:
    gateway = fake_gateway(one_provider(CHAT))
    made = finished(gateway)
    made.usage = Usage(input=1000, output=100, cache_read=400, reasoning=20)
    row = record(gateway, made)
    assert (row.tokens_in, row.tokens_out, row.tokens_cache_read, row.tokens_reasoning) == (1000, 100, 400, 20)
    assert row.cost == pytest.approx((600 * 3.0 + 400 * 0.3 + 100 * 15.0) / 1e6)
    assert not row.estimated


@pytest.mark.parametrize("status", [200, 499, 503])  # 503: cut off by a shutdown
def test_missing_counts_are_estimated_and_marked_so(status: int) -> None:
    gateway = fake_gateway(one_provider(CHAT))
    made = finished(gateway, status)
    made.pieces = 40
    row = record(gateway, made)
    assert row.estimated
    assert (row.tokens_in, row.tokens_out) == (len(made.exchange.request.body) // 4, 40)
    assert row.cost


def test_impossible_counts_are_left_out() -> None:
    gateway = fake_gateway(one_provider(CHAT))
    made = finished(gateway, 200)
    made.usage = Usage(input=10**400, output=-5, cache_read=7)
    row = record(gateway, made)
    assert (row.tokens_in, row.tokens_out, row.tokens_cache_read) == (None, None, 7)


@pytest.mark.parametrize("status", [400, 429, 502])
def test_a_refusal_used_nothing(status: int) -> None:
    gateway = fake_gateway(one_provider(CHAT))
    made = finished(gateway, status)
    made.failure = Failure(status, "x" * 1000)
    row = record(gateway, made)
    assert (row.tokens_in, row.tokens_out, row.cost, row.estimated) == (None, None, None, False)
    assert row.error == "x" * 500


def test_a_call_that_reached_no_upstream_is_recorded_too() -> None:
    gateway = fake_gateway(one_provider(CHAT))
    made = job(CHAT, b"{", gateway.hands.monotonic())
    made.status = 400
    row = record(gateway, made)
    assert (row.provider, row.model, row.connection_id, row.attempts) == ("", "", "", 0)
    assert (row.method, row.path, row.source_format, row.target_format) == ("POST", CHAT.path, "openai-chat", "")


def test_the_callers_key_is_recorded() -> None:
    gateway = fake_gateway(one_provider(CHAT))
    made = finished(gateway)
    made.key = GatewayKey("k1", "agent", b"")
    row = record(gateway, made)
    assert (row.key_id, row.key_name, row.account, row.connection_id) == ("k1", "agent", "acct-1", "c1")
    assert row.id == made.exchange.request.id


def test_how_long_it_took_is_remembered_for_a_while() -> None:
    gateway = fake_gateway(one_provider(CHAT))
    made = finished(gateway)
    gateway.hands.advance(0.5)
    made.first_byte = began = gateway.hands.monotonic()
    gateway.hands.advance(1.0)
    record(gateway, made)
    assert [*gateway.live.recent] == [
        Timing(began + 1.0, "node-up", 200, 1500.0, began - 0.5, None, None, None, None, began)
    ]


def test_a_call_that_reached_no_provider_says_nothing_about_its_speed() -> None:
    gateway = fake_gateway(one_provider(CHAT))
    made = job(CHAT, b"{", gateway.hands.monotonic())
    made.status = 400
    record(gateway, made)
    assert not gateway.live.recent
