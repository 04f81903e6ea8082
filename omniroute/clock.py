"""Wall and monotonic time behind one object, so that tests can hold the hands.

Everything timed asks its :class:`Clock`; nothing else in the project calls :mod:`time`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Timer(Protocol):
    """What :meth:`Clock.call_later` returns."""

    def cancel(self) -> None: ...


class Clock:
    """Real time.  ``tests/fakes.py`` has the fake with the same methods."""

    # The C functions themselves: a request looks at the clock ten times, and a wrapper would double what that costs.
    monotonic = staticmethod(time.monotonic)
    """Seconds since an arbitrary start; never goes back.  For durations and deadlines."""

    time = staticmethod(time.time)
    """Unix time in seconds.  For timestamps."""

    def call_later(self, delay: float, callback: Callable[..., object], *args: object) -> Timer:
        """Run *callback* in *delay* seconds on the running event loop."""
        return asyncio.get_running_loop().call_later(delay, callback, *args)

    async def sleep(self, seconds: float) -> None:
        """Wait; cancellable."""
        await asyncio.sleep(seconds)


def iso(unix: float) -> str:
    """ISO 8601 UTC with milliseconds, e.g. ``2026-02-26T14:03:11.120Z``."""
    second, millis = divmod(int(unix * 1000), 1000)
    return f"{_to_the_second(second)}.{millis:03d}Z"


@lru_cache(maxsize=256)
def _to_the_second(unix: int) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def parse_iso(text: str) -> float:
    """Unix seconds of an ISO 8601 time.  Raises ``ValueError``."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
