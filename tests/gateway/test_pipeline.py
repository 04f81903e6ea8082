from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from data_plane import JSON, MODEL
from fakes_exchange import FakeExchange
from fakes_gateway import SSE, FakeGateway, exchange, fake_gateway, one_provider
from hypothesis import given, settings
from hypothesis import strategies as st
from wires import ANTHROPIC, CHAT, CHAT_USAGE, SAID, WIRES, Wire

from omniroute.gateway import auth, pipeline
from omniroute.gateway.job import Line
from omniroute.gateway.snapshot import GatewayKey

BOTH = pytest.mark.parametrize("wire", WIRES, ids=repr)
SECRET = b"s" * 32


async def ask(
    gateway: FakeGateway, wire: Wire, body: Any = None, *headers: tuple[bytes, bytes], only: str = ""
) -> FakeExchange:
    made = exchange(wire, wire.ask(MODEL) if body is None else body, *headers)
    await pipeline.serve(gateway, made, Line(wire.name, only))
    return made


def failing(
    wire: Wire, status: int, *headers: tuple[bytes, bytes], text: str = "No"
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    return status, [*JSON, *headers], wire.error("some_error", text)


def good(wire: Wire) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    return 200, JSON, wire.whole


def key(**more: Any) -> tuple[GatewayKey, tuple[bytes, bytes]]:
    made = GatewayKey("k1", "agent", auth.digest(SECRET, "sk-agent"), **more)
    return made, (b"authorization", b"Bearer sk-agent")


# -- fallback


# -- before anything is sent


# -- whatever happens


async def test_a_change_of_the_configuration_is_in_force_for_the_next_request() -> None:
    gateway = fake_gateway(one_provider(CHAT), good(CHAT))
    assert (await ask(gateway, CHAT)).status == 200
    gateway.live.snapshot = one_provider(ANTHROPIC)
    gateway.upstream.replies = [good(ANTHROPIC)]
    got = await ask(gateway, CHAT)
    assert CHAT.text(got.text, False) == SAID
    assert json.loads(gateway.upstream.sent[1])["max_tokens"] == 64
    assert gateway.records[1].target_format == "anthropic"
    assert CHAT_USAGE["prompt_tokens"] == gateway.records[1].tokens_in


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["model", "messages", "stream", "max_tokens", "tools", "system", "tool_choice", "stop", "thinking", "n"]
)
BODIES = st.dictionaries(NAMES, JSON_VALUES).map(lambda body: json.dumps({"model": MODEL, **body}).encode())
MESSAGES = st.lists(st.dictionaries(st.sampled_from(["role", "content", "tool_calls", "name"]), JSON_VALUES), max_size=3)
TALKS = MESSAGES.map(lambda turns: json.dumps({"model": MODEL, "max_tokens": 5, "messages": turns}).encode())


@settings(max_examples=300, deadline=None)
@given(body=st.binary(max_size=60) | BODIES | TALKS, client=st.sampled_from(WIRES), wire=st.sampled_from(WIRES))
def test_no_body_whatever_is_an_internal_error(body: bytes, client: Wire, wire: Wire) -> None:
    gateway = fake_gateway(one_provider(wire), good(wire), (200, SSE, b"".join(wire.stream)))
    got = asyncio.run(ask(gateway, client, body))
    assert got.status in (200, 400)
    assert got.finished
    assert len(gateway.records) == 1
    if got.status == 400:
        client.error_of(got.text)
