"""Errors of the Ollama wire."""

from __future__ import annotations

import pytest

from omniroute.translate.events import Failure
from omniroute.translate.ollama_error import decode_error, encode_error


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("model 'nope' not found", 404),
        ('model "nope" not found, try pulling it first', 404),
        ("server busy, please try again.  maximum pending requests exceeded", 503),
        ("unauthorized", 401),
        ("you have reached your hourly usage limit", 429),
        ('"gemma" does not support tools', 400),
        ("llama runner process has terminated", 502),
    ],
)
def test_in_a_stream_the_words_say_which_status_is_meant(text: str, status: int) -> None:
    failure = decode_error(0, b'{"error":"%b"}' % text.replace('"', '\\"').encode())
    assert (failure.status, failure.message, failure.wire) == (status, text, "ollama")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":"boom"}', "boom"),
        (b'{"error":{"message":"boom","type":"api_error"}}', "boom"),
        (b'{"detail":"Not authenticated"}', "Not authenticated"),
        (b"<html><title>502 Bad Gateway</title></html>", "502 Bad Gateway"),
        (b"404 page not found", "404 page not found"),
        (b"", "Bad Gateway"),
    ],
)
def test_an_error_body_of_any_shape_has_its_text_read(body: bytes, message: str) -> None:
    failure = decode_error(502, body)
    assert (failure.status, failure.message) == (502, message)


def test_an_error_is_written_as_its_text() -> None:
    assert encode_error(Failure(500, 'said "no"')) == b'{"error":"said \\"no\\""}'


def test_an_error_body_of_this_wire_goes_on_as_it_came() -> None:
    raw = b'{ "error": "model not found" }'
    assert encode_error(decode_error(404, raw)) == raw


@pytest.mark.parametrize("raw", [b'{"error":"a",\n"b":1}', b'{"error":{"message":"a"}}', b'[{"error":"a"}]'])
def test_an_error_body_of_another_shape_is_written_anew(raw: bytes) -> None:
    assert encode_error(decode_error(500, raw)) == b'{"error":"a"}'


def test_a_long_error_does_not_take_long() -> None:
    assert decode_error(0, b'{"error":"%b"}' % (b"model " * 20_000)).status == 502
