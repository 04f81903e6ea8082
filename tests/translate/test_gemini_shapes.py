"""Parts, finish reasons and counts of Gemini answers."""

from __future__ import annotations

import pytest
from msgspec import Raw

from omniroute.translate.events import Finish, Usage
from omniroute.translate.gemini_shapes import (
    FINISH,
    Blob,
    FileData,
    label_of,
    media_of_blob,
    media_of_file,
    read_finish,
    usage_object,
    write_finish,
)


@pytest.mark.parametrize(("given", "reason", "raw"), [
    ("STOP", "stop", ""), (1, "stop", ""), (2, "length", ""), ("SAFETY", "content_filter", "SAFETY"),
    (3, "content_filter", "SAFETY"), ("MALFORMED_FUNCTION_CALL", "error", "MALFORMED_FUNCTION_CALL"), (99, "other", "99"),
    (11, "content_filter", "IMAGE_SAFETY"), (15, "tool_calls", "UNEXPECTED_TOOL_CALL"), (16, "other", "NO_IMAGE"),
])  # fmt: skip
def test_finish_reasons(given: str | int, reason: str, raw: str) -> None:
    assert read_finish(given) == Finish(reason, raw=raw)  # type: ignore[arg-type]


@pytest.mark.parametrize("word", FINISH)
def test_a_finish_reason_of_this_wire_is_written_unchanged(word: str) -> None:
    assert write_finish(read_finish(word)) == word


def test_another_wires_word_is_not_repeated() -> None:
    assert write_finish(Finish("other", raw="compaction")) == "OTHER"
    assert write_finish(Finish("refusal")) == "SAFETY"


def test_thoughts_are_counted_beside_the_candidates() -> None:
    counts = usage_object(Usage(input=10, output=7, reasoning=5, cache_read=4))
    assert counts == {
        "promptTokenCount": 10, "candidatesTokenCount": 2, "cachedContentTokenCount": 4,
        "thoughtsTokenCount": 5, "totalTokenCount": 17,
    }  # fmt: skip


def test_no_more_thoughts_than_output_are_counted() -> None:
    counts = usage_object(Usage(input=10, output=7, reasoning=9))
    assert (counts["candidatesTokenCount"], counts["thoughtsTokenCount"], counts["totalTokenCount"]) == (0, 7, 17)


def test_files_of_the_vendors_own_storage_are_ids() -> None:
    assert media_of_file(FileData("image/png", "https://a.test/i.png")).url == "https://a.test/i.png"
    own = "https://generativelanguage.googleapis.com/v1beta/files/abc"
    assert media_of_file(FileData("audio/mpeg", own)).file_id == own
    assert media_of_file(FileData(None, "https://www.youtube.com/watch?v=x")).kind == "video"


def test_the_kind_of_media_follows_from_its_type() -> None:
    kinds = [
        media_of_blob(Blob(mime, "AA==")).kind for mime in ("image/png", "audio/wav", "video/mp4", "application/pdf", None)
    ]
    assert kinds == ["image", "audio", "video", "document", "document"]


def test_a_part_is_labelled_by_its_data_member() -> None:
    assert label_of(Raw(b'{"thought":true,"thoughtSignature":"x","executableCode":{}}')) == "executableCode"
    assert label_of(Raw(b'{"thoughtSignature":"x"}')) == ""
