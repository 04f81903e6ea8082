from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from omniroute import tasks


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("omniroute"), "propagate", True)
    return caplog


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_task_that_nobody_holds_lives_until_it_has_ended() -> None:
    go, ran = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await go.wait()
        ran.set()

    tasks.spawn(work(), "work")
    gc.collect()
    assert tasks.running() == 1
    go.set()
    await ran.wait()
    await settle()
    assert tasks.running() == 0


async def test_a_failure_that_nobody_awaits_is_logged_with_the_tasks_name(logged: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        raise ZeroDivisionError

    tasks.spawn(work(), "housekeeping")
    await settle()
    (record,) = logged.records
    assert record.getMessage() == "task housekeeping failed: ZeroDivisionError"
    assert record.exc_info is not None


async def test_cancel_waits_for_the_end_and_swallows_what_the_task_raises(logged: pytest.LogCaptureFixture) -> None:
    cleaned: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    task = tasks.spawn(work(), "work")
    await settle()
    await tasks.cancel(task)
    assert cleaned == [True]
    assert task.cancelled()
    assert logged.records == []


async def test_drain_lets_tasks_end_and_cancels_the_late_ones_at_once_when_there_is_no_time() -> None:
    done: list[str] = []

    async def quick() -> None:
        await asyncio.sleep(0)
        done.append("quick")

    async def endless() -> None:
        await asyncio.Event().wait()

    tasks.spawn(quick(), "quick")
    assert await tasks.drain(5.0) == 0
    assert done == ["quick"]
    late = tasks.spawn(endless(), "endless")
    assert await tasks.drain(0.0) == 1
    assert late.cancelled()
    assert await tasks.drain(5.0) == 0


async def test_a_task_that_drains_does_not_wait_for_itself() -> None:
    assert await tasks.spawn(tasks.drain(5.0), "end") == 0


async def test_start_gives_the_task_to_its_caller_and_keeps_no_books() -> None:
    async def work() -> int:
        return 7

    task = tasks.start(asyncio.get_running_loop(), work())
    assert tasks.running() == 0
    assert await task == 7
