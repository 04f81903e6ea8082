from __future__ import annotations

import pytest

from omniroute.gateway.retry import (
    PROFILES,
    Retry,
    cooldown,
    judge,
    lock_time,
    parse_span,
    profile_of,
    retry_hint,
    span_text,
)

NOW = 1_750_000_000.0


@pytest.mark.parametrize("status", [400, 405, 413, 415, 422])
def test_request_scoped_statuses_are_never_retried_and_never_blame_the_account(status: int) -> None:
    verdict = judge(status, "your prompt: rate limit exceeded")
    assert verdict == (Retry.NONE, None)


@pytest.mark.parametrize(
    ("status", "message", "reason", "scope"),
    [
        (401, "bad key", "auth_error", "account"),
        (402, "pay", "quota_exhausted", "account"),
        (403, "nope", "quota_exhausted", "account"),
        (404, "no such model", "unknown", "model"),
        (429, "slow down", "rate_limit_exceeded", "account"),
        (503, "Model is overloaded", "model_capacity", "model"),
        (529, "Overloaded", "model_capacity", "model"),
        (429, "Quota exceeded for today", "quota_exhausted", "account"),
        (500, "boom", "server_error", "account"),
        (502, "boom", "server_error", "account"),
        (504, "boom", "server_error", "account"),
        (0, "refused", "unknown", "account"),
        (418, "teapot", "unknown", "account"),
        (409, "Conflict", "unknown", "account"),
        (412, "Quota exceeded", "quota_exhausted", "account"),
        (498, "Flex tier capacity exceeded", "model_capacity", "model"),
        (404, "No model `overloaded`", "unknown", "model"),
        (400, "Rate limit exceeded", "rate_limit_exceeded", "account"),
        (400, "No credentials", "auth_error", "account"),
        (403, "Request not allowed", "rate_limit_exceeded", "account"),
        (429, "You exceeded your current quota, please check your plan", "quota_exhausted", "account"),
        (429, "Rate limit of your plan: see billing", "quota_exhausted", "account"),
        (429, "Resource exhausted. Please try again later.", "model_capacity", "model"),
        (403, "Invalid API key provided", "auth_error", "account"),
        (402, "Unauthorized", "auth_error", "account"),
        (401, "Billing hard limit has been reached", "quota_exhausted", "account"),
        (503, "Your monthly quota is used up", "quota_exhausted", "account"),
        (520, "Internal server error", "server_error", "account"),
        (429, "Rate limit of unauthorized callers", "rate_limit_exceeded", "account"),
    ],
)
def test_a_failure_moves_to_the_next_account_and_names_its_reason(
    status: int, message: str, reason: str, scope: str
) -> None:
    retry, rule = judge(status, message)
    assert retry is Retry.NEXT_ACCOUNT
    assert rule is not None
    assert (rule.reason, rule.scope) == (reason, scope)


def test_rate_limit_cooldown_doubles_per_level_and_stops_at_two_minutes() -> None:
    _, rule = judge(429, "")
    assert rule is not None
    level, seen = 0, []
    for _ in range(18):
        seconds, level = cooldown(rule, level, None, PROFILES["apikey"], 429)
        seen.append(seconds)
    assert seen[:8] == [1, 2, 4, 8, 16, 32, 64, 120]
    assert set(seen[8:]) == {120}
    assert level == 15


def test_transient_cooldown_starts_at_the_profiles_value_and_stops_at_its_level() -> None:
    _, rule = judge(502, "")
    assert rule is not None
    level, seen = 0, []
    for _ in range(7):
        seconds, level = cooldown(rule, level, None, PROFILES["apikey"], 502)
        seen.append(seconds)
    assert seen == [3, 6, 12, 24, 48, 60, 60]
    assert level == 5
    assert cooldown(rule, 0, None, PROFILES["oauth"], 502)[0] == 5


def test_a_hint_lengthens_a_cooldown_never_shortens_it_and_is_capped_at_a_day() -> None:
    _, rule = judge(429, "")
    assert rule is not None
    assert cooldown(rule, 0, 30.0, PROFILES["apikey"], 429)[0] == 30
    assert cooldown(rule, 6, 5.0, PROFILES["apikey"], 429)[0] == 64
    assert cooldown(rule, 0, 1e9, PROFILES["apikey"], 429)[0] == 86400


def test_rate_limit_floor_of_the_profile_applies_only_without_a_hint() -> None:
    _, rule = judge(429, "")
    assert rule is not None
    assert cooldown(rule, 0, None, PROFILES["oauth"], 429)[0] == 60
    assert cooldown(rule, 0, 2.0, PROFILES["oauth"], 429)[0] == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("33s", 33), ("1m30s", 90), ("500ms", 0.5), ("2h7m23s", 7643), ("60", 60), ("1.5s", 1.5), ("soon", None), ("-3", 0)],
)
def test_spans(text: str, seconds: float | None) -> None:
    assert parse_span(text) == seconds


@pytest.mark.parametrize(
    ("headers", "message", "hint"),
    [
        ([(b"retry-after", b"2")], "", 2),
        ([(b"retry-after-ms", b"1500"), (b"retry-after", b"9")], "", 1.5),
        ([(b"retry-after-ms", b"0"), (b"retry-after", b"1")], "", 1),
        ([(b"retry-after", b"Sun, 15 Jun 2025 15:07:20 GMT")], "", 1_750_000_040 - NOW),
        ([(b"retry-after", b"garbage")], "", None),
        ([(b"retry-after", b"Sun, %b Jun 2025 15:07:20 GMT" % (b"9" * 30))], "", None),
        ([(b"retry-after", b"9" * 400 + b"s")], "try again in 3s", 3),
        ([], "Rate limit. Please retry after 20s.", 20),
        ([], "quota will reset after 2h7m23s", 7643),
        ([], "Please try again in 1.2s", 1.2),
        ([], "nothing", None),
    ],
)
def test_hints_come_from_fields_then_from_words(
    headers: list[tuple[bytes, bytes]], message: str, hint: float | None
) -> None:
    assert retry_hint(headers, message, NOW) == hint


def test_span_text_is_for_people() -> None:
    assert [span_text(s) for s in (0.2, 65, 3600, 7643)] == ["1s", "1m 5s", "1h", "2h 7m 23s"]


@pytest.mark.parametrize(
    ("status", "message", "scope"),
    [
        (429, "Rate limit reached for gpt-4o in organization org-1", "model"),
        (429, "Too fast with `gpt-4o`.", "model"),
        (429, "Rate limit reached for gpt-4o-mini", "account"),
        (429, "Rate limit reached", "account"),
        (429, "Quota exceeded for metric: requests, limit: 20, model: gpt-4o", "model"),
        (500, "gpt-4o broke", "account"),
    ],
)
def test_a_rate_limit_that_names_the_model_affects_only_that_model(status: int, message: str, scope: str) -> None:
    rule = judge(status, message, "gpt-4o").rule
    assert rule is not None
    assert rule.scope == scope


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("API key not valid. Please pass a valid API key.", "auth_error"),
        ("API key expired. Please renew it.", "auth_error"),
        ("API Key not found. Please pass a valid API key.", "auth_error"),
        ("Incorrect API key provided: xa***bc. You can obtain an API key from https://console.x.ai.", "auth_error"),
        ("User location is not supported for the API use.", "quota_exhausted"),
        ("Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.", "quota_exhausted"),
        ("You have reached your specified API usage limits. You will regain access on 2026-12-01.", "quota_exhausted"),
        ("Billing hard limit has been reached", "quota_exhausted"),
        ("Access denied, please make sure your account is in good standing.", "quota_exhausted"),
    ],
)
def test_an_account_that_cannot_be_used_is_at_fault_even_with_a_bad_request(message: str, reason: str) -> None:
    retry, rule = judge(400, message)
    assert retry is Retry.NEXT_ACCOUNT
    assert rule is not None
    assert (rule.reason, rule.scope, cooldown(rule, 0, None, PROFILES["apikey"], 400)) == (reason, "account", (120.0, 0))
    assert judge(400, f"The prompt says: {message}") == (Retry.NONE, None)


def test_a_model_is_locked_for_longer_each_time_up_to_twenty_minutes_and_a_hint_wins() -> None:
    missing, limited = judge(404, "").rule, judge(429, "limit of model-1", "model-1").rule
    assert missing is not None
    assert limited is not None
    assert [lock_time(missing, step, None) for step in range(7)] == [60, 120, 300, 600, 1200, 1200, 1200]
    assert [lock_time(limited, step, None) for step in range(9)] == [1, 2, 4, 8, 16, 32, 64, 120, 120]
    overloaded = judge(529, "Overloaded").rule
    assert overloaded is not None
    assert [lock_time(overloaded, step, None) for step in range(9)] == [1, 2, 4, 8, 16, 32, 64, 120, 120]
    assert lock_time(missing, 0, 90.0) == 90.0
    assert lock_time(missing, 0, 1e9) == 86400.0


def test_a_profile_is_what_the_settings_say() -> None:
    stored = {"apikey": {"transient_cooldown": 9.0, "breaker_threshold": 2}}
    assert profile_of(stored, "apikey") == PROFILES["apikey"]._replace(transient_cooldown=9.0, breaker_threshold=2)
    assert profile_of(stored, "oauth") == PROFILES["oauth"]


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "9" * 400 + "s"])
def test_an_infinite_time_is_ignored(text: str) -> None:
    assert parse_span(text) is None


def test_a_field_full_of_digits_is_read_at_once() -> None:
    assert parse_span("7" * 60_000 + "x") is None
    assert parse_span("7" * 3 + "x 5s") == 5
