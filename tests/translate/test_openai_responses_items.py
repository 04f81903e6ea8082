from __future__ import annotations

import json

import pytest

from omniroute.translate.conversation import Citation, Media
from omniroute.translate.events import Usage
from omniroute.translate.format import Stamp
from omniroute.translate.openai_responses_items import Items, annotation, free_input, image_item, usage_object


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input":"a\\nb"}', "a\nb"),
        ('{"patch":"x"}', "x"),
        ('{"a":1}', '{"a":1}'),
        ("plain", "plain"),
        ("", ""),
        ("{}", "{}"),
    ],
)
def test_the_text_of_a_custom_tool_is_taken_out_of_the_function_that_stood_for_it(arguments: str, text: str) -> None:
    assert free_input(arguments) == text


def test_a_call_id_that_comes_twice_is_made_unique() -> None:
    items = Items(Stamp("resp_x", 0, "m"))
    assert [items.call_id("c1"), items.call_id("c1"), items.call_id("")] == ["c1", "call_x_1", "call_x_2"]


def test_links_are_annotations_and_other_vendors_citations_are_not() -> None:
    link = {"type": "url_citation", "url": "https://a.test", "title": "", "start_index": 0, "end_index": 0}
    assert annotation(Citation("https://a.test")) == link
    assert annotation(Citation(text="words", wire="anthropic", raw=b"{}")) is None


def test_only_images_as_bytes_are_items() -> None:
    assert image_item("ig_1", Media("image", url="https://a.test/i.png")) is None
    assert image_item("ig_1", Media("audio", data="UklG")) is None
    found = image_item("ig_1", Media("image", "image/webp", data="UklG"))
    assert found is not None
    assert (found["result"], found["output_format"]) == ("UklG", "webp")


def test_counts_are_whole_numbers_and_add_up() -> None:
    usage = json.loads(usage_object(Usage(10.0, 5.0, cache_read=4, reasoning=2, total=99)))
    assert (usage["input_tokens"], usage["total_tokens"]) == (10, 15)
    assert usage["input_tokens_details"] == {"cached_tokens": 4, "cache_write_tokens": 0}
    assert all(isinstance(value, (int, dict)) for value in usage.values())
