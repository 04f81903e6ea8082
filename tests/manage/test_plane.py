"""From exchange to answer: every way to fail has its body."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from fakes_exchange import FakeExchange
from fakes_manage import Admin, fields_of

from omniroute.errors import OmniError
from omniroute.manage.call import Call, Reply, Route
from omniroute.manage.plane import render_error
from omniroute.proto.exchange import Request


def _answer(admin: Admin, handler: Any, failure: str = "Internal server error") -> FakeExchange:
    request = Request("GET", "/api/x")
    request.id, request.route = "req-9", Route("GET", "/api/x", handler, "P", failure=failure)
    exchange = FakeExchange(request)
    admin.run(admin.plane.handle(exchange))
    return exchange


def test_a_crash_is_a_clean_500_with_the_routes_text(admin: Admin, caplog: pytest.LogCaptureFixture) -> None:
    async def crash(call: Call) -> Reply:
        raise ZeroDivisionError("secret detail")

    with caplog.at_level(logging.ERROR, "omniroute.manage"):
        answer = _answer(admin, crash, "Failed to fetch providers")
    assert (answer.status, answer.json) == (500, {"error": "Failed to fetch providers", "correlation_id": "req-9"})
    assert [record.__dict__["request_id"] for record in caplog.records] == ["req-9"]


def test_a_refusal_has_just_a_text(admin: Admin) -> None:
    async def refuse(call: Call) -> Reply:
        raise OmniError("not_found", "Key not found")

    answer = _answer(admin, refuse)
    assert (answer.status, answer.json) == (404, {"error": "Key not found"})


def test_a_refusal_with_a_field_is_a_validation_error(admin: Admin) -> None:
    async def refuse(call: Call) -> Reply:
        raise OmniError("invalid_request", "Base URL is not a valid URL", param="baseUrl")

    assert fields_of(_answer(admin, refuse)) == {"baseUrl": "Base URL is not a valid URL"}


def test_retry_after_is_whole_seconds_and_at_least_one() -> None:
    reply = render_error(OmniError("overloaded", "busy", retry_after=0.2), "r")
    assert (b"retry-after", b"1") in reply.headers


def test_answers_are_json_not_stored_and_not_sniffed(admin: Admin) -> None:
    answer = admin.send("GET", "/api/keys")
    assert answer.header(b"content-type") == b"application/json"
    assert answer.header(b"cache-control") == b"no-store"
    assert answer.header(b"x-content-type-options") == b"nosniff"


def test_the_fields_that_the_edge_wants_are_on_every_answer(admin: Admin) -> None:
    async def good(call: Call) -> Reply:
        return Reply(200, {"a": 1})

    request = Request("GET", "/api/x")
    request.route = Route("GET", "/api/x", good, "P")
    request.reply_headers = [(b"x-request-id", b"abc")]
    exchange = FakeExchange(request)
    admin.run(admin.plane.handle(exchange))
    assert exchange.header(b"x-request-id") == b"abc"


def test_while_draining_the_api_answers_503(admin: Admin) -> None:
    admin.live.draining = True
    answer = admin.send("GET", "/api/keys")
    assert answer.status == 503
    expected = {"code": "SERVICE_UNAVAILABLE", "message": "Server is shutting down", "correlation_id": "req-1"}
    assert answer.json == {"error": expected}


_FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("media", [_FORM, "multipart/form-data; boundary=x", "text/plain;charset=UTF-8", "TEXT/PLAIN"])
@pytest.mark.parametrize("sign", [{"origin": "http://127.0.0.1:20128"}, {"cookie": "auth_token=x"}])
def test_a_browser_cannot_send_a_form(admin: Admin, media: str, sign: dict[str, str]) -> None:
    answer = admin.send("POST", "/api/keys", body=b'{"name":"n"}', headers={"content-type": media, **sign})
    assert (answer.status, answer.json) == (415, {"error": "Content-Type must be application/json"})


@pytest.mark.parametrize("headers", [{"content-type": _FORM}, {}, {"content-type": "application/json; charset=utf-8"}])
def test_a_script_need_not_name_the_type(admin: Admin, headers: dict[str, str]) -> None:
    assert admin.send("POST", "/api/keys", body=b'{"name":"n"}', headers=headers).status == 201


def test_malformed_json_is_400(admin: Admin) -> None:
    assert fields_of(admin.send("POST", "/api/keys", body=b'{"name":')) == {"body": "Invalid JSON body"}


def test_access_comes_before_the_body(guarded: Admin) -> None:
    assert guarded.send("POST", "/api/keys", body=b'{"name":').status == 401


def test_the_first_of_repeated_query_fields_counts(admin: Admin) -> None:
    admin.connection("openai")
    assert len(admin.send("GET", "/api/providers?provider=openai&provider=groq").json["connections"]) == 1


def test_a_flood_of_query_fields_is_refused(admin: Admin) -> None:
    assert fields_of(admin.send("GET", "/api/providers?" + "&".join(f"a{n}=1" for n in range(500)))) == {
        "query": "Too many query parameters"
    }
