"""Routing policies, and unlocking an address."""

from __future__ import annotations

from typing import Any

import pytest
from fakes_manage import PASSWORD, Admin, fields_of

PATH = "/api/policies"
BODY = {
    "id": "cheap", "name": "Cheap", "type": "budget", "priority": 5, "conditions": {"model_pattern": "gpt-*"},
    "actions": {"prefer_provider": ["openai"], "block_model": [], "max_tokens": 100, "daily_budget": 2.5},
}  # fmt: skip
SHOWN = {
    "id": "cheap", "name": "Cheap", "type": "budget", "enabled": True, "priority": 5,
    "conditions": {"model_pattern": "gpt-*"},
    "actions": {"prefer_provider": ["openai"], "max_tokens": 100, "daily_budget": 2.5},
}  # fmt: skip


def test_a_policy_is_made_replaced_and_removed(admin: Admin) -> None:
    made = admin.send("POST", PATH, BODY)
    assert (made.status, made.json) == (201, {"policy": SHOWN})
    assert admin.send("GET", PATH).json["policies"] == [SHOWN]
    assert [policy.name for policy in admin.store.snapshot.policies] == ["Cheap"]
    again = admin.send("POST", PATH, {**BODY, "enabled": False})
    assert (again.status, again.json["policy"]["enabled"]) == (200, False)
    assert admin.store.snapshot.policies == ()
    assert admin.send("DELETE", f"{PATH}?id=cheap").json == {"success": True, "removed": True}
    assert admin.send("DELETE", PATH, {"id": "cheap"}).json == {"success": True, "removed": False}
    assert admin.send("GET", PATH).json["policies"] == []
    assert admin.audit() == ["policy.create", "policy.update", "policy.delete"]


def test_a_policy_without_an_id_gets_one(admin: Admin) -> None:
    body = {"name": "Free", "actions": {"block_provider": ["x"]}}
    shown = admin.send("POST", PATH, body).json["policy"]
    assert (shown["type"], shown["enabled"], shown["priority"], shown["conditions"]) == ("routing", True, 100, {})
    assert len(shown["id"]) == 36


@pytest.mark.parametrize(("body", "field"), [
    ({}, "name"), ({"name": " "}, "name"), ({"name": "x"}, "actions"),
    ({"name": "x", "actions": {"block_model": []}}, "actions"),
    ({"name": "x", "type": "other"}, "type"), ({"name": "x", "id": "a b"}, "id"),
    ({"name": "x", "priority": -1}, "priority"),
    ({"name": "x", "actions": {"max_tokens": 0}}, "actions.max_tokens"),
    ({"name": "x", "actions": {"daily_budget": 0}}, "actions.daily_budget"),
    ({"name": "x", "actions": {"block_model": "gpt"}}, "actions.block_model"),
    ({"name": "x", "conditions": {"provider": ""}}, "conditions.provider"),
    ({"name": "x", "conditions": {"apiKeyId": "k"}, "actions": {"block_model": ["*"]}}, "conditions"),
])  # fmt: skip
def test_what_does_not_fit_is_named(admin: Admin, body: dict[str, Any], field: str) -> None:
    assert [*fields_of(admin.send("POST", PATH, body))] == [field]


def test_what_is_wrong_with_an_id_is_said(admin: Admin) -> None:
    def complaint(id: str) -> str:
        return fields_of(admin.send("POST", PATH, {"name": "x", "id": id, "actions": {"max_tokens": 1}}))["id"]

    assert complaint("a b") == "Id can only contain letters, numbers, -, _ and ."
    assert complaint("x" * 101) == "Too big: expected string to have <=100 characters"


def test_breakers_are_shown_beside_the_policies(admin: Admin) -> None:
    admin.connection("openai")
    shown = admin.send("GET", PATH).json
    assert [breaker["name"] for breaker in shown["circuitBreakers"]] == ["openai"]
    assert shown["lockedIdentifiers"] == []


def test_a_locked_login_is_shown_and_unlocked(admin: Admin) -> None:
    admin.send("POST", "/api/settings/require-login", {"requireLogin": True, "password": PASSWORD})
    admin.login()
    for _ in range(6):
        admin.send("POST", "/api/auth/login", {"password": "wrong"}, peer="10.0.0.7", anonymous=True)
    (locked,) = admin.send("GET", PATH).json["lockedIdentifiers"]
    assert (locked["identifier"], locked["remainingMs"]) == ("10.0.0.7", 15 * 60 * 1000)
    assert locked["lockedUntil"] == round((admin.clock.time() + 900) * 1000)
    answer = admin.send("POST", PATH, {"action": "unlock", "identifier": "10.0.0.7"})
    assert answer.json == {"success": True, "action": "unlocked", "identifier": "10.0.0.7"}
    assert admin.send("GET", PATH).json["lockedIdentifiers"] == []
    assert admin.audit()[-1] == "login.unlock"
    admin.send("POST", PATH, {"action": "unlock", "identifier": "nobody"})
    assert admin.audit().count("login.unlock") == 1


@pytest.mark.parametrize(("body", "text"), [
    ({"action": "lock", "identifier": "x"}, "Unknown action. Supported: unlock"),
    ({"action": "unlock"}, "identifier is required"),
])  # fmt: skip
def test_other_actions_are_refused(admin: Admin, body: dict[str, Any], text: str) -> None:
    answer = admin.send("POST", PATH, body)
    assert (answer.status, answer.json) == (400, {"error": text})


def test_delete_without_an_id_is_400(admin: Admin) -> None:
    assert admin.send("DELETE", PATH).status == 400
