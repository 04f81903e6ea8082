"""The data plane with a provider of the catalogue, at the address of a scripted upstream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache

import openai
from data_plane import Running, data_plane
from scripted_upstream import ScriptedUpstream, Step

from omniroute.clock import Clock
from omniroute.gateway.snapshot import Connection, Snapshot
from omniroute.settings import Limits
from omniroute.upstream.catalog import load_catalog
from omniroute.upstream.providers import Catalog


class QuickClock(Clock):
    """Sleeping takes no time but advances the clock; ``slept`` is by how much."""

    slept = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.slept

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        await asyncio.sleep(0)


@cache
def catalogue() -> Catalog:
    return load_catalog()


def media_snapshot(provider: str, url: str, secrets: Sequence[str] = ("key-1",)) -> Snapshot:
    """Return a snapshot of the catalogue with accounts for one provider at *url*."""
    known = catalogue()
    connections = tuple(
        Connection(id=f"c{n}", provider=provider, name=f"acct-{n}", secret=secret, priority=n, base_url=url)
        for n, secret in enumerate(secrets, 1)
    )
    return Snapshot(
        default_provider=known.default_provider,
        providers=known.providers,
        prefixes=known.prefixes,
        connections={provider: connections},
        models=known.models_by_id,
    )


@asynccontextmanager
async def media_plane(
    provider: str, *script: Step, secrets: Sequence[str] = ("key-1",), base: str = "/v1", limits: Limits | None = None
) -> AsyncIterator[tuple[Running, ScriptedUpstream]]:
    """Run a data plane where *script* answers for *provider*, at a base URL that ends in *base*."""
    async with ScriptedUpstream(*script) as upstream:
        state = media_snapshot(provider, f"{upstream.url}{base}", secrets)
        async with data_plane(state, limits=limits or Limits()) as plane:
            plane.gateway.clock = QuickClock()
            yield plane, upstream


def sdk(plane: Running) -> openai.AsyncOpenAI:
    """Return the official client."""
    return openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{plane.port}/v1", api_key="any text", max_retries=0)
