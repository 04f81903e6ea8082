from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omniroute.errors import OmniError
from omniroute.translate.conversation import Ask, Reasoning, ResponseFormat, Text, Turn
from omniroute.translate.fidelity import STATE
from omniroute.translate.format import Target
from omniroute.translate.formats import FORMATS
from omniroute.translate.openai_responses_error import WIRE
from omniroute.translate.openai_responses_request import decode_request


def read(**members: Any) -> Ask:
    return decode_request(msgspec.json.encode({"model": "m", "input": "hi", **members}))


def test_a_string_is_the_users_message() -> None:
    ask = read(instructions="Be brief.")
    assert (ask.system, ask.turns) == ([Text("Be brief.")], [Turn("user", [Text("hi")])])


def test_settings_have_their_neutral_places() -> None:
    ask = read(
        max_output_tokens=30,
        top_logprobs=2,
        parallel_tool_calls=False,
        reasoning={"effort": "low", "summary": "auto"},
        text={
            "format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": True},
            "verbosity": "low",
        },
    )
    assert (ask.max_tokens, ask.sampling.top_logprobs, ask.parallel_tools, ask.verbosity) == (30, 2, False, "low")
    assert ask.reasoning == Reasoning(effort="low", show="auto")
    assert ask.response_format == ResponseFormat("schema", b'{"type":"object"}', "a", None, True)
    assert ask.extra == {}


def test_what_has_no_neutral_place_travels_on_the_same_wire() -> None:
    ask = read(
        store=False,
        client_metadata={"a": 1},
        include=["reasoning.encrypted_content"],
        reasoning={"effort": "low", "context": "all_turns"},
        text={"format": {"type": "grammar", "definition": "x"}},
        tool_choice={"type": "web_search"},
    )
    assert set(ask.extra) == {"store", "client_metadata", "include", "reasoning", "text", "tool_choice"}
    sent = msgspec.json.decode(FORMATS[WIRE].encode_request(ask, Target("m")).body)
    assert sent["reasoning"] == {"effort": "low", "context": "all_turns"}
    assert sent["text"] == {"format": {"type": "grammar", "definition": "x"}}
    assert (sent["store"], sent["tool_choice"]) == (False, {"type": "web_search"})


def test_an_effort_of_none_switches_thinking_off() -> None:
    assert read(reasoning={"effort": "none"}).reasoning == Reasoning(enabled=False, effort="none")


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"input": None}, "input"),
        ({"input": 3}, "input"),
        ({"max_output_tokens": "many"}, "max_output_tokens"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort"),
        ({"tools": [{"type": "function"}]}, "tools.0.name"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input.0.role"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input.0.call_id"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input.0.content.0.text"),
    ],
)
def test_a_mistake_is_named_with_its_path(members: dict[str, Any], param: str) -> None:
    with pytest.raises(OmniError) as caught:
        read(**members)
    assert (caught.value.kind, caught.value.param) == ("invalid_request", param)


OTHERS = [wire for wire, form in FORMATS.items() if wire != WIRE and form.framing and wire != "ollama-generate"]


@pytest.mark.parametrize("wire", OTHERS)
@pytest.mark.parametrize("member", sorted(STATE))
def test_state_at_the_vendor_is_refused_by_name_on_other_wires_and_relayed_on_its_own(wire: str, member: str) -> None:
    ask = read(**{member: {"id": "x"}})
    with pytest.raises(OmniError, match=member) as caught:
        FORMATS[wire].encode_request(ask, Target("m"))
    assert (caught.value.status, caught.value.param) == (400, member)
    assert msgspec.json.decode(FORMATS[WIRE].encode_request(ask, Target("m")).body)[member] == {"id": "x"}


@pytest.mark.parametrize("wire", OTHERS)
@pytest.mark.parametrize("kind", ["item_reference", "compaction"])
def test_an_item_that_stands_for_history_is_refused_on_other_wires(wire: str, kind: str) -> None:
    ask = read(input=[{"type": kind, "id": "msg_1"}, {"role": "user", "content": "go on"}])
    with pytest.raises(OmniError, match=kind):
        FORMATS[wire].encode_request(ask, Target("m"))


def test_a_stored_conversation_needs_no_input() -> None:
    assert read(input=None, previous_response_id="resp_1").turns == []
