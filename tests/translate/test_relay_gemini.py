"""Same-wire relaying of Gemini streams."""

from __future__ import annotations

import json

import pytest
from playbook import cuts

from omniroute.translate.events import Failure, Usage
from omniroute.translate.format import BadAnswer
from omniroute.translate.gemini_error import decode_error, encode_stream_error
from omniroute.translate.relay_gemini import GeminiArrayTap, GeminiTap, gemini_usage

TEXT = b'data: {"candidates": [{"content": {"parts": [{"text": "Z\xc3\xbc"}],"role": "model"}}],"modelVersion": "g"}\r\n\r\n'
LAST = (
    b'data: {"candidates": [{"content": {"role": "model"},"finishReason": "STOP"}],'
    b'"usageMetadata": {"promptTokenCount": 3,"candidatesTokenCount": 2}}\r\n\r\n'
)
ERROR = b'data: {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}\r\n\r\n'


def encode_event(failure: Failure) -> bytes:
    return b"data: " + encode_stream_error(failure) + b"\n\n"


def tap() -> GeminiTap:
    return GeminiTap(encode_event, decode_error)


def objects(raw: bytes) -> list[object]:
    return [json.loads(line[6:]) for line in raw.splitlines() if line.startswith(b"data: ")]


def test_the_bytes_go_through_as_they_came_and_are_learnt_from() -> None:
    for pieces in cuts(TEXT + LAST):
        one = tap()
        assert b"".join([*map(one.feed, pieces), one.eof()]) == TEXT + LAST
        assert (one.model, one.usage, one.meaningful, one.finished) == ("g", Usage(input=3, output=2), True, True)


def test_nothing_is_meaningful_before_the_first_part() -> None:
    one = tap()
    one.feed(b'data: {"usageMetadata": {"promptTokenCount": 3}}\r\n\r\n')
    assert not one.meaningful
    one.feed(ERROR)
    assert not one.meaningful
    assert one.failure is not None
    assert one.failure.status == 503


def test_an_error_that_is_no_event_but_bare_json_is_learnt() -> None:
    bare = b'{\n  "error": {\n    "code": 503,\n    "message": "overloaded",\n    "status": "UNAVAILABLE"\n  }\n}\n'
    for before in (b"", TEXT):
        one = tap()
        out = one.feed(before) + one.feed(bare) + one.eof()
        assert out.startswith(before + bare.rstrip())
        assert one.failure is not None
        assert (one.failure.status, one.failure.message, one.meaningful) == (503, "overloaded", bool(before))


def test_a_blocked_prompt_is_an_end() -> None:
    one = tap()
    one.feed(b'data: {"promptFeedback": {"blockReason": "OTHER"}}\r\n\r\n')
    assert one.finished


def test_a_cut_stream_ends_with_an_error() -> None:
    one = tap()
    out = one.feed(TEXT) + one.eof()
    assert not one.finished
    assert objects(out + one.fail(Failure(502, "cut")))[-1] == {
        "error": {"code": 502, "message": "cut", "status": "UNAVAILABLE"}
    }


def test_the_same_as_an_array() -> None:
    for pieces in cuts(TEXT + TEXT + LAST, samples=30):
        one = GeminiArrayTap(decode_error)
        out = b"".join([*map(one.feed, pieces), one.eof()])
        assert json.loads(out) == objects(TEXT + TEXT + LAST)
        assert one.finished


@pytest.mark.parametrize("before", [b"", TEXT])
def test_an_array_that_fails_is_closed(before: bytes) -> None:
    one = GeminiArrayTap(decode_error)
    found = json.loads(one.feed(before) + one.fail(Failure(502, "cut")) + one.eof())
    assert found[-1]["error"]["message"] == "cut"


def test_large_events_are_not_torn_in_an_array() -> None:
    one = GeminiArrayTap(decode_error)
    large = TEXT.replace("Zü".encode(), b"x" * 200_000)
    out = b"".join(one.feed(large[at : at + 50_000]) for at in range(0, len(large), 50_000)) + one.feed(LAST) + one.eof()
    assert not one.torn
    assert len(json.loads(out)) == 2


def test_usage_of_a_whole_answer() -> None:
    body = b'{"modelVersion":"g","usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2}}'
    assert gemini_usage(body) == gemini_usage(b"[{}," + body + b"]") == ("g", Usage(input=3, output=2))
    assert gemini_usage(b'{"usageMetadata":3}') == ("", None)
    for rubbish in (b"<html>", b"3"):
        with pytest.raises(BadAnswer):
            gemini_usage(rubbish)
