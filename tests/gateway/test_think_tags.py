from __future__ import annotations

from typing import Any

import pytest
from attempts import ready
from fakes_gateway import fake_gateway, one_provider
from wires import ANTHROPIC, CHAT, chat_message, chunk

from omniroute.gateway.think_tags import one_choice, several_choices, thinks_aloud


@pytest.mark.parametrize(
    ("text", "thinks"),
    [
        ("<think>why", True),
        ("\n <thinking>", True),
        ("<thought>", True),
        ("<", True),
        ("<tho", True),
        ("", False),
        ("so <think>", False),
        ("<table>", False),
    ],
)
def test_an_answer_thinks_aloud_if_it_begins_with_a_tag_or_with_a_part_of_one(text: str, thinks: bool) -> None:
    assert thinks_aloud(chat_message({"content": text})) is thinks
    assert thinks_aloud(chunk({"content": text})) is thinks


@pytest.mark.parametrize(("more", "several"), [({}, False), ({"n": 1}, False), ({"n": None}, False), ({"n": 2}, True)])
def test_choices_are_counted_where_a_client_can_ask_for_several(more: dict[str, Any], several: bool) -> None:
    made = ready(fake_gateway(one_provider(CHAT)), CHAT, **more)
    assert (several_choices(made), one_choice(made)) == (several, not several)
    assert not one_choice(ready(fake_gateway(one_provider(CHAT)), ANTHROPIC))
