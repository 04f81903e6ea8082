"""Which models cannot be used now, checking one, and lifting what blocks it."""

from __future__ import annotations

from typing import Any

import pytest
from fakes_manage import Admin

from omniroute.clock import parse_iso
from omniroute.gateway.retry import PROFILES

PATH = "/api/models/availability"


def _check(admin: Admin, **body: Any) -> dict[str, Any]:
    answer = admin.send("POST", PATH, {"action": "check", **body})
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def test_all_is_well_at_first(admin: Admin) -> None:
    admin.connection()
    state = {"available": True, "accounts": 1, "accountsAvailable": 1, "breaker": "CLOSED"}
    assert admin.send("GET", PATH).json == {"unavailableCount": 0, "models": [], "providers": {"openai": state}}


def test_a_locked_model_is_unavailable_and_says_since_when(admin: Admin) -> None:
    made = admin.connection()
    admin.fail(made["id"], status=404, model="gpt-4o")
    admin.advance(19)
    found = admin.send("GET", PATH).json
    assert found["unavailableCount"] == 1
    [gone] = found["models"]
    assert (gone["provider"], gone["model"], gone["reason"]) == ("openai", "gpt-4o", "unknown")
    assert gone["remainingMs"] == 41_000
    assert parse_iso(gone["unavailableSince"]) == admin.clock.time() - 19
    assert found["providers"]["openai"]["available"] is True


def test_a_provider_whose_accounts_all_cool_down_is_unavailable_as_a_whole(admin: Admin) -> None:
    one, two = admin.connection(name="one"), admin.connection(name="two")
    admin.fail(one["id"])
    assert admin.send("GET", PATH).json["unavailableCount"] == 0
    assert admin.send("GET", PATH).json["providers"]["openai"]["accountsAvailable"] == 1
    admin.fail(two["id"])
    found = admin.send("GET", PATH).json
    [gone] = found["models"]
    assert (gone["provider"], gone["model"], gone["reason"]) == ("openai", "*", "HTTP 429")
    assert found["providers"]["openai"]["available"] is False


def test_the_documented_form_checks_a_model(admin: Admin) -> None:
    made = admin.connection()
    answer = admin.send("POST", PATH, {"model": "openai/gpt-4o"})
    entry = {
        "provider": "openai", "available": True, "accounts": 1, "accountsAvailable": 1, "reason": None, "retryAfter": None,
    }  # fmt: skip
    assert answer.json == {"model": "openai/gpt-4o", "available": True, "providers": [entry]}
    admin.fail(made["id"])
    found = _check(admin, model="openai/gpt-4o")
    assert found["available"] is False
    assert found["providers"][0]["reason"] == "HTTP 429"
    assert found["providers"][0]["retryAfter"] >= 1


def test_a_model_may_be_checked_at_one_provider_by_bare_name_and_by_alias(admin: Admin) -> None:
    admin.connection("deepseek")
    assert _check(admin, provider="ds", model="deepseek-chat")["providers"][0]["provider"] == "deepseek"
    assert _check(admin, model="deepseek-chat")["available"] is True
    admin.run(admin.store.aliases.set("cheap", "ds/deepseek-chat"))
    assert _check(admin, model="cheap")["available"] is True


def test_a_model_without_account_or_provider_is_not_available(admin: Admin) -> None:
    found = _check(admin, model="openai/gpt-4o")
    assert (found["available"], found["providers"][0]["reason"]) == (False, "No active connection")
    admin.store.snapshot.unopened["openai"] = {"lost": "It cannot be decrypted"}
    assert _check(admin, model="openai/gpt-4o")["providers"][0]["reason"] == "No active connection. It cannot be decrypted"
    assert _check(admin, model="nobody/x") == {"model": "nobody/x", "available": False, "providers": []}


def test_a_blocked_provider_is_not_available(admin: Admin) -> None:
    admin.connection()
    admin.send("PATCH", "/api/settings", {"blockedProviders": ["openai"]})
    assert _check(admin, model="openai/gpt-4o")["available"] is False


@pytest.mark.parametrize("model", ["m", "*"])
def test_the_references_form_clears_the_cooldown(admin: Admin, model: str) -> None:
    made = admin.connection()
    admin.fail(made["id"])
    body = {"provider": "openai", "model": model}
    assert admin.send("POST", PATH, body).json == {"success": True, "removed": True}
    assert admin.live.health.cooling() == {}
    assert admin.send("POST", PATH, body).json == {"success": True, "removed": False}
    assert admin.audit()[-1] == "availability.clear"


def test_clearing_one_locked_model_leaves_the_others(admin: Admin) -> None:
    made = admin.connection()
    for model in ("a", "b"):
        admin.fail(made["id"], status=404, model=model)
    assert admin.send("POST", PATH, {"action": "clear", "provider": "openai", "model": "a"}).json["removed"] is True
    assert [lock.model for lock in admin.live.health.locks()] == ["b"]


@pytest.mark.parametrize("body", [{}, {"provider": "openai"}, {"action": "clear", "model": "m"}, {"action": "check"}])
def test_neither_form_is_refused(admin: Admin, body: dict[str, str]) -> None:
    answer = admin.send("POST", PATH, body)
    assert (answer.status, answer.json) == (400, {"error": "provider and model are required"})


def test_an_open_breaker_makes_a_provider_unavailable_and_says_until_when(admin: Admin) -> None:
    admin.connection()
    for _ in range(5):
        admin.live.breakers.fail("openai", PROFILES["apikey"])
    assert admin.send("GET", PATH).json["providers"]["openai"] == {
        "available": False, "accounts": 1, "accountsAvailable": 1, "breaker": "OPEN",
    }  # fmt: skip
    [entry] = _check(admin, model="openai/gpt-4o")["providers"]
    assert (entry["available"], entry["reason"], entry["retryAfter"]) == (False, "Circuit breaker is open", 30)


@pytest.mark.parametrize("model", ["gpt-4o", "*"])
def test_a_model_without_capacity_anywhere_is_unavailable_until_it_is_cleared(admin: Admin, model: str) -> None:
    admin.connection()
    admin.live.health.close_model("openai", "gpt-4o", admin.clock.time() + 60.0)
    [gone] = admin.send("GET", PATH).json["models"]
    assert (gone["model"], gone["reason"], gone["remainingMs"]) == ("gpt-4o", "no account has capacity", 60_000)
    assert _check(admin, model="openai/gpt-4o")["available"] is False
    assert _check(admin, model="openai/o1")["available"] is True
    assert admin.send("POST", PATH, {"provider": "openai", "model": model}).json == {"success": True, "removed": True}
    assert admin.send("GET", PATH).json["unavailableCount"] == 0
