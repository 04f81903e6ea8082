from __future__ import annotations

from typing import Any, cast

from data_plane import accounts, provider, snapshot
from fakes import FakeClock
from wires import CHAT

from omniroute.gateway.accounts import choose
from omniroute.gateway.live import Live
from omniroute.gateway.resolve import Route, resolve
from omniroute.gateway.retry import judge
from omniroute.gateway.snapshot import Snapshot


def made(*secrets: str) -> tuple[Snapshot, Live, Route, FakeClock]:
    clock = FakeClock()
    state = snapshot(provider(CHAT), accounts(*secrets))
    return state, Live(cast(Any, clock), state, lambda _: None), resolve(state, "up/m"), clock


def fail(live: Live, account: str, status: int) -> None:
    rule = judge(status, "").rule
    assert rule is not None
    live.health.fail(account, "node-up", "m", rule, status=status, message="No")


def test_the_snapshots_order_is_the_order() -> None:
    state, live, route, _ = made("a", "b", "c")
    choice = choose(state, live, route)
    assert [account.id for account in choice.free] == ["c1", "c2", "c3"]
    assert choice.blocked == ()


def test_those_that_cool_are_left_out_until_their_time() -> None:
    state, live, route, clock = made("a", "b")
    fail(live, "c1", 401)
    choice = choose(state, live, route)
    assert [account.id for account in choice.free] == ["c2"]
    assert [(account.id, until) for account, until in choice.blocked] == [("c1", clock.time() + 120.0)]
    clock.advance(121.0)
    assert len(choose(state, live, route).free) == 2


def test_a_model_that_is_locked_blocks_that_model_only() -> None:
    state, live, route, _ = made("a")
    fail(live, "c1", 404)
    assert choose(state, live, route).free == ()
    assert len(choose(state, live, route._replace(model="other")).free) == 1


def test_a_provider_without_accounts_has_none() -> None:
    state, live, route, _ = made()
    assert choose(state, live, route) == ((), ())
