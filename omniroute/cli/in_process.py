"""The management API without a gateway: one command opens the data directory itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from .. import log
from ..app import App
from ..errors import OmniError
from ..manage.plane import ControlPlane
from ..manage.routes import MANAGE_ROUTES
from ..proto.exchange import Exchange, Request
from ..proto.headers import Headers
from ..proto.routes import RouteTable
from ..settings import Settings
from .output import fail


class Capture(Exchange):
    """An exchange without a client, which keeps the response."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.body = b""

    def respond(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """Keep a complete answer."""
        self.status, self.body, self.started, self.finished = status, body, True, True


@contextmanager
def opened(settings: Settings) -> Iterator[Callable[[str, str, Any], tuple[int, bytes]]]:
    """Open the data directory; yields a function (method, path, body) -> (status, body).  A failure ends the command."""
    log.set_up("error", "text")  # other messages are part of the responses
    with asyncio.Runner() as runner:
        try:
            app = runner.run(App.open(settings, owner=False))
        except OmniError as error:
            fail(error.message)
        try:
            yield lambda method, path, body: runner.run(_perform(app, method, path, body))
        finally:
            runner.run(app.close())


async def _perform(app: App, method: str, path: str, body: Any) -> tuple[int, bytes]:
    path, _, query = path.partition("?")
    request = Request(method, path, query, [], b"" if body is None else msgspec.json.encode(body))
    request.headers = [(b"authorization", b"Bearer " + app.services.local_token.encode())]
    found = RouteTable(MANAGE_ROUTES).find(path)
    assert found is not None, path
    request.route, request.params = found[0][method], found[1]
    exchange = Capture(request)
    await ControlPlane(app.services).handle(exchange)
    return exchange.status, exchange.body
