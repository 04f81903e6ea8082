"""A timer finer than a millisecond for an event loop (Linux ``timerfd``).

The timers of uvloop and asyncio have a resolution of one millisecond.  A generator of 3,000 requests a second, or a server
that spreads 100 streams over 5 ms, would send in bursts.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable

_libc = ctypes.CDLL(None, use_errno=True)
_MONOTONIC = 1
_NONBLOCK = 0o4000


class _Timespec(ctypes.Structure):
    _fields_ = (("sec", ctypes.c_long), ("nsec", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Ticker:
    """Calls ``callback(n)`` every *interval* seconds; *n* is the number of intervals since the last call."""

    def __init__(self, interval: float, callback: Callable[[int], None]) -> None:
        self._fd = _libc.timerfd_create(_MONOTONIC, _NONBLOCK)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        seconds, rest = divmod(round(interval * 1e9), 1_000_000_000)
        every = _Timespec(seconds, rest)
        if _libc.timerfd_settime(self._fd, 0, ctypes.byref(_Itimerspec(every, every)), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        self._callback = callback
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._ready)

    def _ready(self) -> None:
        try:
            count = int.from_bytes(os.read(self._fd, 8), "little")
        except BlockingIOError:
            return
        self._callback(count)

    def close(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
