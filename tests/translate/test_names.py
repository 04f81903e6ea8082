from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.translate.conversation import Tool, ToolChoice
from omniroute.translate.names import Names, SentIds, chosen, fit, flat, object_text


@pytest.mark.parametrize("name", ["look", "mcp__files__read-2", "x" * 64])
def test_a_fitting_name_stays_as_it_is(name: str) -> None:
    assert fit(name, 64) == name


@given(st.text(max_size=200))
def test_every_name_is_made_to_fit_and_always_in_the_same_way(name: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", fit(name, 64))
    assert fit(name, 64) == fit(name, 64)


@given(st.lists(st.text(alphabet="a.b/ü_", max_size=80), unique=True, max_size=30))
def test_different_names_stay_different(names: list[str]) -> None:
    assert len({fit(name, 64) for name in names}) == len(names)


def test_names_are_mapped_back_to_the_clients_own() -> None:
    names = Names(64)
    assert names.sent("plain") == "plain"
    sent = names.sent("files.read")
    assert sent.startswith("files_read_")
    assert names.renamed == {sent: "files.read"}


def test_a_namespace_is_joined_to_the_name_but_for_the_implicit_one() -> None:
    assert [flat("look", "crm"), flat("look", "functions"), flat("look", None)] == ["crm__look", "look", "look"]


def test_an_id_that_is_used_again_becomes_another_and_results_mean_the_last_call() -> None:
    ids = SentIds(64)
    assert ids.last("call") is None
    first, second = ids.new("call"), ids.new("call")
    assert (first, fit(second, 64), first != second) == ("call", second, True)
    assert ids.last("call") == second


def test_tools_are_chosen_by_their_bare_or_their_flat_name() -> None:
    tools = [Tool("look", namespace="crm"), Tool("look"), Tool("tell", namespace="crm"), Tool("run")]
    assert chosen(tools, ["crm__look", "tell", "nothing"]) == [tools[0], tools[2]]


def test_a_choice_names_tools_as_they_are_sent() -> None:
    tools = [Tool("look", namespace="crm"), Tool("run.fast")]
    names = Names(64)
    sent = [names.sent(tool.name, tool.namespace) for tool in tools]
    assert names.sent_for(ToolChoice("allowed", ("look", "run.fast")), tools) == sent
    assert names.sent_for(ToolChoice("tool", ("crm__look",)), tools) == sent[:1]
    assert names.sent_for(ToolChoice("tool", ("unknown",)), tools) == ["unknown"]


@pytest.mark.parametrize(
    ("arguments", "kind", "expected"),
    [
        ('{"a": 1}', "function", (b'{"a": 1}', False)),
        ("", "function", (b"{}", False)),
        (" null ", "function", (b"{}", False)),
        ('{"a', "function", (b'{"INVALID_JSON":"{\\"a"}', True)),
        ("[1]", "function", (b'{"INVALID_JSON":"[1]"}', True)),
        ("\ud800", "function", (b'{"INVALID_JSON":"?"}', True)),
        ("free text", "custom", (b'{"input":"free text"}', False)),
    ],
)
def test_arguments_become_an_object(arguments: str, kind: str, expected: tuple[bytes, bool]) -> None:
    assert object_text(arguments, kind) == expected
