"""Single steps of the request path, timed in process: ``python -m pytest bench/micro``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import uvloop

from bench import answers, bodies
from bench.micro import paths
from omniroute.clock import Clock
from omniroute.gateway.combos import Lineups, Standing, order
from omniroute.gateway.resolve import resolve
from omniroute.gateway.snapshot import Combo, ComboEntry, Connection, Snapshot
from omniroute.proto.exchange import Exchange, Request
from omniroute.proto.h1_server import H1Server, ServerState
from omniroute.proto.sse import SSEReader
from omniroute.settings import Limits
from omniroute.translate.format import Target
from omniroute.translate.formats import FORMATS
from omniroute.upstream.providers import Provider

Benchmark = Callable[..., Any]
BODIES = {"openai-chat": bodies.chat, "anthropic": bodies.messages}
HEAD = (
    "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:20128\r\nUser-Agent: bench/1.0\r\nAccept: application/json\r\n"
    "Authorization: Bearer sk-0123456789abcdef\r\nContent-Type: application/json\r\nX-Stainless-Lang: python\r\n"
    "Content-Length: {}\r\n\r\n"
)


class Sink(asyncio.Transport):
    """A transport that discards everything."""

    def write(self, data: object) -> None: ...
    def writelines(self, data: object) -> None: ...
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def abort(self) -> None: ...
    def close(self) -> None: ...


class Answering:
    """A minimal application: every request gets the same answer."""

    body_limit = 32 * 1024 * 1024
    stream_body = False

    def __init__(self) -> None:
        self.answered = asyncio.Event()

    def admit(self, request: Request) -> Answering:
        return self

    async def handle(self, exchange: Exchange) -> None:
        exchange.respond(200, [(b"content-type", b"application/json")], b"{}")
        self.answered.set()

    def refuse(self, request: Request | None, status: int, message: str) -> tuple[list[tuple[bytes, bytes]], bytes]:
        raise AssertionError(message)


@pytest.mark.parametrize("agent", [False, True], ids=["1KB", "80KB"])
def test_fifty_requests_through_the_http1_server(benchmark: Benchmark, agent: bool) -> None:
    body = bodies.chat("mock/gpt-mock", agent=agent)
    raw = HEAD.format(len(body)).encode() + body
    pieces = [raw[at : at + 65536] for at in range(0, len(raw), 65536)]
    loop, app = uvloop.new_event_loop(), Answering()

    async def begin() -> H1Server:
        server = H1Server(ServerState(app, Limits(), Clock()))
        server.connection_made(Sink())
        return server

    server = loop.run_until_complete(begin())

    async def fifty() -> None:
        for _ in range(50):
            for piece in pieces:
                server.data_received(piece)
            await app.answered.wait()
            app.answered.clear()

    benchmark(lambda: loop.run_until_complete(fifty()))
    loop.run_until_complete(finish(server))
    loop.close()


async def finish(server: H1Server) -> None:
    server.connection_lost(None)


@pytest.mark.parametrize("wire", paths.ANSWERS)
def test_fifty_events_through_the_sse_reader(benchmark: Benchmark, wire: str) -> None:
    reader = SSEReader()
    events = b"".join(map(paths.ANSWERS[wire].event, range(50)))
    assert len(benchmark(reader.feed, events)) == 50


@pytest.mark.parametrize("path", paths.TRANSLATED, ids=lambda path: path.name)
def test_one_text_event_translated(benchmark: Benchmark, path: paths.Path) -> None:
    assert b"tok-2" in benchmark(path.step)


@pytest.mark.parametrize("wire", BODIES)
@pytest.mark.parametrize("agent", [False, True], ids=["1KB", "80KB"])
def test_a_request_translated(benchmark: Benchmark, wire: str, agent: bool) -> None:
    (other,) = set(BODIES) - {wire}
    body = BODIES[wire]("gpt-mock", agent=agent)
    source, target = FORMATS[wire], FORMATS[other]
    assert benchmark(lambda: target.encode_request(source.decode_request(body), Target("claude-mock", 4096))).body


@pytest.mark.parametrize("wire", paths.ANSWERS)
def test_a_whole_answer_decoded(benchmark: Benchmark, wire: str) -> None:
    assert benchmark(FORMATS[wire].decode_answer, paths.ANSWERS[wire].whole)


@pytest.mark.parametrize("name", ["mock/gpt-mock", "fast", "gpt-mock"])
def test_a_model_name_resolved(benchmark: Benchmark, name: str) -> None:
    provider = Provider("mock", "mock", "Mock", "openai-chat", "http://127.0.0.1/v1")
    snapshot = Snapshot(
        providers={"mock": provider},
        prefixes={"mock": "mock"},
        models={"gpt-mock": ("mock",)},
        aliases={"fast": "mock/gpt-mock"},
    )
    assert benchmark(resolve, snapshot, name).model == "gpt-mock"


def _crowd() -> Snapshot:
    """500 connections, 100 combos, 1,000 aliases."""
    ids = [f"p{n}" for n in range(50)]
    return Snapshot(
        providers={id: Provider(id, id, id, "openai-chat", "http://127.0.0.1/v1") for id in ids},
        prefixes={id: id for id in ids},
        connections={id: tuple(Connection(f"{id}-{n}", id, "x") for n in range(10)) for id in ids},
        models={f"m{n}": (id,) for n, id in enumerate(ids)},
        aliases={f"alias-{n}": f"p{n % 50}/m{n % 50}" for n in range(1000)},
        combos={f"combo-{n}": Combo(f"{n}", f"combo-{n}", (ComboEntry("p1/m1"), ComboEntry("m2"))) for n in range(100)},
    )


@pytest.mark.parametrize("name", ["p7/m7", "alias-77", "m7"])
def test_a_model_name_resolved_among_many(benchmark: Benchmark, name: str) -> None:
    """At most 15 µs."""
    assert benchmark(resolve, _crowd(), name).provider.id in ("p7", "p27")


def test_a_combo_put_in_its_order_among_many(benchmark: Benchmark) -> None:
    """At most 15 µs."""
    snapshot, lineups, standing = _crowd(), Lineups(), Standing(Random(1))

    def ordered() -> int:
        lineup = lineups.find(snapshot, "combo-5")
        return len(order(lineup, standing)) if lineup is not None else 0

    assert benchmark(ordered) == 2


def test_the_answers_of_the_mock_say_what_they_should() -> None:
    for wire, answer in paths.ANSWERS.items():
        assert answers.MARK in answer.whole, wire
