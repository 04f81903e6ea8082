from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from attempts import BOTH, ready, run
from data_plane import JSON
from fakes_gateway import SSE, fake_gateway, one_provider
from wires import ANTHROPIC, CHAT, SAID, WIRES, Wire

from omniroute.gateway import attempt as module
from omniroute.gateway.render import Prepared


@BOTH
@pytest.mark.parametrize("client", WIRES, ids=repr)
async def test_an_answer_reaches_the_client_and_the_books(wire: Wire, client: Wire) -> None:
    gateway = fake_gateway(one_provider(wire), (200, JSON, wire.whole))
    made = ready(gateway, client)
    assert await run(gateway, made) is None
    exchange: Any = made.exchange
    assert client.text(exchange.text, False) == SAID
    assert made.usage is not None
    assert (made.status, made.usage.input, made.usage.output) == (200, 21, 5)
    assert made.upstream_model in ("gpt-x", "claude-x")
    assert gateway.live.in_flight == {}


async def test_header_fields_of_the_wire_travel_both_ways_on_the_same_wire_only() -> None:
    answer = [
        *JSON,
        (b"anthropic-ratelimit-requests-limit", b"5"),
        (b"request-id", b"req_1"),
        (b"server", b"x"),
        (b"set-cookie", b"a=b"),
    ]
    for client, travels in ((ANTHROPIC, True), (CHAT, False)):
        gateway = fake_gateway(one_provider(ANTHROPIC), (200, answer, ANTHROPIC.whole))
        made = ready(gateway, client)
        made.exchange.request.headers += [
            (b"anthropic-beta", b"x-1"),
            (b"authorization", b"Bearer sk-client"),
            (b"x-other", b"1"),
        ]
        await run(gateway, made)
        assert gateway.upstream.extra == [[(b"anthropic-beta", b"x-1")] if travels else []]
        exchange: Any = made.exchange
        names = {name for name, _ in exchange.headers}
        assert (b"request-id" in names) == (b"anthropic-ratelimit-requests-limit" in names) == travels
        assert not names & {b"server", b"set-cookie"}


async def test_the_request_is_decoded_once_for_all_attempts() -> None:
    gateway = fake_gateway(one_provider(ANTHROPIC), (500, JSON, b"{}"), (200, JSON, ANTHROPIC.whole))
    made = ready(gateway, CHAT)
    assert (await run(gateway, made)) is not None
    first = made.ask
    assert (await run(gateway, made)) is None
    assert made.ask is first


async def test_what_the_other_wire_cannot_hold_is_named() -> None:
    gateway = fake_gateway(one_provider(ANTHROPIC), (200, JSON, ANTHROPIC.whole))
    made = ready(gateway, CHAT, seed=7, logit_bias={"1": 2})
    await run(gateway, made)
    exchange: Any = made.exchange
    dropped = exchange.header(b"x-omniroute-dropped").decode()
    assert "seed" in dropped
    assert "seed" not in json.loads(gateway.upstream.sent[0])


@BOTH
@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_in_json_where_a_stream_was_announced_is_told(wire: Wire, stream: bool) -> None:
    for client in WIRES:
        gateway = fake_gateway(one_provider(wire), (200, SSE, wire.error("overloaded_error", "Too many people")))
        failure = await run(gateway, ready(gateway, client, stream=stream))
        assert failure is not None
        assert failure.status >= 400
        assert failure.message == "Too many people"


async def test_a_large_body_is_translated_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[bool] = []
    translated = module.render.translated

    def watched(*given: Any) -> Prepared:
        places.append(threading.current_thread() is threading.main_thread())
        return translated(*given)

    monkeypatch.setattr(module.render, "translated", watched)
    for size in (10, module.QUICK_BODY):
        gateway = fake_gateway(one_provider(ANTHROPIC), (200, JSON, ANTHROPIC.whole))
        assert await run(gateway, ready(gateway, CHAT, metadata={"x": "x" * size})) is None
        assert json.loads(gateway.upstream.sent[0])["messages"]
    assert places == [True, False]
    made = ready(gateway, CHAT, metadata={"x": "x" * module.QUICK_BODY})
    made.attempts = 1
    leaving = asyncio.create_task(run(gateway, made))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert (made.attempts, len(gateway.upstream.sent)) == (0, 1)
