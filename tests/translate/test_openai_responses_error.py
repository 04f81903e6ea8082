from __future__ import annotations

import msgspec
import pytest

from omniroute.translate.events import Failure
from omniroute.translate.openai_responses_error import WIRE, code_of, decode_error, encode_error, failed_error


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Failure(400, "prompt is too long: 210000 tokens > 200000 maximum", wire="anthropic"), "context_length_exceeded"),
        (Failure(400, "This model's maximum context length is 8192 tokens", wire="openai-chat"), "context_length_exceeded"),
        (Failure(402, "Payment required"), "insufficient_quota"),
        (Failure(429, "You exceeded your current quota", wire="gemini"), "insufficient_quota"),
        (Failure(429, "Too many requests"), "rate_limit_exceeded"),
        (Failure(529, "Overloaded", "overloaded_error", wire="anthropic"), "server_error"),
        (Failure(502, "The connection broke"), "server_error"),
        (Failure(401, "bad key"), "invalid_prompt"),
        (Failure(400, "No such tool", code="tool_use_failed", wire="openai-chat"), "tool_use_failed"),
    ],
)
def test_a_failure_inside_a_stream_has_a_code_that_agents_act_on(failure: Failure, code: str) -> None:
    assert code_of(failure) == code


def test_a_rate_limit_says_when_to_try_again_in_the_words_that_agents_read() -> None:
    failure = Failure(429, "Slow down.", retry_after=2.0)
    assert failed_error(failure) == {"code": "rate_limit_exceeded", "message": "Slow down. Please try again in 2s."}
    said = Failure(429, "Limit reached. Please try again in 1.5s.", retry_after=2.0)
    assert failed_error(said)["message"] == said.message


def test_an_error_of_either_openai_wire_goes_out_as_it_came() -> None:
    body = b'{"error":{"message":"no","type":"invalid_request_error","param":"input","code":"x"}}'
    for wire in (WIRE, "openai-chat"):
        assert encode_error(Failure(400, "no", wire=wire, raw=body)) == body
    foreign = msgspec.json.decode(encode_error(Failure(529, "busy", "overloaded_error", wire="anthropic", raw=body)))
    assert foreign["error"]["type"] == "server_error"


def test_an_error_event_is_read_in_both_its_shapes() -> None:
    nested = b'{"type":"error","error":{"type":"tokens","code":"rate_limit_exceeded","message":"slow"}}'
    flat = b'{"type":"error","code":"server_error","message":"oops","param":null}'
    assert (decode_error(0, nested).status, decode_error(0, nested).code) == (429, "rate_limit_exceeded")
    failure = decode_error(0, flat)
    assert (failure.status, failure.type, failure.code, failure.message) == (500, "", "server_error", "oops")


def test_an_event_without_an_error_member_is_no_body_of_an_error_answer() -> None:
    failure = decode_error(0, b'{"type":"error","code":"server_error","message":"oops","param":null,"sequence_number":1}')
    error = {"message": "oops", "type": "server_error", "param": None, "code": "server_error"}
    assert msgspec.json.decode(encode_error(failure)) == {"error": error}
    assert failure.raw is None
