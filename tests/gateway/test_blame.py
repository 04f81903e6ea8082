from __future__ import annotations

from typing import Any

import msgspec
import pytest
from data_plane import JSON, MODEL, provider, snapshot
from fakes_gateway import FakeGateway, fake_gateway, one_provider
from wires import CHAT, WIRES, Wire

from omniroute.gateway.blame import blame, transport_failure, upstream_failure, without_secret
from omniroute.gateway.retry import Retry
from omniroute.gateway.snapshot import Connection
from omniroute.proto.transport import TransportError
from omniroute.translate.events import Failure

BOTH = pytest.mark.parametrize("wire", WIRES, ids=repr)


def route_of(gateway: FakeGateway) -> Any:
    return gateway.routes.resolve(gateway.live.snapshot, MODEL, "")


@pytest.mark.parametrize(
    ("reason", "status"),
    [("timeout", 504), ("connect_timeout", 504), ("refused", 502), ("reset", 502), ("dns", 502), ("tls", 502)],
)
async def test_what_the_network_did_becomes_a_status(reason: Any, status: int) -> None:
    failure = transport_failure(TransportError(reason, "because"))
    assert (failure.status, failure.message) == (status, "The provider could not be reached: because")


@BOTH
def test_an_error_answer_keeps_what_clients_act_on(wire: Wire) -> None:
    gateway = fake_gateway(one_provider(wire))
    raw = wire.error("rate_limit_error", "Slow down")
    failure = upstream_failure(
        gateway, route_of(gateway).wire, 429, [*JSON, (b"retry-after", b"7"), (b"x-should-retry", b"true")], raw
    )
    assert (failure.status, failure.message, failure.retry_after, failure.wire) == (429, "Slow down", 7.0, wire.name)
    assert failure.raw == raw
    assert (b"x-should-retry", b"true") in failure.headers


def test_an_error_page_is_never_passed_on_as_it_is() -> None:
    gateway = fake_gateway(one_provider(CHAT))
    failure = upstream_failure(
        gateway, route_of(gateway).wire, 502, [(b"content-type", b"text/html")], b"<html>Bad gateway</html>"
    )
    assert failure.raw is None
    assert failure.status == 502


def test_json_errors_called_text_are_passed_on() -> None:
    gateway = fake_gateway(one_provider(CHAT))
    raw = CHAT.error("x", "y")
    assert upstream_failure(gateway, route_of(gateway).wire, 400, [(b"content-type", b"text/plain")], raw).raw == raw


@pytest.mark.parametrize("body", [b"{}", b'{"error":null}', b"[]", b'"x"', b"5", b"null", b"{\xff", b"[" * 100_000])
def test_an_error_that_no_client_could_read_is_said_anew(body: bytes) -> None:
    gateway = fake_gateway(one_provider(CHAT))
    assert upstream_failure(gateway, route_of(gateway).wire, 400, [*JSON], body).raw is None


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        ("openai-chat", b'{"error":"text"}'),
        ("openai-chat", b'{"object":"error","message":"x"}'),
        ("openai-responses", b'{"code":"x","error":"y"}'),
        ("anthropic", b'{"detail":"d"}'),
        ("ollama", b'{"error":"no such model"}'),
        ("gemini", b'[{"error":{"code":400,"message":"x","status":"INVALID_ARGUMENT"}}]'),
    ],
)
def test_an_error_in_a_vendors_own_shape_stays_as_it_is(wire: str, body: bytes) -> None:
    assert upstream_failure(fake_gateway(one_provider(CHAT)), wire, 400, [*JSON], body).raw == body


def test_words_without_end_are_cut_where_they_are_read_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Some vendors repeat the whole request in their message.  A client of the same wire gets all of it."""
    gateway = fake_gateway(one_provider(CHAT))
    body, account = CHAT.error("x", "y" * 1_000_000), gateway.live.snapshot.connections["node-up"][0]
    failure = upstream_failure(gateway, route_of(gateway).wire, 500, [*JSON], body)
    assert failure.raw == body
    assert len(failure.message) == 16 * 1024
    with caplog.at_level("WARNING", "omniroute.gateway"):
        blame(gateway, route_of(gateway), account, Failure(500, "y" * 1_000_000))
    assert all(len(record.getMessage()) < 20_000 for record in caplog.records)


def test_a_status_that_does_not_exist_counts_as_a_server_error() -> None:
    gateway = fake_gateway(one_provider(CHAT))
    assert upstream_failure(gateway, route_of(gateway).wire, 999, [], b"{}").status == 502


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_never_followed(status: int) -> None:
    gateway = fake_gateway(one_provider(CHAT))
    failure = upstream_failure(gateway, route_of(gateway).wire, status, [(b"location", b"http://example.com")], b"")
    assert failure.status == 502
    assert "redirect" in failure.message


def test_who_is_to_blame() -> None:
    gateway = fake_gateway(one_provider(CHAT))
    account = gateway.live.snapshot.connections["node-up"][0]
    assert blame(gateway, route_of(gateway), account, Failure(400, "bad request")) is Retry.NONE
    assert gateway.live.health.cooling() == {}
    assert blame(gateway, route_of(gateway), account, Failure(429, "Slow down", retry_after=7.0)) is Retry.NEXT_ACCOUNT
    until = gateway.live.health.blocked_until("c1", "m")
    assert until == gateway.hands.time() + 7.0


@pytest.mark.parametrize(
    ("before", "cools"),
    [
        ({}, True),
        ({"secret": "key-0"}, False),
        ({"base_url": "http://h"}, False),
        ({"secret": "token-0", "auth_type": "oauth"}, True),
        ({"id": "deleted"}, False),
    ],
)
def test_a_call_whose_account_was_changed_meanwhile_blames_the_new_one_for_nothing(before: Any, cools: bool) -> None:
    gateway = fake_gateway(one_provider(CHAT))
    account = msgspec.structs.replace(gateway.live.snapshot.connections["node-up"][0], **before)
    failure = Failure(401, "Invalid API key", headers=[(b"x-ratelimit-remaining-requests", b"0")])
    assert blame(gateway, route_of(gateway), account, failure) is Retry.NEXT_ACCOUNT
    assert (gateway.live.health.calm, not gateway.live.limiter.lanes) == (not cools, not cools)


@pytest.mark.parametrize(
    ("kinds", "cooling", "most"),
    [(["apikey"], 3.0, 5), (["oauth"], 5.0, 3), (["oauth", "oauth"], 5.0, 3), (["oauth", "apikey"], 5.0, 5)],
)
def test_a_login_has_the_profile_of_logins_and_a_provider_has_it_with_logins_only(
    kinds: list[str], cooling: float, most: int
) -> None:
    accounts = [Connection(f"c{n}", "node-up", f"acct-{n}", auth_type=kind) for n, kind in enumerate(kinds)]
    gateway = fake_gateway(snapshot(provider(CHAT), accounts))
    blame(gateway, route_of(gateway), accounts[0], Failure(500, "boom"))
    assert gateway.live.health.blocked_until("c0", "m") == gateway.clock.time() + cooling
    assert gateway.live.breakers.view("node-up").threshold == most


def test_short_keys_are_words_and_stay() -> None:
    assert without_secret(Failure(400, "ollama does not know it"), "ollama").message == "ollama does not know it"


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ([(b"retry-after", b"7"), (b"x-ratelimit-reset-requests", b"90s")], 7.0),
        ([(b"x-ratelimit-remaining-requests", b"0"), (b"x-ratelimit-reset-requests", b"90s")], 90.0),
        ([(b"anthropic-ratelimit-requests-reset", b"2025-06-15T15:07:20Z")], 40.0),
        ([], None),
    ],
)  # fmt: skip
def test_the_reset_of_the_limit_stands_in_for_a_missing_retry_after(fields: Any, seconds: float | None) -> None:
    gateway = fake_gateway(one_provider(CHAT))
    raw = CHAT.error("rate_limit_error", "Slow down")
    failure = upstream_failure(gateway, CHAT.name, 429, [*JSON, *fields], raw)
    assert failure.retry_after == seconds
    assert upstream_failure(gateway, CHAT.name, 400, [*JSON, *fields[1:]], raw).retry_after is None


def test_an_error_within_a_stream_asks_for_a_wait_in_its_words() -> None:
    gateway = fake_gateway(one_provider(CHAT))
    account = gateway.live.snapshot.connections["node-up"][0]
    failure = Failure(429, "Rate limit reached. Please try again in 20s.")
    blame(gateway, route_of(gateway), account, failure)
    assert gateway.live.health.blocked_until("c1", "m") == gateway.clock.time() + 20
    assert failure.retry_after == 20


def test_the_network_is_not_a_status() -> None:
    gateway = fake_gateway(one_provider(CHAT))
    account = gateway.live.snapshot.connections["node-up"][0]
    failure = transport_failure(TransportError("reset", "reset"))
    for _ in range(2):  # five seconds, however often
        blame(gateway, route_of(gateway), account, failure, network=True)
        assert gateway.live.health.blocked_until("c1", "m") == gateway.hands.time() + 5.0
        gateway.hands.advance(5.0)
    assert gateway.live.breakers.view("node-up").failures == 2


def test_limits_in_an_error_answer_are_learned() -> None:
    gateway = fake_gateway(one_provider(CHAT))
    account = gateway.live.snapshot.connections["node-up"][0]
    said = [(b"x-ratelimit-remaining-requests", b"0"), (b"x-ratelimit-reset-requests", b"90s")]
    failure = upstream_failure(gateway, CHAT.name, 400, [*JSON, *said], CHAT.error("x", "y"))
    blame(gateway, route_of(gateway), account, failure)
    assert gateway.live.limiter.wait("c1") == 90.0


@pytest.mark.parametrize("status", [400, 405, 413, 415, 422])
def test_what_the_request_is_to_blame_for_cools_nothing_and_breaks_nothing(status: int) -> None:
    gateway = fake_gateway(one_provider(CHAT))
    account = gateway.live.snapshot.connections["node-up"][0]
    blame(gateway, route_of(gateway), account, Failure(status, "wrong: rate limit, capacity", retry_after=9.0))
    assert (gateway.live.health.calm, gateway.live.breakers.calm) == (True, True)
