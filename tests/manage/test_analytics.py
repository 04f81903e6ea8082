"""Usage over time."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from fakes_manage import Admin, fields_of
from fakes_store import a_call

from omniroute.clock import iso
from omniroute.manage.analytics import daily_by_model, streak, summary, weekly_pattern
from omniroute.store.analytics import Total

PATH = "/api/usage/analytics"
DAY = 86_400.0


def _put(admin: Admin, days_ago: float = 0, **fields: Any) -> None:
    at = admin.clock.time() - days_ago * DAY
    admin.store.usage.put(a_call(**{"at": at, "tokens_in": 100, "tokens_out": 20, **fields}))


def _total(*key: str, tokens: int = 10) -> Total:
    return Total(
        key=key, requests=1, successes=1, prompt_tokens=tokens, completion_tokens=0, cost=0.0, duration_ms=5.0,
        first_used=f"{key[0]}T00:00:00.000Z", last_used=f"{key[0]}T01:00:00.000Z",
    )  # fmt: skip


def test_an_empty_gateway_has_the_whole_shape(admin: Admin) -> None:
    found = admin.send("GET", PATH).json
    assert set(found) == {
        "summary", "dailyTrend", "dailyByModel", "modelNames", "byModel", "byAccount", "byProvider", "byApiKey",
        "activityMap", "weeklyPattern", "range",
    }  # fmt: skip
    assert found["range"] == "30d"
    assert found["summary"] == {
        "totalTokens": 0, "promptTokens": 0, "completionTokens": 0, "totalCost": 0, "totalRequests": 0, "uniqueModels": 0,
        "uniqueAccounts": 0, "uniqueApiKeys": 0, "streak": 0, "successfulRequests": 0, "successRatePct": 0,
        "avgLatencyMs": 0, "firstRequest": None, "lastRequest": None, "unpricedRequests": 0,
    }  # fmt: skip


def test_calls_are_summed_by_everything(admin: Admin) -> None:
    made = admin.connection(name="work")
    _put(admin, connection_id=made["id"], cost=0.5, duration_ms=100.0)
    _put(admin, 1, connection_id=made["id"], status=500, tokens_out=None, cost=None, duration_ms=200.0)
    _put(admin, 1, connection_id="gone", provider="deepseek", model="chat", key_id="", key_name="", duration_ms=300.0)
    found = admin.send("GET", PATH).json
    summed = found["summary"]
    assert (summed["totalRequests"], summed["successfulRequests"], summed["successRatePct"]) == (3, 2, 66.67)
    assert (summed["promptTokens"], summed["completionTokens"], summed["totalTokens"]) == (300, 40, 340)
    assert (summed["uniqueModels"], summed["uniqueAccounts"], summed["uniqueApiKeys"]) == (2, 2, 1)
    assert (summed["streak"], summed["avgLatencyMs"]) == (2, 200)
    today = iso(admin.clock.time())[:10]
    assert found["dailyTrend"][-1]["date"] == today
    assert found["activityMap"][today] == 120
    assert found["modelNames"] == ["gpt-4o", "chat"]
    assert found["dailyByModel"][-1] == {"date": today, "gpt-4o": 120}
    model = found["byModel"][0]
    assert (model["model"], model["provider"], model["requests"]) == ("gpt-4o", "openai", 2)
    assert (model["successRatePct"], model["avgLatencyMs"]) == ("50.00", 150)
    assert found["byAccount"][0]["account"] == "work"
    assert found["byAccount"][1]["account"] == "gone"
    assert [row["provider"] for row in found["byProvider"]] == ["openai", "deepseek"]
    [key] = found["byApiKey"]
    assert (key["apiKey"], key["apiKeyId"], key["apiKeyName"]) == ("laptop (key-1)", "key-1", "laptop")
    assert found["byProvider"][0]["cost"] == 0.5


@pytest.mark.parametrize(("chosen", "count"), [("1d", 1), ("7d", 2), ("30d", 3), ("90d", 4), ("all", 5)])
def test_a_range_shows_its_days(admin: Admin, chosen: str, count: int) -> None:
    for _ in range(10):  # the loop turns while a request is answered: by then old rows have had their first sweep
        admin.send("GET", "/api/settings")
    for days in (0.5, 5, 20, 80, 500):
        _put(admin, days)
    found = admin.send("GET", f"{PATH}?range={chosen}").json
    assert (found["range"], found["summary"]["totalRequests"]) == (chosen, count)
    assert len(found["activityMap"]) == 4


def test_an_unknown_range_is_refused(admin: Admin) -> None:
    assert list(fields_of(admin.send("GET", f"{PATH}?range=2w"))) == ["range"]


def test_a_streak_ends_at_the_first_day_without_a_call() -> None:
    today = date(2026, 3, 10)
    assert streak({"2026-03-10", "2026-03-09", "2026-03-07"}, today) == 2
    assert streak({"2026-03-09", "2026-03-08"}, today) == 2
    assert streak({"2026-03-08"}, today) == 0


def test_the_week_begins_on_sunday() -> None:
    rows = weekly_pattern([_total("2026-03-08", tokens=30), _total("2026-03-01", tokens=10), _total("2026-03-09")])
    assert [row["day"] for row in rows] == ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    assert rows[0] == {"day": "Sun", "avgTokens": 20, "totalTokens": 40, "requests": 2}
    assert rows[1]["totalTokens"] == 10
    assert weekly_pattern([_total("")])[0]["requests"] == 0


def test_models_are_ordered_by_tokens() -> None:
    days, names = daily_by_model([_total("2026-03-02", "a", tokens=1), _total("2026-03-01", "b", tokens=9)])
    assert days == [{"date": "2026-03-01", "b": 9}, {"date": "2026-03-02", "a": 1}]
    assert names == ["b", "a"]


def test_a_summary_knows_the_first_and_the_last_call() -> None:
    found = summary([_total("2026-03-02"), _total("2026-03-01")])
    assert found["firstRequest"] == "2026-03-01T00:00:00.000Z"
    assert found["lastRequest"] == "2026-03-02T01:00:00.000Z"
