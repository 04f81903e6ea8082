"""One case per row of the fidelity table, for the wires that exist: the encoder really says what the row says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import omniroute.translate.fidelity as fidelity
from omniroute.errors import OmniError
from omniroute.translate.collect import collect
from omniroute.translate.conversation import (
    Ask,
    Block,
    CacheHint,
    Citation,
    Media,
    Opaque,
    Reasoning,
    Refusal,
    ResponseFormat,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from omniroute.translate.events import (
    CitationDelta,
    Event,
    Finish,
    MediaPart,
    OpaquePart,
    Signature,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStart,
)
from omniroute.translate.fidelity import FIDELITY, Lost, Row, extra_names, reject
from omniroute.translate.format import Stamp, Target
from omniroute.translate.formats import FORMATS

STAMP = Stamp("msg_1", 1_750_000_000, "m")
PLAIN = Target("m")
TOOL = Tool("look", "Looks.", b'{"type":"object","properties":{}}')
PDF = "JVBERi0xLjQ="


def user(*blocks: Block) -> Turn:
    return Turn("user", list(blocks) or [Text("hello")])


def asking(*blocks: Block) -> Ask:
    return Ask(turns=[user(*blocks)], wire="other")


def after(*blocks: Block) -> Ask:
    """A conversation in which the assistant said *blocks*."""
    return Ask(turns=[user(), Turn("assistant", [Text("well"), *blocks]), user()], wire="other")


def sampling(**said: object) -> Ask:
    return Ask(turns=[user()], sampling=Sampling(**said), wire="other")  # type: ignore[arg-type]


def tools(*given: Tool, choice: ToolChoice | None = None) -> Ask:
    return Ask(turns=[user()], tools=list(given), tool_choice=choice, wire="other")


def called(result: ToolResult | None, call: ToolCall | None = None) -> Ask:
    turns = [user(), Turn("assistant", [call or ToolCall("c1", "look")])]
    if result is not None:
        turns.append(Turn("tool", [result]))
    return Ask(turns=[*turns, user()], wire="other")


def settings(**said: object) -> Ask:
    return Ask(turns=[user()], wire="other", **said)  # type: ignore[arg-type]


SERVER_TOOL = Tool("search", kind="server", wire="other", raw=b'{"type":"search"}')
NAMESPACED = Tool("look", schema=TOOL.schema, namespace="crm")
CUSTOM = Tool("patch", kind="custom", grammar=b'{"type":"text"}')
HINT = CacheHint("1h")
HINTS: list[Block] = [Text(word, cache=HINT) for word in "abcde"]
SCHEMA = ResponseFormat("schema", b'{"type":"object","properties":{"a":{"type":"string"}}}')
CHAIN = Reasoning(effort="high")
ANTHROPIC, CHAT = "anthropic", "openai-chat"

REQUESTS: dict[tuple[str, Lost], Ask | tuple[Ask, Target]] = {
    (ANTHROPIC, Lost.AUDIO_INPUT): asking(Media("audio", "audio/wav", data="UklG")),
    (ANTHROPIC, Lost.VIDEO_INPUT): asking(Media("video", "video/mp4", data="AAAA")),
    (ANTHROPIC, Lost.DOCUMENTS): asking(Media("document", "application/msword", data="0M8R")),
    (ANTHROPIC, Lost.FILE_ID): asking(Media("document", file_id="file-1")),
    (ANTHROPIC, Lost.IMAGE_DETAIL): asking(Media("image", url="https://a.test/i.png", detail="low")),
    (ANTHROPIC, Lost.CACHE_CONTROL): asking(*HINTS),
    (ANTHROPIC, Lost.CITATIONS): after(Text("it is so", citations=[Citation("https://a.test", wire="other")])),
    (ANTHROPIC, Lost.THINKING): after(Thinking("hm", "proof", wire="gemini")),
    (ANTHROPIC, Lost.REASONING): settings(reasoning=CHAIN, tools=[TOOL], tool_choice=ToolChoice("required")),
    (ANTHROPIC, Lost.REFUSAL): after(Refusal("no")),
    (ANTHROPIC, Lost.SERVER_BLOCKS): after(Opaque("gemini", "executableCode", b"{}")),
    (ANTHROPIC, Lost.MEDIA_OUTPUT): after(Media("image", "image/png", data="iVBOR")),
    (ANTHROPIC, Lost.SYSTEM_TURNS): Ask(turns=[user(), Turn("system", [Text("be brief")]), user()], wire="other"),
    (ANTHROPIC, Lost.PARTICIPANT_NAME): Ask(turns=[Turn("user", [Text("hello")], name="ada")], wire="other"),
    (ANTHROPIC, Lost.ORPHAN_TOOL_RESULT): Ask(turns=[user(), Turn("tool", [ToolResult("x", [Text("1")])])], wire="other"),
    (ANTHROPIC, Lost.ORPHAN_TOOL_CALL): called(None),
    (ANTHROPIC, Lost.TOOL_ARGUMENTS): called(ToolResult("c1"), ToolCall("c1", "look", '{"cut')),
    (ANTHROPIC, Lost.SERVER_TOOLS): tools(SERVER_TOOL),
    (ANTHROPIC, Lost.CUSTOM_TOOLS): tools(CUSTOM),
    (ANTHROPIC, Lost.STRICT_TOOLS): tools(Tool("look", schema=TOOL.schema, strict=True)),
    (ANTHROPIC, Lost.DEFERRED_TOOLS): tools(Tool("look", schema=TOOL.schema, deferred=True)),
    (ANTHROPIC, Lost.TOOL_NAMESPACE): tools(NAMESPACED),
    (ANTHROPIC, Lost.TOOL_CHOICE): tools(choice=ToolChoice("required")),
    (ANTHROPIC, Lost.ALLOWED_TOOLS): tools(TOOL, choice=ToolChoice("allowed", ("look",))),
    (ANTHROPIC, Lost.TEMPERATURE): sampling(temperature=1.7),
    (ANTHROPIC, Lost.TOP_P): sampling(temperature=0.5, top_p=0.5),
    (ANTHROPIC, Lost.TOP_K): (sampling(top_k=5), Target("m", quirks=frozenset({"no_sampling"}))),
    (ANTHROPIC, Lost.MIN_P): sampling(min_p=0.1),
    (ANTHROPIC, Lost.SEED): sampling(seed=7),
    (ANTHROPIC, Lost.FREQUENCY_PENALTY): sampling(frequency_penalty=0.5),
    (ANTHROPIC, Lost.PRESENCE_PENALTY): sampling(presence_penalty=0.5),
    (ANTHROPIC, Lost.LOGIT_BIAS): sampling(logit_bias=b'{"1":1}'),
    (ANTHROPIC, Lost.LOGPROBS): sampling(logprobs=True),
    (ANTHROPIC, Lost.N): sampling(n=2),
    (ANTHROPIC, Lost.MAX_TOKENS): (settings(max_tokens=9000), Target("m", max_output=4096)),
    (ANTHROPIC, Lost.STOP): settings(stop=["\n", "END"]),
    (ANTHROPIC, Lost.RESPONSE_FORMAT): settings(response_format=SCHEMA),
    (ANTHROPIC, Lost.REASONING_EFFORT): settings(reasoning=CHAIN),
    (ANTHROPIC, Lost.REASONING_BUDGET): settings(reasoning=Reasoning(budget=12)),
    (ANTHROPIC, Lost.VERBOSITY): settings(verbosity="low"),
    (ANTHROPIC, Lost.MODALITIES): settings(modalities=["text", "audio"]),
    (ANTHROPIC, Lost.METADATA): settings(metadata=b'{"a":"b"}'),
    (ANTHROPIC, Lost.SERVICE_TIER): settings(service_tier="flex"),
    (ANTHROPIC, Lost.EXTRA): settings(extra={"prediction": b"{}"}),
    (CHAT, Lost.AUDIO_INPUT): asking(Media("audio", "audio/wav", url="https://a.test/a.wav")),
    (CHAT, Lost.VIDEO_INPUT): asking(Media("video", "video/mp4", data="AAAA")),
    (CHAT, Lost.DOCUMENTS): asking(Media("document", url="https://a.test/d.pdf")),
    (CHAT, Lost.FILE_ID): asking(Media("document", file_id="file_1")),
    (CHAT, Lost.DOCUMENT_CITATIONS): asking(Media("document", text="a", citations=True)),
    (CHAT, Lost.DOCUMENT_CONTEXT): asking(Media("document", text="a", context="from the wiki")),
    (CHAT, Lost.CACHE_CONTROL): asking(Text("a", cache=HINT)),
    (CHAT, Lost.CITATIONS): after(Text("it is so", citations=[Citation("https://a.test", wire="other")])),
    (CHAT, Lost.THINKING): after(Thinking("hm")),
    (CHAT, Lost.THINKING_SIGNATURE): after(Thinking("hm", "proof", wire="anthropic")),
    (CHAT, Lost.REDACTED_THINKING): after(Thinking("", "sealed", redacted=True, wire="anthropic")),
    (CHAT, Lost.SERVER_BLOCKS): after(Opaque("anthropic", "server_tool_use", b"{}")),
    (CHAT, Lost.TOOL_ERROR): called(ToolResult("c1", [Text("boom")], is_error=True)),
    (CHAT, Lost.TOOL_RESULT_MEDIA): called(ToolResult("c1", [Media("image", "image/png", data="iVBOR")])),
    (CHAT, Lost.ORPHAN_TOOL_RESULT): Ask(turns=[user(), Turn("tool", [ToolResult("x", [Text("1")])])], wire="other"),
    (CHAT, Lost.ORPHAN_TOOL_CALL): called(None),
    (CHAT, Lost.SERVER_TOOLS): tools(SERVER_TOOL),
    (CHAT, Lost.DEFERRED_TOOLS): tools(Tool("look", schema=TOOL.schema, deferred=True)),
    (CHAT, Lost.TOOL_NAMESPACE): tools(NAMESPACED),
    (CHAT, Lost.MEDIA_OUTPUT): after(Media("image", "image/png", data="iVBOR")),
    (CHAT, Lost.CUSTOM_TOOLS): tools(CUSTOM),
    (CHAT, Lost.ALLOWED_TOOLS): tools(TOOL, choice=ToolChoice("allowed", ("look",))),
    (CHAT, Lost.TEMPERATURE): (sampling(temperature=0.5), Target("m", quirks=frozenset({"no_sampling"}))),
    (CHAT, Lost.TOP_P): (sampling(top_p=0.5), Target("m", quirks=frozenset({"no_sampling"}))),
    (CHAT, Lost.TOP_K): sampling(top_k=5),
    (CHAT, Lost.MIN_P): sampling(min_p=0.1),
    (CHAT, Lost.STOP): settings(stop=["1", "2", "3", "4", "5"]),
    (CHAT, Lost.REASONING): settings(reasoning=Reasoning(enabled=False)),
    (CHAT, Lost.REASONING_BUDGET): settings(reasoning=Reasoning(enabled=True, budget=4000)),
    (CHAT, Lost.REASONING_DISPLAY): settings(reasoning=Reasoning(enabled=True, show="omitted")),
    (CHAT, Lost.USER): settings(user="u" * 65),
    (CHAT, Lost.METADATA): settings(metadata=b'{"a":1}'),
    (CHAT, Lost.SERVICE_TIER): settings(service_tier="standard_only"),
    (CHAT, Lost.EXTRA): settings(extra={"container": b'"c"'}),
}

SIGNED: list[Event] = [ThinkingDelta("hm"), Signature("proof", wire="other")]
SEALED: list[Event] = [Signature("sealed", redacted=True, wire="other")]
CITED: list[Event] = [TextDelta("so"), CitationDelta(Citation(text="words", wire="other", raw=b"{}"))]
OPAQUE: list[Event] = [OpaquePart("other", "search_call", b"{}")]
STOPPED: list[Event] = [TextDelta("so")]
ANSWERS: dict[tuple[str, Lost], list[Event]] = {
    (ANTHROPIC, Lost.CITATIONS): CITED,
    (ANTHROPIC, Lost.THINKING_SIGNATURE): SIGNED,
    (ANTHROPIC, Lost.REDACTED_THINKING): SEALED,
    (ANTHROPIC, Lost.SERVER_BLOCKS): OPAQUE,
    (ANTHROPIC, Lost.LOGPROBS): [TextDelta("so", logprobs=b"[]")],
    (ANTHROPIC, Lost.MEDIA_OUTPUT): [MediaPart(Media("image", "image/png", data="iVBOR"))],
    (ANTHROPIC, Lost.TOOL_ARGUMENTS): [ToolStart("c1", "look"), ToolArguments('{"cut')],
    (CHAT, Lost.THINKING_SIGNATURE): SIGNED,
    (CHAT, Lost.REDACTED_THINKING): SEALED,
    (CHAT, Lost.CITATIONS): CITED,
    (CHAT, Lost.SERVER_BLOCKS): OPAQUE,
    (CHAT, Lost.MEDIA_OUTPUT): [MediaPart(Media("video", "video/mp4", data="AAAA"))],
    (CHAT, Lost.STOP_SEQUENCE): [TextDelta("so"), Finish("stop", stop_sequence="END")],
    (CHAT, Lost.PAUSE): [TextDelta("so"), Finish("pause")],
}
NOT_IN_STREAMS = {Lost.TOOL_ARGUMENTS}  # a stream has sent them before they can be seen to be broken

BUILT = [row for row in FIDELITY if row.wire in FORMATS]


def ids(row: Row) -> str:
    return f"{row.wire}-{row.way}-{row.name}"


def rows(way: str) -> list[Row]:
    return [row for row in BUILT if row.way == way]


@pytest.mark.parametrize("row", rows("request"), ids=ids)
def test_a_request_row_is_what_the_encoder_does(row: Row) -> None:
    case = REQUESTS[row.wire, row.name]
    ask, target = case if isinstance(case, tuple) else (case, PLAIN)
    encode = FORMATS[row.wire].encode_request
    if row.choice == "reject":
        with pytest.raises(OmniError, match=row.name) as caught:
            encode(ask, target)
        assert (caught.value.kind, caught.value.status) == ("invalid_request", 400)
    else:
        assert row.name in [name.partition(".")[0] for name in encode(ask, target).dropped]


def complete(events: list[Event]) -> list[Event]:
    last = [] if isinstance(events[-1], Finish) else [Finish("stop")]
    return [Start("msg_0", "m"), *events, *last]


@pytest.mark.parametrize("row", rows("answer"), ids=ids)
def test_an_answer_row_is_what_the_encoders_do(row: Row) -> None:
    events = complete(ANSWERS[row.wire, row.name])
    wire = FORMATS[row.wire]
    assert row.name in wire.encode_answer(collect(events), STAMP).dropped
    encoder = wire.stream_encoder(STAMP)
    encoder.feed(events)
    assert row.name in encoder.dropped or row.name in NOT_IN_STREAMS


def test_every_case_has_its_row() -> None:
    assert {(row.wire, row.name) for row in rows("request")} == set(REQUESTS)
    assert {(row.wire, row.name) for row in rows("answer")} == set(ANSWERS)


def test_rows_are_unique() -> None:
    keys = [(row.wire, row.way, row.name) for row in FIDELITY]
    assert len(keys) == len(set(keys))


ALWAYS_HELD = {"SEED", "FREQUENCY_PENALTY", "PRESENCE_PENALTY", "LOGPROBS", "N"}  # by chat, which lists them all the same
SHARED_NOTES = {Lost.ORPHAN_TOOL_CALL.name, Lost.ORPHAN_TOOL_RESULT.name}  # repair.py


def lost_in(prefix: str) -> Iterator[str]:
    for path in Path(fidelity.__file__).parent.glob(f"{prefix}*.py"):
        yield from re.findall(r"\bLost\.([A-Z_]+)", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("wire", "prefix", "held"), [(ANTHROPIC, "anthropic", set()), (CHAT, "openai_chat", ALWAYS_HELD)])
def test_an_encoder_names_nothing_that_is_not_in_the_table(wire: str, prefix: str, held: set[str]) -> None:
    listed = {row.name.name for row in FIDELITY if row.wire == wire}
    assert (set(lost_in(prefix)) | SHARED_NOTES) - held <= listed


def test_a_conversation_without_losses_names_none() -> None:
    ask = Ask(turns=[user(), Turn("assistant", [Text("hi")]), user()], wire="other")
    assert [wire.encode_request(ask, PLAIN).dropped for wire in FORMATS.values()] == [()] * len(FORMATS)


def test_names_of_extra_members_are_fit_for_a_header() -> None:
    assert extra_names(["container", "a b", "x\r\nSet-Cookie: y", "container"]) == ["extra.container", "extra"]


def test_the_number_of_extra_names_is_bounded() -> None:
    assert len(extra_names(f"m{number}" for number in range(100))) == 16


def test_a_rejection_says_what_and_why() -> None:
    error = reject("anthropic", Lost.VIDEO_INPUT, "messages")
    assert (error.status, error.param) == (400, "messages")
    assert error.message.endswith("(video_input): no video block")
