"""Wall-clock and monotonic time behind one object, so that tests can control time.

All timed code gets a :class:`Clock`; no other module imports :mod:`time`.
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
    """Real time.  ``tests/fakes.py`` has a fake with the same methods."""

    # The C functions themselves: a request reads the clock about ten times, and a wrapper would double the cost.
    monotonic = staticmethod(time.monotonic)
    """Seconds since an arbitrary start; never goes backwards.  For durations and deadlines."""

    time = staticmethod(time.time)
    """Unix time in seconds.  For timestamps."""

    def call_later(self, delay: float, callback: Callable[..., object], *args: object) -> Timer:
        """Run *callback* in *delay* seconds on the running event loop."""
        return asyncio.get_running_loop().call_later(delay, callback, *args)

    async def sleep(self, seconds: float) -> None:
        """Wait; cancellable."""
        await asyncio.sleep(seconds)


def iso(unix: float) -> str:
    """Format Unix seconds as ISO 8601 in UTC with milliseconds, e.g. ``2026-02-26T14:03:11.120Z``."""
    second, millis = divmod(int(unix * 1000), 1000)
    return f"{_to_the_second(second)}.{millis:03d}Z"


@lru_cache(maxsize=256)
def _to_the_second(unix: int) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def parse_iso(text: str) -> float:
    """Parse an ISO 8601 time, UTC unless it has an offset, into Unix seconds.  Raises ``ValueError``."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def unix_time(text: str | None) -> float | None:
    """:func:`parse_iso`, but None without a text, and for one that is no time or one that :func:`iso` cannot show."""
    try:
        moment = parse_iso(text) if text else None
        if moment is not None:
            iso(moment)
    except (ValueError, OverflowError):
        return None
    return moment
