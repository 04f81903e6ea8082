"""The gateway's health, and clearing failure state."""

from __future__ import annotations

import os
import sqlite3

import msgspec
import pytest
from fakes_manage import Admin

from omniroute import __version__
from omniroute.gateway.retry import PROFILES
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
    well = {"state": "CLOSED", "failures": 0, "lastFailure": None, "retryAfterMs": 0}
    assert report["providerHealth"] == {"openai": well}
    assert report["circuitBreakers"] == {"open": 0, "halfOpen": 0, "closed": 1, "total": 1}
    assert report["rateLimitStatus"] == {}
    assert report["lockouts"] == []
    assert report["setupComplete"] is True


def test_failures_and_locks_are_reported(admin: Admin) -> None:
    made = admin.connection("openai")
    admin.fail(made["id"])
    admin.fail(made["id"], status=404, model="o9")
    report = admin.send("GET", PATH).json
    expected = {"state": "CLOSED", "failures": 1, "lastFailure": int(admin.clock.time() * 1000), "retryAfterMs": 0}
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


def test_after_the_reset_no_connection_is_listed_as_cooling(admin: Admin) -> None:
    mark = admin.store.connections.mark
    admin.live.health.on_change = lambda id_, state: mark(id_, msgspec.structs.asdict(state))
    admin.fail(admin.connection("openai")["id"])
    admin.run(admin.store.connections.flush())
    (cooling,) = admin.send("GET", "/api/providers").json["connections"]
    assert cooling["rateLimitedUntil"]
    admin.send("DELETE", PATH)
    (shown,) = admin.send("GET", "/api/providers").json["connections"]
    assert "rateLimitedUntil" not in shown
    assert "lastError" not in shown


def test_reset_is_for_managers(guarded: Admin) -> None:
    assert guarded.send("DELETE", PATH).status == 401


def test_a_report_that_fails_says_error(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(call: object) -> object:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(monitoring, "_report", broken)
    answer = admin.send("GET", PATH)
    assert (answer.status, answer.json) == (500, {"status": "error", "error": "Health report failed"})


def test_an_open_breaker_is_shown_and_the_reset_closes_it(admin: Admin) -> None:
    admin.connection("openai")
    for _ in range(5):
        admin.live.breakers.fail("openai", PROFILES["apikey"])
    report = admin.send("GET", PATH).json
    assert report["providerHealth"]["openai"] == {
        "state": "OPEN", "failures": 5, "lastFailure": int(admin.clock.time() * 1000), "retryAfterMs": 30_000,
    }  # fmt: skip
    assert report["circuitBreakers"] == {"open": 1, "halfOpen": 0, "closed": 0, "total": 1}
    assert admin.send("DELETE", PATH).json["resetCount"] == 1
    assert admin.send("GET", PATH).json["providerHealth"]["openai"]["state"] == "CLOSED"


def test_what_the_answers_said_of_limits_is_reported(admin: Admin) -> None:
    made = admin.connection("openai")
    said = {b"limit": b"100", b"remaining": b"0", b"reset": b"20s"}
    admin.live.limiter.learn(made["id"], [(b"x-ratelimit-%b-requests" % part, value) for part, value in said.items()])
    admin.advance(5)
    status = admin.send("GET", PATH).json["rateLimitStatus"]
    limit = {"kind": "requests", "limit": 100, "remaining": 0, "resetMs": 15_000}
    assert status == {f"openai:{made['id']}": {"waitMs": 15_000, "limits": [limit]}}
