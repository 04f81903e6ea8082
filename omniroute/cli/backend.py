"""The management API from the command line: over HTTP when a gateway runs on this data directory, in process otherwise.

A running gateway leaves its address and a token in ``server.json`` (readable by its owner only), so that a change made here
is in force for its next request and no password has to be typed on the owner's own machine.
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

from ..settings import Settings, ip_literal, is_loopback
from .output import fail

_FILE: Final = "server.json"
_TIMEOUT: Final = 90.0  # testing an account takes as long as its provider
_ANYONE_THERE: Final = 2.0
_HERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked up; how to reach ourselves when bound to all addresses

Perform = Callable[[str, str, Any], tuple[int, bytes]]  # (method, path, body) -> (status, body)


class Running(msgspec.Struct, frozen=True):
    """A gateway as it announced itself; ``cert`` is the path of its certificate when it serves HTTPS."""

    host: str
    port: int
    pid: int
    token: str
    cert: str = ""


class Unanswering(Exception):
    """A gateway has announced itself and takes connections, but says nothing."""


class Api:
    """``api("GET", "/api/keys")``: the decoded answer.  Ends the command with the API's own message on an error.

    ``here``: it is in this process.  A call may take as long as it needs then, and nothing goes on between two calls.
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
    """The API of the gateway that runs on this data directory, or of its data."""
    try:
        running = find_running(settings)
    except Unanswering as error:
        fail(str(error))
    if running is not None:
        yield Api(partial(_or_fail, running))
        return
    from .in_process import opened  # brings the whole gateway along

    with opened(settings) as perform:
        yield Api(perform, here=True)


def announce(settings: Settings, port: int, token: str) -> None:
    """Leave word of a gateway that has just begun to listen."""
    path = settings.data_dir / _FILE
    cert = str(Path(settings.tls_cert).absolute()) if settings.tls_cert else ""
    draft = path.with_name(f".{_FILE}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(Running(settings.host, port, os.getpid(), token, cert)))
    os.replace(draft, path)


def withdraw(settings: Settings) -> None:
    """Take the word back, if it is ours."""
    if (record := _announced(settings)) is not None and record.pid == os.getpid():
        with suppress(OSError):
            (settings.data_dir / _FILE).unlink(missing_ok=True)


def _announced(settings: Settings) -> Running | None:
    try:
        return msgspec.json.decode((settings.data_dir / _FILE).read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError):
        return None


def find_running(settings: Settings) -> Running | None:
    """The gateway that serves this data directory, also one about to end.  Raises :class:`Unanswering`."""
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
    """One call.  Raises ``OSError`` (``TimeoutError``) and ``http.client.HTTPException``."""
    connection = _connection(running, seconds)
    try:
        headers = {"Authorization": f"Bearer {running.token}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else msgspec.json.encode(body), headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _connection(running: Running, seconds: float) -> http.client.HTTPConnection:
    host = _HERE.get(running.host, running.host)
    # the token is taken only from a loopback peer, which the system makes us for any address of this machine
    near = None if is_loopback(host) or not ip_literal(host) else ("::1" if ":" in host else "127.0.0.1", 0)
    if not running.cert:
        return http.client.HTTPConnection(host, running.port, seconds, near)
    context = ssl.create_default_context(cafile=running.cert)
    context.check_hostname = False  # it need not be made out to 127.0.0.1; that it is this very certificate says more
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return http.client.HTTPSConnection(host, running.port, timeout=seconds, source_address=near, context=context)


def _or_fail(running: Running, method: str, path: str, body: Any) -> tuple[int, bytes]:
    try:
        return over_http(running, method, path, body, _TIMEOUT)
    except (OSError, http.client.HTTPException) as error:
        fail(f"The gateway on {running.host}:{running.port} broke off: {error or type(error).__name__}")


def decoded(body: bytes) -> Any:
    """JSON, or the text when it is none."""
    try:
        return msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return body.decode("utf-8", "replace")


def message_of(answer: Any) -> str:
    """The text of any of the API's error shapes, with the fields it names."""
    error = answer.get("error") if isinstance(answer, dict) else answer
    if not isinstance(error, dict):
        return str(error or "")
    details = "; ".join(f"{d.get('field')}: {d.get('message')}".lstrip(": ") for d in error.get("details", ()))
    return details or str(error.get("message", ""))
