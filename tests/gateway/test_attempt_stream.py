from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest
from attempts import BOTH, ready, route_of, run
from data_plane import MODEL
from fakes_gateway import SSE, FakeCall, exchange, fake_gateway, one_provider
from wires import ANTHROPIC, CHAT, SAID, WIRES, Wire

from omniroute.gateway import attempt_stream as module
from omniroute.gateway import pipeline
from omniroute.gateway.answer_events import stamp
from omniroute.gateway.attempt_stream import make_pipe
from omniroute.gateway.job import Line
from omniroute.gateway.render import same_wire
from omniroute.gateway.translation import Translation, Undecided
from omniroute.translate.relay_anthropic import AnthropicTap


def test_the_same_wire_is_tapped_and_another_translated() -> None:
    for wire, kind in ((CHAT, Undecided), (ANTHROPIC, AnthropicTap)):
        gateway = fake_gateway(one_provider(wire))
        made = ready(gateway, wire, stream=True)
        assert made.peek is not None
        prepared = same_wire(made.peek, route_of(gateway), wire.name)
        assert isinstance(make_pipe(made, route_of(gateway), prepared, stamp(gateway, made, prepared)), kind)
        other = ready(gateway, CHAT if wire is ANTHROPIC else ANTHROPIC, stream=True)
        assert isinstance(make_pipe(other, route_of(gateway), prepared, stamp(gateway, other, prepared)), Translation)


async def test_the_body_of_an_error_answer_to_a_stream_is_read_to_its_limit_only(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[int] = []
    read = FakeCall.read

    def watched(call: FakeCall, limit: int) -> Any:
        limits.append(limit)
        return read(call, limit)

    monkeypatch.setattr(FakeCall, "read", watched)
    gateway = fake_gateway(one_provider(CHAT), (500, SSE, CHAT.error("x", "Broken")))
    made = ready(gateway, CHAT, stream=True)
    failure = await run(gateway, made)
    assert failure is not None
    assert (failure.status, failure.message) == (500, "Broken")
    assert limits == [module.ERROR_BODY]


@pytest.mark.parametrize("array", [True, False])
async def test_googles_clients_can_read_a_stream_in_which_the_upstream_was_silent(array: bool) -> None:
    """A JSON array has no room for a ping, and not all of Google's SDKs know comments."""
    gateway = fake_gateway(one_provider(CHAT))
    opened = FakeCall(gateway.hands)

    async def open_as(*_: Any, **__: Any) -> Any:
        return opened

    cast(Any, gateway.upstream).open_as = open_as
    asked = exchange(CHAT, {"contents": [{"role": "user", "parts": [{"text": "Greet me"}]}]})
    serving = asyncio.create_task(
        pipeline.serve(gateway, asked, Line("gemini", model=MODEL, stream=True, array=array))  # type: ignore[arg-type]
    )
    while opened._on_data is None:  # noqa: ASYNC110
        await asyncio.sleep(0)
    opened.push(*CHAT.stream[:2])
    before = asked.text
    gateway.hands.advance(3 * gateway.limits.keepalive_interval)
    assert (asked.text == before) is array
    opened.push(*CHAT.stream[2:])
    opened.end()
    await serving
    lines = asked.text.decode().split("\n\n")
    pages = json.loads(asked.text) if array else [json.loads(line.removeprefix("data: ")) for line in lines if line]
    assert "".join(part["text"] for page in pages for part in page["candidates"][0]["content"]["parts"]) == SAID


@pytest.mark.parametrize("client", WIRES, ids=repr)
async def test_a_stream_that_was_cut_counts_what_it_said_and_not_what_its_first_event_counted(client: Wire) -> None:
    gateway = fake_gateway(one_provider(ANTHROPIC), (200, SSE, b"".join([*ANTHROPIC.opening, *[ANTHROPIC.first] * 40])))
    made = ready(gateway, client, stream=True)
    assert await run(gateway, made) is None
    assert made.failure is not None
    assert made.usage is not None
    assert made.usage.input
    assert 10 < (made.usage.output or 0) < 50  # about
    assert made.usage.estimated


@BOTH
async def test_a_whole_answer_called_a_stream_is_not_passed_on_as_one(wire: Wire) -> None:
    gateway = fake_gateway(one_provider(wire), (200, SSE, wire.whole))
    failure = await run(gateway, ready(gateway, wire, stream=True))
    assert failure is not None
    assert failure.status == 502
