"""Load and protection of connections, under both paths."""

from __future__ import annotations

import asyncio

import pytest
from fakes_exchange import FakeExchange
from fakes_manage import Admin

from omniroute.gateway.limiter import FREE
from omniroute.proto.exchange import Request

PATH = "/api/rate-limits"


@pytest.fixture(params=[PATH, "/api/rate-limit"])
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_each_connection_says_how_busy_it_is(admin: Admin, path: str) -> None:
    made = admin.connection(name="work")
    admin.live.begin(("openai", "gpt-4o", made["id"]))
    admin.live.begin(("openai", "o1", made["id"]))
    found = admin.send("GET", path).json
    assert found["connections"] == [{
        "connectionId": made["id"], "provider": "openai", "name": "work", "rateLimitProtection": False, "enabled": False,
        "active": False, "queued": 0, "running": 2, "executing": 2, "learned": None,
    }]  # fmt: skip
    assert found["overview"] == {f"openai:{made['id']}": {"queued": 0, "running": 2, "executing": 2}}
    assert found["lockouts"] == []
    assert found["cacheStats"] == admin.send("GET", "/api/cache").json["semanticCache"]
    assert found["defaults"] == {"requestsPerMinute": 100, "minTimeBetweenRequests": 200, "concurrentRequests": 10}


def test_locked_models_are_listed(admin: Admin) -> None:
    made = admin.connection()
    admin.fail(made["id"], status=404, model="gpt-4o")
    [lock] = admin.send("GET", PATH).json["lockouts"]
    assert (lock["provider"], lock["connectionId"], lock["model"]) == ("openai", made["id"], "gpt-4o")
    assert lock["remainingMs"] == 60_000


def test_protection_is_stored_and_in_the_next_snapshot(admin: Admin, path: str) -> None:
    made = admin.connection()
    for enabled in (True, False):
        answer = admin.send("POST", path, {"connectionId": made["id"], "enabled": enabled})
        assert answer.json == {"success": True, "connectionId": made["id"], "enabled": enabled}
        assert admin.store.snapshot.connections["openai"][0].rate_limit_protection is enabled
        assert admin.send("GET", path).json["connections"][0]["enabled"] is enabled
    assert admin.audit()[-1] == "ratelimit.update"


def test_what_is_missing_is_said(admin: Admin) -> None:
    assert admin.send("POST", PATH, {"enabled": True}).json == {"error": "Missing connectionId"}
    assert admin.send("POST", PATH, {"connectionId": "x"}).json == {"error": "Missing enabled"}
    answer = admin.send("POST", PATH, {"connectionId": "nobody", "enabled": True})
    assert (answer.status, answer.json) == (404, {"error": "Connection not found"})


def test_stored_defaults_go_before_ours(admin: Admin) -> None:
    admin.run(admin.store.config.set_many({"rateLimitDefaults": {"requestsPerMinute": 7, "other": 1}}))
    assert admin.send("GET", PATH).json["defaults"]["requestsPerMinute"] == 7
    assert "other" not in admin.send("GET", PATH).json["defaults"]


def test_what_waits_and_what_was_learned_is_shown(admin: Admin) -> None:
    made = admin.connection(name="work")
    fields = [(b"x-ratelimit-limit-requests", b"60"), (b"x-ratelimit-remaining-requests", b"0")]
    admin.live.limiter.learn(made["id"], [*fields, (b"x-ratelimit-reset-requests", b"30s")])

    async def queued() -> FakeExchange:
        waiting = asyncio.ensure_future(admin.live.limiter.enter(admin.store.snapshot.connections["openai"][0], FREE, 60.0))
        await asyncio.sleep(0)
        request = Request("GET", PATH, "", [], b"", peer="127.0.0.1", scheme="http")
        request.route = admin.table.find(PATH)[0]["GET"]  # type: ignore[index]
        exchange = FakeExchange(request, None)
        await admin.plane.handle(exchange)
        waiting.cancel()
        await asyncio.wait([waiting])
        return exchange

    found = admin.run(queued()).json
    [shown] = found["connections"]
    assert (shown["queued"], shown["running"]) == (1, 0)
    assert shown["learned"]["limits"] == [{"kind": "requests", "limit": 60, "remaining": 0, "resetMs": 30_000}]
    assert found["overview"][f"openai:{made['id']}"]["queued"] == 1
    assert admin.send("GET", PATH).json["connections"][0]["queued"] == 0
