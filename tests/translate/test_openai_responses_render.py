from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omniroute.translate.conversation import Ask, Reasoning, ResponseFormat, Sampling, Text, Tool, ToolChoice, Turn
from omniroute.translate.format import Target
from omniroute.translate.openai_responses_render import encode_request


def sent(wire: str = "openai-chat", quirks: tuple[str, ...] = (), **members: Any) -> dict[str, Any]:
    ask = Ask(turns=[Turn("user", [Text("hi")])], wire=wire, **members)
    value: dict[str, Any] = msgspec.json.decode(encode_request(ask, Target("m", quirks=frozenset(quirks))).body)
    return value


def test_what_comes_from_another_wire_is_not_stored_unless_it_says_so() -> None:
    assert sent() == {"model": "m", "input": [{"type": "message", "role": "user", "content": "hi"}], "store": False}
    assert sent(extra={"store": b"true", "prompt_cache_key": b'"k"'}) | {"input": 0} == {
        **{"model": "m", "input": 0, "store": True},
        "prompt_cache_key": "k",
    }
    assert sent(wire="anthropic", extra={"store": b"true"})["store"] is False


@pytest.mark.parametrize(
    ("wish", "sent_as"),
    [
        (Reasoning(effort="high"), {"effort": "high"}),
        (Reasoning(effort="max"), {"effort": "xhigh"}),
        (Reasoning(effort="none"), None),
        (Reasoning(enabled=False), None),
        (Reasoning(enabled=True, budget=5000), {"effort": "medium", "summary": "auto"}),
        (Reasoning(enabled=True, adaptive=True, effort="low", show="omitted"), {"effort": "low"}),
        (Reasoning(enabled=True), {"effort": "medium", "summary": "auto"}),
        (Reasoning(enabled=True, adaptive=True), {"summary": "auto"}),
        (Reasoning(show="detailed"), {"summary": "detailed"}),
    ],
)
def test_how_much_to_think_and_to_show(wish: Reasoning, sent_as: dict[str, str] | None) -> None:
    assert sent(reasoning=wish).get("reasoning") == sent_as


@pytest.mark.parametrize(
    ("wish", "named"),
    [
        (Reasoning(enabled=True), True),
        (Reasoning(budget=1000, enabled=True), True),
        (Reasoning(effort="high"), True),
        (Reasoning(enabled=True, adaptive=True, show="summarized"), False),  # the model's own choice
        (Reasoning(enabled=False), False),
        (Reasoning(effort="none"), False),
    ],
)
def test_reasoning_is_not_sent_to_models_that_do_not_think(wish: Reasoning, named: bool) -> None:
    asked = Ask(turns=[Turn("user", [Text("hi")])], reasoning=wish, wire="ollama")
    done = encode_request(asked, Target("m", abilities=frozenset({"tools"})))
    assert b"reasoning" not in done.body
    assert done.dropped == (("reasoning",) if named else ())


def test_logprobs_are_asked_for_by_an_include() -> None:
    value = sent(sampling=Sampling(logprobs=True, top_logprobs=3))
    assert (value["include"], value["top_logprobs"]) == (["message.output_text.logprobs"], 3)


def test_a_schema_is_a_text_format() -> None:
    value = sent(response_format=ResponseFormat("schema", b'{"type":"object"}', "a", None, True), verbosity="low")
    shape = {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": True}
    assert value["text"] == {"format": shape, "verbosity": "low"}


def test_a_tiny_limit_is_raised_to_what_the_wire_takes() -> None:
    assert sent(max_tokens=1)["max_output_tokens"] == 16
    assert sent(wire="openai-responses", max_tokens=1)["max_output_tokens"] == 1


def test_sampling_is_left_out_where_the_model_refuses_it() -> None:
    assert "temperature" not in sent(sampling=Sampling(temperature=0.1), quirks=("no_sampling",))
    assert sent(sampling=Sampling(temperature=0.1, top_p=0.5))["top_p"] == 0.5
    calm: dict[str, Any] = {"sampling": Sampling(temperature=0.1, top_p=0.5), "quirks": ("sampling_unless_reasoning",)}
    assert sent(**calm)["temperature"] == 0.1
    assert {"temperature", "top_p"}.isdisjoint(sent(**calm, reasoning=Reasoning(effort="low")))


def test_a_choice_without_tools_is_not_sent() -> None:
    assert "tool_choice" not in sent(tool_choice=ToolChoice("required"), parallel_tools=False)
    value = sent(tools=[Tool("a.b", schema=b"{}")], tool_choice=ToolChoice("tool", ("a.b",)))
    assert value["tool_choice"] == {"type": "function", "name": value["tools"][0]["name"]}
    assert value["tools"][0]["name"].startswith("a_b_")
