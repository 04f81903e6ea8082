from __future__ import annotations

from typing import Any, cast

import pytest
from data_plane import JSON, MODEL
from fakes import FakeClock
from fakes_gateway import SSE, FakeGateway, exchange, fake_gateway, one_provider
from wires import CHAT

from omniroute.gateway import pipeline
from omniroute.gateway.job import Line
from omniroute.gateway.sessions import IDLE_SECONDS, MOST, Mark, Sessions, named_by

GOOD = (200, JSON, CHAT.whole)
HI = {"role": "user", "content": "Hi"}


def sessions(clock: FakeClock) -> Sessions:
    return Sessions(cast(Any, clock))


async def ask(gateway: FakeGateway, *headers: tuple[bytes, bytes], turns: int = 1) -> str:
    """Send a conversation of so many turns; returns the account that answered."""
    body = CHAT.ask(MODEL) | {"messages": [HI, {"role": "assistant", "content": "Hello"}, HI][: 2 * turns - 1]}
    await pipeline.serve(gateway, exchange(CHAT, body, *headers), Line("openai-chat"))
    return gateway.records[-1].connection_id


def test_a_session_remembers_its_account_until_it_has_been_idle_too_long() -> None:
    clock = FakeClock()
    known = sessions(clock)
    mark = Mark("s", named=False, continued=True)
    known.touch(mark, "c1")
    known.touch(mark, "")
    assert known.prefer(mark) == "c1"
    (session,) = known.list()
    assert (session.requests, session.connection_id) == (2, "c1")
    clock.advance(IDLE_SECONDS)
    assert (known.prefer(mark), known.list()) == ("", [])
    known.touch(mark, "c2")
    assert known.list()[0].requests == 1


def test_a_first_turn_has_no_preference_unless_the_client_named_the_session() -> None:
    known = sessions(FakeClock())
    known.touch(Mark("s", False, False), "c1")
    assert known.prefer(Mark("s", False, False)) == ""
    assert known.prefer(Mark("s", True, False)) == "c1"


def test_the_number_of_sessions_is_bounded_and_the_longest_idle_goes_first() -> None:
    known = sessions(FakeClock())
    for number in range(MOST + 5):
        known.touch(Mark(str(number), True, True), "c")
    assert len(known.list()) == MOST
    assert known.prefer(Mark("0", True, True)) == ""
    assert known.prefer(Mark(str(MOST + 4), True, True)) == "c"


def test_session_ids_that_cannot_be_shown_are_not_taken() -> None:
    assert named_by({b"x-session-id": b"abc"}) == "abc"
    assert named_by({b"x-omniroute-session-id": b"abc"}) == "abc"
    for bad in (b"", b"x" * 129, b"\xff", b"a\tb"):
        assert named_by({b"x-session-id": bad}) == ""


async def test_a_conversation_stays_with_the_account_that_has_its_cache() -> None:
    gateway = fake_gateway(one_provider(CHAT, "a", "b"), (429, JSON, CHAT.error("x", "slow down")), GOOD)
    assert await ask(gateway) == "c2"
    gateway.hands.advance(300.0)  # the first account is free again
    assert await ask(gateway, turns=2) == "c2"
    assert await ask(gateway, turns=1) == "c1"


async def test_the_clients_own_session_id_wins() -> None:
    gateway = fake_gateway(one_provider(CHAT, "a", "b"), (429, JSON, CHAT.error("x", "slow down")), GOOD)
    mine = (b"x-session-id", b"mine")
    assert await ask(gateway, mine) == "c2"
    gateway.hands.advance(300.0)
    assert await ask(gateway, mine) == "c2"
    assert await ask(gateway, (b"x-session-id", b"other")) == "c1"
    assert {session.id for session in gateway.live.sessions.list()} == {"mine", "other"}


@pytest.mark.parametrize("stream", [False, True])
async def test_the_answer_names_the_session_that_the_client_named(stream: bool) -> None:
    gateway = fake_gateway(one_provider(CHAT), (200, SSE, b"".join(CHAT.stream)) if stream else GOOD)
    for sent, told in (((b"x-session-id", b"mine"), b"mine"), ((b"x-other", b"x"), None)):
        made = exchange(CHAT, CHAT.ask(MODEL, stream=stream), sent)
        await pipeline.serve(gateway, made, Line("openai-chat"))
        assert made.status == 200
        assert made.header(b"x-omniroute-session-id") == told


async def test_a_preferred_account_that_cools_down_is_passed_over() -> None:
    gateway = fake_gateway(one_provider(CHAT, "a", "b"), GOOD, (401, JSON, CHAT.error("x", "no")), GOOD)
    mine = (b"x-session-id", b"mine")
    assert [await ask(gateway, mine) for _ in range(3)] == ["c1", "c2", "c2"]
