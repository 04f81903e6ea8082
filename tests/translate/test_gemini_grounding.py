"""Sources and log probabilities."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from omniroute.translate import gemini_grounding
from omniroute.translate.conversation import Citation
from omniroute.translate.gemini_grounding import Said, read_citations, read_logprobs, write_citations, write_logprobs

GROUNDING: dict[str, Any] = {
    "groundingChunks": [{"web": {"uri": "https://a.test", "title": "A"}}, {"web": {"uri": "https://b.test", "title": "B"}}],
    "groundingSupports": [{"segment": {"endIndex": 5, "text": "It is"}, "groundingChunkIndices": [0, 1, 7]}],
    "webSearchQueries": ["is it"],
}
NONE = Raw(b"")


def raw(value: object) -> Raw:
    return Raw(json.dumps(value).encode())


def test_each_place_and_source_is_a_citation() -> None:
    found = read_citations(raw(GROUNDING), NONE, "")
    assert [(c.url, c.title, c.text, c.start, c.end) for c in found] == [
        ("https://a.test", "A", "It is", 0, 5),
        ("https://b.test", "B", "It is", 0, 5),
        (None, None, "It is", 0, 5),
    ]


def test_the_text_of_a_stream_is_kept_only_as_far_as_offsets_need_it(monkeypatch: pytest.MonkeyPatch) -> None:
    said = Said()
    for text in ("Es ", "übt ", "so"):
        said.add(text)
    assert said.text() == "xxxübt xx"
    monkeypatch.setattr(gemini_grounding, "_HELD_CHARACTERS", 4)
    assert said.text() is None
    assert {(c.start, c.end) for c in read_citations(raw(GROUNDING), NONE, None)} == {(None, None)}
    members, _ = write_citations([Citation("https://a.test", "A", "übt", 3, 6, "openai-chat")], None)
    assert "groundingSupports" not in members["groundingMetadata"]


def test_places_in_bytes_are_places_in_characters() -> None:
    assert {(c.start, c.end) for c in read_citations(raw(GROUNDING), NONE, "Es übt")} == {(0, 4)}
    members, _ = write_citations([Citation("https://a.test", "A", "übt", 3, 6, "openai-chat")], "Es übt")
    assert members["groundingMetadata"]["groundingSupports"][0]["segment"] == {"startIndex": 3, "endIndex": 7, "text": "übt"}


def test_sources_without_places() -> None:
    found = read_citations(raw({"groundingChunks": GROUNDING["groundingChunks"]}), NONE, "")
    assert [c.url for c in found] == ["https://a.test", "https://b.test"]


def test_the_source_of_an_image_is_the_page_that_shows_it() -> None:
    image = {"sourceUri": "https://a.test", "imageUri": "https://a.test/a.png", "title": "A", "domain": "a.test"}
    found = read_citations(raw({"groundingChunks": [{"image": image}]}), NONE, "")
    assert [(c.url, c.title) for c in found] == [("https://a.test", "A")]


def test_recitation_sources() -> None:
    found = read_citations(NONE, raw({"citationSources": [{"startIndex": 3, "endIndex": 9, "uri": "https://c.test"}]}), "")
    assert [(c.url, c.start, c.end) for c in found] == [("https://c.test", 3, 9)]


def test_own_sources_come_out_as_they_were() -> None:
    found = read_citations(raw(GROUNDING), NONE, "")
    members, lost = write_citations(found, "It is")
    assert json.loads(bytes(members["groundingMetadata"])) == GROUNDING
    assert not lost


def test_links_of_other_wires() -> None:
    members, lost = write_citations(
        [Citation("https://a.test", "A", "so", 0, 2, "openai-chat"), Citation(text="x", wire="anthropic")], "so"
    )
    assert lost
    assert members["groundingMetadata"] == {
        "groundingChunks": [{"web": {"uri": "https://a.test", "title": "A"}}],
        "groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 2, "text": "so"}, "groundingChunkIndices": [0]}],
    }


def test_nonsense_is_no_source() -> None:
    assert read_citations(raw([1]), raw("x"), "") == []


def test_log_probabilities_both_ways() -> None:
    token = {"token": "ü", "logProbability": -0.5}
    given = {"chosenCandidates": [token], "topCandidates": [{"candidates": [token, {"token": "u", "logProbability": -1.5}]}]}
    read = read_logprobs(raw(given))
    assert read is not None
    [fact] = json.loads(read)
    assert (fact["token"], fact["logprob"], fact["bytes"], len(fact["top_logprobs"])) == ("ü", -0.5, [195, 188], 2)
    assert write_logprobs([read]) == given
    assert read_logprobs(raw({})) is None
    assert write_logprobs([]) is None
