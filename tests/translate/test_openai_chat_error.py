from __future__ import annotations

import msgspec
import pytest

from omniroute.translate.events import Failure
from omniroute.translate.openai_chat_error import decode_error, encode_error, encode_stream_error, error_in

# (body, message, type, code, param): every shape that QUIRKS.md and the recordings know
SHAPES = [
    (
        b'{"error":{"message":"No stop","type":"invalid_request_error","param":"stop","code":"unsupported_parameter"}}',
        ("No stop", "invalid_request_error", "unsupported_parameter", "stop"),
    ),
    (b'{"error":{"message":"No cookie","code":401}}', ("No cookie", "", "401", None)),
    (b'[{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}]', ("bad", "INVALID_ARGUMENT", "400", None)),
    (b'{"error":"model not found"}', ("model not found", "", "", None)),
    (b'{"code":"Client error","error":"Bad key"}', ("Bad key", "", "Client error", None)),
    (b'{"err_code":"INVALID_AUTH","err_msg":"Invalid credentials."}', ("Invalid credentials.", "", "", None)),
    (b'{"detail":"Invalid API Key"}\n', ("Invalid API Key", "", "", None)),
    (b'{"detail":[{"loc":["body"],"msg":"field required"},{"msg":"too long"}]}', ("field required; too long", "", "", None)),
    (b'{"object":"error","message":"Nope","type":"bad","code":"3051"}', ("Nope", "bad", "3051", None)),
    (b'{"message":"The model is gone"}', ("The model is gone", "", "", None)),
    (b'{"errors":[{"code":7003,"message":"No route"}],"success":false}', ("No route", "", "", None)),
    (b'"just a string"', ("just a string", "", "", None)),
    (b"upstream connect error", ("upstream connect error", "", "", None)),
    (b"<html><head><title>504 Gateway Time-out</title></head></html>", ("504 Gateway Time-out", "", "", None)),
    (b"<p>Sorry,</p> <b>down</b>", ("Sorry, down", "", "", None)),
    (b'event: error\ndata: {"error":{"message":"in a frame"}}\n\n', ("in a frame", "", "", None)),
    (b"", ("Service Unavailable", "", "", None)),
    (b"\xff\xfe", ("\ufffd\ufffd", "", "", None)),
]


@pytest.mark.parametrize(("body", "words"), SHAPES)
def test_errors_of_every_shape_are_read(body: bytes, words: tuple[str, str, str, str | None]) -> None:
    failure = decode_error(503, body)
    assert (failure.message, failure.type, failure.code, failure.param) == words
    assert failure.status == 503


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"message": "x", "code": "rate_limit_exceeded"}, 429),
        ({"message": "x", "code": 401}, 401),
        ({"message": "x", "status_code": 400, "type": "server_error"}, 400),
        ({"message": "x", "type": "overloaded_error"}, 529),
        ({"message": "x", "type": "server_error"}, 500),
        ({"message": "x", "code": "429"}, 429),
        ({"message": "x"}, 502),
    ],
)
def test_an_error_inside_a_stream_gets_the_status_that_its_words_mean(error: dict[str, object], status: int) -> None:
    assert decode_error(0, msgspec.json.encode({"error": error})).status == status


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"details": [{"@type": "RetryInfo", "retryDelay": "33s"}]}, 33),
        ({"details": [{"retryDelay": "500ms"}]}, 0.5),
        ({"details": [{"retryDelay": "2h7m23s"}]}, 7643),
        ({"retry_after": 7}, 7),
        ({"retry_after": -1}, None),
        ({"retry_after": 10**400}, None),
        ({"details": "later"}, None),
        ({"details": [{"retryDelay": "soon"}]}, None),
    ],
)
def test_retry_hints_in_the_body_are_seconds(fields: dict[str, object], seconds: float | None) -> None:
    found = error_in({"error": {"message": "x"} | fields})
    assert found is not None
    assert found.retry_after == seconds


@pytest.mark.parametrize(
    "value", [{}, [], None, 1, {"error": None}, {"error": ""}, {"choices": []}, {"detail": "x", "choices": []}, {"error": 5}]
)
def test_what_reports_no_error_is_none(value: object) -> None:
    assert error_in(value) is None


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, "invalid_request_error", "bad_request"),
        (401, "authentication_error", "invalid_api_key"),
        (403, "permission_error", "insufficient_quota"),
        (404, "invalid_request_error", "model_not_found"),
        (413, "payload_too_large", "PAYLOAD_TOO_LARGE"),
        (418, "invalid_request_error", ""),
        (429, "rate_limit_error", "rate_limit_exceeded"),
        (500, "server_error", "internal_server_error"),
        (502, "server_error", "bad_gateway"),
        (503, "server_error", "service_unavailable"),
        (504, "server_error", "gateway_timeout"),
        (529, "server_error", "internal_server_error"),
    ],
)
def test_another_wires_error_gets_this_wires_words(status: int, kind: str, code: str) -> None:
    body = encode_error(Failure(status, "Nope", type="overloaded_error", wire="anthropic", raw=b"{}", param="a.0"))
    assert msgspec.json.decode(body) == {"error": {"message": "Nope", "type": kind, "param": "a.0", "code": code}}


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (
            Failure(400, "[400]: prompt is too long: 210000 tokens > 200000 maximum", code="bad_request"),
            "context_length_exceeded",
        ),
        (Failure(400, "[400]: no", code="context_length_exceeded"), "context_length_exceeded"),
        (Failure(429, "[429]: You exceeded your current quota", code="insufficient_quota"), "insufficient_quota"),
        (Failure(429, "[429]: Too many tokens in the last minute", code="tokens"), "rate_limit_exceeded"),
        (Failure(400, "[400]: no such tool", code="tool_use_failed"), "bad_request"),
    ],
)
def test_a_code_that_ends_an_agents_attempts_is_kept_from_any_wire(failure: Failure, code: str) -> None:
    assert msgspec.json.decode(encode_error(failure))["error"]["code"] == code


def test_an_upstreams_own_body_is_kept_when_it_has_the_wires_shape() -> None:
    body = b'{"error": {"message": "m", "metadata": {"raw": "why"}}}'
    assert encode_error(decode_error(400, body)) == body
    assert encode_stream_error(decode_error(0, b'{"error":\n{"message":"m"}}')) == b'data: {"error":{"message":"m"}}\n\n'


def test_an_upstreams_body_of_another_shape_is_written_anew() -> None:
    assert msgspec.json.decode(encode_error(decode_error(404, b'{"error":"gone"}')))["error"] == {
        "message": "gone",
        "type": "invalid_request_error",
        "param": None,
        "code": "model_not_found",
    }


@pytest.mark.parametrize("tag", [b"<", b"<title", b"<title>", b"<script ", b"</script>"])
def test_a_page_full_of_tags_that_nothing_closes_does_not_take_long(tag: bytes) -> None:
    failure = decode_error(502, b"<html><title>Bad\nGateway</title>" + tag * 50_000)
    assert failure.message == "Bad Gateway"
    assert decode_error(502, b"<html>" + tag * 50_000).status == 502
