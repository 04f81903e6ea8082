"""Budgets of keys."""

from __future__ import annotations

from typing import Any

import pytest
from fakes_manage import Admin, fields_of

from omniroute.gateway.budgets import Budget, Purse

PATH = "/api/usage/budget"


@pytest.fixture
def key(admin: Admin) -> str:
    """The id of a gateway key named ``agent``."""
    return str(admin.send("POST", "/api/keys", {"name": "agent"}).json["id"])


def test_a_budget_in_the_short_form(admin: Admin, key: str) -> None:
    answer = admin.send("POST", PATH, {"keyId": key, "limit": 50.0, "period": "monthly"})
    assert answer.status == 200
    shown = answer.json
    assert (shown["success"], shown["keyId"], shown["apiKeyId"]) == (True, key, key)
    assert (shown["limit"], shown["period"], shown["dailyLimitUsd"], shown["monthlyLimitUsd"]) == (
        50.0,
        "monthly",
        0.0,
        50.0,
    )
    assert admin.store.snapshot.budgets == {key: Budget(monthly=50.0)}
    admin.send("POST", PATH, {"keyId": key, "limit": 3, "period": "weekly"})
    assert admin.store.snapshot.budgets == {key: Budget(weekly=3.0)}, "a budget is replaced"
    assert admin.send("POST", PATH, {"keyId": key, "limit": 0, "period": "weekly"}).json["budget"] is None
    assert admin.store.snapshot.budgets == {}
    assert admin.audit() == ["key.create", "budget.update", "budget.update", "budget.delete"]


def test_a_budget_in_the_long_form(admin: Admin, key: str) -> None:
    body = {"apiKeyId": key, "dailyLimitUsd": 5, "monthlyLimitUsd": 50, "warningThreshold": 0.5, "resetTime": "06:00"}
    assert admin.send("POST", PATH, body).json["budget"] == {
        "dailyLimitUsd": 5.0, "weeklyLimitUsd": 0.0, "monthlyLimitUsd": 50.0, "warningThreshold": 0.5,
        "resetInterval": "daily", "resetTime": "06:00",
    }  # fmt: skip
    assert admin.store.snapshot.budgets == {key: Budget(5.0, 0.0, 50.0, 0.5)}
    shown = admin.send("POST", PATH, {"apiKeyId": key, "dailyLimitUsd": 0, "weeklyLimitUsd": 7}).json
    assert (shown["period"], shown["limit"]) == ("weekly", 7.0)


def test_one_keys_budget_is_read_with_what_is_spent(admin: Admin, key: str) -> None:
    admin.send("POST", PATH, {"apiKeyId": key, "dailyLimitUsd": 1})
    admin.live.budgets.charge([key], 0.5)
    reservation = admin.live.budgets.reserve([Purse(key, Budget(daily=1.0))], 0.4)
    admin.live.budgets.charge([key], None)
    for name in ("apiKeyId", "keyId"):
        shown = admin.send("GET", f"{PATH}?{name}={key}").json
        assert (shown["dailyTotal"], shown["monthlyTotal"], shown["totalEntries"], shown["unpricedCalls"]) == (
            0.5,
            0.5,
            0,
            1,
        )
        check = shown["budgetCheck"]
        assert (check["allowed"], check["dailyUsed"], check["dailyLimit"], check["warningReached"]) == (True, 0.9, 1.0, True)
        assert "reason" not in check
    admin.live.budgets.release(reservation)
    admin.live.budgets.charge([key], 0.75)
    check = admin.send("GET", f"{PATH}?apiKeyId={key}").json["budgetCheck"]
    assert (check["allowed"], check["reason"]) == (False, "Daily budget exceeded: $1.2500 / $1.00")


def test_a_key_without_a_budget_may_spend(admin: Admin, key: str) -> None:
    shown = admin.send("GET", f"{PATH}?apiKeyId={key}").json
    assert shown["budget"] is None
    assert (shown["budgetCheck"]["allowed"], shown["budgetCheck"]["warningReached"]) == (True, False)


def test_all_budgets_are_listed(admin: Admin, key: str) -> None:
    admin.clock.now = 1_750_000_000.0  # 2025-06-15T15:06:40Z
    assert admin.send("GET", PATH).json == {"budgets": [], "total": 0}
    admin.send("POST", PATH, {"keyId": key, "limit": 2, "period": "monthly"})
    admin.live.budgets.charge([key], 0.5)
    listed = admin.send("GET", PATH).json
    assert listed["total"] == 1
    (shown,) = listed["budgets"]
    assert {name: shown[name] for name in ("keyId", "apiKeyId", "name", "limit", "period", "used", "remaining")} == {
        "keyId": key, "apiKeyId": key, "name": "agent", "limit": 2.0, "period": "monthly", "used": 0.5, "remaining": 1.5,
    }  # fmt: skip
    assert (shown["allowed"], shown["warningReached"], shown["resetAt"]) == (True, False, "2025-07-01T00:00:00.000Z")
    assert shown["budget"]["monthlyLimitUsd"] == 2.0


@pytest.mark.parametrize(
    "body",
    [{}, {"keyId": "K"}, {"keyId": "K", "limit": 5}, {"keyId": "K", "period": "daily"}, {"limit": 5, "period": "daily"}],
)
def test_neither_form_complete_is_400(admin: Admin, key: str, body: dict[str, Any]) -> None:
    body = {name: key if value == "K" else value for name, value in body.items()}
    answer = admin.send("POST", PATH, body)
    assert (answer.status, answer.json) == (400, {"error": "apiKeyId and dailyLimitUsd are required"})


@pytest.mark.parametrize(("body", "field"), [
    ({"limit": -1, "period": "daily"}, "limit"), ({"limit": 1, "period": "yearly"}, "period"),
    ({"dailyLimitUsd": "5"}, "dailyLimitUsd"), ({"dailyLimitUsd": 5, "warningThreshold": 2}, "warningThreshold"),
    ({"dailyLimitUsd": 5, "resetTime": "25:00"}, "resetTime"),
])  # fmt: skip
def test_what_does_not_fit_is_named(admin: Admin, key: str, body: dict[str, Any], field: str) -> None:
    assert [*fields_of(admin.send("POST", PATH, {"keyId": key, **body}))] == [field]


def test_an_unknown_key_is_404(admin: Admin) -> None:
    for answer in (
        admin.send("GET", f"{PATH}?apiKeyId=nobody"),
        admin.send("POST", PATH, {"apiKeyId": "nobody", "dailyLimitUsd": 1}),
        admin.send("DELETE", f"{PATH}?apiKeyId=nobody"),
    ):
        assert (answer.status, answer.json) == (404, {"error": "Key not found"})


def test_a_budget_is_removed_by_query_or_body(admin: Admin, key: str) -> None:
    admin.send("POST", PATH, {"apiKeyId": key, "dailyLimitUsd": 1})
    assert admin.send("DELETE", f"{PATH}?keyId={key}").json == {"success": True, "removed": True, "apiKeyId": key}
    assert admin.send("DELETE", PATH, {"apiKeyId": key}).json["removed"] is False
    assert admin.send("DELETE", PATH).json == {"error": "apiKeyId is required"}
    assert admin.audit()[-1] == "budget.delete"
