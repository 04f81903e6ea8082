from __future__ import annotations

import pytest

from omniroute.errors import KINDS, WIRE_WORDS, OmniError, Retry, wire_words


def test_what_the_client_did_wrong_is_never_retried() -> None:
    assert {kind for kind, row in KINDS.items() if row.fault == "client" and row.retry is not Retry.NONE} == set()


def test_what_an_account_or_the_network_did_is_retried_with_the_next_account() -> None:
    faults = {row.retry for row in KINDS.values() if row.fault in ("account", "network")}
    assert faults == {Retry.NEXT_ACCOUNT}


def test_every_kind_has_words_for_its_status() -> None:
    assert {row.status for row in KINDS.values()} <= WIRE_WORDS.keys()


def test_only_our_own_defects_are_logged_as_errors() -> None:
    assert [kind for kind, row in KINDS.items() if row.level == "error"] == ["internal"]


@pytest.mark.parametrize(
    ("status", "openai", "anthropic", "gemini"),
    [
        (429, "rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED"),
        (529, "server_error", "overloaded_error", "UNAVAILABLE"),
        (418, "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),  # unlisted: those of its class
        (599, "server_error", "api_error", "INTERNAL"),
    ],
)
def test_each_wire_has_its_word_for_a_status(status: int, openai: str, anthropic: str, gemini: str) -> None:
    words = wire_words(status)
    assert (words.openai_type, words.anthropic_type, words.gemini_status) == (openai, anthropic, gemini)


def test_an_error_takes_the_status_of_its_kind_unless_told_otherwise() -> None:
    assert OmniError("too_large", "Too large").status == 413
    error = OmniError("invalid_request", "No", status=422, param="messages.0.role", code="bad", retry_after=2.5)
    assert (error.status, error.param, error.code, error.retry_after) == (422, "messages.0.role", "bad", 2.5)
    assert str(error) == "No"


def test_an_unknown_kind_is_a_defect() -> None:
    with pytest.raises(KeyError):
        OmniError("no_such_kind", "?")
