from __future__ import annotations

import asyncio

import pytest

from omniroute.proto.flow import ByteQueue


def queue(high: int = 100) -> tuple[ByteQueue, list[str]]:
    told: list[str] = []
    return ByteQueue(lambda: told.append("pause"), lambda: told.append("resume"), high), told


def test_what_was_put_is_taken_as_one_piece_and_then_it_ends() -> None:
    async def scenario() -> None:
        bytes_in, told = queue()
        bytes_in.put(b"one")
        bytes_in.put(b"")
        bytes_in.put(b"two")
        bytes_in.end()
        bytes_in.put(b"late")
        assert [piece async for piece in bytes_in] == [b"onetwo"]
        assert [piece async for piece in bytes_in] == []
        assert told == []

    asyncio.run(scenario())


def test_the_source_is_paused_above_the_mark_and_resumed_once_all_is_taken() -> None:
    async def scenario() -> None:
        bytes_in, told = queue(100)
        bytes_in.put(b"a" * 100)
        assert (told, bytes_in.paused) == ([], False)
        bytes_in.put(b"a")
        bytes_in.put(b"a")
        assert (told, bytes_in.paused) == (["pause"], True)
        assert len(await anext(bytes_in)) == 102
        assert (told, bytes_in.paused) == (["pause", "resume"], False)

    asyncio.run(scenario())


def test_a_waiting_consumer_wakes_for_bytes_the_end_and_a_failure() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        bytes_in, _ = queue()
        loop.call_soon(bytes_in.put, b"one")
        assert await anext(bytes_in) == b"one"
        loop.call_soon(bytes_in.fail, ValueError("broken"))
        for _ in range(2):
            with pytest.raises(ValueError, match="broken"):
                await anext(bytes_in)
        bytes_in.end()
        other, _ = queue()
        loop.call_soon(other.end)
        with pytest.raises(StopAsyncIteration):
            await anext(other)
        other.fail(ValueError("after the end"))
        with pytest.raises(StopAsyncIteration):
            await anext(other)

    asyncio.run(scenario())


def test_bytes_before_a_failure_are_still_delivered() -> None:
    async def scenario() -> None:
        bytes_in, _ = queue()
        bytes_in.put(b"one")
        bytes_in.fail(ValueError("broken"))
        assert await anext(bytes_in) == b"one"
        with pytest.raises(ValueError, match="broken"):
            await anext(bytes_in)

    asyncio.run(scenario())


def test_a_cancelled_consumer_leaves_the_queue_usable() -> None:
    async def scenario() -> None:
        bytes_in, _ = queue()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(bytes_in), 0)
        bytes_in.put(b"one")
        assert await anext(bytes_in) == b"one"

    asyncio.run(scenario())
