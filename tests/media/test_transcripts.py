from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from omniroute.media.transcripts import Span, Transcript, cues, written

SAID = Transcript("Hi. You", "transcribe", "en", 3.0, (Span(0.0, 0.5, "Hi."), Span(0.6, 3661.5, "You")))


def test_json_always_has_four_members() -> None:
    assert json.loads(written(Transcript("x"), "json")[1]) == {
        "text": "x",
        "task": "transcribe",
        "language": None,
        "duration": None,
    }


def test_words_become_subtitles_at_the_end_of_a_sentence() -> None:
    assert written(SAID, "srt")[1].decode() == (
        "1\n00:00:00,000 --> 00:00:00,500\nHi.\n\n2\n00:00:00,600 --> 01:01:01,500\nYou\n\n"
    )
    assert written(SAID, "vtt") == (
        b"text/vtt; charset=utf-8",
        b"WEBVTT\n\n00:00:00.000 --> 00:00:00.500\nHi.\n\n00:00:00.600 --> 01:01:01.500\nYou\n\n",
    )


def test_the_long_form_has_what_was_asked_for() -> None:
    assert "words" not in json.loads(written(SAID, "verbose_json")[1])
    only_words = json.loads(written(SAID, "verbose_json", ["word"])[1])
    assert [word["word"] for word in only_words["words"]] == ["Hi.", "You"]
    assert "segments" not in only_words
    both = json.loads(written(SAID, "verbose_json", ["word", "segment"])[1])
    assert [segment["id"] for segment in both["segments"]] == [0, 1]


def test_a_text_without_times_is_one_subtitle_and_silence_none() -> None:
    assert cues(Transcript("x", duration=2.0)) == [Span(0.0, 2.0, "x")]
    assert cues(Transcript("")) == []
    assert written(Transcript("", segments=(Span(0, 1, "a\n\nb --> c"),)), "vtt")[1].endswith(b"a b -> c\n\n")


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from(["a", "bb,", "c."])), max_size=20))
def test_subtitles_hold_every_word_once_in_order(rows: list[tuple[int, int, str]]) -> None:
    words, at = [], 0
    for pause, length, text in rows:
        words.append(Span(at + pause, at + pause + length, text))
        at += pause + length
    found = cues(Transcript("x", words=tuple(words)))
    if words:
        assert " ".join(cue.text for cue in found) == " ".join(word.text for word in words)
        assert all(a.end <= b.start for a, b in pairwise(found))
