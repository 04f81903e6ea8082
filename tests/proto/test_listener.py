from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from h1_wire import Admitted, App, read_answers

from omniroute.clock import Clock
from omniroute.proto.exchange import Exchange
from omniroute.proto.listener import Listener, affordable
from omniroute.settings import Limits

GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
LAST = b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


def run(scenario: Awaitable[None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario

    uvloop.run(bounded())


@asynccontextmanager
async def serving(app: App, limits: Limits | None = None, **options: Any) -> AsyncIterator[Listener]:
    listener = Listener(app, limits or Limits(), Clock(), **options)  # type: ignore[arg-type]
    await listener.start("127.0.0.1", 0)
    try:
        yield listener
    finally:
        await listener.drain(0)


async def exchange(listener: Listener, data: bytes, *, half_close: bool = False) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(data)
    if half_close:
        writer.write_eof()
    answer = await reader.read(-1)
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("strict", [False, True])
def test_serves_pipelined_requests_on_a_real_socket(strict: bool) -> None:
    async def scenario() -> None:
        async with serving(App(), strict=strict) as listener:
            answer = await exchange(listener, GET * 20 + LAST)
            assert [a.body for a in read_answers(answer, ["GET"] * 21, closed=True)] == [b"GET /a  "] * 21

    run(scenario())


def test_a_large_body_goes_both_ways() -> None:
    async def scenario() -> None:
        async with serving(App(admission=Admitted(body_limit=1 << 24))) as listener:  # type: ignore[arg-type]
            body = bytes(range(256)) * 16_384
            head = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
            (answer,) = read_answers(await exchange(listener, head + body), ["POST"], closed=True)
            assert answer.body == b"POST /  " + body

    run(scenario())


def test_a_stream_to_a_reader_that_stops_is_paused_and_whole_in_the_end() -> None:
    async def scenario() -> None:
        stopped, goes_on = asyncio.Event(), asyncio.Event()

        async def handler(ex: Exchange) -> None:
            ex.on_pause, ex.on_resume = stopped.set, goes_on.set
            ex.start(200, [])
            sent = 0
            while not stopped.is_set():
                ex.write(b"x" * 32_768)
                sent += 32_768
                await asyncio.sleep(0)
            await goes_on.wait()
            ex.write(b"%d" % sent)
            ex.end()

        async with serving(App(handler)) as listener:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, limit=1024)
            writer.write(LAST)
            await stopped.wait()
            (answer,) = read_answers(await reader.read(-1), ["GET"], closed=True)
            assert int(answer.body.lstrip(b"x")) == answer.body.count(b"x")
            writer.close()

    run(scenario())


def test_a_refused_client_can_read_why_although_it_is_still_sending() -> None:
    async def scenario() -> None:
        async with serving(App()) as listener:
            loop = asyncio.get_running_loop()
            head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n"
            with socket.create_connection(("127.0.0.1", listener.port)) as client:
                client.setblocking(False)
                await loop.sock_sendall(client, head)
                for _ in range(8):
                    await loop.sock_sendall(client, b"x" * 65_536)
                answer = b""
                while piece := await loop.sock_recv(client, 65_536):
                    answer += piece
            assert read_answers(answer, ["POST"], closed=True)[0].status == 413

    run(scenario())


class Waiting:
    """A handler that says when it runs and when its client is gone."""

    def __init__(self, *, started: bool = False) -> None:
        self.runs = asyncio.Event()
        self.gone = asyncio.Event()
        self.go = asyncio.Event()
        self._started = started

    async def __call__(self, ex: Exchange) -> None:
        ex.on_gone = self._left
        if self._started:
            ex.start(200, [])
            ex.write(b"first")
        self.runs.set()
        await self.go.wait()
        if not ex.gone and self._started:
            ex.end()
        elif not ex.gone:
            ex.respond(200, [], b"late")

    def _left(self) -> None:
        self.gone.set()
        self.go.set()


def close_in_order(client: socket.socket) -> None:
    client.close()


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()


@pytest.mark.parametrize("leave", [close_in_order, reset])
@pytest.mark.parametrize("started", [False, True])
def test_a_client_that_closes_is_noticed_within_100_milliseconds(
    leave: Callable[[socket.socket], None], started: bool
) -> None:
    async def scenario() -> None:
        handler = Waiting(started=started)
        async with serving(App(handler)) as listener:
            loop = asyncio.get_running_loop()
            client = socket.create_connection(("127.0.0.1", listener.port))
            client.setblocking(False)
            await loop.sock_sendall(client, GET)
            await handler.runs.wait()
            if started:
                await loop.sock_recv(client, 65_536)
            since = loop.time()
            leave(client)
            await handler.gone.wait()
            assert loop.time() - since < 0.1
            assert await listener.drain(1) == 0

    run(scenario())


def test_a_client_that_only_shuts_its_write_side_gets_a_late_answer() -> None:
    async def scenario() -> None:
        handler = Waiting()
        async with serving(App(handler)) as listener:
            asyncio.get_running_loop().call_later(0.2, handler.go.set)
            answers = read_answers(await exchange(listener, GET, half_close=True), ["GET"], closed=True)
            assert [a.status for a in answers] == [100, 200]
            assert answers[-1].body == b"late"
            assert not handler.gone.is_set()

    run(scenario())


def test_a_quick_answer_to_a_half_closed_client_has_no_interim_one() -> None:
    async def scenario() -> None:
        async with serving(App()) as listener:
            (answer,) = read_answers(await exchange(listener, GET, half_close=True), ["GET"], closed=True)
            assert answer.status == 200

    run(scenario())


def test_drain_lets_the_running_finish_and_refuses_the_new() -> None:
    async def scenario() -> None:
        handler = Waiting()
        async with serving(App(handler)) as listener:
            port = listener.port
            idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", port)
            running = asyncio.ensure_future(exchange(listener, GET))
            await handler.runs.wait()
            draining = asyncio.ensure_future(listener.drain(5))
            assert await idle_reader.read(-1) == b""
            idle_writer.close()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
            handler.go.set()
            assert await draining == 0
            (answer,) = read_answers(await running, ["GET"], closed=True)
            assert (answer.body, answer.headers[b"connection"]) == (b"late", b"close")

    run(scenario())


def test_what_does_not_end_while_the_server_drains_is_told_so() -> None:
    async def scenario() -> None:
        handler = Waiting()
        async with serving(App(handler)) as listener:
            running = asyncio.ensure_future(exchange(listener, GET))
            await handler.runs.wait()
            assert await listener.drain(0.01) == 1
            assert listener.connections == 0
            (answer,) = read_answers(await running, ["GET"], closed=True)
            assert (answer.status, answer.headers[b"retry-after"]) == (503, b"1")
            assert b"shutting down" in answer.body
            assert not handler.gone.is_set()  # the client had not left

    run(scenario())


def test_drain_cuts_off_what_will_not_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omniroute.proto.listener.HASTE", 0.01)

    async def scenario() -> None:
        handler = Waiting()

        async def stubborn(ex: Exchange) -> None:
            try:
                await handler(ex)
            except asyncio.CancelledError:
                await handler.gone.wait()

        async with serving(App(stubborn)) as listener:
            running = asyncio.ensure_future(exchange(listener, GET))
            await handler.runs.wait()
            assert await listener.drain(0.01) == 1
            assert handler.gone.is_set()
            assert listener.connections == 0
            await asyncio.wait([running])
            assert running.exception() is not None or running.result() == b""

    run(scenario())


def test_binds_what_it_is_told_and_adopts_a_bound_socket() -> None:
    async def scenario() -> None:
        app = App()
        listener = Listener(app, Limits(), Clock())  # type: ignore[arg-type]
        assert listener.port == 0
        await listener.start(["127.0.0.1", "127.0.0.2"], 0)
        port = listener.port
        assert {sock.getsockname() for sock in listener.sockets} == {("127.0.0.1", port), ("127.0.0.2", port)}
        with pytest.raises(OSError, match="in use"):
            await Listener(app, Limits(), Clock()).start("127.0.0.1", listener.port)  # type: ignore[arg-type]
        await listener.drain(0)
        bound = socket.create_server(("127.0.0.1", 0))
        other = Listener(app, Limits(), Clock())  # type: ignore[arg-type]
        await other.adopt([bound])
        assert other.port == bound.getsockname()[1]
        assert read_answers(await exchange(other, LAST), ["GET"], closed=True)[0].status == 200
        await other.drain(0)

    run(scenario())


def test_small_pieces_are_not_delayed() -> None:
    async def scenario() -> None:
        told: list[int] = []

        async def handler(ex: Exchange) -> None:
            transport = ex._connection.transport  # type: ignore[attr-defined]
            told.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            ex.respond(200, [])

        async with serving(App(handler)) as listener:
            await exchange(listener, LAST)
        assert told[0] != 0

    run(scenario())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    unsealed = serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unsealed)
    )
    return folder / "cert.pem", folder / "key.pem"


def test_serves_tls_and_notices_a_client_that_leaves(certificate: tuple[Path, Path]) -> None:
    async def scenario() -> None:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(*certificate)
        trusting = ssl.create_default_context(cafile=str(certificate[0]))
        trusting.check_hostname = False
        schemes: list[str] = []
        runs, gone = asyncio.Event(), asyncio.Event()

        async def handler(ex: Exchange) -> None:
            schemes.append(ex.request.scheme)
            if ex.request.path == "/a":
                ex.respond(200, [], b"secret")
            else:
                ex.on_gone = gone.set
                runs.set()
                await gone.wait()

        async with serving(App(handler), tls=server) as listener:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=trusting)
            writer.write(GET)
            assert b"200 OK" in await reader.readuntil(b"secret")
            writer.write(GET.replace(b"/a", b"/b"))
            await runs.wait()
            writer.close()
            await gone.wait()
            assert schemes == ["https", "https"]
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=trusting)
            writer.write(b"BAD\r\n\r\n")
            assert b" 400 " in await reader.readline()
            writer.close()

    run(scenario())


def test_who_has_sent_half_a_head_or_reads_a_refusal_does_not_hold_a_drain_up() -> None:
    async def scenario() -> None:
        async with serving(App()) as listener:
            connections = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(2)]
            connections[0][1].write(b"GET / HTTP/1.1\r\nHo")
            connections[1][1].write(b"GET / HTTP/1.1\nHost: h\r\n\r\n")
            await connections[1][0].readuntil(b"\r\n\r\n")
            async with asyncio.timeout(2):  # of the 30 s below, and 10 s that a head may otherwise take
                assert await listener.drain(30) == 0
            assert b" 503 " in await connections[0][0].read()
            for _, writer in connections:
                writer.close()

    run(scenario())


def test_a_drain_that_is_hurried_waits_no_longer() -> None:
    async def scenario() -> None:
        begun, forever = asyncio.Event(), asyncio.Event()

        class Slow(App):
            async def handle(self, exchange: Exchange) -> None:
                begun.set()
                await forever.wait()

        async with serving(Slow()) as listener:
            listener.hurry()  # nothing waits yet
            _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(GET)
            await begun.wait()
            draining = asyncio.ensure_future(listener.drain(30))
            await asyncio.sleep(0)
            listener.hurry()
            assert await draining == 1
            forever.set()
            writer.close()

    run(scenario())


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "count", "raised"),
    [
        (1024, 100_000, 10_000, 10_000, 20_128),  # raised as far as needed
        (100_000, 100_000, 10_000, 10_000, None),
        (1024, 4096, 10_000, 1984, 4096),  # as far as it may be
        (1024, 1024, 10_000, 448, None),
        (64, 64, 10_000, 8, None),
        (-1, -1, 10_000, 10_000, None),  # unlimited
    ],
)
def test_connections_leave_descriptors_for_the_providers(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, wanted: int, count: int, raised: int | None
) -> None:
    resource = pytest.importorskip("resource")
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: set_to.append(limits))
    assert affordable(wanted) == count
    assert set_to == ([(raised, hard)] if raised else [])
