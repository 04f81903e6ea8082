from __future__ import annotations

import asyncio
import json

import pytest
from data_plane import MODEL
from fakes_gateway import SSE, ask, fake_gateway, good, one_provider
from hypothesis import given, settings
from hypothesis import strategies as st
from wires import ANTHROPIC, CHAT, CHAT_USAGE, SAID, WIRES, Wire

BOTH = pytest.mark.parametrize("wire", WIRES, ids=repr)


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


@settings(max_examples=300)
@given(body=st.binary(max_size=60) | BODIES | TALKS, client=st.sampled_from(WIRES), wire=st.sampled_from(WIRES))
def test_no_body_whatever_is_an_internal_error(body: bytes, client: Wire, wire: Wire) -> None:
    gateway = fake_gateway(one_provider(wire), good(wire), (200, SSE, b"".join(wire.stream)))
    got = asyncio.run(ask(gateway, client, body))
    assert got.status in (200, 400)
    assert got.finished
    assert len(gateway.records) == 1
    if got.status == 400:
        client.error_of(got.text)
