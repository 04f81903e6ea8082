"""Clients that take their time, on purpose or not, and clients in crowds: the gateway goes on answering the others."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from h1_wire import read_answers
from processes import Process
from raw_http import check, connect, read_all, read_until
from real_gateway import SSE, behind
from scripted_upstream import HANG, Answer, Raw
from selfsigned import pem
from wires import ANTHROPIC, CHAT

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
INIT = b"GET /api/init HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module", params=["default", "strict"])
def impatient(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    process = Process(
        tmp_path_factory.mktemp("impatient"),
        STRICT_HTTP="true" if request.param == "strict" else "false",
        HEAD_TIMEOUT_MS="400",
        BODY_TIMEOUT_MS="400",
        KEEP_ALIVE_TIMEOUT_MS="400",
        WRITE_TIMEOUT_MS="400",
        KEEPALIVE_INTERVAL_MS="0",
    ).start()
    yield process
    assert process.stop() == 0


def drip(process: Process, begin: bytes, drops: Iterator[bytes], every: float = 0.05) -> tuple[bytes, float]:
    """Send *begin*, then a drop at a time until the server has had enough; what it said, and after how many seconds."""
    began = time.monotonic()
    out = b""
    with connect(process.port) as sock, suppress(ConnectionError):
        sock.sendall(begin)
        sock.settimeout(every)
        for drop in drops:
            assert time.monotonic() - began < 8, "the server waits for ever"
            try:
                data = sock.recv(65536)
            except TimeoutError:
                sock.sendall(drop)
                continue
            if not data:
                break
            out += data
    return out, time.monotonic() - began


def forever(drop: bytes) -> Iterator[bytes]:
    while True:
        yield drop


SLOW = {
    "nothing at all": (b"", b"", 0),
    "a request line": (b"GET /v1/models HTT", b"", 408),
    "a byte of a request line at a time": (b"GET /", b"a", 408),
    "a header field at a time": (HEAD, b"X-A: b\r\n", 408),
    "a byte of a field at a time": (HEAD + b"X-A: ", b"b", 408),
    "empty lines": (b"", b"\r\n", 400),
    "no body": (HEAD + b"Content-Length: 100000\r\n\r\n", b"", 408),
    "a byte of a body at a time": (HEAD + b"Content-Length: 100000\r\n\r\n", b" ", 408),
    "a tiny chunk at a time": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", 408),
    "a byte of a chunk size at a time": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0", 408),
    "a byte of a chunk extension at a time": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;", b"a", 408),
    "a trailer at a time": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: a\r\n", 408),
    "no body after 100": (HEAD + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n", b"", 408),
}


@pytest.fixture(scope="module")
def met(impatient: Process) -> Iterator[dict[str, Future[tuple[bytes, float]]]]:
    """What happened to each of the slow requests, which were sent all at once."""
    with ThreadPoolExecutor(len(SLOW)) as pool:
        yield {case: pool.submit(drip, impatient, begin, forever(drop)) for case, (begin, drop, _) in SLOW.items()}


@pytest.mark.parametrize("case", SLOW)
def test_a_request_that_does_not_come_is_not_waited_for(met: dict[str, Future[tuple[bytes, float]]], case: str) -> None:
    status = SLOW[case][2]
    said, seconds = met[case].result(10)
    assert seconds < 4
    if not status:
        assert said == b""
        return
    if case == "a byte of a chunk size at a time" and b" 400 " in said:
        status = 400  # seventeen digits are no size, if they come soon enough
    answers = [check(a) for a in read_answers(said, ["POST"] * 2, closed=True) if a.status != 100]
    assert [(a.status, a.headers[b"connection"]) for a in answers] == [(status, b"close")]


def test_a_silent_connection_that_had_its_answer_is_closed_without_a_word(impatient: Process) -> None:
    with connect(impatient.port) as sock:
        sock.sendall(INIT)
        assert b"Initialized" in read_until(sock, b"Initialized")
        assert read_all(sock) == b""


def test_a_body_that_comes_fast_enough_is_waited_for(impatient: Process) -> None:
    """Longer than any deadline, but never silent and not below the rate."""
    with connect(impatient.port) as sock:
        sock.sendall(HEAD + b"Connection: close\r\nContent-Length: 3604\r\n\r\n{")
        sock.settimeout(0.1)
        for _ in range(6):
            with pytest.raises(TimeoutError):
                sock.recv(1)
            sock.sendall(b" " * 599)
        sock.settimeout(5)
        sock.sendall(b" " * 8 + b"}")
        assert read_until(sock, b"\r\n").startswith(b"HTTP/1.1 400 ")


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    data = tmp_path_factory.mktemp("secure")
    for name, content in zip(("cert.pem", "key.pem"), pem("localhost"), strict=True):
        (data / name).write_bytes(content)
    paths = {"TLS_CERT": str(data / "cert.pem"), "TLS_KEY": str(data / "key.pem")}
    process = Process(data, HEAD_TIMEOUT_MS="400", INITIAL_PASSWORD="something long", **paths).start()
    yield process
    assert process.stop() == 0
    assert "Traceback" not in (data / "output.txt").read_text()


def test_a_tls_handshake_that_does_not_come_is_not_waited_for(secure: Process) -> None:
    texts = (b"", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    held = [connect(secure.port) for _ in range(50 * len(texts))]
    for number, sock in enumerate(held):
        sock.sendall(texts[number % len(texts)])
    for sock in held:
        assert b"HTTP" not in read_all(sock)
        sock.close()


def test_under_tls_the_session_cookie_is_for_tls_only(secure: Process) -> None:
    body = b'{"password": "something long"}'
    head = b"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    context = ssl.create_default_context(cafile=str(secure.data / "cert.pem"))
    with context.wrap_socket(connect(secure.port), server_hostname="localhost") as sock:
        sock.sendall(head % len(body) + body)
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"; HttpOnly; SameSite=Lax; Secure\r\n" in answer


async def test_a_reader_that_stops_is_dropped_and_its_provider_released(make_gateway: Any) -> None:
    gateway = make_gateway(WRITE_TIMEOUT_MS="500", KEEPALIVE_INTERVAL_MS="0")
    piece = CHAT.first * 500
    flood = Answer(200, [*CHAT.opening, *[piece] * 400, HANG], SSE, "chunked")
    async with behind(gateway, CHAT, flood) as (model, upstream):
        body = json.dumps(CHAT.ask(model, stream=True)).encode()
        sock = await asyncio.to_thread(connect, gateway.port)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        seen = await upstream.arrived(1)
        await asyncio.wait_for(seen.gone.wait(), 15)
        sock.close()
        assert gateway.request("GET", "/api/init")[0] == 200
        assert gateway.api("GET", "/api/usage/history")["activeRequests"] == []


async def test_requests_sent_ahead_are_not_taken_in_without_end(gateway: Process) -> None:
    async with behind(gateway, CHAT, Raw([HANG])) as (model, upstream):
        body = json.dumps(CHAT.ask(model)).encode()
        with connect(gateway.port) as sock:
            sock.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            await upstream.arrived(1)
            sock.setblocking(False)
            taken = 0
            with suppress(BlockingIOError):
                for _ in range(2000):
                    taken += sock.send(INIT * 1000)
                    await asyncio.sleep(0)
            assert taken < 32 * 1024 * 1024


async def test_over_the_limit_of_calls_in_flight_a_503_comes_at_once(make_gateway: Any) -> None:
    gateway = make_gateway(MAX_IN_FLIGHT="3")
    async with behind(gateway, CHAT, Raw([HANG])) as (model, upstream):
        body = json.dumps(CHAT.ask(model)).encode()
        held = [await asyncio.to_thread(connect, gateway.port) for _ in range(3)]
        for sock in held:
            sock.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await upstream.arrived(3)
        for wire in (CHAT, ANTHROPIC):
            began = time.monotonic()
            status, headers, raw = await asyncio.to_thread(gateway.request, "POST", wire.path, wire.ask(model))
            assert (status, headers["retry-after"]) == (503, "1")
            assert time.monotonic() - began < 1
            assert wire.error_of(raw)["message"] == "Too many requests in flight"
        assert gateway.request("GET", "/api/init")[0] == 200
        for sock in held:
            sock.close()


def test_over_the_limit_of_connections_a_503_comes_and_then_nothing(make_gateway: Any) -> None:
    gateway = make_gateway(MAX_CONNECTIONS="20")
    held = [connect(gateway.port) for _ in range(20)]
    for sock in held:
        sock.sendall(INIT)
        assert b"Initialized" in read_until(sock, b"Initialized")
    with connect(gateway.port) as sock:
        answer = read_all(sock)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in answer
    crowd = [connect(gateway.port) for _ in range(60)]
    held[0].sendall(INIT)
    assert b"Initialized" in read_until(held[0], b"Initialized")
    for sock in held + crowd:
        sock.close()
    for _ in range(100):  # until it has seen all of them leave
        with suppress(ConnectionError):
            if gateway.request("GET", "/api/init")[0] == 200:
                return
    raise AssertionError("nobody is answered any more")


ATTACKS = {  # the tool's words for each, and what it asks for
    "slowloris": ("/v1/models", ["-H", "-i", "1", "-x", "16"]),
    "slow body": ("/v1/chat/completions", ["-B", "-i", "1", "-x", "16", "-s", "8192"]),
    "slow read": ("/admin_ui/app.js", ["-X", "-w", "10", "-y", "20", "-n", "1", "-z", "8", "-k", "3"]),
    "ranges": ("/v1/models", ["-R", "-a", "10", "-b", "3000"]),
}


@pytest.mark.slow
def test_others_are_answered_during_four_kinds_of_slowhttptest(make_gateway: Any) -> None:
    program = shutil.which("slowhttptest")
    if program is None:
        pytest.skip("slowhttptest is not installed")
    gateway = make_gateway(HEAD_TIMEOUT_MS="2000", BODY_TIMEOUT_MS="2000", WRITE_TIMEOUT_MS="2000", MAX_CONNECTIONS="1000")
    common = [program, "-c", "200", "-r", "100", "-l", "3", "-p", "3"]
    running = [
        subprocess.Popen(
            [*common, *words, "-u", f"{gateway.url}{path}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for path, words in ATTACKS.values()
    ]
    waits = []
    while any(attack.poll() is None for attack in running):
        began = time.monotonic()
        assert gateway.request("GET", "/v1/models")[0] == 200
        waits.append(time.monotonic() - began)
    assert len(waits) > 50
    assert sorted(waits)[len(waits) * 99 // 100] < 0.5
    assert gateway.alive
