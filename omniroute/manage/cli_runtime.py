"""Whether a tool is installed and runs: find its program, then run it with ``--version``.  No shell is involved."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from ..clock import Clock
from ..settings import Settings
from .cli_tools import Tool

Reason = Literal["not_found", "not_executable", "healthcheck_failed", "missing_command", "not_required", "unknown_tool"]
_QUESTIONS: Final = ("--version", "-v")
_FRESH_SECONDS: Final = 30.0
_AT_ONCE: Final = 2  # programs started at the same time; some are whole Node.js applications


class Presence(Struct, rename="camel", frozen=True):
    """What was found.  ``reason`` is null if the tool runs."""

    installed: bool
    runnable: bool
    command: str | None
    command_path: str | None
    runtime_mode: str
    reason: Reason | None


class Detector:
    """Finds tools; a result is cached for half a minute, as long as the program's file does not change."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._known: dict[tuple[str, int, int], tuple[float, bool]] = {}

    async def find(self, tool: Tool) -> Presence:
        """Look for the tool's program and run it once to see that it works; never raises."""
        given = self._settings.cli_bins.get(tool.id)
        commands = (given,) if given else tool.commands
        mode = self._settings.cli_mode
        if not commands:
            return Presence(True, True, None, None, mode, "not_required")
        name, path, reason = await asyncio.to_thread(self._search, commands)
        if path is None:
            return Presence(reason == "not_executable", False, name, None, mode, reason)
        runs = await self._runs(path, tool.seconds)
        return Presence(True, runs, name, path, mode, None if runs else "healthcheck_failed")

    def _search(self, commands: Sequence[str]) -> tuple[str, str | None, Reason | None]:
        """Return (name, absolute path, or why there is none) of the first of *commands* found, else of the first one."""
        found = [(name, *self._look_up(name)) for name in commands]
        return next((row for row in found if row[1] is not None or row[2] == "not_executable"), found[0])

    def _look_up(self, name: str) -> tuple[str | None, Reason | None]:
        """Return the program's absolute path, or the reason why there is none."""
        if os.sep in name or name.startswith("~"):
            path = Path(name).expanduser()
            places = [path] if path.is_absolute() else []
        else:
            places = [Path(folder) / name for folder in self._folders()]
        for path in places:
            if found := shutil.which(str(path)):
                return found, None
        return None, "not_executable" if any(path.exists() for path in places) else "not_found"

    def _folders(self) -> tuple[str, ...]:
        own, extra = self._settings.search_path, self._settings.cli_paths
        return (*extra, *own) if self._settings.cli_mode == "container" else (*own, *extra)

    async def _runs(self, path: str, seconds: float) -> bool:
        try:
            state = await asyncio.to_thread(os.stat, path)
        except OSError:  # removed meanwhile
            return False
        key = (path, state.st_mtime_ns, state.st_size)
        moment, runs = self._known.get(key, (float("-inf"), False))
        if self._clock.monotonic() - moment < _FRESH_SECONDS:
            return runs
        async with self._turn:
            runs = await self._ask(path, seconds)
        self._known[key] = (self._clock.monotonic(), runs)
        return runs

    async def _ask(self, path: str, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                for question in _QUESTIONS:
                    if await self._call(path, question) == 0:
                        return True
        except (TimeoutError, OSError):
            pass
        return False

    async def _call(self, path: str, question: str) -> int:
        """Run the program and return its exit status.  It has its own process group, so a timeout ends its children too."""
        process = await asyncio.create_subprocess_exec(
            path,
            question,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environment(path),
            cwd=os.path.dirname(path),
            start_new_session=True,
        )
        try:
            return await process.wait()
        finally:
            if process.returncode is None:
                _kill(process)
                await process.wait()

    def _environment(self, path: str) -> dict[str, str]:
        """Return the minimal environment that a program needs to start, without the gateway's secrets."""
        folders = (os.path.dirname(path), *self._folders())
        return {"PATH": os.pathsep.join(folders), "HOME": str(self._settings.cli_home), "NO_COLOR": "1"}


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
