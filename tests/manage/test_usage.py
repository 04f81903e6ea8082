"""Sums of usage."""

from __future__ import annotations

import pytest
from calls import put
from fakes_manage import Admin, fields_of

from omniroute.clock import iso


def test_history_is_empty_but_complete_at_first(admin: Admin) -> None:
    nothing = {"requests": 0, "promptTokens": 0, "completionTokens": 0, "cost": 0}
    assert admin.send("GET", "/api/usage/history").json == {
        "totalRequests": 0, "totalPromptTokens": 0, "totalCompletionTokens": 0, "totalCost": 0, "unpricedRequests": 0,
        "byProvider": {}, "byModel": {},
        "byAccount": {}, "byApiKey": {}, "last10Minutes": [nothing] * 10, "pending": {"byModel": {}, "byAccount": {}},
        "activeRequests": [],
    }  # fmt: skip


def test_history_groups_by_provider_model_account_and_key(admin: Admin) -> None:
    made = admin.connection("openai", "work")
    put(admin, made["id"], key_id="k1", key_name="demo")
    put(admin, made["id"], model="o1", cost=None)
    history = admin.send("GET", "/api/usage/history").json
    assert history["totalRequests"] == 2
    assert history["totalPromptTokens"] == 200
    assert history["totalCompletionTokens"] == 40
    assert history["totalCost"] == 0.5
    assert history["byProvider"]["openai"] == {"requests": 2, "promptTokens": 200, "completionTokens": 40, "cost": 0.5}
    model = history["byModel"]["gpt-4o (openai)"]
    assert (model["requests"], model["rawModel"], model["provider"]) == (1, "gpt-4o", "openai")
    assert model["lastUsed"].endswith("Z")
    account = history["byAccount"]["gpt-4o (openai - work)"]
    assert (account["connectionId"], account["accountName"]) == (made["id"], "work")
    key = history["byApiKey"]["demo (k1)"]
    assert (key["requests"], key["apiKeyId"], key["apiKeyName"]) == (1, "k1", "demo")
    assert sum(minute["requests"] for minute in history["last10Minutes"]) == 2


def test_a_renamed_key_is_one_key_under_its_present_name_and_a_deleted_one_keeps_its_last(admin: Admin) -> None:
    id_ = admin.send("POST", "/api/keys", {"name": "new"}).json["id"]
    for key, name, ago in ((id_, "old", 60), (id_, "new", 0), ("gone", "z", 60), ("gone", "a", 0)):
        put(admin, "", key_id=key, key_name=name, ago=ago)
    history = admin.send("GET", "/api/usage/history").json["byApiKey"]
    assert {label: row["requests"] for label, row in history.items()} == {f"new ({id_})": 2, "a (gone)": 2}
    analytics = admin.send("GET", "/api/usage/analytics").json["byApiKey"]
    assert {row["apiKey"]: (row["apiKeyName"], row["requests"]) for row in analytics} == {
        f"new ({id_})": ("new", 2), "a (gone)": ("a", 2),
    }  # fmt: skip


def test_a_call_that_no_provider_was_chosen_for_counts_and_is_no_ones(admin: Admin) -> None:
    nothing = {"tokens_in": None, "tokens_out": None, "cost": None, "account": ""}
    put(admin, "", model="", provider="", status=400, **nothing)
    put(admin, "", model="nobody/x", provider="", status=400, key_id="k1", key_name="demo", **nothing)
    put(admin, "", model="combo", provider="", cost=0.0, account="", tokens_in=0, tokens_out=0)  # answered from the cache
    history = admin.send("GET", "/api/usage/history").json
    assert history["totalRequests"] == 3
    assert (history["byModel"], history["byProvider"], history["byAccount"]) == ({}, {}, {})
    assert [*history["byApiKey"]] == ["demo (k1)"]
    found = admin.send("GET", "/api/usage/analytics").json
    assert (found["summary"]["totalRequests"], found["summary"]["uniqueModels"], found["modelNames"]) == (3, 0, [])
    assert (found["byModel"], found["byProvider"], found["dailyTrend"][0]["requests"]) == ([], [], 3)


def test_calls_without_a_known_price_are_counted(admin: Admin) -> None:
    put(admin, "", model="own", cost=None, ago=3 * 86_400)
    put(admin, "", model="own", cost=None)
    put(admin, "", model="picture", cost=None, tokens_in=None, tokens_out=None)
    put(admin, "", model="own", cost=None, tokens_in=None, tokens_out=None, status=503)  # used nothing
    put(admin, "")
    history = admin.send("GET", "/api/usage/history").json
    assert (history["totalRequests"], history["totalCost"], history["unpricedRequests"]) == (5, 0.5, 3)
    by_model = {group["rawModel"]: group["unpricedRequests"] for group in history["byModel"].values()}
    assert by_model == {"own": 2, "picture": 1, "gpt-4o": 0}
    assert admin.send("GET", "/api/usage/history?range=1d").json["unpricedRequests"] == 2
    assert admin.send("GET", "/api/usage/analytics?range=1d").json["summary"]["unpricedRequests"] == 2
    assert admin.send("GET", "/api/usage/analytics?range=all").json["summary"]["unpricedRequests"] == 3


def test_a_connection_shows_its_last_call(admin: Admin) -> None:
    made, idle = admin.connection("openai", "work"), admin.connection("openai", "idle")
    put(admin, made["id"], ago=9.0)
    put(admin, made["id"], ago=5.0, model="o1", status=429)
    used = iso(admin.clock.time() - 5)
    shown = admin.send("GET", "/api/providers").json["connections"]
    assert [(one["id"], one.get("lastUsedAt")) for one in shown] == [(made["id"], used), (idle["id"], None)]
    assert admin.send("GET", f"/api/providers/{made['id']}").json["connection"]["lastUsedAt"] == used
    assert admin.send("PATCH", f"/api/providers/{made['id']}", {"priority": 2}).json["connection"]["lastUsedAt"] == used
    admin.live.uses.note("openai", made["id"])
    shown = admin.send("GET", f"/api/providers/{made['id']}").json["connection"]
    assert shown["lastUsedAt"] == iso(admin.clock.time())


def test_accounts_with_one_name_are_counted_apart(admin: Admin) -> None:
    first, second = admin.connection("openai", "work"), admin.connection("openai", "home")
    admin.send("PATCH", f"/api/providers/{second['id']}", {"name": "work"})
    put(admin, first["id"])
    put(admin, first["id"])
    put(admin, second["id"])
    accounts = admin.send("GET", "/api/usage/history").json["byAccount"]
    assert [*accounts] == ["gpt-4o (openai - work)", f"gpt-4o (openai - work {second['id'][:8]})"]
    assert {row["connectionId"]: row["requests"] for row in accounts.values()} == {first["id"]: 2, second["id"]: 1}
    assert {row["accountName"] for row in accounts.values()} == {"work"}


@pytest.mark.parametrize(("text", "count"), [("1d", 1), ("7d", 2), ("30d", 3), ("all", 4), ("", 4)])
def test_history_of_a_range(admin: Admin, text: str, count: int) -> None:
    for days in (0.5, 3, 20, 80):
        put(admin, "c", ago=days * 86400)
    query = f"?range={text}" if text else ""
    assert admin.send("GET", f"/api/usage/history{query}").json["totalRequests"] == count


def test_ytd_begins_with_the_year_and_an_unknown_range_is_refused(admin: Admin) -> None:
    put(admin, "c", ago=100 * 86400)  # the clock says June
    put(admin, "c", ago=300 * 86400)
    assert admin.send("GET", "/api/usage/history?range=ytd").json["totalRequests"] == 1
    assert list(fields_of(admin.send("GET", "/api/usage/history?range=2w"))) == ["range"]


def test_calls_in_flight_are_pending(admin: Admin) -> None:
    made = admin.connection("openai", "work")
    admin.live.begin(("openai", "gpt-4o", made["id"]))
    history = admin.send("GET", "/api/usage/history").json
    assert history["pending"] == {"byModel": {"gpt-4o (openai)": 1}, "byAccount": {made["id"]: {"gpt-4o (openai)": 1}}}
    assert history["activeRequests"] == [{"model": "gpt-4o", "provider": "openai", "account": "work", "count": 1}]
    assert admin.send("GET", "/api/usage/logs").json[0].endswith("| gpt-4o | OPENAI | work | 0 | 0 | PENDING")


def test_a_connection_by_key_shows_what_we_counted(admin: Admin) -> None:
    made = admin.connection("openai", "work")
    put(admin, made["id"])
    answer = admin.send("GET", f"/api/usage/{made['id']}")
    assert answer.status == 200
    assert answer.json["message"] == "Usage not available for API key connections"
    assert answer.json["local"]["requests"] == 1
    assert answer.json["local"]["promptTokens"] == 100


def test_usage_of_an_unknown_connection_is_404(admin: Admin) -> None:
    answer = admin.send("GET", "/api/usage/nope")
    assert (answer.status, answer.json) == (404, {"error": "Connection not found"})
