"""Renewals: when, how many, and what a failure does."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from fakes import FakeClock

from omniroute.errors import OmniError
from omniroute.gateway.snapshot import Connection, Snapshot
from omniroute.gateway.tokens import REAUTH, Tokens
from omniroute.tasks import cancel, spawn


class World:
    """One account whose token is renewed by :meth:`refresh`, once ``gate`` is open."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.snapshot = Snapshot()
        self.calls: list[str] = []
        self.failure: Exception | None = None
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.tokens = Tokens(self.clock, lambda: self.snapshot)
        self.tokens.refresher = self.refresh
        self.put("old", 60)

    def put(self, secret: str, seconds: float, *, refreshable: bool = True) -> Connection:
        made = Connection(
            "c1", "p", "n", secret, auth_type="oauth", refreshable=refreshable, renew_at=self.clock.time() + seconds
        )
        self.snapshot = msgspec.structs.replace(self.snapshot, connections={"p": (made,)})
        return made

    @property
    def account(self) -> Connection:
        return self.snapshot.connections["p"][0]

    async def refresh(self, connection_id: str) -> None:
        self.calls.append(connection_id)
        self.asked.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.put(f"new{len(self.calls)}", 3600)


def test_an_account_without_an_end_is_never_due() -> None:
    world = World()
    assert not world.tokens.due(Connection("x", "p", "n", "sk-1"))


async def test_a_token_is_renewed_when_its_time_has_come() -> None:
    world = World()
    assert not world.tokens.due(world.account)
    world.clock.advance(60)
    assert world.tokens.due(world.account)
    assert (await world.tokens.ensure(world.account)).secret == "new1"
    assert not world.tokens.due(world.account)


async def test_twenty_calls_share_one_renewal() -> None:
    world = World()
    world.gate.clear()
    account = world.account
    calls = [spawn(world.tokens.renew(account), "t") for _ in range(20)]
    await world.asked.wait()
    world.gate.set()
    found = await asyncio.gather(*calls)
    assert [c.secret for c in found if c is not None] == ["new1"] * 20
    assert world.calls == ["c1"]
    assert (await world.tokens.renew(account)) is world.account  # a call that comes later with the old token
    assert world.calls == ["c1"]


async def test_a_client_that_leaves_does_not_stop_the_renewal() -> None:
    world = World()
    world.gate.clear()
    impatient = spawn(world.tokens.renew(world.account), "t")
    await world.asked.wait()
    await cancel(impatient)
    patient = spawn(world.tokens.renew(world.account), "t")
    await asyncio.sleep(0)
    world.gate.set()
    found = await patient
    assert found is not None
    assert (found.secret, world.calls) == ("new1", ["c1"])


async def test_the_end_waits_for_a_renewal_that_runs_but_not_for_ever() -> None:
    world = World()
    await world.tokens.finish(60)
    world.gate.clear()
    impatient = spawn(world.tokens.renew(world.account), "t")
    await world.asked.wait()
    await cancel(impatient)
    await world.tokens.finish(0)
    assert world.account.secret == "old"
    asyncio.get_running_loop().call_soon(world.gate.set)
    await world.tokens.finish(60)
    assert world.account.secret == "new1"


@pytest.mark.parametrize(("code", "pause"), [(None, 60), (REAUTH, 3600)])
async def test_a_failed_renewal_is_not_tried_again_at_once(code: str | None, pause: int) -> None:
    world = World()
    world.clock.advance(60)
    world.failure = OmniError("upstream_auth", "no", code=code)
    before = world.account
    assert await world.tokens.ensure(before) is before
    assert await world.tokens.renew(before) is None
    assert await world.tokens.ensure(before) is before
    assert len(world.calls) == 1
    assert world.tokens.paused("c1")
    world.clock.advance(pause)
    world.failure = None
    assert (await world.tokens.ensure(before)).secret == "new2"
    assert not world.tokens.paused("c1")


async def test_asking_for_it_renews_despite_the_pause_and_raises() -> None:
    world = World()
    world.failure = OmniError("upstream_auth", "no")
    for _ in range(2):
        with pytest.raises(OmniError, match="no"):
            await world.tokens.refresh("c1")
    world.failure = RuntimeError("bug")
    with pytest.raises(OmniError, match="could not be renewed"):
        await world.tokens.refresh("c1")
    assert len(world.calls) == 3


async def test_a_fresh_token_that_is_refused_is_not_renewed_again() -> None:
    world = World()
    renewed = await world.tokens.renew(world.account)
    assert renewed is not None
    assert await world.tokens.renew(renewed) is None
    world.clock.advance(30)
    assert await world.tokens.renew(renewed) is not None
    assert len(world.calls) == 2


async def test_an_account_that_cannot_be_renewed_stays_as_it_is() -> None:
    world = World()
    plain = world.put("key", 0, refreshable=False)
    assert await world.tokens.renew(plain) is None
    assert await world.tokens.ensure(plain) is plain
    gone = Connection("gone", "q", "n", "k")
    assert await world.tokens.ensure(gone) is gone
    assert world.calls == []


async def test_new_tokens_from_elsewhere_end_the_pause() -> None:
    world = World()
    world.failure = OmniError("upstream_auth", "no", code=REAUTH)
    assert await world.tokens.renew(world.account) is None
    world.tokens.forget("c1")
    assert not world.tokens.paused("c1")
