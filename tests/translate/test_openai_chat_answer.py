from __future__ import annotations

from typing import Any

import msgspec
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from playbook import STAMP

from omniroute.translate.collect import collect
from omniroute.translate.conversation import Citation, Media
from omniroute.translate.events import (
    BlockEnd,
    CitationDelta,
    Event,
    Failure,
    Finish,
    FinishReason,
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
from omniroute.translate.format import Stamp
from omniroute.translate.openai_chat_answer import REASON, ChatEncoder, encode_answer

EVERYTHING: list[Event] = [
    Start("c1", "m", 7),
    ThinkingDelta("hm"),
    Signature("s", wire="anthropic"),
    TextDelta('Grüße \u2028 "quoted"'),
    CitationDelta(Citation("https://e.com", "t", start=0, end=3)),
    TextDelta("!", logprobs=b'[{"token":"!",\n"logprob":0,"bytes":null,"top_logprobs":[]}]'),
    RefusalDelta("no"),
    ToolStart("1", "f"),
    ToolArguments('{"a":'),
    ToolArguments("1}"),
    ToolStart("2", "g"),
    BlockEnd(),
    ToolStart("3", "h", kind="custom"),
    ToolArguments("free"),
    MediaPart(Media("image", "image/png", data="AAAA")),
    MediaPart(Media("audio", data="BBBB", transcript="hello")),
    OpaquePart("anthropic", "server_tool_use", b"{}"),
    Usage(input=10, output=5, cache_read=4, cache_write=2, reasoning=3),
    Finish("tool_calls"),
]


def stream(events: list[Event], stamp: Stamp = STAMP) -> list[dict[str, Any] | str]:
    """The data of each SSE event: JSON objects, and ``[DONE]``."""
    encoder = ChatEncoder(stamp)
    body = b"".join([encoder.feed([event]) for event in events]) + encoder.eof()
    assert body.endswith(b"\n\n")
    datas = [event.removeprefix(b"data: ") for event in body[:-2].split(b"\n\n")]
    return [data.decode() if data == b"[DONE]" else msgspec.json.decode(data) for data in datas]


def deltas(events: list[Event]) -> list[dict[str, Any]]:
    """The deltas between the role chunk and the ending."""
    chunks = [c for c in stream([Start(), *events, Finish("stop")]) if isinstance(c, dict) and c["choices"]]
    return [c["choices"][0]["delta"] for c in chunks[1:-1]]


def test_every_chunk_is_one_of_the_sdks_own() -> None:
    *chunks, done = stream(EVERYTHING)
    assert done == "[DONE]"
    for chunk in chunks:
        if "'custom'" in str(chunk):  # the SDK has custom tools in whole answers only
            continue
        parsed = ChatCompletionChunk.model_validate(chunk, strict=True)
        assert (parsed.id, parsed.model, parsed.created, parsed.object) == ("c1", "m", 7, "chat.completion.chunk")


def test_the_sdk_can_join_sources_and_images() -> None:
    """Its stream helper joins the items of a list by their index, and refuses items of a second chunk without one."""
    sources = [CitationDelta(Citation(f"https://e.com/{n}", "t")) for n in range(3)]
    images = [MediaPart(Media("image", "image/png", data=data)) for data in ("AAAA", "BBBB")]
    helper = ChatCompletionStreamState()
    for chunk in stream([Start(), TextDelta("a"), *sources[:2], TextDelta("b"), sources[2], *images, Finish("stop")])[:-1]:
        helper.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    message = helper.get_final_completion().choices[0].message
    assert message.content == "ab"
    assert [note.url_citation.url for note in message.annotations or ()] == [f"https://e.com/{n}" for n in range(3)]
    urls = [image["image_url"]["url"] for image in (message.model_extra or {})["images"]]
    assert urls == ["data:image/png;base64,AAAA", "data:image/png;base64,BBBB"]


def test_a_whole_answer_is_one_of_the_sdks_own_and_says_the_same_as_the_stream() -> None:
    rendered = encode_answer(collect(EVERYTHING), STAMP)
    parsed = ChatCompletion.model_validate_json(rendered.body, strict=True)
    message = parsed.choices[0].message
    assert (message.content, message.refusal, message.role) == ('Grüße \u2028 "quoted"!', "no", "assistant")
    assert [(c.id, c.type) for c in message.tool_calls or ()] == [("1", "function"), ("2", "function"), ("3", "custom")]
    assert (message.model_extra or {})["reasoning_content"] == "hm"
    assert message.audio is not None
    assert (message.audio.data, message.audio.transcript) == ("BBBB", "hello")
    assert parsed.choices[0].logprobs is not None
    assert parsed.usage is not None
    assert parsed.usage.to_dict() == {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert set(rendered.dropped) == {"thinking_signature", "server_blocks"}


def test_the_order_of_a_stream() -> None:
    chunks = stream([Start(), TextDelta("a"), Usage(input=1, output=1), Finish("length")])
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}  # type: ignore[index]
    assert chunks[1]["choices"][0]["delta"] == {"content": "a"}  # type: ignore[index]
    assert chunks[2]["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "length"}  # type: ignore[index]
    assert (chunks[3]["choices"], chunks[3]["usage"]["total_tokens"]) == ([], 2)  # type: ignore[index]
    assert chunks[4:] == ["[DONE]"]


def test_the_stamp_fills_what_the_upstream_did_not_say() -> None:
    first = stream([Start(), Finish("stop")])[0]
    assert isinstance(first, dict)
    assert (first["id"], first["created"], first["model"]) == ("id-1", 1_700_000_000, "model-1")


def test_usage_only_for_clients_that_asked() -> None:
    chunks = stream([Start(), Usage(input=1, output=1), Finish("stop")], Stamp("i", 1, "m", include_usage=False))
    assert len(chunks) == 3
    assert not any("usage" in chunk for chunk in chunks)


def test_calls_are_numbered_and_empty_arguments_are_an_object() -> None:
    assert deltas([ToolStart("1", "f"), ToolStart("2", "g"), ToolArguments("{}")]) == [
        {"tool_calls": [{"index": 0, "id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
        {"tool_calls": [{"index": 1, "id": "2", "type": "function", "function": {"name": "g", "arguments": ""}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
    ]


def test_an_id_that_the_upstream_uses_twice_is_given_out_once() -> None:
    events: list[Event] = [event for name in "fgh" for event in (ToolStart("same", name), ToolArguments("{}"))]
    message = msgspec.json.decode(encode_answer(collect(events), STAMP).body)["choices"][0]["message"]
    streamed = [call for delta in deltas(events) for call in delta["tool_calls"] if "id" in call]
    for calls in (message["tool_calls"], streamed):
        assert [call["id"] for call in calls] == ["same", "call_id-1_1", "call_id-1_2"]


def test_text_after_a_call_without_arguments_still_closes_it() -> None:
    assert [*deltas([ToolStart("1", "f"), TextDelta("a")])[1:]] == [
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
        {"content": "a"},
    ]


def test_renamed_tools_get_their_own_names_back() -> None:
    stamp = Stamp("i", 1, "m", names={"a_b_1": "a.b"})
    chunk = stream([Start(), ToolStart("1", "a_b_1"), Finish("tool_calls")], stamp)[1]
    assert chunk["choices"][0]["delta"]["tool_calls"][0]["function"]["name"] == "a.b"  # type: ignore[index]
    body = encode_answer(collect([Start(), ToolStart("1", "a_b_1"), Finish("tool_calls")]), stamp).body
    assert b'"name":"a.b"' in body


def test_empty_deltas_are_not_sent() -> None:
    assert deltas(
        [TextDelta(""), ThinkingDelta(""), RefusalDelta(""), BlockEnd(), ToolStart("1", "f"), ToolArguments("")]
    ) == [
        {"tool_calls": [{"index": 0, "id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
    ]


@pytest.mark.parametrize("reason", list(REASON))
def test_every_finish_reason_has_one_of_the_wires_words(reason: FinishReason) -> None:
    chunks = stream([Start(), Finish(reason)])
    ChatCompletionChunk.model_validate(chunks[1], strict=True)
    assert chunks[1]["choices"][0]["finish_reason"] in ("stop", "length", "tool_calls", "content_filter")  # type: ignore[index]


@pytest.mark.parametrize("ending", ["failure", "fail", "eof"])
def test_a_failure_ends_the_stream_with_one_error_and_without_done(ending: str) -> None:
    encoder = ChatEncoder(STAMP)
    encoder.feed([Start(), TextDelta("a")])
    failure = Failure(529, "busy", wire="anthropic")
    out = encoder.eof() if ending == "eof" else encoder.fail(failure) if ending == "fail" else encoder.feed([failure])
    assert out.startswith(b'data: {"error":{"message":')
    assert out.count(b"data:") == 1
    assert b"[DONE]" not in out
    assert encoder.feed([TextDelta("b"), Finish("stop")]) == encoder.eof() == encoder.fail(failure) == b""


def test_no_sse_line_is_broken_by_what_is_in_it() -> None:
    raw = Citation(wire="openai-chat", raw=b'{\n"type":"x"\r\n}')
    encoder = ChatEncoder(STAMP)
    body = encoder.feed([Start(), TextDelta("a\r\nb"), CitationDelta(raw), TextDelta("c", b"[\n1\n]"), Finish("stop")])
    assert all(line.startswith(b"data: ") for line in body.split(b"\n") if line)
    assert b"\r" not in body


@pytest.mark.parametrize(
    ("events", "content"),
    [([], ""), ([TextDelta("")], ""), ([RefusalDelta("no")], None), ([ToolStart("1", "f")], None), ([TextDelta("a")], "a")],
)
def test_content_is_null_only_beside_something_else(events: list[Event], content: str | None) -> None:
    body = msgspec.json.decode(encode_answer(collect([Start(), *events, Finish("stop")]), STAMP).body)
    assert body["choices"][0]["message"]["content"] == content
