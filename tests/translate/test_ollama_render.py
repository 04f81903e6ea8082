"""Ollama requests, written."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from ollama._types import ChatRequest

from omniroute.errors import OmniError
from omniroute.translate.conversation import Ask, Reasoning, ResponseFormat, Sampling, Text, Tool, ToolChoice, Turn
from omniroute.translate.format import Rendered, Target
from omniroute.translate.ollama_render import encode_request
from omniroute.translate.ollama_request import decode_generate, decode_request

TARGET = Target("qwen3")


def render(ask: Ask, target: Target = TARGET) -> tuple[dict[str, Any], Rendered]:
    rendered = encode_request(ask, target)
    return msgspec.json.decode(rendered.body), rendered


def asking(**more: Any) -> Ask:
    return Ask(turns=[Turn("user", [Text("hi")])], wire="openai-chat", **more)


@pytest.mark.parametrize("stream", [True, False])
def test_whether_to_stream_is_always_said(stream: bool) -> None:
    assert render(asking(stream=stream))[0]["stream"] is stream


def test_settings_stand_in_options() -> None:
    said = Sampling(temperature=0.5, top_p=0.9, top_k=5, min_p=0.1, seed=7, frequency_penalty=0.1, presence_penalty=0.2)
    body, rendered = render(asking(sampling=said, max_tokens=9, stop=["END"]))
    assert body["options"] == {
        **{"temperature": 0.5, "top_p": 0.9, "top_k": 5, "min_p": 0.1, "seed": 7},
        **{"presence_penalty": 0.2, "frequency_penalty": 0.1, "num_predict": 9, "stop": ["END"]},
    }
    assert rendered.dropped == ()


def test_nothing_said_is_nothing_sent() -> None:
    assert render(asking())[0] == {"model": "qwen3", "messages": [{"role": "user", "content": "hi"}], "stream": False}


@pytest.mark.parametrize(
    ("said", "think"),
    [
        (Reasoning(enabled=False), False),
        (Reasoning(effort="none"), False),
        (Reasoning(enabled=True), True),
        (Reasoning(enabled=True, adaptive=True), True),
        (Reasoning(effort="minimal"), "low"),
        (Reasoning(effort="medium"), "medium"),
        (Reasoning(effort="max"), "high"),
        (Reasoning(enabled=True, budget=1024), "low"),
        (Reasoning(enabled=True, budget=30_000), "high"),
        (Reasoning(), None),
    ],
)
def test_how_much_to_think(said: Reasoning, think: object) -> None:
    assert render(asking(reasoning=said))[0].get("think") == think


def test_a_model_that_cannot_think_is_not_told_to() -> None:
    target = Target("gemma", abilities=frozenset({"tools"}))
    assert "think" not in render(asking(reasoning=Reasoning(effort="high")), target)[0]
    assert render(asking(reasoning=Reasoning(enabled=False)), target)[0]["think"] is False


def test_output_formats() -> None:
    schema = ResponseFormat("schema", b'{"type":"object"}', "answer")
    assert render(asking(response_format=schema))[0]["format"] == {"type": "object"}
    assert render(asking(response_format=ResponseFormat("json")))[0]["format"] == "json"
    assert render(asking(response_format=ResponseFormat("schema")))[0]["format"] == "json"
    assert "format" not in render(asking(response_format=ResponseFormat("text")))[0]


TOOLS = [Tool("look", "Looks.", b'{"type":"object"}'), Tool("listen")]


def names(choice: ToolChoice | None) -> list[str]:
    body, _ = render(asking(tools=TOOLS, tool_choice=choice))
    return [tool["function"]["name"] for tool in body.get("tools", ())]


@pytest.mark.parametrize(
    ("choice", "offered"),
    [
        (None, ["look", "listen"]),
        (ToolChoice("auto"), ["look", "listen"]),
        (ToolChoice("required"), ["look", "listen"]),
        (ToolChoice("none"), []),
        (ToolChoice("tool", ("listen",)), ["listen"]),
        (ToolChoice("allowed", ("look",)), ["look"]),
    ],
)
def test_a_choice_decides_which_tools_are_offered(choice: ToolChoice | None, offered: list[str]) -> None:
    assert names(choice) == offered


def test_that_no_tool_may_be_called_is_kept_in_full() -> None:
    assert render(asking(tools=TOOLS, tool_choice=ToolChoice("none")))[1].dropped == ()


def test_what_only_this_wire_knows_comes_back_to_its_place() -> None:
    body = {
        **{"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True, "think": "max", "keep_alive": -1},
        **{"options": {"num_predict": -1, "num_ctx": 4096, "temperature": 0.5}, "truncate": False, "logprobs": True},
    }
    ask = decode_request(msgspec.json.encode(body))
    sent, rendered = render(ask, Target("m"))
    assert sent == body
    assert rendered.dropped == ()


def test_what_only_generate_knows_is_named() -> None:
    ask = decode_generate(b'{"model":"m","prompt":"hi","raw":true,"keep_alive":"5m","options":{"num_ctx":1}}')
    body, rendered = render(ask)
    assert (body["keep_alive"], body["options"]) == ("5m", {"num_ctx": 1})
    assert rendered.dropped == ("extra.raw",)


def test_extras_of_another_wire_are_named() -> None:
    assert render(asking(extra={"prediction": b"{}"}))[1].dropped == ("extra.prediction",)


def test_history_that_another_vendor_keeps_is_refused() -> None:
    ask = Ask(turns=[Turn("user", [Text("hi")])], wire="openai-responses", extra={"previous_response_id": b'"resp_1"'})
    with pytest.raises(OmniError, match="previous_response_id"):
        render(ask)


def test_the_official_sdk_takes_what_we_send() -> None:
    said = asking(
        tools=TOOLS,
        response_format=ResponseFormat("schema", b'{"type":"object"}'),
        reasoning=Reasoning(effort="low"),
        stop=["a"],
    )
    request = ChatRequest.model_validate_json(encode_request(said, TARGET).body, strict=False)
    assert request.model_dump(exclude_none=True)["tools"][0]["function"]["name"] == "look"
