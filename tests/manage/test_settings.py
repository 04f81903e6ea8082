"""The main settings, and the password among them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fakes_manage import PASSWORD, Admin, fields_of

PATH = "/api/settings"


def test_defaults_are_there_before_anything_is_stored(admin: Admin) -> None:
    settings = admin.send("GET", PATH).json
    expected = {
        "cloudEnabled": False, "stickyRoundRobinLimit": 3, "requireLogin": True, "enableRequestLogs": False,
        "hasPassword": False, "setupComplete": False, "fallbackStrategy": "fill-first",
    }  # fmt: skip
    assert {name: settings[name] for name in expected} == expected


GOOD: dict[str, Any] = {
    "theme": "dark",
    "language": "en",
    "instanceName": "demo",
    "corsOrigins": "https://a.example",
    "cloudUrl": "https://c.example",
    "baseUrl": "https://b.example",
    "requireLogin": True,
    "enableRequestLogs": True,
    "enableSocks5Proxy": True,
    "setupComplete": True,
    "requireAuthForModels": True,
    "hideHealthCheckLogs": True,
    "logRetentionDays": 30,
    "blockedProviders": ["openai"],
    "fallbackStrategy": "round-robin",
    "stickyRoundRobinLimit": 0,
    "wildcardAliases": [{"pattern": "gpt-*", "target": "openai/gpt-4o"}],
}


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_every_key_can_be_written_and_the_whole_is_answered(admin: Admin, method: str) -> None:
    answer = admin.send(method, PATH, GOOD)
    assert answer.status == 200
    assert {name: answer.json[name] for name in GOOD} == GOOD
    assert admin.send("GET", PATH).json == answer.json
    assert admin.audit() == ["settings.update"]
    assert admin.store.snapshot.settings.blocked_providers == {"openai"}


def test_what_is_not_sent_stays_and_unknown_keys_are_ignored(admin: Admin) -> None:
    admin.send("PUT", PATH, {"theme": "dark"})
    after = admin.send("PUT", PATH, {"language": "de", "zzz": 1, "cloudEnabled": True}).json
    assert (after["theme"], after["language"], after["cloudEnabled"]) == ("dark", "de", False)
    assert "zzz" not in after


def test_an_empty_change_changes_nothing(admin: Admin) -> None:
    assert admin.send("PUT", PATH, {}).json == admin.send("GET", PATH).json
    assert admin.audit() == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"theme": "x" * 51}, "theme"),
        ({"language": "x" * 11}, "language"),
        ({"instanceName": 5}, "instanceName"),
        ({"corsOrigins": "x" * 501}, "corsOrigins"),
        ({"requireLogin": "no"}, "requireLogin"),
        ({"logRetentionDays": 0}, "logRetentionDays"),
        ({"logRetentionDays": 366}, "logRetentionDays"),
        ({"stickyRoundRobinLimit": -1}, "stickyRoundRobinLimit"),
        ({"stickyRoundRobinLimit": 1001}, "stickyRoundRobinLimit"),
        ({"blockedProviders": "openai"}, "blockedProviders"),
        ({"blockedProviders": [1]}, "blockedProviders.0"),
        ({"fallbackStrategy": "zz"}, "fallbackStrategy"),
        ({"wildcardAliases": [{"pattern": "x"}]}, "wildcardAliases.0.target"),
        ({"newPassword": ""}, "newPassword"),
        ({"newPassword": "x" * 201}, "newPassword"),
    ],
)
def test_values_out_of_range_are_named(admin: Admin, body: dict[str, object], field: str) -> None:
    assert list(fields_of(admin.send("PUT", PATH, body))) == [field]


def test_a_wrong_choice_lists_the_right_ones(admin: Admin) -> None:
    assert fields_of(admin.send("PUT", PATH, {"fallbackStrategy": "zz"})) == {
        "fallbackStrategy": "Invalid option: expected one of "
        '"fill-first"|"round-robin"|"p2c"|"random"|"least-used"|"cost-optimized"'
    }


def test_one_wrong_field_stops_all_of_them(admin: Admin) -> None:
    admin.send("PUT", PATH, {"theme": "dark", "logRetentionDays": 0})
    assert "theme" not in admin.send("GET", PATH).json


def test_the_first_password_needs_no_current_one(admin: Admin) -> None:
    answer = admin.send("PUT", PATH, {"newPassword": "abcd1234"})
    assert answer.status == 200
    assert answer.json["hasPassword"] is True
    assert answer.json["setupComplete"] is True
    assert admin.send("GET", PATH).status == 401
    admin.login("abcd1234")


def test_a_new_password_needs_the_current_one(guarded: Admin) -> None:
    guarded.login()
    answer = guarded.send("PUT", PATH, {"newPassword": "abcd1234"})
    assert (answer.status, answer.json) == (400, {"error": "Current password required"})
    answer = guarded.send("PUT", PATH, {"newPassword": "abcd1234", "currentPassword": "wrong", "theme": "dark"})
    assert (answer.status, answer.json) == (401, {"error": "Invalid current password"})
    assert "theme" not in guarded.send("GET", PATH).json
    old = guarded.cookie
    assert guarded.send("PUT", PATH, {"newPassword": "abcd1234", "currentPassword": PASSWORD}).status == 200
    assert guarded.send("GET", PATH).status == 200
    guarded.cookie = old
    assert guarded.send("GET", PATH).status == 401
    guarded.login("abcd1234")


def test_guessing_the_current_password_is_throttled(guarded: Admin) -> None:
    guarded.login()
    body = {"newPassword": "abcd1234", "currentPassword": "wrong"}
    assert [guarded.send("PUT", PATH, body).status for _ in range(6)] == [401] * 5 + [429]


def test_passwords_and_sessions_are_never_shown(guarded: Admin) -> None:
    guarded.login()
    guarded.send("PUT", PATH, {"newPassword": "abcd1234", "currentPassword": PASSWORD})
    guarded.send("POST", "/api/auth/logout")
    guarded.login("abcd1234")
    guarded.run(guarded.store.config.set_many({"oauthClients": {"x": {"clientSecret": "s"}}}))
    shown = guarded.send("GET", PATH).json
    assert not {"password", "newPassword", "currentPassword", "sessionEpoch", "revokedSessions", "oauthClients"} & set(shown)
    assert b"abcd1234" not in guarded.send("GET", PATH).text


def test_request_logs_show_what_the_environment_says_until_something_is_stored(make_admin: Callable[..., Admin]) -> None:
    admin = make_admin(log_bodies=True)
    assert admin.send("GET", "/api/settings").json["enableRequestLogs"] is True
    assert admin.send("PATCH", "/api/settings", {"enableRequestLogs": False}).json["enableRequestLogs"] is False
