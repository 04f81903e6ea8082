"""Errors of the Gemini wire, both ways."""

from __future__ import annotations

import json

import pytest

from omniroute.translate.events import Failure
from omniroute.translate.gemini_error import decode_error, encode_error, encode_stream_error

QUOTA = {
    "error": {
        "code": 429,
        "message": "Quota exceeded",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure"},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17.5s"},
        ],
    }
}


@pytest.mark.parametrize("body", [QUOTA, [QUOTA]], ids=["object", "list"])
def test_an_error_with_the_time_to_wait(body: object) -> None:
    failure = decode_error(429, json.dumps(body).encode())
    assert (failure.status, failure.type, failure.message, failure.retry_after) == (
        429,
        "RESOURCE_EXHAUSTED",
        "Quota exceeded",
        17.5,
    )
    assert failure.wire == "gemini"


def test_the_reason_is_the_code() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    body = {"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT", "details": details}}
    assert decode_error(400, json.dumps(body).encode()).code == "API_KEY_INVALID"


@pytest.mark.parametrize(("word", "status"), [("UNAVAILABLE", 503), ("RESOURCE_EXHAUSTED", 429), ("NO_SUCH_WORD", 502)])
def test_inside_a_stream_the_word_says_the_status(word: str, status: int) -> None:
    assert decode_error(0, json.dumps({"error": {"message": "x", "status": word}}).encode()).status == status


@pytest.mark.parametrize("body", [b"", b"<html><title>502 Bad Gateway</title></html>", b"upstream gone", b'{"error":"x"}'])
def test_any_other_body_is_an_error_too(body: bytes) -> None:
    failure = decode_error(502, body)
    assert (failure.status, failure.wire) == (502, "gemini")
    assert failure.message


def test_an_own_error_goes_on_as_it_came() -> None:
    raw = json.dumps(QUOTA, indent=2).encode()
    assert encode_error(decode_error(429, raw)) == raw
    assert b"\n" not in encode_stream_error(decode_error(429, raw))


def test_another_wires_error_gets_this_ones_words() -> None:
    failure = Failure(429, "slow down", type="rate_limit_error", param="contents", retry_after=3, wire="anthropic")
    error = json.loads(encode_error(failure))["error"]
    assert (error["code"], error["message"], error["status"]) == (429, "slow down", "RESOURCE_EXHAUSTED")
    assert error["details"][0]["fieldViolations"] == [{"field": "contents", "description": "slow down"}]
    assert error["details"][1]["retryDelay"] == "3s"


def test_overload_is_a_status_that_the_vendor_has() -> None:
    error = json.loads(encode_error(Failure(529, "overloaded")))["error"]
    assert (error["code"], error["status"]) == (503, "UNAVAILABLE")
