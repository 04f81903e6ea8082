from __future__ import annotations

import json
from typing import Any

import pytest
from wires import ANTHROPIC, WIRES, Wire

from omniroute.gateway.estimate import MEDIA_TOKENS, estimate, tokens_of
from omniroute.translate.conversation import Text, Thinking, ToolCall
from omniroute.translate.formats import FORMATS

ASK = {"model": "up/m", "messages": [{"role": "user", "content": "Greet me"}]}


def tokens(body: dict[str, Any], wire: Wire = ANTHROPIC) -> int:
    return estimate(FORMATS[wire.name].decode_request(json.dumps(body).encode()))


@pytest.mark.parametrize("wire", WIRES, ids=repr)
def test_an_estimate_grows_with_what_is_said(wire: Wire) -> None:
    short, long = ({"model": "m", "messages": [{"role": "user", "content": "word " * n}]} for n in (10, 1000))
    assert 10 <= tokens(short, wire) <= 40
    assert 900 <= tokens(long, wire) <= 1600


def test_tools_system_and_images_count_too() -> None:
    plain = tokens(ASK)
    assert tokens({**ASK, "system": "word " * 100}) > plain + 80
    tool = {"name": "f", "description": "word " * 100, "input_schema": {"type": "object"}}
    assert tokens({**ASK, "tools": [tool]}) > plain + 80
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "x" * 100_000}}
    pictured = tokens({**ASK, "messages": [{"role": "user", "content": [image]}]})
    assert MEDIA_TOKENS <= pictured < MEDIA_TOKENS + 50


def test_an_answers_thinking_and_tool_calls_count_as_its_text_does() -> None:
    assert tokens_of([]) == 0
    assert tokens_of([Text("word " * 8), Thinking("word " * 8), ToolCall("t", "look", "{}" * 8)]) == 25
