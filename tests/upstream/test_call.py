from __future__ import annotations

import asyncio
from typing import Any

import pytest
from client_calls import MIB, client, failure, settle
from fakes import FakeClock
from loops import on_each_loop
from scripted_upstream import CLOSE, HANG, RESET, Answer, ScriptedUpstream

from omniroute.proto.transport import TransportError
from omniroute.upstream.call import Call, State

OK = Answer(pieces=[b"ok"])


class Pushed:
    """What an attached call said."""

    def __init__(self, call: Call) -> None:
        self.data: list[bytes] = []
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.call = call

    def attach(self) -> Pushed:
        self.call.attach(self.data.append, self._end, lambda error: self.over.set_result(error.reason))
        return self

    def _end(self, rest: bytes) -> None:
        if rest:
            self.data.append(rest)
        self.over.set_result("end")


class FakeConnection:
    """A connection whose response the test pushes into the call."""

    last_activity = 0.0

    def __init__(self) -> None:
        self.sink: Any = None
        self.log: list[str] = []

    def cancel(self, sink: object) -> None:
        if self.sink is sink:
            self.sink = None
            self.log.append("cancel")

    def pause(self) -> None:
        self.log.append("pause")

    def resume(self) -> None:
        self.log.append("resume")

    def watch_silence(self, seconds: float) -> None:
        self.log.append("watch_silence")


# (state, input) -> state; any other pair cannot happen
STATES = {
    (State.HEAD, "head"): State.BODY,
    (State.HEAD, "error"): State.FAILED,
    (State.HEAD, "cancel"): State.CANCELLED,
    (State.BODY, "data"): State.BODY,
    (State.BODY, "flood"): State.BODY,
    (State.BODY, "read"): State.WHOLE,
    (State.BODY, "end"): State.ENDED,
    (State.BODY, "error"): State.FAILED,
    (State.BODY, "cancel"): State.CANCELLED,
    (State.WHOLE, "head"): State.WHOLE,
    (State.WHOLE, "data"): State.WHOLE,
    (State.WHOLE, "flood"): State.FAILED,
    (State.WHOLE, "end"): State.ENDED,
    (State.WHOLE, "error"): State.FAILED,
    (State.WHOLE, "cancel"): State.CANCELLED,
    (State.ENDED, "read"): State.ENDED,
    (State.ENDED, "cancel"): State.ENDED,
    (State.FAILED, "read"): State.FAILED,
    (State.FAILED, "cancel"): State.CANCELLED,
    (State.CANCELLED, "read"): State.CANCELLED,
    (State.CANCELLED, "cancel"): State.CANCELLED,
}
WAYS = {
    State.HEAD: [],
    State.BODY: ["head"],
    State.WHOLE: ["head", "read"],
    State.ENDED: ["head", "end"],
    State.FAILED: ["head", "error"],
    State.CANCELLED: ["head", "cancel"],
}


@pytest.mark.parametrize(("before", "does", "after"), [(*pair, after) for pair, after in STATES.items()])
def test_each_state_has_its_inputs(before: State, does: str, after: State) -> None:
    async def drive() -> None:
        loop = asyncio.get_running_loop()
        connection = FakeConnection()
        connection.sink = call = Call(connection, loop.create_future(), False, 4)  # type: ignore[arg-type]
        waiters = [call._waiter]
        readers: list[asyncio.Task[bytes]] = []
        for step in [*WAYS[before], does]:
            match step:
                case "head":
                    call.on_head(200, [])
                case "data":
                    call.on_data(b"a")
                case "flood":
                    call.on_data(b"aaaaa")
                case "end":
                    connection.sink = None
                    call.on_end(b"b")
                case "error":
                    connection.sink = None
                    call.on_error(TransportError("reset"))
                case "cancel":
                    call.cancel()
                case "read":
                    readers.append(asyncio.ensure_future(call.read(4)))
                    await asyncio.sleep(0)
                    waiters.append(call._waiter)
        assert call._state is after
        assert (call._error is not None) is (after in (State.FAILED, State.CANCELLED))
        over = after in (State.ENDED, State.FAILED, State.CANCELLED)
        assert waiters[-1].done() is (over or after is State.BODY)
        assert ("pause" in connection.log) is (before is State.BODY and does == "flood")
        if after is State.WHOLE:
            call.cancel()
        await asyncio.gather(*waiters, *readers, return_exceptions=True)

    asyncio.run(drive())


@on_each_loop
async def test_open_returns_at_the_head_and_read_takes_the_rest() -> None:
    go = asyncio.Event()
    async with ScriptedUpstream(Answer(503, [b"a", go, b"b"], framing="chunked")) as up:
        one = client()
        call = await one.open(up.origin, "POST", b"/", [], b"{}")
        assert call.status == 503
        go.set()
        assert await call.read(10) == b"ab"
        assert one.stats()["idle"] == 1
        call = await one.open(up.origin, "POST", b"/", [], b"{}")
        assert (await failure(call.read(1))).reason == "too_large"
        await one.close()


@on_each_loop
async def test_read_tells_a_truncated_answer() -> None:
    async with ScriptedUpstream(Answer(pieces=[b"a", CLOSE], framing="chunked")) as up:
        one = client()
        call = await one.open(up.origin, "POST", b"/", [], b"{}")
        assert (await failure(call.read(10))).reason == "truncated"
        assert (await failure(call.read(10))).reason == "truncated"
        await one.close()


@on_each_loop
async def test_attached_call_pushes_what_was_there_and_then_each_read() -> None:
    steps = [asyncio.Event() for _ in range(3)]
    async with ScriptedUpstream(Answer(pieces=[b"1", steps[0], b"2", steps[1], b"3", steps[2]], framing="chunked")) as up:
        one = client()
        call = await one.open(up.origin, "POST", b"/", [], b"{}")
        while not call._pieces:
            await settle()
        pushed = Pushed(call).attach()
        assert pushed.data == [b"1"]
        for number in (0, 1):
            steps[number].set()
            while len(pushed.data) < number + 2:
                await settle()
        assert pushed.data == [b"1", b"2", b"3"]
        steps[2].set()
        assert await pushed.over == "end"
        assert one.stats()["idle"] == 1
        call.cancel()
        call.pause()
        assert one.stats()["idle"] == 1, "a call that is over has no power over the connection"
        await one.close()


@on_each_loop
async def test_attaching_to_a_finished_answer_tells_all_at_once() -> None:
    async with ScriptedUpstream(OK, Answer(pieces=[b"a", CLOSE], length=2)) as up:
        one = client()
        for data, ending in (([b"ok"], "end"), ([b"a"], "truncated")):
            call = await one.open(up.origin, "POST", b"/", [], b"{}")
            while call._state is State.BODY:
                await settle()
            pushed = Pushed(call).attach()
            assert pushed.over.done()
            assert (pushed.data, pushed.over.result()) == (data, ending)
        await one.close()


@on_each_loop
async def test_cancel_in_a_callback_is_the_last_that_is_heard() -> None:
    async with ScriptedUpstream(Answer(pieces=[b"a" * 100, HANG], framing="chunked")) as up:
        one = client()
        call = await one.open(up.origin, "POST", b"/", [], b"{}")
        heard: list[object] = []
        call.attach(lambda data: (heard.append(data), call.cancel())[1], heard.append, heard.append)
        await up.requests[0].gone.wait()
        assert heard == [b"a" * 100]
        assert one.stats()["open"] == 0


@on_each_loop
async def test_attached_call_hears_a_reset() -> None:
    go = asyncio.Event()
    async with ScriptedUpstream(Answer(pieces=[b"a", go, RESET], framing="chunked")) as up:
        one = client()
        pushed = Pushed(await one.open(up.origin, "POST", b"/", [], b"{}")).attach()
        go.set()
        assert await pushed.over == "reset"
        assert b"".join(pushed.data) == b"a"


@on_each_loop
async def test_silence_of_an_attached_call_is_its_owners_to_watch() -> None:
    async with ScriptedUpstream(Answer(pieces=[b"a", HANG], framing="chunked")) as up:
        clock = FakeClock()
        one = client(clock=clock)
        call = await one.open(up.origin, "POST", b"/", [], b"{}")
        pushed = Pushed(call).attach()
        while not pushed.data:
            await settle()
        clock.advance(10_000)
        assert call.last_activity == clock.now - 10_000
        assert not pushed.over.done()
        call.cancel()
        await up.requests[0].gone.wait()


@on_each_loop
async def test_paused_call_holds_the_origin_back() -> None:
    async with ScriptedUpstream(Answer(pieces=[bytes(64 * 1024)] * 256, framing="chunked")) as up:
        one = client()
        call = await one.open(up.origin, "POST", b"/", [], b"{}")
        pushed = Pushed(call).attach()
        call.pause()
        before = len(b"".join(pushed.data))
        for _ in range(50):
            await settle()
        assert len(b"".join(pushed.data)) == before
        call.resume()
        assert await pushed.over == "end"
        assert len(b"".join(pushed.data)) == 16 * MIB
        await one.close()


@on_each_loop
async def test_answer_that_nobody_reads_yet_is_held_back() -> None:
    async with ScriptedUpstream(Answer(pieces=[bytes(64 * 1024)] * 256, framing="chunked")) as up:
        one = client()
        call = await one.open(up.origin, "POST", b"/", [], b"{}")
        for _ in range(50):
            await settle()
        assert call._size <= MIB
        assert len(await call.read(32 * MIB)) == 16 * MIB
        await one.close()


@on_each_loop
async def test_cancelled_read_closes_its_connection_at_once() -> None:
    async with ScriptedUpstream(Answer(pieces=[b"a", HANG], framing="chunked")) as up:
        one = client()
        call = await one.open(up.origin, "POST", b"/", [], b"{}")
        task = asyncio.ensure_future(call.read(100))
        await settle()
        task.cancel()
        await asyncio.wait([task])
        assert one.stats()["open"] == 0
        assert (await failure(call.read(100))).reason == "cancelled"


@on_each_loop
async def test_cancel_wakes_a_reader() -> None:
    async with ScriptedUpstream(Answer(pieces=[b"a", HANG], framing="chunked")) as up:
        one = client()
        call = await one.open(up.origin, "POST", b"/", [], b"{}")
        task = asyncio.ensure_future(failure(call.read(100)))
        await settle()
        call.cancel()
        assert (await task).reason == "cancelled"
