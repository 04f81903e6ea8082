"""The semantic cache: its statistics, and emptying it.

``/api/cache/stats`` covers only the small in-memory cache for keys with no-log.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from ..gateway.cache import Cached, Wanted
from ..gateway.replay import WINDOW
from .call import Call, Done, Reply
from .refusals import refused


class SemanticView(Struct, rename="camel"):
    """Entries in each tier, under both of its names, and the hit rate since the start: from 0 to 1, and as percent text."""

    memory_entries: int
    memory_size: int
    memory_max_size: int
    memory_bytes: int
    db_entries: int
    db_size: int
    hits: int
    misses: int
    hit_rate: float
    hit_rate_percent: str
    tokens_saved: int


class IdempotencyView(Struct, rename="camel"):
    active_keys: int
    window_ms: int


class ConfigView(Struct, rename="camel"):
    semantic_cache_enabled: bool
    ttl_ms: int
    shared: bool


class CacheView(Struct, rename="camel"):
    semantic_cache: SemanticView
    idempotency: IdempotencyView
    config: ConfigView


class PromptCacheView(Struct, rename="camel"):
    size: int
    max_size: int
    bytes: int
    max_bytes: int
    hits: int
    misses: int
    evictions: int
    hit_rate: float


class Cleared(Struct, rename="camel"):
    """``scope``: all, or the filter used; ``expiredRemoved`` repeats ``cleared`` and is set only without a filter."""

    ok: bool
    scope: str
    invalidated: int | UnsetType = UNSET
    expired_removed: int | UnsetType = UNSET
    cleared: int | UnsetType = UNSET


async def semantic_view(call: Call) -> SemanticView:
    """Return the current statistics of the semantic cache."""
    cache, shelf = call.live.cache, call.live.cache.shelf
    kept, rate = await call.store.semantic_cache.size(), _rate(cache.hits, cache.misses)
    size = len(shelf)
    return SemanticView(
        memory_entries=size, memory_size=size, memory_max_size=shelf.most, memory_bytes=shelf.bytes,
        db_entries=kept, db_size=kept, hits=cache.hits, misses=cache.misses,
        hit_rate=rate, hit_rate_percent=f"{100 * rate:.1f}", tokens_saved=cache.tokens_saved,
    )  # fmt: skip


async def read(call: Call) -> Reply:
    """Return sizes and hit rates of the stored answers; times in milliseconds, ``hitRate`` from 0 to 1."""
    live = call.live
    cache, semantic = live.cache, await semantic_view(call)
    replays = IdempotencyView(live.replays.active, round(WINDOW * 1000))
    config = ConfigView(cache.on, round(cache.limits.ttl * 1000), cache.limits.shared)
    return Reply(200, CacheView(semantic, replays, config))


async def clear(call: Call) -> Reply:
    """Empty the cache, or remove what one filter selects: ``model``, ``signature`` or ``staleMs`` (minimum age)."""
    scope = next((name for name in ("model", "signature", "staleMs") if call.query.get(name)), "")
    text = call.query.get(scope, "")
    before = call.now - _millis(text) / 1000 if scope == "staleMs" else None
    kept = await call.store.semantic_cache.delete(
        model=text if scope == "model" else None, signature=text if scope == "signature" else None, before=before
    )
    count = len(kept | call.live.cache.forget(_fits(scope, text, before)))
    await call.audit("cache.clear", text or "all", {"removed": count})
    if scope:
        return Reply(200, Cleared(True, scope.removesuffix("Ms"), invalidated=count))
    return Reply(200, Cleared(True, "all", expired_removed=count, cleared=count))


async def read_stats(call: Call) -> Reply:
    """Return the statistics of the cache in memory for no-log keys."""
    shelf = call.live.cache.private
    size = len(shelf)
    return Reply(200, PromptCacheView(
        size, shelf.most, shelf.bytes, shelf.most_bytes, shelf.hits, shelf.misses, shelf.evictions,
        _rate(shelf.hits, shelf.misses),
    ))  # fmt: skip


async def clear_stats(call: Call) -> Reply:
    """Empty the cache in memory for no-log keys."""
    call.live.cache.private.clear()
    await call.audit("cache.clear", "prompt")
    return Reply(200, Done(True, "Cache cleared"))


def _fits(scope: str, text: str, before: float | None) -> Wanted:
    def fits(signature: str, answer: Cached) -> bool:
        if scope == "model":
            return answer.model == text or answer.model.endswith(f"/{text}")
        if scope == "signature":
            return signature == text
        return before is None or answer.created < before

    return fits


def _millis(text: str) -> int:
    if not text.isdecimal() or len(text) > 12:
        raise refused(400, "staleMs must be a whole number of milliseconds")
    return int(text)


def _rate(hits: int, misses: int) -> float:
    return round(hits / (hits + misses), 4) if hits + misses else 0.0
