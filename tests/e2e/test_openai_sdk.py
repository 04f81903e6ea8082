"""The official ``openai`` package, unmodified, against a real gateway before upstreams of both wires."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from processes import Process
from pydantic import BaseModel
from real_gateway import behind, streamed, whole
from scripted_upstream import HANG, Answer, Raw
from shared import needs_shared, recordings, tool
from wires import CALLING, CALLING_STREAM, CALLS, CHAT, SAID, WIRES, Wire, chat_message, message

ASK: list[Any] = [{"role": "user", "content": "Greet me"}]
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather at a place",
            "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
        },
    }
]
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 24).decode()
UPSTREAMS = pytest.mark.parametrize("wire", WIRES, ids=repr)
PREFIX = {"openai-chat": "rec-chat", "anthropic-messages": "rec-messages"}
STREAMS = {
    "text": ("crusoe-crusoe-model-streaming-0-8e7ea789", "anthropic-async-anthropic-message-streaming-legacy-0-6b535235"),
    "parallel tools": ("openai-multiple-agents-1-9dbd502a", "anthropic-parallel-tool-use-0-030b2b06"),
    "thinking": ("venice-stream-raw-round-trips-terminal-type-0-9c18f2fd", "anthropic-opus-46-adaptive-thinking-0-9d9cb56d"),
}
WHOLE = {
    "text": ("openai-openai-moderation-0-ecd4743a", "anthropic-raw-exposes-stop-sequence-0-3df41b7d"),
    "parallel tools": ("openai-openai-agent-and-llm-spans-v1-1-0061d639", "anthropic-anthropic-tools-legacy-0-53176f78"),
    "thinking": ("zai-zai-preserved-thinking-round-trip-1-5cdc3876", "anthropic-blocking-max-tokens-truncation-0-31987f6f"),
}


def client_of(gateway: Process, **more: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="any text", max_retries=0, **more)


def async_client_of(gateway: Process, **more: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="any text", **{"max_retries": 0, **more})


@pytest.fixture
def client(replaying: Process) -> Iterator[openai.OpenAI]:
    replaying.api("DELETE", "/api/monitoring/health")
    with client_of(replaying) as made:
        yield made


def recorded(table: dict[str, tuple[str, str]]) -> list[Any]:
    names = {name: what for what, pair in table.items() for name in pair}
    found = (r for r in recordings(*PREFIX) if r["id"] in names)
    return [pytest.param(r, id=f"{names[r['id']]} from {r['wire']}") for r in found]


# -- replayed from recordings


@needs_shared
@pytest.mark.parametrize("recording", recorded(WHOLE))
def test_a_whole_answer(client: openai.OpenAI, recording: dict[str, Any]) -> None:
    expected = tool("semantics").meaning_of(recording)
    model = f"{PREFIX[recording['wire']]}/{recording['id']}"
    answer = client.chat.completions.create(model=model, messages=ASK, tools=TOOLS)
    choice = answer.choices[0]
    assert (choice.message.content or "") == expected.text
    assert choice.finish_reason == expected.finish
    calls = [
        (c.function.name, json.loads(c.function.arguments)) for c in choice.message.tool_calls or () if c.type == "function"
    ]
    assert calls == [(call.name, call.arguments) for call in expected.tool_calls]
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (expected.usage.input, expected.usage.output)
    if recording["wire"] == "anthropic-messages":
        assert getattr(choice.message, "reasoning_content", "") == expected.thinking


@needs_shared
@pytest.mark.parametrize("recording", recorded(STREAMS))
def test_a_stream(client: openai.OpenAI, recording: dict[str, Any]) -> None:
    expected = tool("semantics").meaning_of(recording)
    model = f"{PREFIX[recording['wire']]}/{recording['id']}@random-3"
    text, usage, finish = "", None, ""
    with client.chat.completions.create(
        model=model, messages=ASK, stream=True, stream_options={"include_usage": True}
    ) as chunks:
        for part in chunks:
            usage = part.usage or usage
            for choice in part.choices:
                text += choice.delta.content or ""
                finish = choice.finish_reason or finish
    assert (text, finish) == (expected.text, expected.finish)
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (expected.usage.input, expected.usage.output)


@needs_shared
@pytest.mark.parametrize("recording", recorded(STREAMS))
async def test_the_stream_helper_of_the_asynchronous_client(replaying: Process, recording: dict[str, Any]) -> None:
    expected = tool("semantics").meaning_of(recording)
    model = f"{PREFIX[recording['wire']]}/{recording['id']}"
    async with (
        async_client_of(replaying) as client,
        client.chat.completions.stream(model=model, messages=ASK, tools=TOOLS) as stream,
    ):
        answer = await stream.get_final_completion()
    choice = answer.choices[0]
    assert (choice.message.content or "") == expected.text
    calls = [(c.function.name, json.loads(c.function.arguments)) for c in choice.message.tool_calls or ()]
    assert calls == [(call.name, call.arguments) for call in expected.tool_calls]


@needs_shared
@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("rec-messages/anthropic-validation-error-carries-identity-0-9f3d4382", openai.BadRequestError),
        ("rec-chat/mistral-blocking-ministral-3b-0-646a780e", openai.BadRequestError),
        ("rec-messages/anthropic-auth-rejection-carries-identity-0-b8782e1f", openai.AuthenticationError),
        ("rec-chat/deepseek-error-handling-with-deepseek-deepseek-chat-r-0-e048d4c3", openai.AuthenticationError),
        ("rec-chat/doubleword-invalid-key-blocking-0-86426b07", openai.PermissionDeniedError),
        ("rec-messages/anthropic-model-name-suggestion-anthropic-0-46ffb6cc", openai.NotFoundError),
        ("rec-chat/groq-tool-regular-error-0-5671e308", openai.NotFoundError),
        ("rec-chat/openrouter-openrouter-errors-raised-0-d78aa681", openai.RateLimitError),
        ("rec-chat/llamacpp-image-without-mmproj-0-11f641e9", openai.InternalServerError),
    ],
)
def test_recorded_errors_raise_the_classes_they_belong_to(
    client: openai.OpenAI, model: str, kind: type[openai.APIStatusError]
) -> None:
    with pytest.raises(kind) as caught:
        client.chat.completions.create(model=model, messages=ASK)
    assert caught.value.request_id
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["message"]


# -- scripted upstreams


@UPSTREAMS
async def test_answers_and_streams_of_the_asynchronous_client(gateway: Process, wire: Wire) -> None:
    async with (
        async_client_of(gateway) as client,
        behind(gateway, wire, whole(wire.whole), streamed(*wire.stream)) as (model, _),
    ):
        answer = await client.chat.completions.create(model=model, messages=ASK)
        assert answer.choices[0].message.content == SAID
        assert answer.usage is not None
        assert answer.usage.prompt_tokens_details is not None
        assert answer.usage.prompt_tokens_details.cached_tokens == 16
        chunks = await client.chat.completions.create(model=model, messages=ASK, stream=True)
        text = [choice.delta.content or "" async for part in chunks for choice in part.choices]
        assert "".join(text) == SAID


@UPSTREAMS
async def test_the_usage_chunk_comes_to_those_who_ask_for_it(gateway: Process, wire: Wire) -> None:
    async with async_client_of(gateway) as client, behind(gateway, wire, streamed(*wire.stream)) as (model, upstream):
        quiet = [c async for c in await client.chat.completions.create(model=model, messages=ASK, stream=True)]
        assert [c.usage for c in quiet if c.usage] == []
        options: Any = {"include_usage": True}
        told = [
            c
            async for c in await client.chat.completions.create(
                model=model, messages=ASK, stream=True, stream_options=options
            )
        ]
        assert [c.usage.total_tokens for c in told if c.usage] == [26]
        assert told[-1].choices == []
        if wire is CHAT:  # the gateway wants to know all the same
            assert all(json.loads(seen.body)["stream_options"]["include_usage"] for seen in upstream.requests)


@UPSTREAMS
async def test_two_turns_with_parallel_tool_calls(gateway: Process, wire: Wire) -> None:
    async with (
        async_client_of(gateway) as client,
        behind(gateway, wire, whole(CALLING[wire]), whole(wire.whole)) as (model, upstream),
    ):
        first = await client.chat.completions.create(model=model, messages=ASK, tools=TOOLS, tool_choice="required")
        said = first.choices[0].message
        assert first.choices[0].finish_reason == "tool_calls"
        assert said.tool_calls is not None
        assert [(c.id, json.loads(c.function.arguments)["place"]) for c in said.tool_calls if c.type == "function"] == [
            *CALLS
        ]
        results: list[Any] = [{"role": "tool", "tool_call_id": i, "content": f"sunny in {place}"} for i, place in CALLS]
        second = await client.chat.completions.create(model=model, messages=[*ASK, said, *results], tools=TOOLS)
        assert second.choices[0].message.content == SAID
        sent = json.loads(upstream.requests[1].body)["messages"]
        if wire is CHAT:
            assert [m["role"] for m in sent] == ["user", "assistant", "tool", "tool"]
        else:
            assert [part["id"] for part in sent[1]["content"] if part["type"] == "tool_use"] == ["call_1", "call_2"]
            assert [part["tool_use_id"] for part in sent[2]["content"]] == ["call_1", "call_2"]
        assert "sunny in Zürich" in json.dumps(sent, ensure_ascii=False)


@UPSTREAMS
async def test_images_by_data_and_by_url(gateway: Process, wire: Wire) -> None:
    parts: Any = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.jpg", "detail": "low"}},
    ]
    async with async_client_of(gateway) as client, behind(gateway, wire, whole(wire.whole)) as (model, upstream):
        await client.chat.completions.create(model=model, messages=[{"role": "user", "content": parts}])
        sent = json.loads(upstream.requests[0].body)["messages"][0]["content"]
    if wire is CHAT:
        assert sent == parts
    else:
        assert [part["type"] for part in sent] == ["text", "image", "image"]
        assert sent[1]["source"] == {"type": "base64", "media_type": "image/png", "data": PNG}
        assert sent[2]["source"] == {"type": "url", "url": "https://example.com/cat.jpg"}


class Weather(BaseModel):
    place: str
    degrees: int


REPORT = '{"place": "Zürich", "degrees": 21}'


@UPSTREAMS
async def test_structured_output_is_parsed(gateway: Process, wire: Wire) -> None:
    said = chat_message({"content": REPORT}) if wire is CHAT else message({"type": "text", "text": REPORT})
    async with async_client_of(gateway) as client, behind(gateway, wire, whole(said)) as (model, upstream):
        answer = await client.chat.completions.parse(model=model, messages=ASK, response_format=Weather)
        assert answer.choices[0].message.parsed == Weather(place="Zürich", degrees=21)
        assert b"degrees" in upstream.requests[0].body  # the schema has reached the upstream, as this wire has it


async def test_a_refusal_is_a_refusal(gateway: Process) -> None:
    async with (
        async_client_of(gateway) as client,
        behind(gateway, CHAT, whole(chat_message({"refusal": "I cannot help with that."}))) as (model, _),
    ):
        answer = await client.chat.completions.parse(model=model, messages=ASK, response_format=Weather)
        assert answer.choices[0].message.refusal == "I cannot help with that."
        assert answer.choices[0].message.parsed is None


CLASSES: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    503: openai.InternalServerError,
    529: openai.InternalServerError,
}


@UPSTREAMS
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_error_classes(gateway: Process, wire: Wire, stream: bool) -> None:
    said = wire.error("some_error", "The upstream says no")
    script = [whole(said, status) for status in CLASSES]
    async with async_client_of(gateway) as client, behind(gateway, wire, *script) as (model, _):
        for status, kind in CLASSES.items():
            with pytest.raises(kind, match="The upstream says no") as caught:
                await client.chat.completions.create(model=model, messages=ASK, stream=stream)
            assert caught.value.status_code == status
            assert caught.value.request_id
            gateway.api("DELETE", "/api/monitoring/health")


@UPSTREAMS
async def test_retry_after_is_kept_and_honoured_by_the_client(gateway: Process, wire: Wire) -> None:
    busy = whole(wire.error("rate_limit_error", "Too many"), 429, retry_after="1")
    async with behind(gateway, wire, busy, whole(wire.whole)) as (model, upstream):
        async with async_client_of(gateway) as client:
            with pytest.raises(openai.RateLimitError) as caught:
                await client.chat.completions.create(model=model, messages=ASK)
            assert caught.value.response.headers["retry-after"] == "1"
        gateway.api("DELETE", "/api/monitoring/health")
        upstream.requests.clear()
        began = time.monotonic()
        async with async_client_of(gateway, max_retries=2) as client:
            answer = await client.chat.completions.create(model=model, messages=ASK)
        assert answer.choices[0].message.content == SAID
        assert time.monotonic() - began >= 1.0
        assert len(upstream.requests) == 2


async def test_an_error_inside_a_stream_raises(gateway: Process) -> None:
    for wire in WIRES:
        told = [*wire.opening, wire.first, wire.error_event]
        said: list[str] = []
        async with async_client_of(gateway) as client, behind(gateway, wire, streamed(*told)) as (model, _):
            parts = await client.chat.completions.create(model=model, messages=ASK, stream=True)

            async def read(parts: Any = parts, said: list[str] = said) -> None:
                async for part in parts:
                    said += [choice.delta.content or "" for choice in part.choices]

            with pytest.raises(openai.APIError, match="Overloaded, try later"):
                await read()
        assert "".join(said) == "Good "


@UPSTREAMS
async def test_the_clients_own_timeout_releases_the_upstream(gateway: Process, wire: Wire) -> None:
    async with (
        async_client_of(gateway, timeout=0.3) as client,
        behind(gateway, wire, Raw([HANG])) as (model, upstream),
    ):
        for stream in (False, True):
            with pytest.raises(openai.APITimeoutError):
                await client.chat.completions.create(model=model, messages=ASK, stream=stream)
            await upstream.requests[-1].gone.wait()


@UPSTREAMS
async def test_an_upstream_without_an_answer_is_a_gateway_timeout(hasty: Process, wire: Wire) -> None:
    async with async_client_of(hasty) as client, behind(hasty, wire, Raw([HANG])) as (model, _):
        with pytest.raises(openai.InternalServerError) as caught:
            await client.chat.completions.create(model=model, messages=ASK)
        assert caught.value.status_code == 504


@UPSTREAMS
async def test_a_slow_stream_is_kept_alive_and_read_to_its_end(hasty: Process, wire: Wire) -> None:
    """Keep-alives between the pieces do not disturb the client."""

    waits = [asyncio.Event() for _ in wire.stream]
    pieces = [piece for pair in zip(wire.stream, waits, strict=True) for piece in pair]
    loop = asyncio.get_running_loop()
    for n, wait in enumerate(waits):
        loop.call_later(0.12 * n, wait.set)
    async with (
        async_client_of(hasty) as client,
        behind(hasty, wire, Answer(200, pieces, [("content-type", "text/event-stream")], "chunked")) as (model, _),
    ):
        chunks = await client.chat.completions.create(model=model, messages=ASK, stream=True)
        text = [choice.delta.content or "" async for part in chunks for choice in part.choices]
        assert "".join(text) == SAID


@UPSTREAMS
async def test_tool_calls_in_a_stream_are_put_together(gateway: Process, wire: Wire) -> None:
    async with (
        async_client_of(gateway) as client,
        behind(gateway, wire, streamed(*CALLING_STREAM[wire])) as (model, _),
        client.chat.completions.stream(model=model, messages=ASK, tools=TOOLS) as stream,
    ):
        answer = await stream.get_final_completion()
    calls = answer.choices[0].message.tool_calls or []
    assert [(c.id, json.loads(c.function.arguments)["place"]) for c in calls] == [*CALLS]
    assert answer.choices[0].finish_reason == "tool_calls"


# -- everything but chat


def test_models_are_listed_and_retrieved(gateway: Process) -> None:
    node = gateway.add_node("listed", "http://127.0.0.1:9/v1")
    connection = next(c for c in gateway.api("GET", "/api/providers")["connections"] if c["provider"] == node)
    gateway.api("PUT", f"/api/providers/{connection['id']}", {"defaultModel": "vendor/big-model"})
    with client_of(gateway) as client:
        found = {model.id: model for model in client.models.list()}
        assert found["listed/vendor/big-model"].object == "model"
        assert client.models.retrieve("listed/vendor/big-model").id == "listed/vendor/big-model"
        with pytest.raises(openai.NotFoundError) as caught:
            client.models.retrieve("listed/no-such-model")
        assert caught.value.code == "model_not_found"
    gateway.api("DELETE", f"/api/provider-nodes/{node}")


def test_wrong_requests_are_named(gateway: Process) -> None:
    with client_of(gateway) as client:
        with pytest.raises(openai.BadRequestError, match="Missing model") as caught:
            client.chat.completions.create(model="", messages=ASK)
        assert caught.value.param == "model"
        wrong: Any = "hello"
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model="demo/x", messages=wrong)
        assert caught.value.param == "messages"


def test_a_required_key(make_gateway: Any) -> None:
    gateway: Process = make_gateway(REQUIRE_API_KEY="true")
    key = gateway.api("POST", "/api/keys", {"name": "sdk"})["key"]
    with client_of(gateway) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            client.chat.completions.create(model="x/y", messages=ASK)
        assert caught.value.code == "invalid_api_key"
        with pytest.raises(openai.BadRequestError, match="No credentials"):
            client.with_options(api_key=key).chat.completions.create(model="x/y", messages=ASK)
