from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from fakes import FakeClock

from omniroute.gateway.replay import LARGEST, MOST, WINDOW, Replay, Replays, Ticket, replay_key
from omniroute.proto.exchange import Request
from omniroute.tasks import spawn

KEY = b"k"
BODY = b'{"id":"1"}'


def replays() -> tuple[Replays, FakeClock]:
    clock = FakeClock()
    return Replays(cast(Any, clock)), clock


async def first(table: Replays, key: bytes = KEY) -> Ticket:
    ticket = await table.claim(key)
    assert isinstance(ticket, Ticket)
    return ticket


async def answered(table: Replays, key: bytes, body: bytes = BODY) -> None:
    ticket = await first(table, key)
    ticket.keep(200, body)
    ticket.close()


def request(*fields: tuple[bytes, bytes], path: str = "/v1/chat/completions", body: bytes = b"{}") -> Request:
    made = Request("POST", path, "", [*fields], body)
    made.id = "made-by-the-edge"
    return made


async def test_an_answer_is_given_again_for_five_seconds_after_it_was_given() -> None:
    table, clock = replays()
    await answered(table, KEY)
    clock.advance(WINDOW - 0.001)
    assert await table.claim(KEY) == Replay(200, BODY)
    clock.advance(0.001)
    assert isinstance(await table.claim(KEY), Ticket)


async def test_answers_leave_memory_by_the_clock_alone() -> None:
    table, clock = replays()
    await answered(table, b"1")
    clock.advance(3)
    await answered(table, b"2")
    assert table.active == 2
    clock.advance(2)
    assert table.active == 1
    clock.advance(3)
    assert (table.active, clock.pending) == (0, 0)


async def test_twenty_repetitions_wait_for_the_first() -> None:
    table, _ = replays()
    ticket = await first(table)
    waiting = [spawn(table.claim(KEY), "repetition") for _ in range(20)]
    await asyncio.sleep(0)
    ticket.keep(200, BODY)
    ticket.close()
    assert await asyncio.gather(*waiting) == [Replay(200, BODY)] * 20


async def test_when_the_first_fails_the_next_in_line_takes_its_place() -> None:
    table, _ = replays()
    ticket = await first(table)
    waiting = [spawn(table.claim(KEY), "repetition") for _ in range(3)]
    await asyncio.sleep(0)
    ticket.close()
    second = await waiting[0]
    assert isinstance(second, Ticket)
    await asyncio.sleep(0)
    assert not waiting[1].done()
    second.keep(200, BODY)
    second.close()
    assert await asyncio.gather(*waiting[1:]) == [Replay(200, BODY)] * 2


async def test_a_cancelled_waiter_does_not_affect_others() -> None:
    table, _ = replays()
    ticket = await first(table)
    leaver, stayer = (spawn(table.claim(KEY), "repetition") for _ in range(2))
    await asyncio.sleep(0)
    leaver.cancel()
    await asyncio.sleep(0)
    ticket.keep(200, BODY)
    ticket.close()
    assert await stayer == Replay(200, BODY)


async def test_a_long_answer_is_given_to_waiting_calls_but_not_kept() -> None:
    table, _ = replays()
    ticket = await first(table)
    waiting = spawn(table.claim(KEY), "repetition")
    await asyncio.sleep(0)
    ticket.keep(200, b"x" * (LARGEST + 1))
    ticket.close()
    assert len(cast(Replay, await waiting).body) == LARGEST + 1
    assert table.active == 0


async def test_the_oldest_answers_leave_when_there_are_too_many() -> None:
    table, _ = replays()
    for number in range(MOST + 1):
        await answered(table, b"%d" % number)
    assert table.active == MOST
    assert isinstance(await table.claim(b"0"), Ticket)
    assert isinstance(await table.claim(b"1"), Replay)


async def test_no_more_than_32_mib_are_held() -> None:
    table, _ = replays()
    for number in range(40):
        await answered(table, b"%d" % number, b"x" * LARGEST)
    assert table.active == 32


def test_a_generated_request_id_is_no_key() -> None:
    assert replay_key(request(), "k1") is None
    assert replay_key(request((b"idempotency-key", b"")), "k1") is None


def test_the_idempotency_key_goes_before_the_request_id() -> None:
    both = request((b"x-request-id", b"r"), (b"idempotency-key", b"i"))
    assert replay_key(both, "") == replay_key(request((b"idempotency-key", b"i")), "")
    assert replay_key(request((b"x-request-id", b"i")), "") is not None


@pytest.mark.parametrize(
    "other",
    [
        replay_key(request((b"idempotency-key", b"i")), "k2"),
        replay_key(request((b"idempotency-key", b"j")), "k1"),
        replay_key(request((b"idempotency-key", b"i"), path="/v1/messages"), "k1"),
        replay_key(request((b"idempotency-key", b"i"), body=b"[]"), "k1"),
    ],
    ids=["tenant", "value", "path", "body"],
)
def test_another_call_has_another_key(other: bytes) -> None:
    assert other != replay_key(request((b"idempotency-key", b"i")), "k1")
