from __future__ import annotations

from typing import Any, cast

import pytest
from fakes import FakeClock

from omniroute.gateway.cache import LARGEST, Cache, Cached, Shelf
from omniroute.settings import CacheLimits


class FakeArchive:
    def __init__(self) -> None:
        self.answers: dict[str, Cached] = {}
        self.uses: list[str] = []

    async def find(self, signature: str) -> Cached | None:
        return self.answers.get(signature)

    def put(self, signature: str, answer: Cached) -> None:
        self.answers[signature] = answer

    def count(self, signature: str) -> None:
        self.uses.append(signature)


def make(limits: CacheLimits | None = None) -> tuple[Cache, FakeArchive, FakeClock]:
    clock, archive = FakeClock(), FakeArchive()
    return Cache(cast(Any, clock), limits, archive), archive, clock


def put(cache: Cache, signature: str, body: bytes = b"{}", *, model: str = "m", private: bool = False) -> None:
    cache.put(signature, model, body, 26, private=private)


async def test_an_answer_is_found_in_memory_and_each_use_counted_in_both_tiers() -> None:
    cache, archive, _ = make()
    put(cache, "s")
    assert cast(Cached, await cache.find("s", private=False)).body == b"{}"
    assert await cache.find("other", private=False) is None
    assert (cache.hits, cache.misses, cache.tokens_saved, archive.uses) == (1, 1, 26, ["s"])


async def test_an_answer_of_the_archive_is_promoted_to_memory() -> None:
    cache, archive, clock = make()
    archive.answers["s"] = Cached("m", b"{}", 26, clock.time(), clock.time() + 9)
    assert await cache.find("s", private=False) is not None
    archive.answers.clear()
    assert await cache.find("s", private=False) is not None
    assert archive.uses == ["s", "s"]


async def test_answers_expire_by_the_clock() -> None:
    cache, archive, clock = make(CacheLimits(ttl=60))
    put(cache, "s")
    archive.answers.clear()
    clock.advance(59.9)
    assert await cache.find("s", private=False) is not None
    clock.advance(0.1)
    assert await cache.find("s", private=False) is None
    assert (len(cache.shelf), cache.shelf.bytes) == (0, 0)


async def test_private_answers_stay_in_memory_and_among_themselves() -> None:
    cache, archive, clock = make(CacheLimits(private_ttl=5))
    put(cache, "s", private=True)
    assert archive.answers == {}
    assert await cache.find("s", private=False) is None
    assert await cache.find("s", private=True) is not None
    clock.advance(5)
    assert await cache.find("s", private=True) is None
    assert archive.uses == []


def test_an_answer_that_is_too_long_is_not_kept() -> None:
    cache, archive, _ = make()
    put(cache, "s", b"x" * (LARGEST + 1))
    assert (len(cache.shelf), archive.answers) == (0, {})


@pytest.mark.parametrize("limits", [CacheLimits(entries=0), CacheLimits(ttl=0)])
def test_a_limit_of_zero_turns_it_off(limits: CacheLimits) -> None:
    assert not make(limits)[0].on
    assert make()[0].on


def shelf(most: int = 3, most_bytes: int = 100) -> tuple[Shelf, FakeClock]:
    clock = FakeClock()
    return Shelf(cast(Any, clock), most, most_bytes), clock


def answer(clock: FakeClock, size: int = 2) -> Cached:
    return Cached("m", b"x" * size, 1, clock.now, clock.now + 60)


def test_the_least_recently_used_leaves_first() -> None:
    made, clock = shelf()
    for name in "abc":
        made.put(name, answer(clock))
    made.get("a")
    made.put("d", answer(clock))
    assert [name for name in "abcd" if made.get(name)] == ["a", "c", "d"]
    assert (made.evictions, made.hits, made.misses) == (1, 4, 1)


def test_bytes_are_bounded_and_counted_once_for_each_answer() -> None:
    made, clock = shelf()
    made.put("a", answer(clock, 60))
    made.put("a", answer(clock, 50))
    assert made.bytes == 50
    made.put("b", answer(clock, 60))
    assert (len(made), made.bytes) == (1, 60)
    made.put("huge", answer(clock, 101))
    assert (len(made), made.bytes) == (0, 0)


async def test_chosen_answers_are_forgotten_on_both_shelves() -> None:
    cache, _, _ = make()
    put(cache, "a", model="p/one")
    put(cache, "b", model="p/two")
    put(cache, "c", model="p/one", private=True)
    assert cache.forget(lambda _, kept: kept.model == "p/one") == {"a", "c"}
    assert (len(cache.shelf), len(cache.private)) == (1, 0)


def test_clearing_a_shelf_counts_anew() -> None:
    made, clock = shelf()
    made.put("a", answer(clock))
    made.get("a")
    made.clear()
    assert (len(made), made.bytes, made.hits, made.misses, made.evictions) == (0, 0, 0, 0, 0)


async def test_what_is_forgotten_while_it_is_looked_up_does_not_come_back() -> None:
    cache, archive, clock = make()
    archive.answers["a"] = answer(clock)
    find = archive.find

    async def find_and_forget(signature: str) -> Cached | None:
        found = await find(signature)
        archive.answers.clear()
        cache.forget(lambda *_: True)
        return found

    archive.find = find_and_forget  # type: ignore[method-assign]
    assert await cache.find("a", private=False) is not None
    assert await cache.find("a", private=False) is None
