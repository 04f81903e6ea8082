from __future__ import annotations

import msgspec
import pytest

from omniroute.translate.conversation import Ask, Reasoning
from omniroute.translate.fidelity import Losses
from omniroute.translate.openai_settings import accepts_strictly, effort_for, forget_sampling, user_id, write_metadata


@pytest.mark.parametrize(
    ("said", "own", "effort", "lost"),
    [
        (Reasoning(effort="low", budget=9000), False, "low", ()),
        (Reasoning(effort="max"), True, "max", ()),
        (Reasoning(effort="max"), False, "xhigh", ()),
        (Reasoning(enabled=True, budget=9000), False, "medium", ("reasoning_budget",)),
        (Reasoning(budget=0), False, "none", ("reasoning_budget",)),
        (Reasoning(enabled=False, budget=9000), False, "none", ()),
        (Reasoning(enabled=True), False, "medium", ()),
        (Reasoning(enabled=True), True, None, ()),
        (Reasoning(enabled=True, adaptive=True), False, None, ()),
    ],
)
def test_the_effort_for_a_wish(said: Reasoning, own: bool, effort: str | None, lost: tuple[str, ...]) -> None:
    losses = Losses()
    assert (effort_for(said, own, losses), losses.names()) == (effort, lost)


def test_only_the_sampling_that_was_set_is_named() -> None:
    lost, body = Losses(), {"top_p": 0.5, "n": 1}
    forget_sampling(body, lost)
    assert (body, lost.names()) == ({"n": 1}, ("top_p",))


def test_a_long_user_id_becomes_a_hash_that_is_always_the_same() -> None:
    lost = Losses()
    assert user_id("u" * 64, False, lost) == "u" * 64
    assert user_id("u" * 65, True, lost) == "u" * 65
    assert lost.names() == ()
    assert len(user_id("u" * 65, False, lost)) == 64
    assert user_id("u" * 65, False, lost) == user_id("u" * 65, False, lost) != user_id("v" * 65, False, lost)
    assert lost.names() == ("user",)


@pytest.mark.parametrize(("wire", "held"), [("openai-chat", True), ("openai-responses", True), ("anthropic", False)])
def test_metadata_stays_between_the_openai_wires(wire: str, held: bool) -> None:
    lost, body = Losses(), dict[str, object]()
    write_metadata(body, Ask(wire=wire, metadata=b"{}"), lost)
    assert ("metadata" in body, lost.names()) == (held, () if held else ("metadata",))


_CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "accepted"),
    [
        (_CITY, True),
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
        ({**_CITY, "properties": {"city": {"anyOf": [_CITY, {"type": "null"}]}}}, True),
        ({**_CITY, "required": []}, False),
        ({**_CITY, "additionalProperties": True}, False),
        ({**_CITY, "properties": {"city": {"anyOf": [{**_CITY, "required": []}, {"type": "null"}]}}}, False),
        ({**_CITY, "properties": None}, False),
        ({**_CITY, "required": "city"}, False),
        ({"type": "object"}, False),
        (None, False),
    ],
)
def test_a_strict_function_has_no_optional_members(schema: object, accepted: bool) -> None:
    assert accepts_strictly(None if schema is None else msgspec.json.encode(schema)) is accepted
