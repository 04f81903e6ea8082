"""The official ``anthropic`` package, unmodified, against a real gateway before upstreams of both wires."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from processes import Process
from pydantic import BaseModel
from real_gateway import behind, streamed, whole
from scripted_upstream import HANG, RESET, Answer, Raw
from shared import needs_shared, recordings, tool
from wires import (
    ANTHROPIC,
    CALLING,
    CALLING_STREAM,
    CALLS,
    CHAT,
    SAID,
    THINKING_BLOCK,
    WIRES,
    Wire,
    block,
    chat_message,
    chunk,
    message,
)

ASK: list[Any] = [{"role": "user", "content": "Greet me"}]
TOOLS: list[Any] = [
    {
        "name": "get_weather",
        "description": "The weather at a place",
        "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    }
]
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 24).decode()
UPSTREAMS = pytest.mark.parametrize("wire", WIRES, ids=repr)
PREFIX = {"openai-chat": "rec-chat", "anthropic-messages": "rec-messages"}
STREAMS = {
    "text": ("crusoe-crusoe-model-streaming-0-8e7ea789", "anthropic-async-anthropic-message-streaming-legacy-0-6b535235"),
    "parallel tools": ("openai-multiple-agents-1-9dbd502a", "anthropic-parallel-tool-use-0-030b2b06"),
    "thinking": (
        "mistralrs-completions-stream-emits-reasoning-and-text-0-2be40eab",
        "anthropic-opus-46-adaptive-thinking-0-9d9cb56d",
    ),
    "redacted thinking": ("anthropic-redacted-thinking-streaming-0-ab1f1616",),
    "citations": ("anthropic-citations-with-anthropic-claude-haiku-4-5-st-0-4cfd2dc6",),
    "a server tool": ("anthropic-web-search-with-anthropic-claude-haiku-4-5-s-0-870954d0",),
}
WHOLE = {
    "text": ("openai-openai-moderation-0-ecd4743a", "anthropic-raw-exposes-stop-sequence-0-3df41b7d"),
    "parallel tools": ("openai-openai-agent-and-llm-spans-v1-1-0061d639", "anthropic-anthropic-tools-legacy-0-53176f78"),
    "thinking": ("zai-zai-preserved-thinking-round-trip-1-5cdc3876", "anthropic-blocking-max-tokens-truncation-0-31987f6f"),
}
REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


def client_of(gateway: Process, **more: Any) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=gateway.url, **{"api_key": "any text", "max_retries": 0, **more})


def async_client_of(gateway: Process, **more: Any) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=gateway.url, api_key="any text", **{"max_retries": 0, **more})


@pytest.fixture
def client(replaying: Process) -> Iterator[anthropic.Anthropic]:
    replaying.api("DELETE", "/api/monitoring/health")
    with client_of(replaying) as made:
        yield made


def recorded(table: dict[str, tuple[str, ...]]) -> list[Any]:
    names = {name: what for what, pair in table.items() for name in pair}
    found = (r for r in recordings(*PREFIX) if r["id"] in names)
    return [pytest.param(r, id=f"{names[r['id']]} from {r['wire']}") for r in found]


def assert_same(answer: anthropic.types.Message, expected: Any) -> None:
    assert "".join(part.text for part in answer.content if part.type == "text") == expected.text
    assert "".join(part.thinking for part in answer.content if part.type == "thinking") == expected.thinking
    calls = [(part.name, part.input) for part in answer.content if part.type == "tool_use"]
    assert calls == [(call.name, call.arguments) for call in expected.tool_calls]
    assert answer.stop_reason in (REASONS[expected.finish], "stop_sequence")
    usage = answer.usage
    read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    assert usage.input_tokens + read + written == expected.usage.input
    assert usage.output_tokens == expected.usage.output


# -- replayed from recordings


@needs_shared
@pytest.mark.parametrize("recording", recorded(WHOLE))
def test_a_whole_message(client: anthropic.Anthropic, recording: dict[str, Any]) -> None:
    model = f"{PREFIX[recording['wire']]}/{recording['id']}"
    answer = client.messages.create(model=model, messages=ASK, max_tokens=1000, tools=TOOLS)
    assert_same(answer, tool("semantics").meaning_of(recording))


@needs_shared
@pytest.mark.parametrize("recording", recorded(STREAMS))
def test_the_stream_helper(client: anthropic.Anthropic, recording: dict[str, Any]) -> None:
    expected = tool("semantics").meaning_of(recording)
    model = f"{PREFIX[recording['wire']]}/{recording['id']}@random-3"
    with client.messages.stream(model=model, messages=ASK, max_tokens=1000, tools=TOOLS) as stream:
        text = "".join(stream.text_stream)
        answer = stream.get_final_message()
    assert text == expected.text
    assert_same(answer, expected)
    if recording["wire"] == "anthropic-messages":  # proofs of thinking are kept, so that the next turn may return them
        raw = recording["response"]["body"]
        signed = [part for part in answer.content if part.type in ("thinking", "redacted_thinking")]
        for part in signed:
            assert (part.signature if part.type == "thinking" else part.data) in raw
        assert bool(signed) == ("thinking" in raw)


@needs_shared
@pytest.mark.parametrize("recording", recorded(STREAMS))
async def test_raw_events_of_the_asynchronous_client(replaying: Process, recording: dict[str, Any]) -> None:
    model = f"{PREFIX[recording['wire']]}/{recording['id']}"
    async with async_client_of(replaying) as client:
        events = await client.messages.create(model=model, messages=ASK, max_tokens=1000, stream=True)
        kinds = [e.type async for e in events]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("content_block_start") == kinds.count("content_block_stop")


@needs_shared
@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("rec-messages/anthropic-validation-error-carries-identity-0-9f3d4382", anthropic.BadRequestError),
        ("rec-chat/mistral-blocking-ministral-3b-0-646a780e", anthropic.BadRequestError),
        ("rec-messages/anthropic-auth-rejection-carries-identity-0-b8782e1f", anthropic.AuthenticationError),
        ("rec-chat/deepseek-error-handling-with-deepseek-deepseek-chat-r-0-e048d4c3", anthropic.AuthenticationError),
        ("rec-chat/doubleword-invalid-key-blocking-0-86426b07", anthropic.PermissionDeniedError),
        ("rec-messages/anthropic-model-name-suggestion-anthropic-0-46ffb6cc", anthropic.NotFoundError),
        ("rec-chat/groq-tool-regular-error-0-5671e308", anthropic.NotFoundError),
        ("rec-chat/openrouter-openrouter-errors-raised-0-d78aa681", anthropic.RateLimitError),
        ("rec-chat/llamacpp-image-without-mmproj-0-11f641e9", anthropic.InternalServerError),
    ],
)
def test_recorded_errors_raise_the_classes_they_belong_to(
    client: anthropic.Anthropic, model: str, kind: type[anthropic.APIStatusError]
) -> None:
    with pytest.raises(kind) as caught:
        client.messages.create(model=model, messages=ASK, max_tokens=100)
    body: Any = caught.value.body
    assert body["type"] == "error"
    assert body["error"]["message"]


# -- scripted upstreams


@UPSTREAMS
async def test_answers_and_streams_of_the_asynchronous_client(gateway: Process, wire: Wire) -> None:
    async with (
        async_client_of(gateway) as client,
        behind(gateway, wire, whole(wire.whole), streamed(*wire.stream)) as (model, _),
    ):
        answer = await client.messages.create(model=model, messages=ASK, max_tokens=100)
        assert answer.content[0].type == "text"
        assert answer.content[0].text == SAID
        assert (answer.usage.input_tokens, answer.usage.cache_read_input_tokens, answer.usage.output_tokens) == (5, 16, 5)
        async with client.messages.stream(model=model, messages=ASK, max_tokens=100) as stream:
            assert "".join([text async for text in stream.text_stream]) == SAID
            final = await stream.get_final_message()
        assert (final.usage.input_tokens, final.usage.cache_read_input_tokens, final.usage.output_tokens) == (5, 16, 5)
        assert final.stop_reason == "end_turn"


async def test_thinking_is_shown_signed_and_returned(gateway: Process) -> None:
    """The signature travels back unchanged in the next turn, with the beta header that belongs to it."""
    text = block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": SAID})
    told = [ANTHROPIC.stream[0], *THINKING_BLOCK, *text, *ANTHROPIC.stream[-2:]]
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    async with (
        async_client_of(gateway) as client,
        behind(gateway, ANTHROPIC, streamed(*told), whole(ANTHROPIC.whole)) as (model, upstream),
    ):
        async with client.messages.stream(model=model, messages=ASK, max_tokens=2000, thinking=thinking) as stream:
            first = await stream.get_final_message()
        assert first.content[0].type == "thinking"
        assert (first.content[0].thinking, first.content[0].signature) == ("Morning, in Switzerland.", "c2lnbmVk")
        turns: list[Any] = [*ASK, {"role": "assistant", "content": first.content}, {"role": "user", "content": "Again"}]
        betas = {"anthropic-beta": "interleaved-thinking-2025-05-14"}
        await client.messages.create(model=model, messages=turns, max_tokens=2000, thinking=thinking, extra_headers=betas)
        seen = upstream.requests[1]
        sent = json.loads(seen.body)
        assert sent["messages"][1]["content"][0]["signature"] == "c2lnbmVk"
        assert sent["thinking"] == thinking
        assert seen.headers["anthropic-beta"] == "interleaved-thinking-2025-05-14"
        assert seen.headers["anthropic-version"] == "2023-06-01"
        assert seen.headers["x-api-key"] == "k-upstream-1"


async def test_reasoning_of_a_chat_upstream_is_thinking(gateway: Process) -> None:
    told = [CHAT.stream[0], chunk({"reasoning_content": "Morning, "}), chunk({"reasoning_content": "so."}), *CHAT.stream[1:]]
    async with (
        async_client_of(gateway) as client,
        behind(gateway, CHAT, streamed(*told)) as (model, _),
        client.messages.stream(model=model, messages=ASK, max_tokens=2000) as stream,
    ):
        answer = await stream.get_final_message()
    assert [part.type for part in answer.content] == ["thinking", "text"]
    assert answer.content[0].type == "thinking"
    assert answer.content[0].thinking == "Morning, so."


@UPSTREAMS
async def test_two_turns_with_parallel_tool_calls_and_an_image_in_a_result(gateway: Process, wire: Wire) -> None:
    async with (
        async_client_of(gateway) as client,
        behind(gateway, wire, whole(CALLING[wire]), whole(wire.whole)) as (model, upstream),
    ):
        first = await client.messages.create(
            model=model, messages=ASK, max_tokens=100, tools=TOOLS, tool_choice={"type": "any"}, system="Be brief"
        )
        assert first.stop_reason == "tool_use"
        calls = [part for part in first.content if part.type == "tool_use"]
        assert [(part.id, part.input) for part in calls] == [(i, {"place": place}) for i, place in CALLS]
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
        results: list[Any] = [
            {"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"},
            {
                "type": "tool_result",
                "tool_use_id": "call_2",
                "content": [{"type": "text", "text": "see"}, image],
                "is_error": False,
            },
        ]
        turns: list[Any] = [*ASK, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
        second = await client.messages.create(model=model, messages=turns, max_tokens=100, tools=TOOLS)
        assert second.content[0].type == "text"
        sent = json.loads(upstream.requests[1].body)["messages"]
        assert PNG in json.dumps(sent)
        if wire is CHAT:
            assert [m["role"] for m in sent][:4] == ["user", "assistant", "tool", "tool"]
            assert [m["tool_call_id"] for m in sent if m["role"] == "tool"] == ["call_1", "call_2"]
        else:
            assert sent[2]["content"] == results


@UPSTREAMS
async def test_tool_calls_in_a_stream_are_put_together(gateway: Process, wire: Wire) -> None:
    async with (
        async_client_of(gateway) as client,
        behind(gateway, wire, streamed(*CALLING_STREAM[wire])) as (model, _),
        client.messages.stream(model=model, messages=ASK, max_tokens=100, tools=TOOLS) as stream,
    ):
        answer = await stream.get_final_message()
    assert [(part.id, part.input) for part in answer.content if part.type == "tool_use"] == [
        (i, {"place": p}) for i, p in CALLS
    ]
    assert answer.stop_reason == "tool_use"


@UPSTREAMS
async def test_images_and_documents(gateway: Process, wire: Wire) -> None:
    parts: list[Any] = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.jpg"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PNG}, "title": "Paper"},
        {"type": "text", "text": "What is this?", "cache_control": {"type": "ephemeral"}},
    ]
    async with async_client_of(gateway) as client, behind(gateway, wire, whole(wire.whole)) as (model, upstream):
        got = await client.messages.with_raw_response.create(
            model=model, messages=[{"role": "user", "content": parts}], max_tokens=100
        )
        sent = json.loads(upstream.requests[0].body)["messages"][0]["content"]
    if wire is ANTHROPIC:
        assert sent == parts
    else:
        urls = [part["image_url"]["url"] for part in sent if part["type"] == "image_url"]
        assert urls == [f"data:image/png;base64,{PNG}", "https://example.com/cat.jpg"]
        assert [part["file"]["file_data"] for part in sent if part["type"] == "file"] == [
            f"data:application/pdf;base64,{PNG}"
        ]
        assert "cache_control" in got.headers["x-omniroute-dropped"]


class Weather(BaseModel):
    place: str
    degrees: int


REPORT = '{"place": "Zürich", "degrees": 21}'


@UPSTREAMS
async def test_structured_output_is_parsed(gateway: Process, wire: Wire) -> None:
    said = chat_message({"content": REPORT}) if wire is CHAT else message({"type": "text", "text": REPORT})
    async with async_client_of(gateway) as client, behind(gateway, wire, whole(said)) as (model, upstream):
        answer = await client.messages.parse(model=model, messages=ASK, max_tokens=100, output_format=Weather)
        assert answer.parsed_output == Weather(place="Zürich", degrees=21)
        sent = json.loads(upstream.requests[0].body)
        if wire is CHAT:
            assert sent["response_format"]["json_schema"]["schema"]["properties"].keys() == {"place", "degrees"}


CLASSES: dict[int, type[anthropic.APIStatusError]] = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    413: anthropic.APIStatusError,
    422: anthropic.UnprocessableEntityError,
    429: anthropic.RateLimitError,
    500: anthropic.InternalServerError,
    503: anthropic.InternalServerError,
    529: anthropic.InternalServerError,
}


@UPSTREAMS
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_error_classes(gateway: Process, wire: Wire, stream: bool) -> None:
    said = wire.error("some_error", "The upstream says no")
    script = [whole(said, status) for status in CLASSES]
    async with async_client_of(gateway) as client, behind(gateway, wire, *script) as (model, _):
        for status, kind in CLASSES.items():
            with pytest.raises(kind, match="The upstream says no") as caught:
                await client.messages.create(model=model, messages=ASK, max_tokens=100, stream=stream)
            assert caught.value.status_code == status
            gateway.api("DELETE", "/api/monitoring/health")


@UPSTREAMS
async def test_retry_after_is_kept_and_honoured_by_the_client(gateway: Process, wire: Wire) -> None:
    busy = whole(wire.error("rate_limit_error", "Too many"), 429, retry_after="1")
    async with behind(gateway, wire, busy, whole(wire.whole)) as (model, upstream):
        began = time.monotonic()
        async with async_client_of(gateway, max_retries=2) as client:
            answer = await client.messages.create(model=model, messages=ASK, max_tokens=100)
        assert answer.content[0].type == "text"
        assert time.monotonic() - began >= 1.0
        assert len(upstream.requests) == 2


async def test_what_the_upstream_says_of_retries_and_of_itself_is_kept_on_the_same_wire(gateway: Process) -> None:
    said = ANTHROPIC.error("overloaded_error", "Overloaded")
    final = whole(said, 529, x_should_retry="false", request_id="req_upstream", anthropic_ratelimit_requests_remaining="0")
    async with behind(gateway, ANTHROPIC, final) as (model, upstream), async_client_of(gateway, max_retries=2) as client:
        with pytest.raises(anthropic.InternalServerError) as caught:
            await client.messages.create(model=model, messages=ASK, max_tokens=100)
        assert caught.value.request_id == "req_upstream"
        assert caught.value.response.headers["anthropic-ratelimit-requests-remaining"] == "0"
        assert caught.value.response.content == said
        assert len(upstream.requests) == 1


@UPSTREAMS
async def test_an_error_inside_a_stream_raises(gateway: Process, wire: Wire) -> None:
    for told, words in ([wire.error_event], "Overloaded, try later"), ([RESET], "broke"):
        answer = Answer(200, [*wire.opening, wire.first, *told], [("content-type", "text/event-stream")], "chunked")
        async with async_client_of(gateway) as client, behind(gateway, wire, answer) as (model, _):
            said = []
            with pytest.raises(anthropic.APIStatusError, match=words):
                async with client.messages.stream(model=model, messages=ASK, max_tokens=100) as stream:
                    said += [text async for text in stream.text_stream]


@UPSTREAMS
async def test_the_clients_own_timeout_releases_the_upstream(gateway: Process, wire: Wire) -> None:
    async with (
        async_client_of(gateway, timeout=0.3) as client,
        behind(gateway, wire, Raw([HANG])) as (model, upstream),
    ):
        for stream in (False, True):
            with pytest.raises(anthropic.APITimeoutError):
                await client.messages.create(model=model, messages=ASK, max_tokens=100, stream=stream)
            await upstream.requests[-1].gone.wait()


@UPSTREAMS
async def test_an_upstream_without_an_answer_is_a_gateway_timeout(hasty: Process, wire: Wire) -> None:
    async with async_client_of(hasty) as client, behind(hasty, wire, Raw([HANG])) as (model, _):
        with pytest.raises(anthropic.APIStatusError) as caught:
            await client.messages.create(model=model, messages=ASK, max_tokens=100)
        assert caught.value.status_code == 504
        body: Any = caught.value.body
        assert body["error"]["type"] == "timeout_error"


# -- everything but messages


async def test_tokens_are_counted_by_the_vendor_or_estimated(gateway: Process) -> None:
    async with async_client_of(gateway) as client:
        async with behind(gateway, ANTHROPIC, whole(b'{"input_tokens": 14}')) as (model, upstream):
            assert (await client.messages.count_tokens(model=model, messages=ASK)).input_tokens == 14
            assert upstream.requests[0].path == "/v1/messages/count_tokens"
            assert json.loads(upstream.requests[0].body)["model"] == "m"
        async with behind(gateway, CHAT, whole(CHAT.whole)) as (model, upstream):
            counted = await client.messages.with_raw_response.count_tokens(model=model, messages=ASK, tools=TOOLS)
            assert counted.headers["x-omniroute-estimated"] == "true"
            assert upstream.requests == []
        with pytest.raises(anthropic.BadRequestError, match="No credentials"):
            await client.messages.count_tokens(model="nobody/m", messages=ASK)


def test_models_are_listed_in_pages_and_retrieved(gateway: Process) -> None:
    node = gateway.add_node("paged", "http://127.0.0.1:9/v1", "anthropic-compatible", "k-1", "k-2", "k-3")
    for number, connection in enumerate(
        c for c in gateway.api("GET", "/api/providers")["connections"] if c["provider"] == node
    ):
        gateway.api("PUT", f"/api/providers/{connection['id']}", {"defaultModel": f"model-{number}"})
    with client_of(gateway) as client:
        listed = [model for model in client.models.list(limit=2) if model.id.startswith("paged/")]
        assert {model.id for model in listed} == {"paged/model-0", "paged/model-1", "paged/model-2"}
        assert all(model.type == "model" and model.display_name and model.created_at.year > 2000 for model in listed)
        assert client.models.retrieve("paged/model-1").id == "paged/model-1"
        with pytest.raises(anthropic.NotFoundError):
            client.models.retrieve("paged/no-such-model")
    gateway.api("DELETE", f"/api/provider-nodes/{node}")


def test_wrong_requests_are_named(gateway: Process) -> None:
    wrong: Any = "hello"
    with client_of(gateway) as client:
        with pytest.raises(anthropic.BadRequestError, match="Missing model"):
            client.messages.create(model="", messages=ASK, max_tokens=10)
        with pytest.raises(anthropic.BadRequestError, match="messages"):
            client.messages.create(model="demo/x", messages=wrong, max_tokens=10)


def test_a_required_key(make_gateway: Any) -> None:
    gateway: Process = make_gateway(REQUIRE_API_KEY="true")
    key = gateway.api("POST", "/api/keys", {"name": "sdk"})["key"]
    with client_of(gateway) as client:
        with pytest.raises(anthropic.AuthenticationError) as caught:
            client.messages.create(model="x/y", messages=ASK, max_tokens=10)
        body: Any = caught.value.body
        assert body["error"]["type"] == "authentication_error"
        for known in ({"api_key": key}, {"auth_token": key, "api_key": None}):
            with client_of(gateway, **known) as allowed, pytest.raises(anthropic.BadRequestError, match="No credentials"):
                allowed.messages.create(model="x/y", messages=ASK, max_tokens=10)
