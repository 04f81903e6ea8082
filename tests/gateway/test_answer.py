from __future__ import annotations

from typing import Any

import pytest
from fakes_gateway import fake_gateway, job, one_provider
from wires import ANTHROPIC, CHAT, WIRES, Wire

from omniroute.errors import WIRE_WORDS
from omniroute.gateway.answer import head, refuse, respond
from omniroute.gateway.job import Job
from omniroute.gateway.walk import BREAKER_OPEN
from omniroute.translate.events import Failure

BOTH = pytest.mark.parametrize("wire", WIRES, ids=repr)


def refused(wire: Wire, failure: Failure) -> Any:
    made = job(wire, {})
    refuse(fake_gateway(one_provider(wire)), made, failure)
    assert made.failure is failure
    assert made.status == failure.status
    return made.exchange


def test_a_head_says_who_answered_and_what_was_lost() -> None:
    made = job(CHAT, {})
    assert [name for name, _ in head(made, [])] == [b"x-request-id"]
    made.notes, made.dropped = "up/acct; attempt=1/1", ("top_k", "cache_control")
    fields = dict(head(made, [(b"content-type", b"x")]))
    assert fields[b"x-omniroute-route"] == b"up/acct; attempt=1/1"
    assert fields[b"x-omniroute-dropped"] == b"top_k, cache_control"
    assert fields[b"content-type"] == b"x"


def test_a_long_route_is_cut_in_the_head_and_whole_in_the_log() -> None:
    made = job(CHAT, {})
    made.notes = "up/acct; attempt=1/500" + "; skipped=account (cooling 12s)" * 500
    made.dropped = ("messages.0.name",) * 1000
    fields = dict(head(made, []))
    for name in (b"x-omniroute-route", b"x-omniroute-dropped"):
        assert len(fields[name]) == 2048
        assert fields[name].endswith(b"...")
    assert len(made.notes) > 15_000


def test_a_refusal_says_who_was_passed_over_when_no_one_was_asked() -> None:
    made = job(CHAT, {})
    made.trail = "; skipped=acct-1 (cooling 12s)"
    refuse(fake_gateway(one_provider(CHAT)), made, Failure(429, "slow down"))
    assert made.exchange.header(b"x-omniroute-route") == b"none; attempt=0/0; skipped=acct-1 (cooling 12s)"
    assert made.notes.startswith("none; ")  # the log keeps it


def test_an_answer_notes_its_status_and_time() -> None:
    gateway = fake_gateway(one_provider(CHAT))
    made = job(CHAT, {})
    gateway.hands.advance(2.0)
    respond(gateway, made, 200, [], b"x")
    assert (made.status, made.first_byte) == (200, gateway.hands.monotonic())


@BOTH
def test_a_refusal_is_in_the_clients_wire(wire: Wire) -> None:
    exchange = refused(wire, Failure(503, "Busy"))
    assert exchange.status == 503
    assert wire.error_of(exchange.text)["message"] == "Busy"
    assert exchange.header(b"content-type") == b"application/json"
    assert exchange.header(b"retry-after") is None


@pytest.mark.parametrize("wire", [CHAT, ANTHROPIC], ids=repr)
@pytest.mark.parametrize(("status", "marked"), [(429, ""), (504, ""), (503, BREAKER_OPEN)])
def test_a_refusal_of_our_own_has_the_code_of_its_status(wire: Wire, status: int, marked: str) -> None:
    error = wire.error_of(refused(wire, Failure(status, "No", code=marked)).text)
    assert error["code"] == WIRE_WORDS[status].openai_code


@BOTH
def test_an_error_body_is_kept_on_its_own_wire_and_rendered_on_another(wire: Wire) -> None:
    raw = wire.error("odd_error", "Odd")
    assert refused(wire, Failure(429, "Odd", wire=wire.name, raw=raw)).text == raw
    other = CHAT if wire is ANTHROPIC else ANTHROPIC
    exchange = refused(other, Failure(429, "Odd", wire=wire.name, raw=raw))
    assert other.error_of(exchange.text)["message"] == "[429]: Odd"


@BOTH
def test_an_upstreams_error_without_a_code_gets_the_word_for_its_status(wire: Wire) -> None:
    other = CHAT if wire is ANTHROPIC else ANTHROPIC
    assert wire.error_of(refused(wire, Failure(400, "Odd", wire=other.name)).text)["code"] == "bad_request"


@pytest.mark.parametrize(("seconds", "text"), [(0.0, b"1"), (0.4, b"1"), (1.4, b"2"), (7.0000001, b"7"), (65.2, b"66")])
def test_who_comes_back_after_the_whole_seconds_of_retry_after_is_not_too_early(seconds: float, text: bytes) -> None:
    assert refused(CHAT, Failure(429, "x", retry_after=seconds)).header_list(b"retry-after") == [text]


def test_fields_of_the_upstreams_answer_are_kept_on_the_same_wire_and_retry_after_is_said_once() -> None:
    fields = [(b"x-should-retry", b"false"), (b"retry-after", b"3")]
    failure = Failure(429, "x", wire="anthropic", raw=b"{}", retry_after=3.0, headers=fields)
    exchange = refused(ANTHROPIC, failure)
    assert exchange.header(b"x-should-retry") == b"false"
    assert exchange.header_list(b"retry-after") == [b"3"]
    assert refused(CHAT, failure).header(b"x-should-retry") is None


@pytest.mark.parametrize(("seconds", "kept"), [(0.5, b"500"), (7.0, None), (None, None)])
def test_milliseconds_to_wait_are_kept_as_long_as_they_are_ours_too(seconds: float | None, kept: bytes | None) -> None:
    failure = Failure(429, "x", wire="openai-chat", raw=b"{}", retry_after=seconds, headers=[(b"retry-after-ms", b"500")])
    assert refused(CHAT, failure).header(b"retry-after-ms") == kept


def test_after_the_head_the_connection_is_broken_visibly() -> None:
    made: Job = job(CHAT, {})
    exchange: Any = made.exchange
    exchange.start(200, [])
    made.status = 200
    refuse(fake_gateway(one_provider(CHAT)), made, Failure(500, "late"))
    assert exchange.aborted
    assert made.status == 200
