"""The management API from the command line: over HTTP when a gateway runs on this data directory, in process otherwise.

A running gateway leaves its address and a token in ``server.json`` (readable by its owner only), so that a change made here is
in force for its next request and no password has to be typed on the owner's own machine.
"""

from __future__ import annotations

import http.client
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from ..app import App, run
from ..manage.plane import ControlPlane
from ..manage.routes import MANAGE_ROUTES
from ..proto.exchange import Exchange, Request
from ..proto.headers import Headers
from ..proto.routes import RouteTable
from ..settings import Settings
from .output import fail

_FILE: Final = "server.json"
_TIMEOUT: Final = 60.0


class Running(NamedTuple):
    """A gateway that answers."""

    host: str
    port: int
    pid: int
    token: str


def announce(settings: Settings, port: int, token: str) -> Path:
    """Leave word of a gateway that has just begun to listen."""
    path = settings.data_dir / _FILE
    record = {"host": settings.host, "port": port, "pid": os.getpid(), "token": token}
    with suppress(FileNotFoundError):
        path.unlink()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(record))
    return path


def find_running(settings: Settings) -> Running | None:
    """The gateway that serves this data directory, if one answers."""
    try:
        record = msgspec.json.decode((settings.data_dir / _FILE).read_bytes())
        host = "127.0.0.1" if record["host"] in ("0.0.0.0", "::", "localhost") else record["host"]  # noqa: S104 - compared
        running = Running(host, record["port"], record["pid"], record["token"])
        status, _ = _over_http(running, "GET", "/api/init", None, 2.0)
    except (OSError, KeyError, TypeError, msgspec.MsgspecError, http.client.HTTPException):
        return None
    return running if status == 200 else None


def _over_http(running: Running, method: str, path: str, body: Any, seconds: float) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(running.host, running.port, timeout=seconds)
    try:
        headers = {"Authorization": f"Bearer {running.token}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else msgspec.json.encode(body), headers)
        response = connection.getresponse()
        return response.status, decoded(response.read())
    finally:
        connection.close()


def decoded(body: bytes) -> Any:
    """JSON, or the text when it is none."""
    try:
        return msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return body.decode("utf-8", "replace")


class _Capture(Exchange):
    """An exchange without a client: keeps the answer."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.body = b""

    def respond(self, status: int, headers: Headers, body: bytes = b"") -> None:
        self.status, self.body, self.started, self.finished = status, body, True, True


async def _in_process(settings: Settings, method: str, path: str, body: Any) -> tuple[int, Any]:
    app = await App.open(settings)
    try:
        route_path, _, query = path.partition("?")
        request = Request(method, route_path, query, [], b"" if body is None else msgspec.json.encode(body))
        request.headers = [(b"authorization", b"Bearer " + app.services.local_token.encode())]
        found = RouteTable(MANAGE_ROUTES).find(route_path)
        assert found is not None
        request.route, request.params = found[0][method], found[1]
        exchange = _Capture(request)
        await ControlPlane(app.services).handle(exchange)
        return exchange.status, decoded(exchange.body)
    finally:
        await app.close()


def call(settings: Settings, method: str, path: str, body: Any = None) -> Any:
    """One management call; the decoded answer.  Ends the command with the API's own message on an error."""
    running = find_running(settings)
    if running is not None:
        status, answer = _over_http(running, method, path, body, _TIMEOUT)
    else:
        status, answer = run(_in_process(settings, method, path, body))
    if status >= 400:
        fail(message_of(answer) or f"the gateway answered {status}")
    return answer


def message_of(answer: Any) -> str:
    """The text of any of the API's error shapes, with the fields it names."""
    error = answer.get("error") if isinstance(answer, dict) else answer
    if not isinstance(error, dict):
        return str(error or "")
    details = "; ".join(f"{d.get('field')}: {d.get('message')}" for d in error.get("details", ()))
    return details or str(error.get("message", ""))
