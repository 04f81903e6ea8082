"""The one place that creates asyncio tasks.

asyncio keeps only weak references to tasks and reports a lost exception when the task is collected, if ever.  Here each
task has a name, is referenced until it ends, and an exception that nobody awaited is logged at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

_log = logging.getLogger("omniroute.tasks")
_running: set[asyncio.Task[Any]] = set()


def spawn(coroutine: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
    """Start *coroutine* as a task that is kept alive and whose failure is logged."""
    task = asyncio.get_running_loop().create_task(coroutine, name=name)
    _running.add(task)
    task.add_done_callback(_finished)
    return task


def start(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start *coroutine* for a caller who keeps the task and lets no exception out of it: no bookkeeping, half the cost.

    The caller knows its *loop*: to ask for the running one is a system call.
    """
    return loop.create_task(coroutine)


def _finished(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("task %s failed: %s", task.get_name(), type(error).__name__, exc_info=error)


def running() -> int:
    """How many spawned tasks have not ended."""
    return len(_running)


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel *task* and wait for its end; its own exceptions are swallowed, ours (being cancelled) is not."""
    task.cancel()
    await asyncio.wait([task])


async def drain(seconds: float) -> int:
    """Wait up to *seconds* for the spawned tasks to end, then cancel the rest; returns how many were cancelled."""
    mine = asyncio.current_task()
    others = {task for task in _running if task is not mine}
    if others:
        _, late = await asyncio.wait(others, timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
        return len(late)
    return 0
