"""The thinking budget and the system prompt."""

from __future__ import annotations

from typing import Any

import pytest
from fakes_manage import Admin

from omniroute.gateway.snapshot import GatewaySettings

THINKING = "/api/settings/thinking-budget"
PROMPT = "/api/settings/system-prompt"


def settings(admin: Admin) -> GatewaySettings:
    return admin.store.snapshot.settings


def test_thinking_is_left_alone_until_told_otherwise(admin: Admin) -> None:
    assert admin.send("GET", THINKING).json == {"mode": "passthrough", "customBudget": 10240, "effortLevel": "medium"}
    reply = admin.send("PUT", THINKING, {"mode": "custom", "customBudget": 2048})
    assert reply.json == {"mode": "custom", "customBudget": 2048, "effortLevel": "medium"}
    assert (settings(admin).thinking.mode, settings(admin).thinking.budget) == ("custom", 2048)
    assert admin.send("GET", THINKING).json == reply.json


def test_fields_that_are_not_sent_return_to_their_defaults(admin: Admin) -> None:
    admin.send("PUT", THINKING, {"mode": "custom", "customBudget": 1, "effortLevel": "low"})
    reply = admin.send("PATCH", THINKING, {"mode": "adaptive"})
    assert reply.json == {"mode": "adaptive", "customBudget": 10240, "effortLevel": "medium"}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"mode": "wild"}, "Invalid mode. Must be one of: auto, passthrough, custom, adaptive"),
        ({"mode": 5}, "Invalid mode. Must be one of: auto, passthrough, custom, adaptive"),
        ({"customBudget": -1}, "customBudget must be between 0 and 131072"),
        ({"customBudget": 131073}, "customBudget must be between 0 and 131072"),
        ({"customBudget": "many"}, "customBudget must be between 0 and 131072"),
        ({"customBudget": True}, "customBudget must be between 0 and 131072"),
        ({"effortLevel": "extreme"}, "Invalid effortLevel. Must be one of: none, low, medium, high"),
        ({"effortLevel": []}, "Invalid effortLevel. Must be one of: none, low, medium, high"),
    ],
)
def test_what_the_thinking_budget_cannot_be(admin: Admin, body: dict[str, Any], error: str) -> None:
    reply = admin.send("PUT", THINKING, body)
    assert (reply.status, reply.json) == (400, {"error": error})
    assert settings(admin).thinking.mode == "passthrough"


def test_the_system_prompt_counts_while_it_is_switched_on(admin: Admin) -> None:
    assert admin.send("GET", PROMPT).json == {"enabled": False, "prompt": ""}
    assert admin.send("PUT", PROMPT, {"prompt": "Be kind"}).json == {"enabled": False, "prompt": "Be kind"}
    assert settings(admin).system_prompt == ""
    assert admin.send("PUT", PROMPT, {"enabled": True}).json == {"enabled": True, "prompt": "Be kind"}
    assert settings(admin).system_prompt == "Be kind"
    admin.send("PATCH", PROMPT, {"prompt": "  "})
    assert settings(admin).system_prompt == ""


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"prompt": 5}, "prompt must be a string"),
        ({"prompt": None}, "prompt must be a string"),
        ({"enabled": "yes"}, "enabled must be a boolean"),
        ({"prompt": "x" * 100_001}, "prompt must be at most 100000 characters"),
    ],
)
def test_what_the_system_prompt_cannot_be(admin: Admin, body: dict[str, Any], error: str) -> None:
    reply = admin.send("PUT", PROMPT, body)
    assert (reply.status, reply.json) == (400, {"error": error})


def test_changes_leave_an_audit_row_without_the_words(admin: Admin) -> None:
    admin.send("PUT", PROMPT, {"prompt": "the words", "enabled": True})
    admin.send("PUT", THINKING, {"mode": "auto"})
    rows = admin.send("GET", "/api/compliance/audit-log").json
    assert {"settings.system_prompt", "settings.thinking_budget"} <= {row["action"] for row in rows}
    assert "the words" not in str(rows)
