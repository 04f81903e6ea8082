"""The management API for commands: over HTTP when a gateway runs on this data directory, in process otherwise.

A running gateway writes its address and a token to ``server.json``, which only its owner can read.  So a command's change
takes effect with the gateway's next request, and the owner need not type a password on the same machine.
"""

from __future__ import annotations

import http.client
import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from ..settings import WILDCARDS, Settings, ip_literal, is_loopback
from .output import fail

_FILE: Final = "server.json"
_TIMEOUT: Final = 90.0  # testing an account waits for its provider
_ANYONE_THERE: Final = 2.0

Perform = Callable[[str, str, Any], tuple[int, bytes]]  # (method, path, body) -> (status, body)


class Running(msgspec.Struct, frozen=True):
    """The content of ``server.json``; ``cert`` is the path of the gateway's certificate, "" unless it serves HTTPS."""

    host: str
    port: int
    pid: int
    token: str
    cert: str = ""


class Unanswering(Exception):
    """A gateway accepts connections at the announced address, but does not respond in time."""


class Api:
    """``api("GET", "/api/keys")`` returns the decoded response.  An error ends the command with the API's own message.

    ``here``: the API runs in this process.  Calls have no timeout then, and no background work runs between two calls.
    """

    def __init__(self, perform: Perform, *, here: bool = False) -> None:
        self._perform = perform
        self.here = here

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        status, raw = self._perform(method, path, body)
        answer = decoded(raw)
        if status >= 400:
            fail(message_of(answer) or f"the gateway answered {status}")
        return answer


@contextmanager
def connect(settings: Settings) -> Iterator[Api]:
    """The API of the gateway that runs on this data directory; without one, an API that opens the directory itself."""
    try:
        running = find_running(settings)
    except Unanswering as error:
        fail(str(error))
    if running is not None:
        yield Api(partial(_or_fail, running))
        return
    from .in_process import opened  # imports the whole gateway

    with opened(settings) as perform:
        yield Api(perform, here=True)


def announce(settings: Settings, port: int, token: str) -> None:
    """Write ``server.json`` for a gateway that has just begun to listen."""
    path = settings.data_dir / _FILE
    cert = str(Path(settings.tls_cert).absolute()) if settings.tls_cert else ""
    draft = path.with_name(f".{_FILE}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(Running(settings.host, port, os.getpid(), token, cert)))
    os.replace(draft, path)


def withdraw(settings: Settings) -> None:
    """Delete ``server.json`` if this process wrote it."""
    if (record := _announced(settings)) is not None and record.pid == os.getpid():
        with suppress(OSError):
            (settings.data_dir / _FILE).unlink(missing_ok=True)


def _announced(settings: Settings) -> Running | None:
    try:
        return msgspec.json.decode((settings.data_dir / _FILE).read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError):
        return None


def find_running(settings: Settings) -> Running | None:
    """The gateway that serves this data directory, even one that is shutting down.  Raises :class:`Unanswering`."""
    running = _announced(settings)
    if running is None:
        return None
    try:
        status, raw = over_http(running, "GET", "/api/auth/status", None, _ANYONE_THERE)
    except TimeoutError:
        if not _alive(running.pid):
            return None
        word = settings.data_dir / _FILE
        raise Unanswering(
            f"The gateway on {running.host}:{running.port} (pid {running.pid}) does not answer: stop it, or delete {word} "
            "if there is none"
        ) from None
    except (OSError, http.client.HTTPException):
        return None
    return running if status == 503 or decoded(raw) == {"authenticated": True} else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def over_http(running: Running, method: str, path: str, body: Any, seconds: float) -> tuple[int, bytes]:
    """One call with a timeout of *seconds*: (status, body).  Raises ``OSError`` and ``http.client.HTTPException``."""
    connection = _connection(running, seconds)
    try:
        headers = {"Authorization": f"Bearer {running.token}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else msgspec.json.encode(body), headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _connection(running: Running, seconds: float) -> http.client.HTTPConnection:
    host = WILDCARDS.get(running.host, running.host)
    # The gateway accepts the token only from loopback peers.  The system can bind a connection to any of this machine's
    # addresses to a loopback source.
    near = None if is_loopback(host) or not ip_literal(host) else ("::1" if ":" in host else "127.0.0.1", 0)
    if not running.cert:
        return http.client.HTTPConnection(host, running.port, seconds, near)
    context = ssl.create_default_context(cafile=running.cert)
    context.check_hostname = False  # it may not name 127.0.0.1; trusting only this certificate is stricter
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return http.client.HTTPSConnection(host, running.port, timeout=seconds, source_address=near, context=context)


def _or_fail(running: Running, method: str, path: str, body: Any) -> tuple[int, bytes]:
    try:
        return over_http(running, method, path, body, _TIMEOUT)
    except (OSError, http.client.HTTPException) as error:
        fail(f"The gateway on {running.host}:{running.port} broke off: {error or type(error).__name__}")


def decoded(body: bytes) -> Any:
    """*body* decoded from JSON, or as text when it is not JSON."""
    try:
        return msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return body.decode("utf-8", "replace")


def message_of(answer: Any) -> str:
    """The message of an error response in any of the API's shapes, with the names of invalid fields."""
    error = answer.get("error") if isinstance(answer, dict) else answer
    if not isinstance(error, dict):
        return str(error or "")
    details = "; ".join(f"{d.get('field')}: {d.get('message')}".lstrip(": ") for d in error.get("details", ()))
    return details or str(error.get("message", ""))
