from __future__ import annotations

import asyncio
from typing import Any, cast

from fakes import FakeClock

from omniroute.gateway.combo_gate import Gate
from omniroute.tasks import cancel, spawn


async def entering(gate: Gate, clock: FakeClock, limit: int = 1, patience: float = 30.0) -> asyncio.Task[Any]:
    """A caller at the gate, as far as it comes by itself."""
    task = spawn(gate.enter(cast(Any, clock), limit, patience), "caller")
    await asyncio.sleep(0)
    return task


async def test_as_many_as_fit_go_in_and_the_others_in_their_order() -> None:
    gate, clock = Gate(), FakeClock()
    tasks = [await entering(gate, clock, 2) for _ in range(4)]
    assert [task.done() for task in tasks] == [True, True, False, False]
    gate.leave()
    assert await tasks[2] is True
    assert not tasks[3].done()
    gate.leave()
    assert await tasks[3] is True
    assert gate.running == 2


async def test_a_limit_that_was_raised_lets_those_in_who_wait_already() -> None:
    gate, clock = Gate(), FakeClock()
    first, second = await entering(gate, clock), await entering(gate, clock)
    assert [first.done(), second.done()] == [True, False]
    third = await entering(gate, clock, 3)
    assert [await second, await third] == [True, True]
    assert gate.running == 3
    assert clock.pending == 0


async def test_who_waits_too_long_goes_elsewhere() -> None:
    gate, clock = Gate(), FakeClock()
    await entering(gate, clock)
    late = await entering(gate, clock, patience=5.0)
    clock.advance(4.9)
    assert not late.done()
    clock.advance(0.2)
    assert await late is False
    gate.leave()
    assert gate.idle
    assert clock.pending == 0


async def test_who_leaves_the_queue_is_not_served() -> None:
    gate, clock = Gate(), FakeClock()
    await entering(gate, clock)
    gone, next_one = await entering(gate, clock), await entering(gate, clock)
    await cancel(gone)
    gate.leave()
    assert await next_one is True
    gate.leave()
    assert gate.idle


async def test_a_slot_that_comes_as_the_caller_leaves_is_handed_on() -> None:
    gate, clock = Gate(), FakeClock()
    await entering(gate, clock)
    gone, next_one = await entering(gate, clock), await entering(gate, clock)
    gate.leave()
    await cancel(gone)
    assert await next_one is True
    assert gate.running == 1


async def test_a_model_that_falls_ill_turns_everybody_away() -> None:
    gate, clock = Gate(), FakeClock()
    await entering(gate, clock)
    waiting = [await entering(gate, clock) for _ in range(3)]
    gate.turn_away()
    assert [await task for task in waiting] == [False] * 3
    gate.leave()
    assert gate.idle
