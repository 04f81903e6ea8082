"""The native Ollama endpoints, called by hand and by the official client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import ollama as sdk
import pytest
from data_plane import HASTY, accounts, provider
from fakes import FakeClock
from fakes_exchange import FakeExchange
from scripted_upstream import Answer, ScriptedUpstream
from wires import CHAT, CHAT_USAGE, DONE, SAID, chat_message, chunk

from omniroute.clock import Clock
from omniroute.gateway import ollama
from omniroute.gateway.auth import digest
from omniroute.gateway.edge import Edge, Plane
from omniroute.gateway.job import Gateway
from omniroute.gateway.live import Live
from omniroute.gateway.routes import DataPlane, DataRoute
from omniroute.gateway.snapshot import Connection, GatewayKey, GatewaySettings, Snapshot
from omniroute.proto.exchange import Request
from omniroute.proto.listener import Listener
from omniroute.upstream.providers import Model, Provider
from omniroute.upstream.send import Client

MODELS = {
    "big": Model("big", "Big", context=200_000, abilities=frozenset({"tools", "vision", "reasoning"})),
    "small": Model("small", abilities=frozenset({"json_schema"})),
    "unknown": Model("unknown"),
    "embed": Model("embed", kind="embedding", dimensions=768),
    "paint": Model("paint", kind="image"),
}
ALPHA = Provider("alpha", "al", "Alpha", "openai-chat", "http://127.0.0.1:9/v1", models=MODELS)
KEY = GatewayKey("k", "k", digest(b"s", "sk-1"), allowed_models=("al/big",))
BEARER = [(b"authorization", b"Bearer sk-1")]


def gateway(*, require_key: bool = False, **settings: Any) -> Gateway:
    state = Snapshot(
        key_secret=b"s",
        keys={KEY.digest: KEY},
        providers={"alpha": ALPHA},
        prefixes={"alpha": "alpha", "al": "alpha"},
        connections={"alpha": (Connection("c1", "alpha", "one"),)},
        settings=GatewaySettings(**settings),
    )
    clock = FakeClock()
    return Gateway(Live(clock, state, lambda record: None), Client(HASTY, clock), HASTY, clock, require_key=require_key)


def call(handler: Any, body: bytes = b"", headers: Sequence[tuple[bytes, bytes]] = (), **settings: Any) -> FakeExchange:
    exchange = FakeExchange(Request("POST", "/api/x", headers=list(headers), body=body))
    asyncio.run(handler(gateway(**settings), exchange, None))
    return exchange


# -- what is there


def test_every_model_that_can_be_talked_to_is_listed_once() -> None:
    found = call(ollama.tags)
    listed = sdk.ListResponse.model_validate_json(found.text)
    assert found.header(b"content-type") == b"application/json"
    assert [m.model for m in listed.models] == ["al/big", "al/small", "al/unknown", "al/embed"]
    assert found.json["models"][0]["name"] == "al/big"
    assert found.json["models"][0]["details"] == {
        **{"parent_model": "", "format": "api", "family": "alpha", "families": ["alpha"]},
        **{"parameter_size": "", "quantization_level": ""},
    }


def test_a_digest_is_a_constant_hash_of_the_id() -> None:
    first, again = call(ollama.tags).json["models"], call(ollama.tags).json["models"]
    assert first == again
    assert len({m["digest"] for m in first}) == len(first)
    assert all(len(m["digest"]) == 64 for m in first)


def test_a_key_sees_the_models_that_it_may_use() -> None:
    assert [m["name"] for m in call(ollama.tags, headers=BEARER).json["models"]] == ["al/big"]


@pytest.mark.parametrize("handler", [ollama.tags, ollama.show])
def test_a_key_is_asked_for_where_the_settings_say_so(handler: Any) -> None:
    found = call(handler, b'{"model":"al/big"}', require_auth_for_models=True)
    assert (found.status, found.json) == (401, {"error": "Missing API key"})
    assert found.header(b"www-authenticate") == b'Bearer realm="OmniRoute"'


def test_show_says_what_editors_look_for() -> None:
    found = call(ollama.show, b'{"model":"al/big"}')
    shown = sdk.ShowResponse.model_validate_json(found.text)
    assert shown.capabilities == ["completion", "tools", "vision", "thinking"]
    assert shown.modelinfo == {
        "general.architecture": "alpha",
        "general.basename": "Big",
        "alpha.context_length": 200_000,
    }
    assert (shown.template, shown.modelfile) == ("", "")


@pytest.mark.parametrize(
    ("model", "words"),
    [("al/small", ["completion"]), ("al/unknown", ["completion", "tools"]), ("al/embed", ["embedding"])],
)
def test_capabilities(model: str, words: list[str]) -> None:
    assert call(ollama.show, b'{"name":"%b"}' % model.encode()).json["capabilities"] == words


@pytest.mark.parametrize("name", ["al/big", "alpha/big", "big", "al/big:latest"])
def test_a_model_is_found_by_every_name_it_goes_by(name: str) -> None:
    assert call(ollama.show, b'{"model":"%b"}' % name.encode()).json["model_info"]["general.basename"] == "Big"


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b'{"model":"nope:latest"}', 404, "model 'nope' not found"),
        (b'{"model":"nope' + b":latest" * 5000 + b'"}', 404, "model '" + ("nope" + ":latest" * 4999)[:200] + "' not found"),
        (b"{}", 400, "model is required"),
        (b"not json", 400, "Invalid JSON body"),
        (b'{"model":"\xff"}', 400, "Invalid JSON body"),
    ],
)
def test_what_cannot_be_shown(body: bytes, status: int, error: str) -> None:
    found = call(ollama.show, body)
    assert (found.status, found.json) == (status, {"error": error})


def test_version_and_loaded_models() -> None:
    assert call(ollama.version).json == {"version": ollama.VERSION}
    assert tuple(map(int, ollama.VERSION.split("."))) >= (0, 6, 4)  # what editors demand
    assert call(ollama.ps).json == {"models": []}


# -- requests without words


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"model":"m"}', "load"),
        (b'{"model":"m","messages":[],"keep_alive":"5m"}', "load"),
        (b'{"model":"m","prompt":"","keep_alive":0}', "unload"),
    ],
)
def test_a_request_without_a_prompt_is_answered_at_once(body: bytes, reason: str) -> None:
    chat, generate = call(ollama.chat, body).json, call(ollama.generate, body).json
    assert (chat["done"], chat["done_reason"], chat["message"]) == (True, reason, {"role": "assistant", "content": ""})
    assert (generate["done"], generate["done_reason"], generate["response"]) == (True, reason, "")


def test_a_request_without_a_prompt_needs_a_key_too() -> None:
    found = call(ollama.chat, b'{"model":"m"}', require_key=True)
    assert (found.status, found.json) == (401, {"error": "Missing API key"})


@pytest.mark.parametrize(
    "body", [b"not json", b"{}", b'{"model":"al/big","messages":7}', b'{"model":"al/big","messages":[{}]}']
)
def test_a_bad_request_is_refused_in_the_wires_own_way(body: bytes) -> None:
    found = call(ollama.chat, body)
    assert found.status == 400
    assert isinstance(found.json["error"], str)


# -- the official client

ROWS = (
    DataRoute("POST", "/api/chat", ollama.chat, "ollama"),
    DataRoute("POST", "/api/generate", ollama.generate, "ollama"),
    DataRoute("GET", "/api/tags", ollama.tags, "ollama"),
    DataRoute("POST", "/api/show", ollama.show, "ollama"),
    DataRoute("GET", "/api/ps", ollama.ps, "ollama"),
)
STREAM = [("content-type", "text/event-stream")]
LINES = [("content-type", "application/x-ndjson")]
JSON = [("content-type", "application/json")]
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}


@asynccontextmanager
async def served(*script: Answer, **about: Any) -> AsyncIterator[tuple[sdk.AsyncClient, ScriptedUpstream]]:
    """The official client before a data plane before a scripted upstream."""
    clock = Clock()
    async with ScriptedUpstream(*script) as upstream:
        client = Client(HASTY, clock)
        node = provider(CHAT, upstream.url if "wire" in about else f"{upstream.url}/v1")
        node = msgspec.structs.replace(node, **about)
        state = Snapshot(providers={node.id: node}, prefixes={"up": node.id}, connections={node.id: accounts("key-1")})
        shared = Gateway(Live(clock, state, lambda record: None), client, HASTY, clock)
        listener = Listener(Edge([Plane(ROWS, DataPlane(shared).handle, 1 << 20, True)], shared.live), HASTY, clock)
        await listener.start("127.0.0.1", 0)
        caller = sdk.AsyncClient(f"http://127.0.0.1:{listener.port}", trust_env=False)
        try:
            yield caller, upstream
        finally:
            await caller._client.aclose()
            await listener.drain(1.0)
            await client.close()


def whole(**message: Any) -> Answer:
    return Answer(200, [chat_message(message)], JSON)


def streamed(*chunks: bytes) -> Answer:
    return Answer(200, [*chunks, chunk({}, "stop"), chunk(None, usage=CHAT_USAGE), DONE], STREAM, "chunked")


def sent_to(upstream: ScriptedUpstream, number: int) -> Any:
    """The body of a request that reached the upstream."""
    return json.loads(upstream.requests[number].body)


HELLO = [{"role": "user", "content": "Greet me"}]


def test_the_client_chats_whole_and_streamed() -> None:
    async def play() -> None:
        pieces = streamed(chunk({"reasoning_content": "hm"}), chunk({"content": "Good "}), chunk({"content": "morning"}))
        async with served(whole(content=SAID), pieces) as (client, upstream):
            answer = await client.chat("up/m", HELLO, options={"num_predict": 5, "num_ctx": 9}, think=False)
            assert (answer.message.content, answer.done_reason, answer.prompt_eval_count) == (SAID, "stop", 21)
            assert sent_to(upstream, 0)["max_tokens"] == 5
            parts = [part async for part in await client.chat("up/m", HELLO, stream=True)]
            assert "".join(part.message.content or "" for part in parts) == "Good morning"
            assert "".join(part.message.thinking or "" for part in parts) == "hm"
            assert (parts[-1].done, parts[-1].eval_count) == (True, 5)

    asyncio.run(play())


def test_the_client_calls_tools_over_two_turns() -> None:
    async def play() -> None:
        async with served(whole(tool_calls=[CALL]), whole(content="It is 1.")) as (client, upstream):
            tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
            first = await client.chat("up/m", HELLO, tools=[tool])
            calls = first.message.tool_calls or []
            assert [(c.function.name, c.function.arguments) for c in calls] == [("look", {"a": 1})]
            history = [*HELLO, first.message, {"role": "tool", "content": "1", "tool_name": "look"}]
            second = await client.chat("up/m", history, tools=[tool])
            assert second.message.content == "It is 1."
            sent = sent_to(upstream, 1)["messages"]
            assert sent[2]["tool_call_id"] == sent[1]["tool_calls"][0]["id"]

    asyncio.run(play())


def test_the_client_generates_whole_and_streamed() -> None:
    async def play() -> None:
        async with served(whole(content=SAID), streamed(chunk({"content": "Good "}), chunk({"content": "day"}))) as (
            client,
            _,
        ):
            assert (await client.generate("up/m", "Greet me", system="Be brief.")).response == SAID
            parts = [part async for part in await client.generate("up/m", "Greet me", stream=True)]
            assert "".join(part.response for part in parts) == "Good day"
            assert (await client.generate("up/m", "")).done_reason == "load"

    asyncio.run(play())


def test_the_client_reads_our_errors() -> None:
    async def play() -> None:
        busy = Answer(400, [b'{"error":{"message":"no","type":"invalid_request_error"}}'], JSON)
        cut = Answer(200, [chunk({"content": "Good "})], STREAM, "chunked")
        async with served(busy, cut) as (client, _):
            with pytest.raises(sdk.ResponseError, match="no") as caught:
                await client.chat("up/m", HELLO)
            assert caught.value.status_code == 400
            with pytest.raises(sdk.ResponseError, match="ended before"):
                [part async for part in await client.chat("up/m", HELLO, stream=True)]

    asyncio.run(play())


def test_a_server_of_the_same_wire_is_relayed_untouched() -> None:
    lines = [
        b'{"model":"m","created_at":"2025-01-01T00:00:00Z","message":{"role":"assistant","content":"Hi"},"done":false}\n',
        b'{"model":"m","created_at":"2025-01-01T00:00:00Z","message":{"role":"assistant","content":""},"done":true,'
        b'"done_reason":"stop","total_duration":7,"prompt_eval_count":3,"eval_count":4}\n',
    ]

    async def play() -> None:
        async with served(Answer(200, lines, LINES, "chunked"), wire="ollama", auth="none") as (client, upstream):
            parts = [part async for part in await client.chat("up/m", HELLO, stream=True, options={"num_ctx": 9})]
            assert [part.message.content for part in parts] == ["Hi", ""]
            assert parts[-1].total_duration == 7
            assert upstream.requests[0].path == "/api/chat"
            assert sent_to(upstream, 0)["options"] == {"num_ctx": 9}
            generated = [part async for part in await client.generate("up/m", "Greet me", stream=True)]
            assert "".join(part.response for part in generated) == "Hi"

    asyncio.run(play())


def test_the_client_lists_and_shows() -> None:
    async def play() -> None:
        async with served(whole(content=SAID)) as (client, _):
            assert [m.model for m in (await client.list()).models] == ["up/m"]
            assert (await client.show("up/m")).capabilities == ["completion", "tools"]
            assert (await client.ps()).models == []

    asyncio.run(play())
