"""What single answers say about a key; the sequences of questions are in test_probe.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.upstream.endpoints import Endpoint
from omniroute.upstream.verdict import Diagnosis, Question, headline, judge, read_reply, short

PLACE = Endpoint("https", "h.example", 443, b"/v1/models")
LIST, CHAT = Question("GET", PLACE), Question("POST", PLACE, b"{}")
FIRST = Question("GET", PLACE, open=True)


@pytest.mark.parametrize(
    ("question", "status", "body", "verdict"),
    [
        (LIST, 200, b"{}", "ok"),
        (LIST, 204, b"", "upstream_error"),
        (LIST, 400, b"{}", "upstream_error"),
        (LIST, 401, b"", "upstream_auth_error"),
        (LIST, 403, b"<html>", "upstream_auth_error"),
        (LIST, 429, b"", "upstream_rate_limited"),
        (LIST, 529, b"", "upstream_unavailable"),
        (CHAT, 400, b"{}", "ok"),
        (CHAT, 404, b"{}", "ok"),
        (CHAT, 404, b"not found", "upstream_error"),
        (CHAT, 405, b'{"detail":"Method Not Allowed"}', "upstream_error"),
        (CHAT, 400, b'{"error":{"status":"INVALID","details":[{"reason":"API_KEY_INVALID"}]}}', "upstream_auth_error"),
        (FIRST, 200, b"[]", "ok"),
        (FIRST, 401, b"{}", "upstream_auth_error"),
    ],
)
def test_an_answer_that_decides_has_its_diagnosis(question: Question, status: int, body: bytes, verdict: str) -> None:
    found = judge(read_reply(status, body), question)
    assert found is not None
    assert (found.type, found.source, found.code) == (verdict, "upstream", str(status))


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (404, b"{}"), (429, b"{}"), (500, b"{}"), (302, b"")])
def test_an_open_question_may_stay_open(status: int, body: bytes) -> None:
    assert judge(read_reply(status, body), FIRST) is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error":{"message":"one"}}', "one"),
        (b'{"error":"two"}', "two"),
        (b'{"message":"three"}', "three"),
        (b'{"detail":"four"}', "four"),
        (b'{"err_msg":"five"}', "five"),
        (b'[{"error":{"message":"six"}}]', "six"),
        (b'{"error":{"message":" seven\\n\\tlines "}}', "seven lines"),
        (b'{"error":{"message":""}}', "The provider is unavailable (500)"),
        (b"<h1>eight</h1>", "The provider is unavailable (500)"),
    ],
)
def test_the_upstreams_own_words_are_found(body: bytes, words: str) -> None:
    found = judge(read_reply(500, body), LIST)
    assert found is not None
    assert found.message == words


def test_the_key_is_cut_out_of_texts() -> None:
    assert short("bad key sk-12345678 given", "sk-12345678") == "bad key [key] given"
    assert short("nothing to hide", "") == "nothing to hide"


def test_a_refused_key_has_one_headline() -> None:
    assert headline(Diagnosis("upstream_auth_error", "upstream", "whatever")) == "Invalid API key"
    assert headline(Diagnosis("upstream_unavailable", "upstream", "down")) == "down"


@given(st.integers(200, 599), st.binary(max_size=200), st.sampled_from([LIST, CHAT, FIRST]))
def test_any_answer_gets_a_verdict_or_leaves_the_question_open(status: int, body: bytes, question: Question) -> None:
    found = judge(read_reply(status, body), question, "secret-key")
    assert found is not None or question.open
