"""Fixtures, hooks and options for all tests."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from mutation import seeds_for

settings.register_profile("patient", deadline=None)  # a slow machine must not fail a test
settings.load_profile("patient")

IN_MEMORY = Path("/dev/shm")
ROOM = 2 << 30


def pytest_configure() -> None:
    """Temporary folders are kept in memory where there is room: databases that survive a power cut wait for the disk."""
    if IN_MEMORY.is_dir():
        found = os.statvfs(IN_MEMORY)
        if found.f_bavail * found.f_frsize > ROOM and not found.f_flag & os.ST_NOEXEC:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """One more than there are cores: some tests wait for a deadline, and others can run meanwhile."""
    return (yield) + 1


def pytest_sessionstart() -> None:
    """Switch the garbage collector off during collection, where nothing becomes garbage."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Exempt the collected tests, which live until the end, from garbage collection."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run ``async def`` tests, each on its own event loop."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fuzz-minutes",
        type=float,
        default=0.0,
        help="minutes that each long-running fuzz test spends on new seeds; 0: the same few seeds every time",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Raise the time limit of fuzz tests that are meant to run for minutes."""
    minutes: float = config.getoption("--fuzz-minutes")
    if minutes:
        for item in items:
            if "seeds" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.timeout(minutes * 60 + 60))


@pytest.fixture
def seeds(request: pytest.FixtureRequest) -> Iterator[int]:
    """Yield seeds for random generators, as many as the time allows; a failure names the last one."""
    minutes: float = request.config.getoption("--fuzz-minutes")
    return seeds_for(minutes * 60)
