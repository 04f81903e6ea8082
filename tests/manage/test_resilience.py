"""Resilience profiles, limits and breakers."""

from __future__ import annotations

from typing import Any

import pytest
from fakes_manage import Admin

from omniroute.gateway.retry import PROFILES

PATH = "/api/resilience"
APIKEY = {
    "transientCooldown": 3000, "rateLimitCooldown": 0, "maxBackoffLevel": 5, "circuitBreakerThreshold": 5,
    "circuitBreakerReset": 30000,
}  # fmt: skip
OAUTH = {
    "transientCooldown": 5000, "rateLimitCooldown": 60000, "maxBackoffLevel": 8, "circuitBreakerThreshold": 3,
    "circuitBreakerReset": 60000,
}  # fmt: skip
LIMITS = {"requestsPerMinute": 100, "minTimeBetweenRequests": 200, "concurrentRequests": 10}
BOTH = pytest.mark.parametrize("method", ["PUT", "PATCH"])


def test_the_defaults(admin: Admin) -> None:
    admin.connection("openai")
    found = admin.send("GET", PATH).json
    assert (found["profiles"]["apikey"], found["profiles"]["oauth"]) == (APIKEY, OAUTH)
    assert (found["profiles"]["local"]["circuitBreakerThreshold"], found["defaults"]) == (2, LIMITS)
    assert found["circuitBreakers"] == [
        {"name": "openai", "state": "CLOSED", "failureCount": 0, "lastFailureTime": None, "retryAfterMs": 0}
    ]
    assert found["rateLimitStatus"] == {}


@BOTH
def test_a_profile_is_replaced_and_in_the_next_snapshot(admin: Admin, method: str) -> None:
    changed = APIKEY | {"transientCooldown": 9000, "circuitBreakerThreshold": 2}
    assert admin.send(method, PATH, {"profiles": {"apikey": changed}}).json["ok"] is True
    assert admin.send("GET", PATH).json["profiles"]["apikey"] == changed
    assert admin.send("GET", PATH).json["profiles"]["oauth"] == OAUTH
    inside = admin.store.snapshot.settings.profiles["apikey"]
    assert (inside["transient_cooldown"], inside["breaker_threshold"]) == (9.0, 2)
    assert admin.audit()[-1] == "resilience.update"


def test_an_open_breaker_opens_by_the_profile_now_in_force(admin: Admin) -> None:
    admin.connection("openai")
    for _ in range(5):
        admin.live.breakers.fail("openai", PROFILES["apikey"])
    admin.advance(1)
    assert admin.send("GET", PATH).json["circuitBreakers"][0]["retryAfterMs"] == 29_000
    admin.send("PUT", PATH, {"profiles": {"apikey": APIKEY | {"circuitBreakerReset": 3000}}})
    [breaker] = admin.send("GET", PATH).json["circuitBreakers"]
    assert (breaker["state"], breaker["retryAfterMs"]) == ("OPEN", 2000)


@BOTH
def test_limits_of_protected_connections_are_changed_one_by_one(admin: Admin, method: str) -> None:
    answer = admin.send(method, PATH, {"defaults": {"requestsPerMinute": 7}})
    assert answer.json == {"ok": True, "defaults": LIMITS | {"requestsPerMinute": 7}}
    assert admin.send(method, PATH, {"defaults": {"minTimeBetweenRequests": 500}}).status == 200
    assert admin.send("GET", PATH).json["defaults"] == LIMITS | {"requestsPerMinute": 7, "minTimeBetweenRequests": 500}
    assert admin.store.snapshot.settings.rate_defaults == (7, 0.5, 10)


@BOTH
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "Must provide profiles or defaults"),
        ({"profiles": {}}, "Must provide profiles or defaults"),
        ({"profiles": {"x": APIKEY}}, "Invalid profile key: x"),
        ({"profiles": {"apikey": APIKEY | {"maxBackoffLevel": -1}}},
         "Invalid apikey.maxBackoffLevel: must be a non-negative number"),
        ({"profiles": {"apikey": {"transientCooldown": 1}}},
         "Invalid apikey.rateLimitCooldown: must be a non-negative number"),
        ({"profiles": {"oauth": OAUTH | {"circuitBreakerReset": True}}},
         "Invalid oauth.circuitBreakerReset: must be a non-negative number"),
        ({"defaults": {"requestsPerMinute": 0}}, "Invalid defaults.requestsPerMinute: must be a positive number"),
        ({"defaults": {"concurrentRequests": "3"}}, "Invalid defaults.concurrentRequests: must be a positive number"),
        ({"defaults": {"other": 3}}, "Invalid defaults.other: must be a positive number"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_and_changes_nothing(
    admin: Admin, method: str, body: dict[str, Any], message: str
) -> None:
    answer = admin.send(method, PATH, body)
    assert (answer.status, answer.json) == (400, {"error": message})
    assert admin.send("GET", PATH).json["defaults"] == LIMITS


def test_an_open_breaker_is_listed_and_reset_closes_it_with_the_cooldowns(admin: Admin) -> None:
    made = admin.connection("openai")
    other = admin.connection("deepseek")
    for _ in range(5):
        admin.live.breakers.fail("openai", PROFILES["apikey"])
    admin.fail(other["id"], "deepseek")
    admin.fail(made["id"], status=404, model="gpt-4o")
    shown = {row["name"]: row["state"] for row in admin.send("GET", PATH).json["circuitBreakers"]}
    assert shown == {"openai": "OPEN", "deepseek": "CLOSED"}
    answer = admin.send("POST", PATH + "/reset")
    assert answer.json == {"ok": True, "resetCount": 2, "message": "Reset 2 circuit breaker(s)"}
    assert (admin.live.breakers.calm, admin.live.health.calm) == (True, True)
    assert admin.audit()[-1] == "resilience.reset"
    assert admin.send("POST", PATH + "/reset").json["resetCount"] == 0


def test_only_managers_may(guarded: Admin) -> None:
    for method, path in [("GET", PATH), ("PUT", PATH), ("PATCH", PATH), ("POST", PATH + "/reset")]:
        assert guarded.send(method, path).status == 401
