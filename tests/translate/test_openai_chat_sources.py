from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from omniroute.translate.conversation import Citation
from omniroute.translate.events import CitationDelta, Event, Finish, TextDelta
from omniroute.translate.openai_chat_stream import ChatDecoder, decode_answer


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    return msgspec.json.encode({"choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}]} | more)


def play(*chunks: bytes) -> list[Event]:
    """The events of a stream after its Start."""
    decoder = ChatDecoder()
    return [*(event for data in chunks for event in decoder.feed(b"", data)), *decoder.eof()][1:]


def citations(events: Iterable[Event]) -> list[Citation]:
    return [event.citation for event in events if isinstance(event, CitationDelta)]


def test_sources_beside_the_choices_are_citations_unless_the_text_is_annotated_with_them() -> None:
    note = {"type": "url_citation", "url_citation": {"url": "https://b", "title": "t", "start_index": 0, "end_index": 1}}
    beside = {
        "citations": ["https://a", "https://b", "https://c"],
        "search_results": [{"url": "https://a", "title": "A"}, {"url": "https://c", "date": None}],
    }
    said = [chunk({"content": "so [1]"}, **beside), chunk({"content": "."}, finish="stop", **beside)]
    assert citations(play(*said)) == [
        Citation("https://a", "A"),
        Citation("https://b"),
        Citation("https://c"),
    ]
    last = chunk({"annotations": [note]}, finish="stop", search_results=beside["search_results"])
    cited = [one.url for one in citations(play(*said[:1], last))]
    assert cited == ["https://b", "https://a", "https://c"]
    for odd in ({"citations": [{"text": "x"}]}, {"citations": 3}, {"search_results": None}, {"citations": [None]}):
        assert [type(e) for e in play(chunk({"content": "so"}, finish="stop", **odd))] == [TextDelta, Finish]


@pytest.mark.parametrize(
    "beside",
    [
        {"web_search": [{"title": "A", "link": "https://a", "refer": "ref_1"}, {"link": "https://b"}, {"title": "x"}]},
        {"references": [{"url": "https://a", "title": "A", "site_name": "s"}, {"url": "https://b"}]},
        {"search_info": {"search_results": [{"index": 1, "url": "https://a", "title": "A"}, {"url": "https://b"}]}},
    ],
    ids=lambda beside: next(iter(beside)),
)
@pytest.mark.parametrize("place", range(4))
def test_vendors_lists_of_sources_are_citations_wherever_they_come(beside: dict[str, Any], place: int) -> None:
    expected = [Citation("https://a", "A"), Citation("https://b")]
    texts: list[dict[str, Any]] = [{} for _ in range(4)]
    texts[place] = beside
    stream = [chunk({"content": word}, **more) for word, more in zip(("so", " it", " is"), texts, strict=False)]
    name = next(iter(beside))
    last = chunk(finish="stop", **(texts[3] or {name: None if place else []}))
    assert citations(play(*stream, last)) == expected
    whole = {"choices": [{"message": {"content": "so"}, "finish_reason": "stop"}]} | beside
    assert citations(decode_answer(msgspec.json.encode(whole))) == expected


def test_sources_come_once_though_each_chunk_repeats_them_and_odd_ones_are_ignored() -> None:
    found = {"search_info": {"search_results": [{"url": "https://a", "title": "A"}]}, "citations": ["https://a"]}
    said = play(chunk({"content": "a"}, **found), chunk({"content": "b"}, **found), chunk({"content": "c"}, "stop", **found))
    assert citations(said) == [Citation("https://a", "A")]
    for odd in (
        {"web_search": {"a": 1}},
        {"references": ["x"]},
        {"search_info": 3},
        {"search_info": {"search_results": None}},
    ):
        assert [type(e) for e in play(chunk({"content": "so"}, finish="stop", **odd))] == [TextDelta, Finish]
