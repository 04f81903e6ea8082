"""Raw bytes to a listening gateway, and its answers, parsed strictly."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

from h1_wire import Answer, read_answers

WAIT = 10.0


def connect(port: int, timeout: float = WAIT) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def read_all(sock: socket.socket) -> bytes:
    """Read until the server closes.  Raises ``TimeoutError`` if it does not."""
    out = b""
    with suppress(ConnectionError):
        while data := sock.recv(65536):
            out += data
    return out


def read_until(sock: socket.socket, end: bytes) -> bytes:
    """Read up to and including *end*, or less if the server closes."""
    out = b""
    while end not in out and (data := sock.recv(65536)):
        out += data
    return out


def talk(port: int, *pieces: bytes, methods: tuple[str, ...] = (), shut: bool = False) -> list[Answer]:
    """Send *pieces* and read until the server closes; return all answers, checked."""
    with connect(port) as sock:
        with suppress(ConnectionError):
            for piece in pieces:
                sock.sendall(piece)
            if shut:
                sock.shutdown(socket.SHUT_WR)
        data = read_all(sock)
    return [check(answer) for answer in read_answers(data, list(methods) or ["POST"] * 50, closed=True)]


def check(answer: Answer) -> Answer:
    """Check what RFC 9110 and RFC 9112 require of every final answer."""
    if answer.status < 200:
        return answer
    sent = parsedate_to_datetime(answer.headers[b"date"].decode())
    assert abs(sent.timestamp() - time.time()) < 60
    if answer.status in (204, 304):
        assert not {b"content-length", b"transfer-encoding"} & answer.headers.keys()
        return answer
    assert (b"content-length" in answer.headers) != (b"transfer-encoding" in answer.headers), answer
    assert answer.complete, answer
    if answer.status >= 400 and answer.body:
        assert error_text(answer)
    return answer


def error_text(answer: Answer) -> str:
    """Return the message of an error in any wire's shape."""
    assert answer.headers[b"content-type"].startswith(b"application/json"), answer
    error: Any = json.loads(answer.body)["error"]
    return str(error["message"] if isinstance(error, dict) else error)
