"""Whatever an upstream does, a call ends in the next account or in one clear error in the client's own wire, in time."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import msgspec
import pytest
from data_plane import HASTY, MODEL, Running, accounts, data_plane, provider, routed, snapshot, until
from scripted_upstream import CLOSE, HANG, RESET, Answer, Piece, Raw, ScriptedUpstream, Seen, Step
from wires import ANTHROPIC, CHAT, DONE, SAID, WIRES, Wire, chunk, event, events, sse

import omniroute.gateway.stream as stream_module

DEADLINE = 1.5  # seconds; the deadlines themselves are 0.12
SSE = [("content-type", "text/event-stream")]
JSON = [("content-type", "application/json")]
HTML = b"<html><head><title>502</title></head>\n\n<body>Bad gateway</body></html>\n"
MODES = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
CLIENTS = pytest.mark.parametrize("client", WIRES, ids=repr)
UPSTREAMS = pytest.mark.parametrize("wire", WIRES, ids=repr)


def good(wire: Wire, stream: bool) -> Answer:
    """The answer that was hoped for."""
    return Answer(200, wire.stream, SSE, "chunked") if stream else Answer(200, [wire.whole], JSON)


def cut(wire: Wire, stream: bool, end: Piece) -> Answer:
    """An answer that stops before it has said anything."""
    if stream:
        return Answer(200, [wire.opening[0][:30], end], SSE, "chunked")
    return Answer(200, [wire.whole[:40], end], JSON, length=len(wire.whole))


class Fault(NamedTuple):
    """What an upstream does, and the status a client gets when no account is left."""

    step: Callable[[Wire, bool], Step]
    status: int


def says(status: int, kind: str = "api_error", text: str = "The upstream says no") -> Fault:
    return Fault(lambda wire, _: Answer(status, [wire.error(kind, text)], JSON), status)


def body(kind: list[tuple[str, str]], *pieces: bytes) -> Fault:
    return Fault(lambda *_: Answer(200, pieces, kind), 502)


FAULTS = {
    "resets before the head": Fault(lambda *_: Raw([RESET]), 502),
    "closes before the head": Fault(lambda *_: Raw([CLOSE]), 502),
    "hangs before the head": Fault(lambda *_: Raw([HANG]), 504),
    "hangs inside the head": Fault(lambda *_: Raw([b"HTTP/1.1 200 OK\r\nconte", HANG]), 504),
    "closes inside the head": Fault(lambda *_: Raw([b"HTTP/1.1 200 OK\r\nconte", CLOSE]), 502),
    "no HTTP": Fault(lambda *_: Raw([b"220 mail.example ESMTP\r\n\r\n", CLOSE]), 502),
    "resets inside the body": Fault(lambda wire, stream: cut(wire, stream, RESET), 502),
    "truncates the body": Fault(lambda wire, stream: cut(wire, stream, CLOSE), 502),
    "hangs inside the body": Fault(lambda wire, stream: cut(wire, stream, HANG), 504),
    "HTML": body([("content-type", "text/html")], HTML),
    "HTML called JSON": body(JSON, HTML),
    "HTML called SSE": body(SSE, HTML),
    "broken JSON": body(JSON, b'{"id": "x", "choices": [{'),
    "broken SSE": body(SSE, b"data: {oops\n\n", b"data: }\n\n"),
    "empty JSON": body(JSON),
    "null": body(JSON, b"null"),
    "a list": body(JSON, b"[]"),
    "empty SSE": body(SSE),
    "comments only": body(SSE, b": hello\n\n", b": still here\n\n"),
    "redirect": Fault(lambda *_: Answer(302, [b""], [("location", "http://127.0.0.1:9/elsewhere")]), 502),
    "permanent redirect": Fault(lambda *_: Answer(308, [b"moved"], [("location", "https://example.com/")]), 502),
    "401": says(401, "authentication_error", "Invalid API key"),
    "402": says(402, "billing_error"),
    "403": says(403, "permission_error"),
    "404": says(404, "not_found_error"),
    "408": says(408, "timeout_error"),
    "429": says(429, "rate_limit_error", "Rate limit reached"),
    "500": says(500),
    "502 with HTML": Fault(lambda *_: Answer(502, [HTML], [("content-type", "text/html")]), 502),
    "503": says(503),
    "503 without a body": Fault(lambda *_: Answer(503), 503),
    "504": says(504),
    "529": says(529, "overloaded_error", "Overloaded"),
}
faults = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())


@CLIENTS
@UPSTREAMS
@MODES
@faults
async def test_with_one_account_a_fault_is_one_error_in_the_clients_wire(
    client: Wire, wire: Wire, stream: bool, fault: Fault
) -> None:
    async with routed(wire, fault.step(wire, stream)) as (plane, upstream):
        began = time.monotonic()
        status, headers, raw = await plane.post(client, client.ask(MODEL, stream=stream))
        assert time.monotonic() - began < DEADLINE
        assert status == fault.status
        assert headers["content-type"] == "application/json"
        client.error_of(raw)
        assert len(upstream.requests) == 1
        assert [record.status for record in plane.records] == [fault.status]
        assert plane.records[0].error
        assert not plane.live.in_flight


@CLIENTS
@UPSTREAMS
@MODES
@faults
async def test_with_another_account_a_fault_is_not_noticed(client: Wire, wire: Wire, stream: bool, fault: Fault) -> None:
    def step(seen: Seen) -> Answer | Raw:
        bad = "key-1" in (seen.headers.get("authorization", "") + seen.headers.get("x-api-key", ""))
        made = fault.step(wire, stream) if bad else good(wire, stream)
        assert not callable(made)
        return made

    async with routed(wire, step, secrets=("key-1", "key-2")) as (plane, upstream):
        status, headers, raw = await plane.post(client, client.ask(MODEL, stream=stream))
        assert (status, client.text(raw, stream)) == (200, SAID)
        assert len(upstream.requests) == 2
        assert headers["x-omniroute-route"] == f"up/acct-2; attempt=2/2; failed=up/acct-1 ({fault.status})"
        assert plane.live.health.blocked_until("c1", "m") is not None
        assert plane.live.health.blocked_until("c2", "m") is None


@CLIENTS
@UPSTREAMS
@MODES
async def test_nobody_listens(client: Wire, wire: Wire, stream: bool) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        async with ScriptedUpstream(good(wire, stream)) as upstream:
            first, second = accounts("key-1", "key-2")
            state = snapshot(provider(wire, f"{upstream.url}/v1"), [msgspec.structs.replace(first, base_url=dead), second])
            async with data_plane(state) as plane:
                status, _, raw = await plane.post(client, client.ask(MODEL, stream=stream))
                assert (status, client.text(raw, stream)) == (200, SAID)
        async with data_plane(snapshot(provider(wire, dead), accounts("key-1"))) as plane:
            status, _, raw = await plane.post(client, client.ask(MODEL, stream=stream))
            assert status == 502
            assert "could not be reached" in client.error_of(raw)["message"]


@CLIENTS
@UPSTREAMS
@MODES
@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_the_request_is_to_blame_for_is_tried_once_and_cools_nobody(
    client: Wire, wire: Wire, stream: bool, status: int
) -> None:
    refusal = Answer(status, [wire.error("invalid_request_error", "prompt is too long")], JSON)
    async with routed(wire, refusal, secrets=("key-1", "key-2")) as (plane, upstream):
        got, _, raw = await plane.post(client, client.ask(MODEL, stream=stream))
        assert got == status
        assert "prompt is too long" in client.error_of(raw)["message"]
        assert len(upstream.requests) == 1
        assert plane.live.health.cooling() == {}
        assert plane.live.health.locks() == []


# -- once the client has part of its answer


LATE: dict[str, tuple[Sequence[Piece] | None, str]] = {
    "resets": ([RESET], "broke"),
    "truncates": ([CLOSE], "broke"),
    "hangs": ([HANG], "nothing for"),
    "ends early": ([], "ended before"),
    "says it is overloaded": (None, "Overloaded"),
}


@CLIENTS
@UPSTREAMS
@pytest.mark.parametrize("fault", LATE)
async def test_a_fault_in_mid_stream_is_reported_once_in_the_stream(client: Wire, wire: Wire, fault: str) -> None:
    pieces, words = LATE[fault]
    told = [*wire.opening, wire.first, *([wire.error_event] if pieces is None else pieces)]
    async with routed(wire, Answer(200, told, SSE, "chunked"), secrets=("key-1", "key-2")) as (plane, upstream):
        began = time.monotonic()
        status, _, raw = await plane.post(client, client.ask(MODEL, stream=True))
        assert time.monotonic() - began < DEADLINE
        assert status == 200
        assert client.text(raw, True) == "Good "
        (error,) = client.errors(raw)
        assert words in error["message"]
        assert_last_word_is_the_error(client, raw)
        assert len(upstream.requests) == 1
        record = plane.records[0]
        assert words in record.error
        assert 1 <= record.tokens_out <= len(told), "about one for each event, as no usage came"


def assert_last_word_is_the_error(client: Wire, raw: bytes) -> None:
    """Nothing that a client would take for an ending."""
    if client is ANTHROPIC:
        assert b"content_block_stop" not in raw
        assert b"message_stop" not in raw
        assert raw.rstrip().rpartition(b"event: ")[2].startswith(b"error")
    assert b"[DONE]" not in raw
    assert b'finish_reason": "stop' not in raw
    assert b'finish_reason":"stop' not in raw


@CLIENTS
async def test_an_event_that_cannot_be_read_ends_a_translated_stream_with_an_error(client: Wire) -> None:
    wire = CHAT if client is ANTHROPIC else ANTHROPIC
    broken = sse("{oops") if wire is CHAT else b"event: content_block_delta\ndata: {oops\n\n"
    for pieces in ([*wire.opening, wire.first, broken, HANG], [b"".join([*wire.opening, wire.first, broken]), HANG]):
        async with routed(wire, Answer(200, pieces, SSE, "chunked")) as (plane, upstream):
            status, _, raw = await plane.post(client, client.ask(MODEL, stream=True))
            if status == 200:
                assert client.text(raw, True) == "Good "
                assert "could not be read" in client.errors(raw)[0]["message"]
                assert_last_word_is_the_error(client, raw)
            else:  # nothing had been sent: an HTTP status is better than a stream that dies
                assert status == 502
                client.error_of(raw)
            await upstream.requests[0].gone.wait()


@CLIENTS
async def test_an_error_as_the_first_event_of_a_stream_is_an_http_status(client: Wire) -> None:
    for wire in WIRES:
        opening = wire.opening[:1]
        for pieces in ([wire.error_event], [*opening, wire.error_event], [b"".join(opening) + wire.error_event]):
            async with routed(wire, Answer(200, pieces, SSE, "chunked")) as (plane, _):
                status, _, raw = await plane.post(client, client.ask(MODEL, stream=True))
                assert status >= 500
                assert "Overloaded" in client.error_of(raw)["message"]
                assert plane.live.health.blocked_until("c1", "m") is not None


@CLIENTS
async def test_the_error_in_the_stream_comes_at_once_though_the_upstream_stays(
    client: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "LAST_WORDS", 0.05)
    for wire in WIRES:
        pieces = [*wire.opening, wire.first, wire.error_event, HANG]
        async with routed(wire, Answer(200, pieces, SSE, "chunked"), limits=replace(HASTY, stream_idle_timeout=30.0)) as (
            plane,
            _,
        ):
            status, _, raw = await asyncio.wait_for(plane.post(client, client.ask(MODEL, stream=True)), DEADLINE)
            assert status == 200
            assert len(client.errors(raw)) == 1


@CLIENTS
async def test_an_upstream_that_breaks_after_its_own_error_is_reported_once(client: Wire) -> None:
    for wire in WIRES:
        go = asyncio.Event()
        pieces = [*wire.opening, wire.first, wire.error_event, go, RESET]
        async with routed(wire, Answer(200, pieces, SSE, "chunked")) as (plane, _):
            call = await plane.open(client, client.ask(MODEL, stream=True))
            reading = asyncio.create_task(call.read(1 << 20))
            await until(lambda: plane.live.running > 0)
            asyncio.get_running_loop().call_later(0.02, go.set)
            assert len(client.errors(await reading)) == 1


@CLIENTS
@pytest.mark.parametrize("end", [RESET, CLOSE, HANG], ids=["reset", "cut", "hang"])
async def test_a_break_after_the_whole_answer_is_no_failure(client: Wire, end: Piece) -> None:
    for wire in WIRES:
        async with routed(wire, Answer(200, [*wire.stream, end], SSE, "chunked")) as (plane, _):
            status, _, raw = await plane.post(client, client.ask(MODEL, stream=True))
            assert (status, client.text(raw, True)) == (200, SAID)
            assert client.errors(raw) == []
            assert [(record.status, record.error) for record in plane.records] == [(200, "")]
            assert plane.live.health.cooling() == {}


async def test_a_client_that_closes_after_the_last_event_has_not_left() -> None:
    async with routed(CHAT, Answer(200, [*CHAT.stream, HANG], SSE, "chunked")) as (plane, upstream):
        await leave(plane, CHAT, upstream, True, b"[DONE]")
        await plane.idle()
        (record,) = plane.records
        assert (record.status, record.error, record.tokens_out) == (200, "", 5)


async def test_a_message_without_its_stop_event_gets_one() -> None:
    for tail in ([], [RESET]):
        async with routed(ANTHROPIC, Answer(200, [*ANTHROPIC.stream[:-1], *tail], SSE, "chunked")) as (plane, _):
            _, _, raw = await plane.post(ANTHROPIC, ANTHROPIC.ask(MODEL, stream=True))
            assert raw.startswith(b"".join(ANTHROPIC.stream[:-1]))
            assert events(raw)[-1] == ("message_stop", '{"type":"message_stop"}')


@CLIENTS
async def test_a_stream_that_ends_inside_an_event_ends_with_an_event(client: Wire) -> None:
    """The half event is not passed on: it would hide the error behind it."""
    for wire in WIRES:
        pieces = [*wire.opening, wire.first, wire.first[:40]]
        async with routed(wire, Answer(200, pieces, SSE, "chunked")) as (plane, _):
            _, _, raw = await plane.post(client, client.ask(MODEL, stream=True))
            assert client.text(raw, True) == "Good "
            assert len(client.errors(raw)) == 1


async def test_a_break_in_a_relayed_response_is_a_failure_though_the_client_has_its_end() -> None:
    wire = replace(CHAT, name="openai-responses", path="/v1/responses")
    said = event("response.output_text.delta", delta="Good ", sequence_number=0)
    async with routed(wire, Answer(200, [said, RESET], SSE, "chunked")) as (plane, _):
        _, _, raw = await plane.post(wire, {"model": MODEL, "input": "Greet me", "stream": True})
        assert events(raw)[-1][0] == "response.failed"
        assert "broke" in plane.records[0].error
        assert plane.live.health.blocked_until("c1", "m") is not None


async def test_a_provider_whose_streams_all_break_is_left_alone() -> None:
    broken = Answer(200, [*CHAT.opening, CHAT.first, RESET], SSE, "chunked")
    async with routed(CHAT, *[broken] * 5) as (plane, _):
        for _ in range(5):
            await plane.post(CHAT, CHAT.ask(MODEL, stream=True))
            plane.live.health.empty()
        assert plane.live.breakers.view("node-up").state == "OPEN"


async def test_an_upstream_that_only_says_done_has_said_nothing() -> None:
    for client in WIRES:
        said = [Answer(200, [DONE], SSE), good(CHAT, True)]
        async with routed(CHAT, *said, secrets=("key-1", "key-2")) as (plane, _):
            status, _, raw = await plane.post(client, client.ask(MODEL, stream=True))
            assert (status, client.text(raw, True)) == (200, SAID)


async def test_errors_inside_a_whole_answer_are_found_and_the_next_account_is_asked() -> None:
    """Some vendors say errors with 200."""
    for wire in WIRES:
        said = [Answer(200, [wire.error("overloaded_error", "Overloaded")], JSON), good(wire, False)]
        for client in WIRES:
            async with routed(wire, *said, secrets=("key-1", "key-2")) as (plane, _):
                status, _, raw = await plane.post(client, client.ask(MODEL))
                assert (status, client.text(raw, False)) == (200, SAID)


# -- the client leaves


async def leave(plane: Running, client: Wire, upstream: ScriptedUpstream, stream: bool, wait_for: bytes) -> float:
    """Send a request, read until *wait_for*, go; returns the seconds until the upstream is released."""
    reader, writer = await asyncio.open_connection("127.0.0.1", plane.port)
    body = json.dumps(client.ask(MODEL, stream=stream)).encode()
    writer.write(
        b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%b" % (client.path.encode(), len(body), body)
    )
    seen = await upstream.arrived(len(upstream.requests) + 1)
    if wait_for:
        await reader.readuntil(wait_for)
    writer.close()
    began = time.monotonic()
    await asyncio.wait_for(seen.gone.wait(), 2.0)
    return time.monotonic() - began


@CLIENTS
@UPSTREAMS
@pytest.mark.parametrize(
    ("stream", "pieces", "wait_for"),
    [(False, 0, b""), (True, 0, b""), (False, 1, b""), (True, 1, b""), (True, 2, b"Good")],
    ids=["before the head", "before the head of a stream", "in a whole body", "before the commit", "in mid-stream"],
)
async def test_the_client_leaves_and_the_upstream_is_released_within_a_tenth_of_a_second(
    client: Wire, wire: Wire, stream: bool, pieces: int, wait_for: bytes
) -> None:
    given = [b"", wire.opening[0] if stream else wire.whole[:30], *wire.opening[1:], wire.first]
    given = given[: pieces + 1] if pieces < 2 else given
    framing = "chunked" if stream else "length"
    step = Answer(200, [p for p in given if p] + [HANG], SSE if stream else JSON, framing, 10_000) if pieces else Raw([HANG])
    patient = replace(HASTY, first_byte_timeout=30.0, stream_idle_timeout=30.0)
    async with routed(wire, step, secrets=("key-1", "key-2"), limits=patient) as (plane, upstream):
        for _ in range(3):  # because the machine may be busy
            if (seconds := await leave(plane, client, upstream, stream, wait_for)) < 0.1:
                break
        assert seconds < 0.1
        await plane.idle()
        assert {record.status for record in plane.records} == {499}
        assert plane.live.health.cooling() == {}
        assert len(upstream.requests) == len(plane.records)
        assert plane.gateway.client.stats()["open"] == 0


async def test_a_call_that_was_left_in_mid_stream_is_counted_and_priced() -> None:
    pieces = [*CHAT.opening, CHAT.first, chunk({"content": "day"}), HANG]
    async with routed(CHAT, Answer(200, pieces, SSE, "chunked"), limits=replace(HASTY, stream_idle_timeout=30.0)) as (
        plane,
        upstream,
    ):
        await leave(plane, CHAT, upstream, True, b"day")
        await plane.idle()
        (record,) = plane.records
        assert record.estimated
        assert record.tokens_out
        assert record.tokens_in
        assert record.cost


# -- nothing is left behind


@CLIENTS
@UPSTREAMS
async def test_after_every_fault_nothing_is_left_behind(client: Wire, wire: Wire) -> None:
    quick = [fault for fault in FAULTS.values() if fault.status != 504]
    before = len(asyncio.all_tasks())
    steps = [fault.step(wire, stream) for stream in (False, True) for fault in quick]
    async with routed(wire, *steps) as (plane, upstream):
        for stream in (False, True):
            for _ in quick:
                await plane.post(client, client.ask(MODEL, stream=stream))
                plane.live.health.clear_all()
                plane.live.breakers.reset()
        assert len(upstream.requests) >= 2 * len(quick)  # a reused connection that closes is asked again
        await plane.idle()
        stats = plane.gateway.client.stats()
        assert stats["open"] == stats["idle"]
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) <= before + 1


async def test_an_answer_without_end_is_cut_off() -> None:
    limits = replace(HASTY, answer_bytes=64 * 1024)
    flood = Answer(200, [b" " * 60_000] * 4, JSON)
    async with routed(CHAT, flood, limits=limits) as (plane, _):
        status, _, raw = await plane.post(CHAT)
        assert status == 502
        CHAT.error_of(raw)


async def test_a_stream_that_never_says_anything_is_given_up_in_time() -> None:
    """Comments keep the connection alive but are no answer; memory stays bounded meanwhile."""
    opening = event("ping") * 1000
    async with routed(ANTHROPIC, Answer(200, [opening, HANG], SSE, "chunked")) as (plane, _):
        status, _, raw = await plane.post(CHAT, CHAT.ask(MODEL, stream=True))
        assert status == 504
        CHAT.error_of(raw)
