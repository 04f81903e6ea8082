"""Contract section 8: health."""

from __future__ import annotations

import os
import sqlite3

import pytest
from fakes_manage import Admin

from omniroute import __version__
from omniroute.manage import monitoring

PATH = "/api/monitoring/health"


def test_a_stranger_learns_only_that_the_gateway_lives(guarded: Admin) -> None:
    answer = guarded.send("GET", PATH)
    assert answer.status == 200
    assert set(answer.json) == {"status", "timestamp", "version"}
    assert (answer.json["status"], answer.json["version"]) == ("healthy", __version__)


def test_the_full_report(guarded: Admin) -> None:
    guarded.login()
    guarded.connection("openai")
    report = guarded.send("GET", PATH).json
    system = report["system"]
    assert (system["version"], system["nodeVersion"], system["pid"]) == (__version__, None, os.getpid())
    assert system["uptime"] == 60
    assert system["memoryUsage"]["rss"] > 0
    assert report["providerHealth"] == {"openai": {"state": "CLOSED", "failures": 0, "lastFailure": None}}
    assert report["rateLimitStatus"] == {}
    assert report["lockouts"] == []
    assert report["setupComplete"] is True


def test_failures_and_locks_are_reported(admin: Admin) -> None:
    made = admin.connection("openai")
    admin.fail(made["id"])
    admin.fail(made["id"], status=404, model="o9")
    report = admin.send("GET", PATH).json
    expected = {"state": "CLOSED", "failures": 1, "lastFailure": int(admin.clock.time() * 1000)}
    assert report["providerHealth"]["openai"] == expected
    assert [lock["remainingMs"] > 0 for lock in report["lockouts"]] == [True] * len(report["lockouts"])
    assert report["setupComplete"] is False


def test_reset_lifts_every_cooldown(admin: Admin) -> None:
    made = admin.connection("openai")
    admin.fail(made["id"])
    answer = admin.send("DELETE", PATH)
    message = "Reset 1 circuit breaker(s) to healthy state"
    assert answer.json == {"success": True, "message": message, "resetCount": 1}
    assert admin.live.health.blocked_until(made["id"], "m") is None
    assert admin.audit()[-1] == "resilience.reset"


def test_reset_is_for_managers(guarded: Admin) -> None:
    assert guarded.send("DELETE", PATH).status == 401


def test_a_report_that_fails_says_error(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(call: object) -> object:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(monitoring, "_report", broken)
    answer = admin.send("GET", PATH)
    assert (answer.status, answer.json) == (500, {"status": "error", "error": "Health report failed"})
