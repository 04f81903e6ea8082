"""The IP filter: its lists, its temporary bans, and that no change locks its caller out."""

from __future__ import annotations

from typing import Any

import pytest
from fakes_manage import Admin, fields_of

from omniroute.clock import iso

PATH = "/api/settings/ip-filter"
EMPTY = {"enabled": False, "mode": "blacklist", "blacklist": [], "whitelist": [], "tempBans": []}


def refusal(admin: Admin, peer: str) -> str:
    gate = admin.store.snapshot.ip_filter
    return gate.refusal(peer, admin.clock.time()) if gate is not None else ""


def test_every_field_is_stored_and_in_force(admin: Admin) -> None:
    assert admin.send("GET", PATH).json == EMPTY
    body: dict[str, Any] = {"enabled": True, "mode": "whitelist-priority", "whitelist": ["127.0.0.1", "::ffff:10.0.0.9"]}
    body["blacklist"] = ["10.0.*.*", "2001:DB8::/32", "10.0.*.*"]
    reply = admin.send("PUT", PATH, body)
    assert reply.json == {
        **EMPTY, "enabled": True, "mode": "whitelist-priority", "blacklist": ["10.0.*.*", "2001:db8::/32"],
        "whitelist": ["127.0.0.1", "10.0.0.9"],
    }  # fmt: skip
    assert admin.send("GET", PATH).json == reply.json
    peers = ("10.0.0.1", "10.0.0.9", "2001:db8::1")
    assert [refusal(admin, peer) for peer in peers] == ["IP blacklisted", "", "IP blacklisted"]
    assert "settings.ip_filter" in admin.audit()


def test_entries_come_and_go_one_by_one_or_several(admin: Admin) -> None:
    assert admin.send("PUT", PATH, {"addBlacklist": "10.0.0.1"}).json["blacklist"] == ["10.0.0.1"]
    assert admin.send("PUT", PATH, {"addBlacklist": ["10.0.0.2", "10.0.0.1"]}).json["blacklist"] == ["10.0.0.1", "10.0.0.2"]
    assert admin.send("PATCH", PATH, {"removeBlacklist": "::ffff:10.0.0.1"}).json["blacklist"] == ["10.0.0.2"]
    assert admin.send("PUT", PATH, {"addWhitelist": "10.0.0.0/8"}).json["whitelist"] == ["10.0.0.0/8"]
    assert admin.send("PUT", PATH, {"removeWhitelist": ["10.0.0.0/8", "zz"]}).json["whitelist"] == []
    assert refusal(admin, "10.0.0.2") == ""  # it is not switched on


def test_a_ban_lasts_its_time_and_survives_a_restart(admin: Admin) -> None:
    ban = {"ip": "::ffff:10.0.0.2", "durationMs": 60_000, "reason": "noise"}
    reply = admin.send("PUT", PATH, {"enabled": True, "tempBan": ban})
    until = iso(admin.clock.time() + 60)
    assert reply.json["tempBans"] == [{"ip": "10.0.0.2", "until": until, "reason": "noise", "remainingMs": 60_000}]
    admin.run(admin.store.publish())
    assert refusal(admin, "10.0.0.2") == "Temporarily banned: noise"
    admin.advance(61)
    assert refusal(admin, "10.0.0.2") == ""
    assert admin.send("GET", PATH).json["tempBans"] == []
    admin.send("PUT", PATH, {"tempBan": {"ip": "10.0.0.3"}})
    assert admin.send("GET", PATH).json["tempBans"][0]["reason"] == "Manual ban"
    assert admin.send("GET", PATH).json["tempBans"][0]["remainingMs"] == 3_600_000
    assert admin.send("PUT", PATH, {"removeBan": "10.0.0.3"}).json["tempBans"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"blacklist": ["127.0.0.0/8"]},
        {"mode": "whitelist", "whitelist": ["10.0.0.1"]},
        {"tempBan": {"ip": "127.0.0.1"}},
    ],
)
def test_a_change_that_would_lock_the_caller_out_is_refused(admin: Admin, body: dict[str, Any]) -> None:
    reply = admin.send("PUT", PATH, {"enabled": True, **body})
    assert reply.status == 400
    assert reply.json["error"].startswith("This change would lock you out (")
    assert reply.json["error"].endswith("your address is 127.0.0.1")
    assert admin.send("GET", PATH).json == EMPTY


@pytest.mark.parametrize(
    ("body", "field", "entry"),
    [
        ({"blacklist": ["10.0.0.1", "10.0.0.999"]}, "blacklist", "10.0.0.999"),
        ({"addWhitelist": "10.0.0.0/99"}, "addWhitelist", "10.0.0.0/99"),
        ({"tempBan": {"ip": "10.0.0.0/8"}}, "tempBan.ip", "10.0.0.0/8"),
        ({"removeBan": "me"}, "removeBan", "me"),
    ],
)
def test_what_is_no_entry_is_named(admin: Admin, body: dict[str, Any], field: str, entry: str) -> None:
    found = fields_of(admin.send("PUT", PATH, body))
    assert found == {field: f"Not an IP address, range or pattern: {entry}"}


@pytest.mark.parametrize(
    "body",
    [{"mode": "grey"}, {"enabled": "yes"}, {"blacklist": "10.0.0.1"}, {"tempBan": {"ip": "10.0.0.1", "durationMs": 0}}],
)
def test_fields_of_another_kind(admin: Admin, body: dict[str, Any]) -> None:
    fields_of(admin.send("PUT", PATH, body))


def test_a_damaged_setting_counts_as_absent(admin: Admin) -> None:
    admin.run(admin.store.config.set_many({"ipFilter": {"mode": 5, "blacklist": "x", "tempBans": [5]}}))
    assert admin.send("GET", PATH).json == EMPTY
