from __future__ import annotations

from omniroute.translate.collect import collect
from omniroute.translate.conversation import Citation, Media, Opaque, Refusal, Text, Thinking, ToolCall
from omniroute.translate.events import (
    BlockEnd,
    CitationDelta,
    Failure,
    Finish,
    MediaPart,
    OpaquePart,
    RefusalDelta,
    Signature,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStart,
    Usage,
)


def test_deltas_of_one_kind_are_one_block() -> None:
    answer = collect([Start("id", "m"), TextDelta("Good "), TextDelta("morning"), Finish("stop")])
    assert answer.blocks == [Text("Good morning")]
    assert (answer.start.id, answer.start.model) == ("id", "m")
    assert answer.finish == Finish("stop")


def test_another_kind_or_an_end_begins_a_new_block() -> None:
    answer = collect([ThinkingDelta("a"), TextDelta("b"), BlockEnd(), TextDelta("c"), RefusalDelta("d"), TextDelta("e")])
    assert answer.blocks == [Thinking("a"), Text("b"), Text("c"), Refusal("d"), Text("e")]


def test_empty_blocks_are_blocks() -> None:
    assert collect([TextDelta(""), BlockEnd(), ThinkingDelta("")]).blocks == [Text(""), Thinking("")]


def test_a_signature_belongs_to_the_open_thinking_or_opens_one() -> None:
    answer = collect(
        [ThinkingDelta("a"), Signature("s1", wire="w"), Signature("s2", wire="w"), BlockEnd(), Signature("s3", wire="w")]
    )
    assert answer.blocks == [Thinking("a", signature="s1s2", wire="w"), Thinking("", signature="s3", wire="w")]


def test_redacted_thinking_stands_alone() -> None:
    answer = collect([ThinkingDelta("a"), Signature("x", redacted=True, wire="w"), ThinkingDelta("b")])
    assert answer.blocks == [Thinking("a"), Thinking("", signature="x", redacted=True, wire="w"), Thinking("b")]


def test_tool_calls_gather_their_arguments() -> None:
    events = [
        ToolStart("1", "f"),
        ToolArguments('{"a'),
        ToolArguments('": 1}'),
        ToolStart("2", "g", kind="custom"),
        ToolArguments("free"),
    ]
    answer = collect(events)
    assert answer.blocks == [ToolCall("1", "f", '{"a": 1}'), ToolCall("2", "g", "free", kind="custom")]


def test_media_and_vendor_blocks_stand_where_they_came() -> None:
    media = Media("image", "image/png", data="x")
    answer = collect([TextDelta("a"), MediaPart(media), OpaquePart("w", "x", b"{}"), TextDelta("b")])
    assert answer.blocks == [Text("a"), media, Opaque("w", "x", b"{}"), Text("b")]


def test_citations_belong_to_their_text() -> None:
    source = Citation(url="https://example.com")
    answer = collect([TextDelta("a"), CitationDelta(source), BlockEnd(), CitationDelta(source), TextDelta("b")])
    assert answer.blocks == [Text("a", citations=[source]), Text("b", citations=[source])]
    assert [c for block in answer.blocks if isinstance(block, Text) for c in block.citations] == [source, source]


def test_usage_is_merged_and_a_failure_kept() -> None:
    answer = collect([Usage(input=5, output=1), Usage(output=9, reasoning=2), Failure(529, "Overloaded")])
    assert answer.usage == Usage(input=5, output=9, reasoning=2)
    assert answer.failure is not None
    assert answer.finish is None


def test_logprobs_are_kept_in_order() -> None:
    assert collect([TextDelta("a", b"[1]"), TextDelta("b"), TextDelta("c", b"[2]")]).logprobs == [b"[1]", b"[2]"]


def test_a_long_answer_takes_time_in_proportion() -> None:
    answer = collect([TextDelta("x") for _ in range(200_000)])
    assert len(answer.blocks) == 1


def test_a_signature_in_pieces_is_one() -> None:
    said = [ThinkingDelta("a"), Signature("x", wire="anthropic"), Signature("y", wire="anthropic"), BlockEnd()]
    assert collect([*said, Signature("z", redacted=True), BlockEnd()]).blocks == [
        Thinking("a", "xy", wire="anthropic"),
        Thinking("", "z", redacted=True),
    ]


def test_an_answer_that_ends_with_an_error_has_failed() -> None:
    answer = collect([Start(), TextDelta("a"), Finish("error", raw="MALFORMED_FUNCTION_CALL")])
    said = "The provider ended the answer with an error"
    assert answer.failure == Failure(502, f"{said} (MALFORMED_FUNCTION_CALL).", slip=True)
    assert collect([Start(), Finish("error")]).failure == Failure(502, f"{said}.")
    assert collect([Start(), Finish("error", raw="abort")]).failure == Failure(502, f"{said} (abort).")
