"""What the name of a model says."""

from __future__ import annotations

import pytest

from omniroute.translate.format import Target
from omniroute.translate.gemini_traits import Traits


@pytest.mark.parametrize(
    ("model", "major", "levels"),
    [
        ("gemini-2.5-flash", 2, False),
        ("gemini-3-pro-preview", 3, True),
        ("models/gemini-3.1-flash-lite", 3, True),
        ("gemini-4-argon", 4, True),
        ("gemini-flash-latest", 3, True),
        ("gemini-flash-lite-latest", 3, True),
        ("gemma-3-27b-it", 0, False),
        ("anything", 0, False),
    ],
)
def test_generations(model: str, major: int, levels: bool) -> None:
    traits = Traits(Target(model))
    assert (traits.major, traits.levels, traits.signatures, traits.response_media) == (major, levels, levels, levels)


def test_quirks_say_what_a_name_does_not() -> None:
    traits = Traits(Target("mine", quirks=frozenset({"thinking_level", "json_schema", "no_image_urls"})))
    assert (traits.levels, traits.json_schema, traits.links, traits.signatures) == (True, True, False, False)


def test_json_schema_is_an_ability_of_newer_models() -> None:
    able = frozenset({"json_schema"})
    assert Traits(Target("gemini-2.5-pro", abilities=able)).json_schema
    assert not Traits(Target("gemini-1.5-pro", abilities=able)).json_schema
    assert not Traits(Target("gemini-2.5-pro")).json_schema
