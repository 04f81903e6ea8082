"""Commands run in this process, and a gateway in a thread."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from omniroute.app import App
from omniroute.cli import backend, serve
from omniroute.cli.main import cli
from omniroute.settings import Settings

_scrypt = hashlib.scrypt
Command = Callable[..., Result]


@pytest.fixture(autouse=True)
def cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    def cheap(text: bytes, **parameters: Any) -> bytes:
        return _scrypt(text, **{**parameters, "n": 2, "r": 1, "p": 1})

    monkeypatch.setattr(hashlib, "scrypt", cheap)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.endswith("_API_KEY") or name in {"HOST", "HOSTNAME", "PORT", "OMNIROUTE_PORT", "DISPLAY", "WAYLAND_DISPLAY"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    root = logging.getLogger("omniroute")
    kept = root.handlers[:], root.level, root.propagate
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level, root.propagate = kept


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", port=0)


@pytest.fixture
def omniroute() -> Command:
    """``omniroute("keys", "list", input="...", PORT="1")``."""

    def invoke(*words: str, input: str | None = None, **environment: str) -> Result:
        result = CliRunner().invoke(cli, words, input=input, env=environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return invoke


@pytest.fixture
def ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``serve`` and ``demo`` stop as soon as they have started, without changing the garbage collector."""

    async def wait(app: App) -> None:
        app.live.draining = True

    monkeypatch.setattr(App, "wait", wait)
    monkeypatch.setattr(serve, "settle", lambda: None)


class Beside:
    """A gateway that runs in a thread during a test."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def start(self) -> Beside:
        self.app = self._run(App.open(self.settings))
        self.port = self._run(self.app.listen())
        backend.announce(self.app.settings, self.port, self.app.services.local_token)
        return self

    def stop(self) -> None:
        backend.withdraw(self.settings)
        self._run(self.app.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)


@pytest.fixture
def make_gateway(settings: Settings) -> Iterator[Callable[..., Beside]]:
    made: list[Beside] = []

    def make(**changes: Any) -> Beside:
        made.append(Beside(Settings(**{"data_dir": settings.data_dir, "port": 0, **changes})))
        return made[-1].start()

    yield make
    for gateway in made:
        gateway.stop()


@pytest.fixture(params=["over HTTP", "in process"])
def either_way(request: pytest.FixtureRequest, make_gateway: Callable[..., Beside]) -> Beside | None:
    """Runs the test twice: with a gateway (that has a password) on the data directory, and without one."""
    return make_gateway(initial_password="a password") if request.param == "over HTTP" else None
