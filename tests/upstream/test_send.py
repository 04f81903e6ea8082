from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from client_calls import LIMITS, MIB, client, failure, post, settle
from fakes import FakeClock
from loops import on_each_loop
from scripted_upstream import CLOSE, HANG, RESET, Answer, Raw, ScriptedUpstream, Seen
from selfsigned import server_context

from omniroute import tasks
from omniroute.proto import dial
from omniroute.proto.transport import Origin, TransportError
from omniroute.upstream.request import Source, template
from omniroute.upstream.send import Client, Times

OK = Answer(pieces=[b"ok"])


# -- whole answers


@on_each_loop
async def test_calls_share_a_connection() -> None:
    async with ScriptedUpstream(
        Answer(201, [b"hello"], [("X-A", "b")]), Answer(pieces=[b"a", b"b"], framing="chunked")
    ) as up:
        one = client()
        assert await one.fetch(up.origin, "POST", b"/v1", [(b"x-b", b"c")], [b"{", b"}"], limit=99) == (
            201,
            [(b"x-a", b"b"), (b"content-length", b"5")],
            b"hello",
        )
        assert await post(one, up) == b"ab"
        assert (up.connections, one.stats()["reused"], one.stats()["idle"]) == (1, 1, 1)
        assert (up.requests[0].method, up.requests[0].path, up.requests[0].body) == ("POST", "/v1", b"{}")
        assert up.requests[0].headers == {"host": f"127.0.0.1:{up.port}", "x-b": "c", "content-length": "2"}
        await one.close()
        assert one.stats()["open"] == 0


@on_each_loop
async def test_calls_over_https_share_a_connection() -> None:
    server, trust = server_context("localhost")
    async with ScriptedUpstream(OK, tls=server) as up:
        one = client(ssl_context=trust)
        for _ in range(3):
            assert (await one.fetch(Origin("https", "localhost", up.port), "GET", b"/", [], limit=9))[2] == b"ok"
        await one.close()
        assert up.connections == 1


@on_each_loop
async def test_concurrent_calls_have_connections_of_their_own_and_idle_ones_are_limited() -> None:
    async with ScriptedUpstream(OK) as up:
        one = client(replace(LIMITS, pool_per_origin=3))
        assert await asyncio.gather(*[post(one, up) for _ in range(10)]) == [b"ok"] * 10
        assert one.stats()["open"] == one.stats()["idle"] <= 3
        await one.close()


@on_each_loop
async def test_an_answer_that_is_complete_is_not_waited_for_and_its_connection_is_kept_if_it_ends() -> None:
    fields = [("content-type", "text/x")]
    open_end = Answer(200, [b"a", b".", HANG], fields, framing="chunked")
    async with ScriptedUpstream(open_end, Answer(200, [b"ab."], fields), OK) as up:
        one, asked = client(), list[Any]()

        def ends(headers: Any) -> Any:
            asked.append(headers[0])
            return lambda data: data.endswith(b".")

        form = template(up.origin, "POST", b"/v1", [])
        assert (await one.whole_as(form, b"{}", limit=9, ends=ends)).take() == b"a."
        await up.requests[0].gone.wait()
        assert (await one.whole_as(form, b"{}", limit=9, ends=ends)).take() == b"ab."
        assert (await one.whole_as(form, b"{}", limit=9, ends=lambda headers: None)).take() == b"ok"
        assert (asked, up.connections) == ([(b"content-type", b"text/x")] * 2, 2)
        await one.close()


@on_each_loop
async def test_redirects_are_answers() -> None:
    async with ScriptedUpstream(Answer(307, headers=[("location", "http://169.254.169.254/")])) as up:
        one = client()
        status, headers, _ = await one.fetch(up.origin, "POST", b"/", [(b"authorization", b"k")], b"{}", limit=9)
        assert (status, headers[0]) == (307, (b"location", b"http://169.254.169.254/"))
        assert len(up.requests) == 1
        await one.close()


@on_each_loop
async def test_large_bodies_arrive_whole_both_ways() -> None:
    def echo(seen: Seen) -> Answer:
        return Answer(pieces=[seen.body])

    async with ScriptedUpstream(echo) as up:
        one, body = client(), os.urandom(16 * MIB)
        assert await post(one, up, [body[:80_000], memoryview(body)[80_000:]], limit=32 * MIB) == body
        await one.close()


@on_each_loop
async def test_answer_before_the_body_is_read_is_received_and_the_connection_not_reused() -> None:
    async with ScriptedUpstream(Answer(413, [b"too big", HANG], length=7, early=True), OK) as up:
        one = client()
        status, _, body = await one.fetch(up.origin, "POST", b"/", [], [bytes(32 * MIB)], limit=99)
        assert (status, body) == (413, b"too big")
        await up.requests[0].gone.wait()
        assert await post(one, up) == b"ok"
        assert up.connections == 2
        await one.close()


@on_each_loop
async def test_answer_over_its_limit_is_cut_off() -> None:
    for framing in ("length", "chunked", "close"):
        async with ScriptedUpstream(Answer(pieces=[bytes(70_000)] * 3, framing=framing)) as up:
            one = client()
            assert (await failure(post(one, up, limit=100_000))).reason == "too_large"
            assert len(await post(one, up, limit=210_000)) == 210_000
            await one.close()


# -- faults


FAULTS: dict[str, tuple[Answer | Raw, str]] = {
    "reset before head": (Raw([RESET]), "reset"),
    "closed before head": (Raw([CLOSE]), "closed"),
    "reset in body": (Answer(pieces=[b"a", RESET], framing="chunked"), "reset"),
    "short content-length": (Answer(pieces=[b"a", CLOSE], length=9), "truncated"),
    "chunked without its end": (Answer(pieces=[b"a", CLOSE], framing="chunked"), "truncated"),
    "half a head": (Raw([b"HTTP/1.1 200 OK\r\nContent-Le", CLOSE]), "truncated"),
    "html": (Raw([b"<html></html>"]), "protocol"),
    "both lengths": (
        Raw([b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]),
        "protocol",
    ),
    "switching protocols": (Raw([b"HTTP/1.1 101 S\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"]), "protocol"),
}


@pytest.mark.parametrize("fault", FAULTS)
@on_each_loop
async def test_faulty_answer_is_one_clear_error(fault: str) -> None:
    answer, reason = FAULTS[fault]
    async with ScriptedUpstream(answer) as up:
        one = client()
        error = await failure(post(one, up))
        assert (error.reason, error.reused, one.stats()["open"], len(up.requests)) == (reason, False, 0, 1)
        await one.close()


@on_each_loop
async def test_dead_reused_connection_is_replaced_once() -> None:
    for end in (CLOSE, RESET):
        async with ScriptedUpstream(OK, Raw([end]), OK) as up:
            one = client()
            assert [await post(one, up), await post(one, up)] == [b"ok", b"ok"]
            assert (up.connections, len(up.requests), one.stats()["retried"]) == (2, 3, 1)
            await one.close()


@on_each_loop
async def test_fresh_connection_that_dies_too_is_the_end() -> None:
    async with ScriptedUpstream(OK, Raw([CLOSE])) as up:
        one = client()
        await post(one, up)
        assert (await failure(post(one, up))).reason == "closed"
        assert len(up.requests) == 3
        await one.close()


@on_each_loop
async def test_reused_connection_that_dies_after_an_answer_byte_is_not_replaced() -> None:
    async with ScriptedUpstream(OK, Raw([b"H", CLOSE]), OK) as up:
        one = client()
        await post(one, up)
        assert (await failure(post(one, up))).reason == "truncated"
        await one.close()


@on_each_loop
async def test_connection_closed_while_idle_is_not_even_tried() -> None:
    async with ScriptedUpstream(OK) as up:
        one = client()
        await post(one, up)
        await up.stop()
        for _ in range(1000):
            if not one.stats()["open"]:
                break
            await asyncio.sleep(0)
        async with up:
            assert await post(one, up) == b"ok"
            assert (one.stats()["retried"], one.stats()["reused"]) == (0, 0)
        await one.close()


@on_each_loop
async def test_bytes_while_idle_make_a_connection_useless() -> None:
    async with ScriptedUpstream(Raw([b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n"]), OK) as up:
        one = client()
        assert await post(one, up) == b"ok"
        assert one.stats()["open"] == 0
        await one.close()


# -- deadlines


async def overdue(step: Answer | Raw, seconds: float, **options: Times) -> str:
    """How a call ends when *seconds* pass after the upstream has said all it will say."""
    async with ScriptedUpstream(step) as up:
        clock = FakeClock()
        one = client(clock=clock)
        task = asyncio.ensure_future(failure(post(one, up, **options)))
        seen = await up.arrived(1)
        await settle()
        clock.advance(seconds - 0.5)
        await settle()
        assert not task.done()
        clock.advance(1)
        reason = (await task).reason
        await seen.gone.wait()
        assert one.stats()["open"] == 0
        assert clock.pending == 0
        await one.close()
        return reason


@on_each_loop
async def test_a_silent_origin_is_a_timeout() -> None:
    assert await overdue(Raw([HANG]), 600) == "timeout"
    assert await overdue(Raw([HANG]), 5, times=Times(first_byte=5)) == "timeout"


@on_each_loop
async def test_silence_in_a_body_is_bounded_for_whole_answers() -> None:
    answer = Answer(pieces=[b"a", HANG], framing="chunked")
    assert await overdue(answer, 7, times=Times(first_byte=7, idle=7)) == "timeout"


def test_a_connection_that_is_not_made_is_a_connect_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> object:
        return await asyncio.Event().wait()

    async def main() -> None:
        monkeypatch.setattr(dial, "_open", never)
        clock = FakeClock()
        one = client(clock=clock)
        task = asyncio.ensure_future(failure(one.open(Origin("http", "127.0.0.1", 9), "GET", b"/", [])))
        await settle()
        clock.advance(10.1)
        assert (await task).reason == "connect_timeout"

    asyncio.run(main())


# -- the caller leaves


@on_each_loop
async def test_cancelled_task_closes_its_connection_at_once() -> None:
    stuck: list[Answer | Raw] = [Raw([HANG]), Answer(pieces=[b"a", HANG], framing="chunked")]
    for step in stuck:
        async with ScriptedUpstream(step) as up:
            one = client()
            task = asyncio.ensure_future(post(one, up))
            seen = await up.arrived(1)
            task.cancel()
            await asyncio.wait([task])
            assert one.stats()["open"] == 0
            await seen.gone.wait()


@on_each_loop
async def test_closed_client_ends_all_calls_and_takes_no_more() -> None:
    async with ScriptedUpstream(Raw([HANG])) as up:
        one = client()
        task = asyncio.ensure_future(failure(post(one, up)))
        await up.arrived(1)
        await one.close()
        assert (await task).reason == "closed"
        assert (await failure(post(one, up))).reason == "closed"
        assert one.stats()["open"] == 0


# -- nothing leaks


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files in /proc")
@on_each_loop
async def test_nothing_is_left_of_hundreds_of_faulty_calls() -> None:
    nowhere = Origin("http", "127.0.0.1", 1)

    async def round_of(count: int, one: Client, up: ScriptedUpstream) -> None:
        async def one_call(number: int) -> None:
            work = post(one, up) if number % 13 else one.fetch(nowhere, "GET", b"/", [], limit=1)
            with contextlib.suppress(TransportError, TimeoutError):
                await asyncio.wait_for(work, 0.1)

        await asyncio.gather(*map(one_call, range(count)))
        assert one.stats()["open"] == one.stats()["idle"]

    async def left_after(rounds: int) -> int:
        async with ScriptedUpstream(*[OK, *[step for step, _ in FAULTS.values()], Raw([HANG])] * 40) as up:
            one = client()
            for _ in range(rounds):
                await round_of(30, one, up)
            await one.close()
            assert one.stats()["open"] == 0
        await settle()
        gc.collect()
        assert tasks.running() == 0
        return open_files()

    first = await left_after(1)  # the loop itself opens files at its first use
    assert await left_after(10) <= first


# -- bodies that are not held


def source(size: int, pieces: list[bytes], seen: list[int] | None = None, error: Exception | None = None) -> Source:
    async def produce() -> AsyncGenerator[bytes, None]:
        for number, piece in enumerate(pieces):
            if seen is not None:
                seen.append(number)
            yield piece
        if error is not None:
            raise error

    return Source(size, produce)


@on_each_loop
async def test_a_source_is_sent_with_its_length_and_made_anew_for_a_second_sending() -> None:
    pieces = [bytes([n]) * 100_000 for n in range(20)]
    body = source(2_000_000, pieces)
    async with ScriptedUpstream(OK, Raw([CLOSE]), OK) as up:
        one = client()
        assert [await post(one, up, body), await post(one, up, body)] == [b"ok", b"ok"]
        assert [seen.headers["content-length"] for seen in up.requests] == ["2000000"] * 3
        assert [seen.body == b"".join(pieces) for seen in up.requests] == [True] * 3
        assert one.stats()["idle"] == 1
        await one.close()


@on_each_loop
async def test_a_source_waits_for_an_origin_that_does_not_read_and_ends_with_its_caller() -> None:
    release = asyncio.Event()

    async def no_reader(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    server = await asyncio.start_server(no_reader, "127.0.0.1", 0, limit=1024)
    origin = Origin("http", "127.0.0.1", server.sockets[0].getsockname()[1])
    seen: list[int] = []
    one = client()
    pieces = [bytes(256 * 1024)] * 256
    call = asyncio.ensure_future(one.fetch(origin, "POST", b"/", [], source(64 * MIB, pieces, seen), limit=9))
    last = -1
    while len(seen) != last:  # as long as it moves
        last = len(seen)
        await asyncio.sleep(0.02)
    assert len(seen) < 128
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert one.stats()["open"] == 0
    release.set()
    server.close()
    await one.close()


@on_each_loop
async def test_a_refusal_before_the_end_of_a_source_stops_it() -> None:
    gate = asyncio.Event()
    taken: list[int] = []

    async def produce() -> AsyncGenerator[bytes, None]:
        for number in range(1000):
            taken.append(number)
            yield bytes(64 * 1024)
            if number == 3:
                await gate.wait()

    async with ScriptedUpstream(Answer(413, [b"too big"], early=True), OK) as up:
        one = client()
        call = asyncio.ensure_future(one.fetch(up.origin, "POST", b"/", [], Source(1000 * 64 * 1024, produce), limit=99))
        await up.arrived(1)
        await settle()
        gate.set()
        assert (await call)[::2] == (413, b"too big")
        assert len(taken) < 100
        assert await post(one, up) == b"ok"
        assert up.connections == 2
        await one.close()


@on_each_loop
async def test_a_source_that_fails_or_is_of_another_size_ends_the_call() -> None:
    async with ScriptedUpstream(OK) as up:
        one = client()
        with pytest.raises(OSError, match="disk"):
            await post(one, up, source(10, [b"12345"], error=OSError("disk")))
        for pieces in ([b"12345"], [b"123456", b"789012"]):
            with pytest.raises(ValueError, match="than was announced"):
                await post(one, up, source(10, pieces))
        assert one.stats()["open"] == 0
        await one.close()


@on_each_loop
async def test_an_origin_that_dies_while_a_source_is_sent_is_an_error_of_transport() -> None:
    async with ScriptedUpstream(Raw([RESET], early=True)) as up:
        one = client()
        error = await failure(post(one, up, source(64 * MIB, [bytes(256 * 1024)] * 256)))
        assert error.reason in ("reset", "truncated")
        await one.close()


async def test_an_origin_that_is_reached_has_a_connection_for_the_next_call() -> None:
    async with ScriptedUpstream(OK) as up:
        one = client()
        await one.reach(up.origin, 5.0)
        await one.reach(up.origin, 5.0)
        assert one.stats()["idle"] == 1
        assert await post(one, up) == b"ok"
        assert up.connections == 1
        await one.close()
    other = client()
    assert (await failure(other.reach(up.origin, 5.0))).reason == "refused"
    await other.close()


async def test_a_connection_that_was_made_to_see_whether_the_origin_can_be_reached_is_not_kept_for_ever() -> None:
    async with ScriptedUpstream(OK) as up:
        clock = FakeClock()
        one = client(clock=clock)
        await one.reach(up.origin, 5.0)
        clock.advance(LIMITS.pool_idle - 1)
        assert (one.stats()["open"], one.stats()["idle"]) == (1, 1)
        clock.advance(1)
        assert (one.stats()["open"], one.stats()["idle"], clock.pending) == (0, 0, 0)
        await one.close()
