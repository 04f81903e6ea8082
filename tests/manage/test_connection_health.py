"""What becomes of a connection's health when a client changes the connection or the health itself."""

from __future__ import annotations

import pytest
from fakes_manage import Admin

from omniroute.gateway.retry import PROFILES


def test_a_new_key_takes_effect_at_once_and_forgives_the_old_ones_failures(admin: Admin) -> None:
    made = admin.connection()
    admin.fail(made["id"])
    assert admin.send("GET", f"/api/providers/{made['id']}").json["connection"]["testStatus"] == "unavailable"
    after = admin.send("PUT", f"/api/providers/{made['id']}", {"apiKey": "sk-new"}).json["connection"]
    assert after["testStatus"] == "unknown"
    assert "lastError" not in after
    assert "rateLimitedUntil" not in after
    assert [row.secret for row in admin.store.snapshot.connections["openai"]] == ["sk-new"]
    assert admin.live.health.blocked_until(made["id"], "m") is None


def test_health_that_is_said_with_a_new_key_counts(admin: Admin) -> None:
    made = admin.connection()
    admin.fail(made["id"])
    one = f"/api/providers/{made['id']}"
    after = admin.send("PUT", one, {"apiKey": "sk-new", "testStatus": "active", "lastTested": None}).json["connection"]
    assert (after["testStatus"], after.get("lastError"), after.get("rateLimitedUntil")) == ("active", None, None)
    assert admin.live.health.blocked_until(made["id"], "m") is None
    assert admin.connection(apiKey="sk-newer", testStatus="error")["testStatus"] == "error"
    assert admin.send("GET", one).json["connection"]["testStatus"] == "error"


@pytest.mark.parametrize(("method", "path"), [("PUT", "/api/providers/{id}"), ("POST", "/api/providers")])
def test_another_address_is_forgiven_what_the_one_before_did(admin: Admin, method: str, path: str) -> None:
    made = admin.connection(baseUrl="http://127.0.0.1:8/v1")
    live, path = admin.live, path.format(id=made["id"])
    admin.fail(made["id"])
    live.breakers.fail("openai", PROFILES["apikey"])
    live.health.close_model("openai", "m", admin.clock.time() + 60)
    same = {"provider": "openai", "name": made["name"], "apiKey": "sk-g****od-1", "baseUrl": "http://127.0.0.1:8/v1"}
    admin.send(method, path, same)
    assert live.health.blocked_until(made["id"], "m")
    after = admin.send(method, path, same | {"baseUrl": "http://127.0.0.1:9/v1"}).json["connection"]
    assert (after["id"], after["testStatus"], after.get("lastError")) == (made["id"], "unknown", None)
    assert (live.health.blocked_until(made["id"], "m"), live.health.closed_until("openai", "m")) == (None, None)
    assert live.breakers.calm


def test_health_written_by_hand_is_in_force(admin: Admin) -> None:
    made = admin.connection()
    admin.fail(made["id"])
    cleared = {"testStatus": "active", "lastError": None, "rateLimitedUntil": None, "errorCode": None, "lastErrorAt": None}
    after = admin.send("PUT", f"/api/providers/{made['id']}", cleared).json["connection"]
    assert after["testStatus"] == "active"
    assert "rateLimitedUntil" not in after
    assert admin.live.health.blocked_until(made["id"], "m") is None
    until = "2035-01-01T00:00:00.000Z"
    admin.send("PUT", f"/api/providers/{made['id']}", {"rateLimitedUntil": until, "errorCode": 429})
    assert admin.live.health.blocked_until(made["id"], "m") == 2051222400.0
    admin.send("PUT", f"/api/providers/{made['id']}", {"testStatus": "unknown", "rateLimitedUntil": None, "errorCode": None})
    assert admin.live.health.blocked_until(made["id"], "m") is None


def test_health_that_is_not_sent_stays_however_new_it_is(admin: Admin) -> None:
    made = admin.connection()
    admin.fail(made["id"])
    until = admin.live.health.blocked_until(made["id"], "m")
    after = admin.send("PUT", f"/api/providers/{made['id']}", {"errorCode": None}).json["connection"]
    assert (after.get("errorCode"), after["lastError"]) == (None, "Too many requests")
    assert admin.live.health.blocked_until(made["id"], "m") == until
