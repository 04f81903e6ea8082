from __future__ import annotations

import json
from typing import Any

import pytest
from attempts import BOTH, ready, run
from data_plane import JSON
from fakes_gateway import SSE, fake_gateway, one_provider
from wires import CHAT, SAID, WIRES, Wire, chat_message, chunk

from omniroute.translate.format import BadAnswer


@pytest.mark.parametrize("client", WIRES, ids=repr)
async def test_what_an_answer_without_usage_says_is_its_estimate(client: Wire) -> None:
    gateway = fake_gateway(one_provider(CHAT), (200, JSON, chat_message({"content": "word " * 80}, usage=None)))
    made = ready(gateway, client)
    assert await run(gateway, made) is None
    assert (made.usage, made.pieces) == (None, 100)


@pytest.mark.parametrize("text", ["<think>why</think>so", "\n<think>\nwhy\n</think>\n\nso", "<thought>why</thought>so"])
async def test_thinking_in_tags_at_the_start_of_a_whole_answer_moves_to_its_own_member(text: str) -> None:
    extra = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}} | extra
    gateway = fake_gateway(one_provider(CHAT), (200, JSON, chat_message({"content": text, "tool_calls": [call]})))
    made = ready(gateway, CHAT)
    assert await run(gateway, made) is None
    exchange: Any = made.exchange
    message = json.loads(exchange.text)["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"].strip()) == ("so", "why")
    assert message["tool_calls"] == [call]
    assert made.usage is not None
    assert (made.usage.input, made.usage.output) == (21, 5)


async def test_thinking_in_tags_moves_too_where_one_choice_is_asked_for_by_number() -> None:
    gateway = fake_gateway(one_provider(CHAT), (200, JSON, chat_message({"content": "<think>why</think>so"})))
    made = ready(gateway, CHAT, n=1)
    assert await run(gateway, made) is None
    exchange: Any = made.exchange
    assert json.loads(exchange.text)["choices"][0]["message"]["content"] == "so"


async def test_tags_that_an_answer_talks_about_and_those_of_several_choices_stay() -> None:
    for text, more in (("It says <think>", {}), ("<think>why</think>so", {"n": 2})):
        whole = chat_message({"content": text})
        gateway = fake_gateway(one_provider(CHAT), (200, JSON, whole))
        made = ready(gateway, CHAT, **more)
        assert await run(gateway, made) is None
        exchange: Any = made.exchange
        assert exchange.text == whole


@BOTH
@pytest.mark.parametrize("client", WIRES, ids=repr)
async def test_an_upstream_that_serves_streams_alone_answers_whole_too(wire: Wire, client: Wire) -> None:
    refusal = wire.error("invalid_request_error", "Stream must be set to true")
    gateway = fake_gateway(one_provider(wire), (400, JSON, refusal), (200, SSE, b"".join(wire.stream)))
    made = ready(gateway, client)
    assert await run(gateway, made) is None
    exchange: Any = made.exchange
    assert client.text(exchange.text, False) == SAID
    assert "answered as a stream" in exchange.header(b"x-omniroute-route").decode()
    first, again = map(json.loads, gateway.upstream.sent)
    assert again == first | {"stream": True} | ({"stream_options": {"include_usage": True}} if wire is CHAT else {})
    assert made.usage is not None
    assert (made.usage.input, made.usage.output) == (21, 5)
    gateway = fake_gateway(one_provider(wire), (400, JSON, refusal))
    failure = await run(gateway, ready(gateway, client))
    assert (failure and failure.status, len(gateway.upstream.sent)) == (400, 2)


@pytest.mark.parametrize("stream", [b"data: {oops\n\n", b"", b": ping\n\n", chunk({"content": "a"})])
async def test_a_broken_stream_where_a_whole_answer_was_asked_for_is_said_to_be_one(stream: bytes) -> None:
    gateway = fake_gateway(one_provider(CHAT), (200, SSE, stream))
    failure = await run(gateway, ready(gateway, CHAT))
    assert failure is not None
    assert (failure.status, failure.message[:46]) == (502, "Invalid SSE response for non-streaming request")


@BOTH
async def test_on_the_same_wire_not_one_byte_of_the_answer_changes(wire: Wire) -> None:
    odd = wire.whole.replace(b"{", b'{ "vendor":  [1, 2],', 1)
    gateway = fake_gateway(one_provider(wire), (200, JSON, odd))
    made = ready(gateway, wire)
    await run(gateway, made)
    exchange: Any = made.exchange
    assert exchange.text == odd


@BOTH
async def test_what_cannot_be_read_is_a_failure_and_nothing_is_sent(wire: Wire) -> None:
    for body in (b"<html>", b"", b"null", b"{"):
        for client in WIRES:
            gateway = fake_gateway(one_provider(wire), (200, JSON, body))
            made = ready(gateway, client)
            with pytest.raises(BadAnswer):
                await run(gateway, made)
            assert not made.exchange.started
