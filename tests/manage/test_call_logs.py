"""The call log and its bodies."""

from __future__ import annotations

from typing import Any

import pytest
from fakes_manage import Admin, fields_of
from fakes_store import a_call

PATH = "/api/usage/call-logs"


def _list(admin: Admin, query: str = "") -> list[dict[str, Any]]:
    answer = admin.send("GET", PATH + query)
    assert answer.status == 200, answer.text
    found: list[dict[str, Any]] = answer.json
    return found


def test_a_call_in_the_contracts_form(admin: Admin) -> None:
    admin.store.usage.put(a_call())
    [row] = _list(admin)
    expected = {
        "method": "POST", "path": "/v1/chat/completions", "status": 200, "model": "gpt-4o", "provider": "openai",
        "account": "work", "duration": 812, "tokens": {"in": 812, "out": 240}, "sourceFormat": "anthropic",
        "targetFormat": "openai-chat", "error": None, "comboName": None, "apiKeyId": "key-1", "apiKeyName": "laptop",
        "hasRequestBody": False, "hasResponseBody": False,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert row["id"]
    assert row["timestamp"].endswith("Z")
    assert "requestBody" not in row


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 3), ("?status=ok", 2), ("?status=error", 1), ("?status=429", 1), ("?status=200", 2), ("?model=o1", 1),
        ("?provider=deepseek", 1), ("?account=home", 1), ("?apiKey=key-2", 1), ("?combo=1", 1), ("?combo=0", 3),
        ("?search=slow+down", 1), ("?search=%25", 0), ("?model=gpt_4o", 0), ("?limit=2", 2), ("?limit=0", 1), ("?model=", 3),
        ("?status=all", 3), ("?status=", 3), ("?status=201", 0), ("?provider=openai&status=error", 1),
    ],
)  # fmt: skip
def test_the_list_can_be_filtered(admin: Admin, query: str, count: int) -> None:
    admin.store.usage.put(a_call("a"))
    admin.store.usage.put(a_call("b", status=429, model="o1", error="slow down", combo="mix"))
    admin.store.usage.put(a_call("c", provider="deepseek", account="home", key_id="key-2"))
    assert len(_list(admin, query)) == count


@pytest.mark.parametrize("status", ["zz", "99999999999999999999", "2xx", "OK", "-1"])
def test_a_status_that_is_none_is_refused(admin: Admin, status: str) -> None:
    answer = admin.send("GET", f"/api/usage/call-logs?status={status}")
    assert (answer.status, [*fields_of(answer)]) == (400, ["status"])


def test_a_provider_may_be_named_by_its_prefix(admin: Admin) -> None:
    node = admin.node("mine")
    admin.store.usage.put(a_call("a", provider=node))
    admin.store.usage.put(a_call("b", provider="deepseek"))
    for query, id in (("mine", "a"), (node, "a"), ("ds", "b"), ("deepseek", "b")):
        assert [row["requestId"] for row in _list(admin, f"?provider={query}")] == [id]


def test_bodies_are_shown_where_they_were_kept_without_secrets(admin: Admin) -> None:
    request = b'{"model":"x","api_key":"sk-secret-1234567890"}'
    admin.store.usage.put(a_call("a", request_body=request, response_body=b"data: {}\n\n"))
    [row] = _list(admin)
    assert (row["hasRequestBody"], row["hasResponseBody"]) == (True, True)
    shown = admin.send("GET", f"{PATH}/{row['id']}").json
    assert shown["requestBody"] == {"model": "x", "api_key": "[redacted]"}
    assert shown["responseBody"] == "data: {}\n\n"
    assert shown["connectionId"] == "conn-1"
    assert admin.send("GET", f"{PATH}/a").json == shown


def test_a_long_body_is_a_preview(admin: Admin) -> None:
    admin.store.usage.put(a_call("a", request_body=b"x" * 9000, response_body=b"y" * 100, response_size=70_000))
    shown = admin.send("GET", f"{PATH}/a").json
    assert shown["requestBody"]["_originalSize"] == 9000
    assert shown["responseBody"] == {"_truncated": True, "_originalSize": 70_000, "_preview": "y" * 100}


def test_no_bodies_no_row(admin: Admin) -> None:
    admin.store.usage.put(a_call("a"))
    shown = admin.send("GET", f"{PATH}/a").json
    assert (shown["requestBody"], shown["responseBody"]) == (None, None)
    answer = admin.send("GET", f"{PATH}/other")
    assert (answer.status, answer.json) == (404, {"error": "Log not found"})
