"""One case per row of the fidelity table, for the wires that exist: the encoder really says what the row says."""

from __future__ import annotations

import json
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
RESPONSES = "openai-responses"
OLLAMA = "ollama"
GEMINI = "gemini"

REQUESTS: dict[tuple[str, Lost], Ask | tuple[Ask, Target]] = {
    (ANTHROPIC, Lost.AUDIO_INPUT): asking(Media("audio", "audio/wav", data="UklG")),
    (ANTHROPIC, Lost.VIDEO_INPUT): asking(Media("video", "video/mp4", data="AAAA")),
    (ANTHROPIC, Lost.DOCUMENTS): asking(Media("document", "application/msword", data="0M8R")),
    (ANTHROPIC, Lost.FILE_ID): asking(Media("document", file_id="file-1")),
    (ANTHROPIC, Lost.IMAGE_DETAIL): asking(Media("image", url="https://a.test/i.png", detail="low")),
    (ANTHROPIC, Lost.CACHE_CONTROL): asking(*HINTS),
    (ANTHROPIC, Lost.CITATIONS): after(Text("it is so", citations=[Citation("https://a.test", wire="other")])),
    (ANTHROPIC, Lost.THINKING): after(Thinking("hm", "proof", wire="gemini")),
    (ANTHROPIC, Lost.THINKING_SIGNATURE): after(Text("so", signature="proof")),
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
    (CHAT, Lost.IMAGE_DETAIL): asking(Media("document", "application/pdf", data="JVBE", detail="low")),
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
    (CHAT, Lost.STRICT_TOOLS): tools(Tool("look", schema=TOOL.schema, strict=True)),
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
    (RESPONSES, Lost.STRICT_TOOLS): tools(Tool("look", schema=TOOL.schema, strict=True)),
    (RESPONSES, Lost.AUDIO_INPUT): asking(Media("audio", "audio/wav", data="UklG")),
    (RESPONSES, Lost.VIDEO_INPUT): asking(Media("video", "video/mp4", data="AAAA")),
    (RESPONSES, Lost.FILE_ID): asking(Media("document", file_id="file-1")),
    (RESPONSES, Lost.DOCUMENT_CITATIONS): asking(Media("document", text="a", citations=True)),
    (RESPONSES, Lost.DOCUMENT_CONTEXT): asking(Media("document", text="a", context="from the wiki")),
    (RESPONSES, Lost.CACHE_CONTROL): asking(Text("a", cache=HINT)),
    (RESPONSES, Lost.CITATIONS): after(Text("it is so", citations=[Citation("https://a.test", wire="other")])),
    (RESPONSES, Lost.THINKING): after(Thinking("hm")),
    (RESPONSES, Lost.THINKING_SIGNATURE): after(Thinking("hm", "proof", wire="anthropic")),
    (RESPONSES, Lost.REDACTED_THINKING): after(Thinking("", "sealed", redacted=True, wire="anthropic")),
    (RESPONSES, Lost.SERVER_BLOCKS): after(Opaque("anthropic", "server_tool_use", b"{}")),
    (RESPONSES, Lost.MEDIA_OUTPUT): after(Media("image", "image/png", data="iVBOR")),
    (RESPONSES, Lost.PARTICIPANT_NAME): Ask(turns=[Turn("user", [Text("hello")], name="ada")], wire="other"),
    (RESPONSES, Lost.PREFILL): Ask(turns=[user(), Turn("assistant", [Text("{")])], wire="other"),
    (RESPONSES, Lost.TOOL_ERROR): called(ToolResult("c1", [Text("boom")], is_error=True)),
    (RESPONSES, Lost.ORPHAN_TOOL_RESULT): Ask(turns=[user(), Turn("tool", [ToolResult("x", [Text("1")])])], wire="other"),
    (RESPONSES, Lost.ORPHAN_TOOL_CALL): called(None),
    (RESPONSES, Lost.SERVER_TOOLS): tools(SERVER_TOOL),
    (RESPONSES, Lost.DEFERRED_TOOLS): tools(Tool("look", schema=TOOL.schema, deferred=True)),
    (RESPONSES, Lost.TOOL_NAMESPACE): tools(NAMESPACED),
    (RESPONSES, Lost.TEMPERATURE): (sampling(temperature=0.5), Target("m", quirks=frozenset({"no_sampling"}))),
    (RESPONSES, Lost.TOP_P): (sampling(top_p=0.5), Target("m", quirks=frozenset({"no_sampling"}))),
    (RESPONSES, Lost.TOP_K): sampling(top_k=5),
    (RESPONSES, Lost.MIN_P): sampling(min_p=0.1),
    (RESPONSES, Lost.SEED): sampling(seed=7),
    (RESPONSES, Lost.FREQUENCY_PENALTY): sampling(frequency_penalty=0.5),
    (RESPONSES, Lost.PRESENCE_PENALTY): sampling(presence_penalty=0.5),
    (RESPONSES, Lost.LOGIT_BIAS): sampling(logit_bias=b'{"1":1}'),
    (RESPONSES, Lost.N): sampling(n=2),
    (RESPONSES, Lost.MAX_TOKENS): settings(max_tokens=1),
    (RESPONSES, Lost.STOP): settings(stop=["END"]),
    (RESPONSES, Lost.REASONING): settings(reasoning=Reasoning(enabled=False)),
    (RESPONSES, Lost.REASONING_BUDGET): settings(reasoning=Reasoning(enabled=True, budget=4000)),
    (RESPONSES, Lost.MODALITIES): settings(modalities=["text", "audio"]),
    (RESPONSES, Lost.USER): settings(user="u" * 65),
    (RESPONSES, Lost.METADATA): settings(metadata=b'{"a":1}'),
    (RESPONSES, Lost.SERVICE_TIER): settings(service_tier="standard_only"),
    (RESPONSES, Lost.EXTRA): settings(extra={"container": b'"c"'}),
    (OLLAMA, Lost.AUDIO_INPUT): asking(Media("audio", "audio/wav", data="UklG")),
    (OLLAMA, Lost.VIDEO_INPUT): asking(Media("video", "video/mp4", data="AAAA")),
    (OLLAMA, Lost.DOCUMENTS): asking(Media("document", "application/pdf", data=PDF)),
    (OLLAMA, Lost.DOCUMENT_CITATIONS): asking(Media("document", text="a", citations=True)),
    (OLLAMA, Lost.DOCUMENT_CONTEXT): asking(Media("document", text="a", context="from the wiki")),
    (OLLAMA, Lost.IMAGE_URL): asking(Media("image", url="https://a.test/i.png")),
    (OLLAMA, Lost.IMAGE_DETAIL): asking(Media("image", "image/png", data="iVBOR", detail="low")),
    (OLLAMA, Lost.FILE_ID): asking(Media("document", file_id="file-1")),
    (OLLAMA, Lost.CACHE_CONTROL): asking(Text("a", cache=HINT)),
    (OLLAMA, Lost.CITATIONS): after(Text("it is so", citations=[Citation("https://a.test", wire="other")])),
    (OLLAMA, Lost.THINKING_SIGNATURE): after(Thinking("hm", "proof", wire="anthropic")),
    (OLLAMA, Lost.REDACTED_THINKING): after(Thinking("", "sealed", redacted=True, wire="anthropic")),
    (OLLAMA, Lost.REFUSAL): after(Refusal("no")),
    (OLLAMA, Lost.SERVER_BLOCKS): after(Opaque("anthropic", "server_tool_use", b"{}")),
    (OLLAMA, Lost.MEDIA_OUTPUT): after(Media("audio", "audio/wav", data="UklG")),
    (OLLAMA, Lost.PARTICIPANT_NAME): Ask(turns=[Turn("user", [Text("hello")], name="ada")], wire="other"),
    (OLLAMA, Lost.TOOL_ERROR): called(ToolResult("c1", [Text("boom")], is_error=True)),
    (OLLAMA, Lost.TOOL_RESULT_MEDIA): called(ToolResult("c1", [Media("image", "image/png", data="iVBOR")])),
    (OLLAMA, Lost.ORPHAN_TOOL_RESULT): Ask(turns=[user(), Turn("tool", [ToolResult("x", [Text("1")])])], wire="other"),
    (OLLAMA, Lost.ORPHAN_TOOL_CALL): called(None),
    (OLLAMA, Lost.TOOL_ARGUMENTS): called(ToolResult("c1"), ToolCall("c1", "look", '{"cut')),
    (OLLAMA, Lost.SERVER_TOOLS): tools(SERVER_TOOL),
    (OLLAMA, Lost.CUSTOM_TOOLS): tools(CUSTOM),
    (OLLAMA, Lost.STRICT_TOOLS): tools(Tool("look", schema=TOOL.schema, strict=True)),
    (OLLAMA, Lost.DEFERRED_TOOLS): tools(Tool("look", schema=TOOL.schema, deferred=True)),
    (OLLAMA, Lost.TOOL_NAMESPACE): tools(NAMESPACED),
    (OLLAMA, Lost.TOOL_CHOICE): tools(TOOL, choice=ToolChoice("required")),
    (OLLAMA, Lost.ALLOWED_TOOLS): tools(TOOL, choice=ToolChoice("allowed", ("look",))),
    (OLLAMA, Lost.PARALLEL_TOOLS): settings(parallel_tools=False),
    (OLLAMA, Lost.LOGIT_BIAS): sampling(logit_bias=b'{"1":1}'),
    (OLLAMA, Lost.N): sampling(n=2),
    (OLLAMA, Lost.REASONING): (settings(reasoning=CHAIN), Target("m", abilities=frozenset({"tools"}))),
    (OLLAMA, Lost.REASONING_BUDGET): settings(reasoning=Reasoning(enabled=True, budget=4000)),
    (OLLAMA, Lost.REASONING_EFFORT): settings(reasoning=Reasoning(effort="xhigh")),
    (OLLAMA, Lost.REASONING_DISPLAY): settings(reasoning=Reasoning(enabled=True, show="omitted")),
    (OLLAMA, Lost.VERBOSITY): settings(verbosity="low"),
    (OLLAMA, Lost.MODALITIES): settings(modalities=["text", "audio"]),
    (OLLAMA, Lost.USER): settings(user="ada"),
    (OLLAMA, Lost.METADATA): settings(metadata=b'{"a":"b"}'),
    (OLLAMA, Lost.SERVICE_TIER): settings(service_tier="flex"),
    (OLLAMA, Lost.EXTRA): settings(extra={"container": b'"c"'}),
    (GEMINI, Lost.AUDIO_INPUT): asking(Media("audio", transcript="hello")),
    (GEMINI, Lost.IMAGE_URL): asking(Media("image", url="https://a.test/picture")),
    (GEMINI, Lost.FILE_ID): asking(Media("document", file_id="file-1")),
    (GEMINI, Lost.IMAGE_DETAIL): asking(Media("image", url="https://a.test/i.png", detail="low")),
    (GEMINI, Lost.DOCUMENT_CITATIONS): asking(Media("document", text="a", citations=True)),
    (GEMINI, Lost.DOCUMENT_CONTEXT): asking(Media("document", text="a", context="from the wiki")),
    (GEMINI, Lost.CACHE_CONTROL): asking(Text("a", cache=HINT)),
    (GEMINI, Lost.CITATIONS): after(Text("it is so", citations=[Citation("https://a.test", wire="other")])),
    (GEMINI, Lost.THINKING): after(Thinking("hm")),
    (GEMINI, Lost.THINKING_SIGNATURE): after(Thinking("hm", "proof", wire="anthropic")),
    (GEMINI, Lost.REDACTED_THINKING): after(Thinking("", "sealed", redacted=True, wire="anthropic")),
    (GEMINI, Lost.REFUSAL): after(Refusal("no")),
    (GEMINI, Lost.SERVER_BLOCKS): after(Opaque("anthropic", "server_tool_use", b"{}")),
    (GEMINI, Lost.MEDIA_OUTPUT): after(Media("image", "image/png", data="iVBOR")),
    (GEMINI, Lost.SYSTEM_TURNS): Ask(turns=[user(), Turn("system", [Text("be brief")]), user()], wire="other"),
    (GEMINI, Lost.PARTICIPANT_NAME): Ask(turns=[Turn("user", [Text("hello")], name="ada")], wire="other"),
    (GEMINI, Lost.TOOL_RESULT_MEDIA): called(ToolResult("c1", [Media("image", "image/png", data="iVBOR")])),
    (GEMINI, Lost.ORPHAN_TOOL_RESULT): Ask(turns=[user(), Turn("tool", [ToolResult("x", [Text("1")])])], wire="other"),
    (GEMINI, Lost.ORPHAN_TOOL_CALL): called(None),
    (GEMINI, Lost.TOOL_ARGUMENTS): called(ToolResult("c1"), ToolCall("c1", "look", '{"cut')),
    (GEMINI, Lost.SERVER_TOOLS): tools(SERVER_TOOL),
    (GEMINI, Lost.CUSTOM_TOOLS): tools(CUSTOM),
    (GEMINI, Lost.STRICT_TOOLS): tools(Tool("look", schema=TOOL.schema, strict=True)),
    (GEMINI, Lost.DEFERRED_TOOLS): tools(Tool("look", schema=TOOL.schema, deferred=True)),
    (GEMINI, Lost.TOOL_NAMESPACE): tools(NAMESPACED),
    (GEMINI, Lost.TOOL_SCHEMA): tools(Tool("look", schema=b'{"properties":{"a":{"not":{"type":"null"}}}}')),
    (GEMINI, Lost.TOOL_CHOICE): tools(choice=ToolChoice("required")),
    (GEMINI, Lost.ALLOWED_TOOLS): tools(TOOL, choice=ToolChoice("allowed", ("look",))),
    (GEMINI, Lost.PARALLEL_TOOLS): Ask(turns=[user()], tools=[TOOL], parallel_tools=False, wire="other"),
    (GEMINI, Lost.MIN_P): sampling(min_p=0.1),
    (GEMINI, Lost.SEED): sampling(seed=2**40),
    (GEMINI, Lost.LOGIT_BIAS): sampling(logit_bias=b'{"1":1}'),
    (GEMINI, Lost.MAX_TOKENS): (settings(max_tokens=9000), Target("m", max_output=4096)),
    (GEMINI, Lost.STOP): settings(stop=["1", "2", "3", "4", "5", "6"]),
    (GEMINI, Lost.RESPONSE_FORMAT): settings(response_format=SCHEMA, tools=[TOOL]),
    (GEMINI, Lost.REASONING): (settings(reasoning=CHAIN), Target("m", abilities=frozenset({"tools"}))),
    (GEMINI, Lost.REASONING_BUDGET): (settings(reasoning=Reasoning(budget=4000)), Target("gemini-3-pro-preview")),
    (GEMINI, Lost.REASONING_EFFORT): settings(reasoning=CHAIN),
    (GEMINI, Lost.REASONING_DISPLAY): settings(reasoning=Reasoning(effort="low", show="concise")),
    (GEMINI, Lost.VERBOSITY): settings(verbosity="low"),
    (GEMINI, Lost.MODALITIES): settings(modalities=["text", "audio"]),
    (GEMINI, Lost.USER): settings(user="ada"),
    (GEMINI, Lost.METADATA): settings(metadata=b'{"a":"b"}'),
    (GEMINI, Lost.SERVICE_TIER): settings(service_tier="flex"),
    (GEMINI, Lost.EXTRA): settings(extra={"container": b'"c"'}),
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
    (RESPONSES, Lost.THINKING_SIGNATURE): SIGNED,
    (RESPONSES, Lost.REDACTED_THINKING): SEALED,
    (RESPONSES, Lost.CITATIONS): CITED,
    (RESPONSES, Lost.SERVER_BLOCKS): OPAQUE,
    (RESPONSES, Lost.MEDIA_OUTPUT): [MediaPart(Media("audio", "audio/wav", data="UklG", transcript="so"))],
    (RESPONSES, Lost.STOP_SEQUENCE): [TextDelta("so"), Finish("stop", stop_sequence="END")],
    (RESPONSES, Lost.PAUSE): [TextDelta("so"), Finish("pause")],
    (OLLAMA, Lost.THINKING_SIGNATURE): SIGNED,
    (OLLAMA, Lost.REDACTED_THINKING): SEALED,
    (OLLAMA, Lost.CITATIONS): CITED,
    (OLLAMA, Lost.REFUSAL): [RefusalDelta("no")],
    (OLLAMA, Lost.SERVER_BLOCKS): OPAQUE,
    (OLLAMA, Lost.MEDIA_OUTPUT): [MediaPart(Media("audio", "audio/wav", data="UklG", transcript="so"))],
    (OLLAMA, Lost.TOOL_ARGUMENTS): [ToolStart("c1", "look"), ToolArguments('{"cut')],
    (OLLAMA, Lost.STOP_SEQUENCE): [TextDelta("so"), Finish("stop", stop_sequence="END")],
    (OLLAMA, Lost.PAUSE): [TextDelta("so"), Finish("pause")],
    (GEMINI, Lost.THINKING_SIGNATURE): SIGNED,
    (GEMINI, Lost.REDACTED_THINKING): SEALED,
    (GEMINI, Lost.CITATIONS): CITED,
    (GEMINI, Lost.REFUSAL): [RefusalDelta("no")],
    (GEMINI, Lost.SERVER_BLOCKS): OPAQUE,
    (GEMINI, Lost.MEDIA_OUTPUT): [MediaPart(Media("audio", "audio/wav", transcript="so"))],
    (GEMINI, Lost.TOOL_ARGUMENTS): [ToolStart("c1", "look"), ToolArguments('{"cut')],
    (GEMINI, Lost.STOP_SEQUENCE): [TextDelta("so"), Finish("stop", stop_sequence="END")],
    (GEMINI, Lost.PAUSE): [TextDelta("so"), Finish("pause")],
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


# what encoders call -> what it may name
HELPERS = {
    "lost_proof(": {Lost.REDACTED_THINKING.name, Lost.THINKING_SIGNATURE.name},
    "lost_ending(": {Lost.STOP_SEQUENCE.name, Lost.PAUSE.name},
}


def lost_in(prefix: str) -> Iterator[str]:
    package = Path(fidelity.__file__).parent
    shared = [package / "openai_settings.py"] if prefix.startswith("openai") else []
    for path in (*package.glob(f"{prefix}*.py"), *shared):
        text = path.read_text(encoding="utf-8")
        yield from re.findall(r"\bLost\.([A-Z_]+)", text)
        for call, names in HELPERS.items():
            yield from names if call in text else ()


@pytest.mark.parametrize(
    ("wire", "prefix", "held"),
    [
        *((ANTHROPIC, "anthropic", set()), (CHAT, "openai_chat", ALWAYS_HELD)),
        *((RESPONSES, "openai_responses", set()), (OLLAMA, "ollama", set()), (GEMINI, "gemini", set())),
    ],
)
def test_an_encoder_names_nothing_that_is_not_in_the_table(wire: str, prefix: str, held: set[str]) -> None:
    listed = {row.name.name for row in FIDELITY if row.wire == wire}
    assert (set(lost_in(prefix)) | SHARED_NOTES) - held <= listed


def test_a_conversation_without_losses_names_none() -> None:
    ask = Ask(turns=[user(), Turn("assistant", [Text("hi")]), user()], wire="other")
    assert [wire.encode_request(ask, PLAIN).dropped for wire in FORMATS.values()] == [()] * len(FORMATS)


def test_what_is_lost_twice_is_named_once_in_order_of_appearance() -> None:
    lost = fidelity.Losses()
    lost.add(Lost.USER)
    lost.add(Lost.METADATA, False)
    lost.update([Lost.STOP, Lost.USER])
    assert lost.names() == ("user", "stop")


def test_names_of_extra_members_are_fit_for_a_header() -> None:
    assert extra_names(["container", "a b", "x\r\nSet-Cookie: y", "container"]) == ["extra.container", "extra"]


_FUNCTION = {"name": "look", "input_schema": {"type": "object"}}
_MEMBERS = {
    ANTHROPIC: ({"max_tokens": 9, "messages": []}, _FUNCTION, {"input_examples": [{}], "allowed_callers": ["direct"]}),
    RESPONSES: (
        {"input": "go"},
        {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": False},
        {"output_schema": {}, "allowed_callers": ["direct"]},
    ),
}


@pytest.mark.parametrize("target", [CHAT, ANTHROPIC, GEMINI, OLLAMA])
@pytest.mark.parametrize("wire", list(_MEMBERS))
def test_members_of_tools_that_only_one_wire_knows_are_named(wire: str, target: str) -> None:
    request, tool, more = _MEMBERS[wire]
    body = json.dumps(
        {"model": "m", **request, "tools": [tool | more, tool | {"name": "hear"} | dict.fromkeys(more)]}
    ).encode()
    dropped = FORMATS[target].encode_request(FORMATS[wire].decode_request(body), Target("m")).dropped
    named = [name for name in dropped if name.startswith("extra.")]
    assert named == ([] if target == wire else [f"extra.tools.{name}" for name in more])


def test_the_number_of_extra_names_is_bounded() -> None:
    assert len(extra_names(f"m{number}" for number in range(100))) == 16


def test_a_rejection_says_what_and_why() -> None:
    error = reject("anthropic", Lost.VIDEO_INPUT, "messages")
    assert (error.status, error.param) == (400, "messages")
    assert error.message.endswith("(video_input): no video block")


@pytest.mark.parametrize("wire", [CHAT, RESPONSES, ANTHROPIC, OLLAMA])
@pytest.mark.parametrize("block", [Text("so", signature="proof"), ToolCall("c1", "look", signature="proof")])
def test_signatures_of_texts_and_calls_are_named(wire: str, block: Block) -> None:
    said = Ask(turns=[user(), Turn("assistant", [block]), user()], wire="gemini")
    if isinstance(block, ToolCall):
        said.turns.insert(2, Turn("tool", [ToolResult("c1", [Text("1")])]))
    rendered = FORMATS[wire].encode_request(said, PLAIN)
    assert rendered.dropped == (Lost.THINKING_SIGNATURE,)
    assert b"proof" not in rendered.body


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("prompt", "'prompt' refers to a prompt stored at another provider; the chosen model needs its text in"),
        ("conversation", "'conversation' refers to history kept by another provider; the chosen model needs the whole"),
    ],
)
def test_what_another_provider_keeps_is_refused_in_its_own_words(member: str, message: str) -> None:
    asked = Ask(turns=[user()], wire=RESPONSES, extra={member: b'{"id":"p1"}'})
    with pytest.raises(OmniError, match=re.escape(message)) as caught:
        FORMATS[CHAT].encode_request(asked, PLAIN)
    assert caught.value.param == member


@pytest.mark.parametrize("wire", ["openai-chat", "openai-responses", "gemini", "ollama"])
def test_a_thread_that_anthropic_keeps_is_refused_elsewhere(wire: str) -> None:
    asked = Ask(turns=[Turn("user", [Text("and?")])], wire="anthropic")
    asked.extra["thread"] = b'{"type":"create"}'
    assert "extra.thread" in FORMATS[wire].encode_request(asked, Target("m")).dropped
    asked.extra["thread"] = b'{"type":"continue","previous_message_id":"msg_1"}'
    with pytest.raises(OmniError, match="'thread' refers to history kept by another provider") as caught:
        FORMATS[wire].encode_request(asked, Target("m"))
    details = json.loads(FORMATS["anthropic"].encode_error(Failure(400, "no", code=caught.value.code or "")))["error"][
        "details"
    ]
    assert details == {"error_code": "thread_not_found"}
