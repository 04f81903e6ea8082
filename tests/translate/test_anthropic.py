from __future__ import annotations

import json

import pytest

from omniroute.errors import WIRE_WORDS
from omniroute.translate.anthropic import FORMAT, decode_error, encode_error
from omniroute.translate.events import Failure

OVERLOADED = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}'


def test_the_format_is_listed_under_the_name_of_its_wire() -> None:
    assert (FORMAT.name, FORMAT.framing, FORMAT.stream_type) == ("anthropic", "sse", b"text/event-stream; charset=utf-8")


def test_an_error_of_this_wire_is_read_and_given_on_as_it_came() -> None:
    failure = decode_error(529, OVERLOADED)
    assert (failure.status, failure.type, failure.message, failure.raw) == (
        529,
        "overloaded_error",
        "Overloaded",
        OVERLOADED,
    )
    assert encode_error(failure) == OVERLOADED


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (
            502,
            b"<html><head><style>p{}</style><title>Bad&nbsp;Gateway</title></head><body>nginx</body></html>",
            "Bad Gateway",
        ),
        (503, b"", "Service Unavailable"),
        (500, b"\xff\xfe", "\ufffd\ufffd"),
        (400, b'{"error":"no such model"}', "no such model"),
        (400, b'{"error":{"message":"wrong","code":42}}', "wrong"),
        (400, b'{"error":{}}', "The provider reported an error without a message."),
        (400, b'{"detail":"elsewhere"}', "elsewhere"),
        (403, b'{"message":"The token is invalid."}', "The token is invalid."),
        (429, b'[{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED"}}]', "Quota exceeded"),
        (502, b"x" * 5000, "x" * 2000),
    ],
)
def test_odd_error_bodies_become_a_message(status: int, body: bytes, message: str) -> None:
    failure = decode_error(status, body)
    assert (failure.status, failure.message) == (status, message)
    written = json.loads(encode_error(failure))
    assert written["error"]["message"] == message


@pytest.mark.parametrize("tag", [b"<", b"<script ", b"</script>"])
def test_a_page_full_of_tags_that_nothing_closes_does_not_take_long(tag: bytes) -> None:
    assert decode_error(502, b"<html>Bad Gateway " + tag * 50_000).message.startswith("Bad Gateway")


def test_an_error_in_the_shape_of_a_cloud_keeps_its_delay_and_is_not_taken_for_ours() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}]
    body = json.dumps([{"error": {"code": 429, "message": "Quota exceeded", "details": details}}]).encode()
    failure = decode_error(429, body)
    assert (failure.wire, failure.retry_after, failure.raw) == ("anthropic", 7.0, body)
    assert json.loads(encode_error(failure))["error"]["type"] == "rate_limit_error"


@pytest.mark.parametrize("status", WIRE_WORDS)
def test_an_error_is_written_with_the_word_for_its_status(status: int) -> None:
    body = json.loads(encode_error(Failure(status, "It failed.", code="why")))
    word = WIRE_WORDS[status].anthropic_type
    assert body == {"type": "error", "error": {"type": word, "message": "It failed.", "code": "why"}}


def test_another_vendors_type_is_not_passed_off_as_ours() -> None:
    body = json.loads(encode_error(Failure(429, "Slow down.", type="insufficient_quota", wire="openai-chat", raw=b"{}")))
    assert body["error"]["type"] == "rate_limit_error"


def test_a_body_of_another_shape_is_not_given_on_even_by_the_same_wire() -> None:
    failure = decode_error(404, b'{"error":"no such model"}')
    assert json.loads(encode_error(failure))["error"] == {"type": "not_found_error", "message": "no such model"}
