"""What all tests share."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator

import pytest
from hypothesis import settings
from mutation import seeds_for

settings.register_profile("patient", deadline=None)  # a slow machine is no failure
settings.load_profile("patient")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run ``async def`` tests, each on an event loop of its own."""
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
        help="let each fuzz test that takes its time go on for so long with new seeds; 0: the same few every time",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A fuzz test that is to run for minutes is not cut off by the limit of the others."""
    minutes: float = config.getoption("--fuzz-minutes")
    if minutes:
        for item in items:
            if "seeds" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.timeout(minutes * 60 + 60))


@pytest.fixture
def seeds(request: pytest.FixtureRequest) -> Iterator[int]:
    """Numbers for random generators, as many as the time allows; a failure names the last one."""
    minutes: float = request.config.getoption("--fuzz-minutes")
    return seeds_for(minutes * 60)
