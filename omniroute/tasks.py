"""The only module that creates asyncio tasks.

asyncio keeps only weak references to tasks, and reports an unhandled exception when the task is garbage-collected, if ever.
A task spawned here has a name, is referenced until it ends, and its exception is logged at once.
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
    """Start *coroutine* without bookkeeping, at half the cost of :func:`spawn`.

    The caller must keep a reference to the task, and *coroutine* must not raise.  The *loop* is passed in because
    ``get_running_loop()`` makes a system call.
    """
    return loop.create_task(coroutine)


def _finished(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("task %s failed: %s", task.get_name(), type(error).__name__, exc_info=error)


def running() -> int:
    """The number of spawned tasks that have not ended."""
    return len(_running)


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel *task* and wait until it has ended.

    Exceptions of *task* are swallowed; the cancellation of the caller is not.
    """
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
