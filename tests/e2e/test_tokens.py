"""Access tokens on the way of a call: renewed before it when they end, and once after the provider refused one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from data_plane import Running, accounts, data_plane, provider, snapshot
from real_gateway import JSON
from scripted_upstream import Answer, ScriptedUpstream, Seen
from wires import CHAT

from omniroute.errors import OmniError


class Vendor:
    """Takes calls with ``good`` alone; ``renewals`` counts how often a new token was asked for."""

    def __init__(self, good: str) -> None:
        self.good = good
        self.renewals = 0
        self.fails = False

    def answer(self, seen: Seen) -> Answer:
        field = seen.headers.get("authorization") or seen.headers.get("x-goog-api-key", "")
        if field == f"Bearer {self.good}":
            return Answer(200, [CHAT.whole], JSON)
        return Answer(401, [b'{"error":{"message":"Invalid token"}}'], JSON)


@asynccontextmanager
async def logged_in(vendor: Vendor, *, lasts: float) -> AsyncIterator[tuple[Running, ScriptedUpstream]]:
    """A data plane with one account whose token ``at-0`` is due in *lasts* seconds."""
    async with ScriptedUpstream(vendor.answer) as upstream:
        (account,) = accounts("at-0", auth_type="oauth", refreshable=True)
        keyed = provider(CHAT, f"{upstream.url}/v1")
        state = snapshot(msgspec.structs.replace(keyed, auth="x-goog-api-key"), [account])
        async with data_plane(state) as plane:
            now = plane.gateway.clock.time()

            def publish(secret: str, seconds: float) -> None:
                fresh = msgspec.structs.replace(account, secret=secret, renew_at=now + seconds)
                plane.live.snapshot = msgspec.structs.replace(plane.live.snapshot, connections={keyed.id: (fresh,)})

            async def renew(connection_id: str) -> None:
                vendor.renewals += 1
                await asyncio.sleep(0)
                if vendor.fails:
                    raise OmniError("upstream_auth", "no")
                vendor.good = f"at-{vendor.renewals}"
                publish(vendor.good, 3600)

            publish("at-0", lasts)
            plane.live.tokens.refresher = renew
            yield plane, upstream


async def test_a_token_that_ends_is_renewed_before_the_call() -> None:
    vendor = Vendor("at-1")
    async with logged_in(vendor, lasts=-1) as (plane, upstream):
        status, _, _ = await plane.post(CHAT)
        assert (status, vendor.renewals, len(upstream.requests)) == (200, 1, 1)
        assert (await plane.post(CHAT))[0] == 200
        assert vendor.renewals == 1


@pytest.mark.parametrize("lasts", [3600.0, -1.0])
async def test_twenty_calls_with_a_bad_token_make_one_renewal(lasts: float) -> None:
    vendor = Vendor("none yet")
    async with logged_in(vendor, lasts=lasts) as (plane, _):
        answers = await asyncio.gather(*(plane.post(CHAT) for _ in range(20)))
        assert [status for status, _, _ in answers] == [200] * 20
        assert vendor.renewals == 1
        assert plane.live.health.calm


async def test_a_token_that_cannot_be_renewed_is_a_failure_of_the_account() -> None:
    vendor = Vendor("none")
    vendor.fails = True
    async with logged_in(vendor, lasts=3600) as (plane, upstream):
        status, _, _ = await plane.post(CHAT)
        assert (status, vendor.renewals, len(upstream.requests)) == (401, 1, 1)
        assert not plane.live.health.calm


async def test_a_renewed_token_that_is_refused_too_is_not_renewed_again() -> None:
    vendor = Vendor("none")
    async with logged_in(vendor, lasts=3600) as (plane, upstream):
        plane.live.tokens.refresher, renew = None, plane.live.tokens.refresher
        assert renew is not None

        async def useless(connection_id: str) -> None:
            await renew(connection_id)
            vendor.good = "another"

        plane.live.tokens.refresher = useless
        status, _, _ = await plane.post(CHAT)
        assert (status, vendor.renewals, len(upstream.requests)) == (401, 1, 2)
