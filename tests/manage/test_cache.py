"""The cache of answers: figures, and emptying it."""

from __future__ import annotations

import pytest
from fakes_manage import Admin

from omniroute.gateway.cache import Cache
from omniroute.gateway.replay import Ticket

PATH = "/api/cache"


@pytest.fixture
def filled(admin: Admin) -> Admin:
    """Two answers in both tiers, the second made ten seconds later, and a private one."""
    cache = admin.live.cache = Cache(admin.clock, archive=admin.store.semantic_cache)  # type: ignore[arg-type]
    cache.put("sig-a", "openai/gpt-4o", b"{}", 10, private=False)
    cache.put("sig-p", "openai/gpt-4o", b"[1]", 10, private=True)
    admin.advance(10)
    cache.put("sig-b", "openai/o1", b"{}", 10, private=False)
    return admin


def test_the_view_has_every_name_that_clients_know(filled: Admin) -> None:
    cache = filled.live.cache
    for signature in ("sig-a", "sig-a", "sig-x"):
        filled.run(cache.find(signature, private=False))
    assert isinstance(filled.run(filled.live.replays.claim(b"k")), Ticket)
    found = filled.send("GET", PATH).json
    assert found["semanticCache"] == {
        "memoryEntries": 2, "memorySize": 2, "memoryMaxSize": 500, "memoryBytes": 4, "dbEntries": 2, "dbSize": 2,
        "hits": 2, "misses": 1, "hitRate": 0.6667, "hitRatePercent": "66.7", "tokensSaved": 20,
    }  # fmt: skip
    assert found["idempotency"] == {"activeKeys": 1, "windowMs": 5000}
    assert found["config"] == {"semanticCacheEnabled": True, "ttlMs": 3_600_000, "shared": False}


def test_an_empty_cache_has_a_rate_of_0(admin: Admin) -> None:
    found = admin.send("GET", PATH).json["semanticCache"]
    assert (found["hitRate"], found["hitRatePercent"], found["dbEntries"]) == (0.0, "0.0", 0)


def test_everything_is_cleared_in_both_tiers(filled: Admin) -> None:
    answer = filled.send("DELETE", PATH)
    assert (answer.status, answer.json) == (200, {"ok": True, "expiredRemoved": 3, "cleared": 3, "scope": "all"})
    found = filled.send("GET", PATH).json["semanticCache"]
    assert (found["memoryEntries"], found["dbEntries"], len(filled.live.cache.private)) == (0, 0, 0)
    assert filled.audit() == ["cache.clear"]


@pytest.mark.parametrize(
    ("query", "scope", "count", "left"),
    [
        ("model=openai/gpt-4o", "model", 2, "sig-b"),
        ("model=gpt-4o", "model", 2, "sig-b"),
        ("signature=sig-b", "signature", 1, "sig-a"),
        ("staleMs=5000", "stale", 2, "sig-b"),
        ("staleMs=60000", "stale", 0, "sig-a"),
        ("model=gpt", "model", 0, "sig-a"),
    ],
)
def test_a_filter_clears_what_it_names(filled: Admin, query: str, scope: str, count: int, left: str) -> None:
    answer = filled.send("DELETE", f"{PATH}?{query}")
    assert (answer.status, answer.json) == (200, {"ok": True, "invalidated": count, "scope": scope})
    assert filled.run(filled.live.cache.find(left, private=False)) is not None


@pytest.mark.parametrize("text", ["soon", "-1", "9999999999999"])
def test_an_age_that_is_no_number_clears_nothing(filled: Admin, text: str) -> None:
    answer = filled.send("DELETE", f"{PATH}?staleMs={text}")
    assert (answer.status, answer.json) == (400, {"error": "staleMs must be a whole number of milliseconds"})
    assert len(filled.live.cache.shelf) == 2


def test_the_prompt_cache_shows_what_no_log_keys_got(filled: Admin) -> None:
    for signature in ("sig-p", "sig-x"):
        filled.run(filled.live.cache.find(signature, private=True))
    assert filled.send("GET", PATH + "/stats").json == {
        "size": 1, "maxSize": 50, "bytes": 3, "maxBytes": 2_097_152, "hits": 1, "misses": 1, "evictions": 0, "hitRate": 0.5,
    }  # fmt: skip
    answer = filled.send("DELETE", PATH + "/stats")
    assert (answer.status, answer.json) == (200, {"success": True, "message": "Cache cleared"})
    assert filled.send("GET", PATH + "/stats").json["size"] == 0
    assert len(filled.live.cache.shelf) == 2


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("path", [PATH, PATH + "/stats"])
def test_nobody_sees_or_clears_it_without_a_login(guarded: Admin, method: str, path: str) -> None:
    assert guarded.send(method, path).status == 401
