"""Operations beside chat through a real socket: the official client, every vendor's format, fallback, refusals, records."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from data_plane import JSON, Running, accounts, data_plane, provider, snapshot, until
from msgspec.structs import replace
from scripted_upstream import HANG, Answer, ScriptedUpstream, Seen, Step
from wires import CHAT

from omniroute.gateway.guard import Guard
from omniroute.gateway.snapshot import Combo, ComboEntry, Snapshot
from omniroute.settings import GuardSettings, Limits
from omniroute.upstream.providers import Model, Price, Served

TYPE = [("content-type", "application/json")]
VECTORS = [[0.5, -1.0], [3.25, 2.0]]
MODELS = {
    "m": Model("m", kind="embedding", price=Price(input=100.0), dimensions=2),
    "omni-moderation-latest": Model("omni-moderation-latest", kind="moderation"),
}


def said(body: Any, status: int = 200, *more: tuple[str, str]) -> Answer:
    return Answer(status, [json.dumps(body).encode()], headers=[*TYPE, *more])


def listed(seen: Seen) -> Answer:
    """An OpenAI-like server."""
    asked = json.loads(seen.body)
    in_text = asked.get("encoding_format") == "base64"
    vectors = [base64.b64encode(struct.pack("<2f", *v)).decode() if in_text else v for v in VECTORS]
    data = [{"object": "embedding", "index": n, "embedding": v} for n, v in enumerate(vectors)]
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    return said({"object": "list", "data": data, "model": asked["model"], "usage": usage}, 200, ("x-ratelimit-limit", "9"))


ANSWERS: dict[str, Step] = {
    "openai": listed,
    "voyage": listed,
    "jina": said(
        {"data": [{"index": n, "embedding": v} for n, v in enumerate(VECTORS)], "usage": {"total_tokens": 4}, "model": "m"}
    ),
    "cohere": said({"id": "e", "embeddings": {"float": VECTORS}, "meta": {"billed_units": {"input_tokens": 4}}}),
    "gemini": said({"embeddings": [{"values": v} for v in VECTORS], "usageMetadata": {"promptTokenCount": 4}}),
    "ollama": said({"model": "m", "embeddings": VECTORS, "prompt_eval_count": 4}),
}
PATHS = {"cohere": "/v2/embed", "gemini": "/v1/models/m:batchEmbedContents", "ollama": "/v1/api/embed"}


@asynccontextmanager
async def served(
    *script: Step, codec: str = "openai", operation: str = "embeddings", secrets: Sequence[str] = ("key-1",), **more: Any
) -> AsyncIterator[tuple[Running, ScriptedUpstream]]:
    """A data plane before an upstream that serves *operation* in the format *codec*."""
    limits = more.pop("limits", Limits())
    own = Served(codec, "https://vendor.example/v2/embed" if codec == "cohere" and operation == "embeddings" else "")
    about = {"models": MODELS, "extras": frozenset(), "media": {operation: own}}
    async with ScriptedUpstream(*script) as upstream:
        state = snapshot(
            provider(CHAT, f"{upstream.url}/v1", **about),
            accounts(*secrets, base_url=f"{upstream.url}/v1"),
            models=dict.fromkeys(MODELS, ("node-up",)),
            **more,
        )
        async with data_plane(state, limits=limits) as plane:
            yield plane, upstream


async def ask(plane: Running, path: str, body: Any, method: str = "POST") -> tuple[int, dict[str, str], Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, fields, out = await plane.http.fetch(plane.origin, method, path.encode(), JSON, raw, limit=1 << 26)
    return status, {name.decode(): value.decode() for name, value in fields}, json.loads(out)


@pytest.mark.parametrize("form", ["default", "float", "base64"])
@pytest.mark.parametrize("codec", ANSWERS)
def test_the_openai_package_embeds_with_every_vendor(codec: str, form: str) -> None:
    async def main() -> None:
        async with served(ANSWERS[codec], codec=codec) as (plane, upstream):
            async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{plane.port}/v1", api_key="x", max_retries=0) as sdk:
                more: dict[str, Any] = {} if form == "default" else {"encoding_format": form}
                answer = await sdk.embeddings.create(model="up/m", input=["a", "b"], dimensions=2, **more)
            vectors: list[Any] = [item.embedding for item in answer.data]
            if form == "base64":
                vectors = [list(struct.unpack("<2f", base64.b64decode(vector))) for vector in vectors]
            assert vectors == VECTORS
            assert (answer.model, answer.usage.prompt_tokens) == ("up/m", 4)
            assert upstream.requests[0].path == PATHS.get(codec, "/v1/embeddings")
            assert upstream.requests[0].headers["authorization"] == "Bearer key-1"
            (record,) = plane.records
            assert (record.status, record.tokens_in, record.target_format) == (200, 4, codec)
            assert record.cost == pytest.approx(0.0004)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"input": ["x", "a@mail.example.org"]}),
        ("/api/embed", {"input": "a@mail.example.org"}),
        ("/v1/rerank", {"query": "a@mail.example.org", "documents": ["a@mail.example.org", {"text": "a@mail.example.org"}]}),
        ("/v1/moderations", {"input": [{"type": "text", "text": "a@mail.example.org"}]}),
    ],
)
def test_personal_data_does_not_reach_the_vendor(path: str, body: dict[str, Any]) -> None:
    async def main() -> None:
        operation = {"/v1/rerank": "rerank", "/v1/moderations": "moderations"}.get(path, "embeddings")
        codec = "cohere" if operation == "rerank" else "openai"
        async with served(said({"error": {"message": "no"}}, 400), codec=codec, operation=operation) as (plane, upstream):
            plane.gateway.guard = Guard(GuardSettings(mode="redact", redact_requests=True))
            await ask(plane, path, {"model": "up/m", **body})
            assert b"[EMAIL_REDACTED]" in upstream.requests[0].body
            assert b"mail.example" not in upstream.requests[0].body

    asyncio.run(main())


def test_limits_that_the_provider_reports_reach_the_client_and_so_does_the_route() -> None:
    async def main() -> None:
        async with served(listed) as (plane, _):
            status, fields, _body = await ask(plane, "/v1/embeddings", {"model": "up/m", "input": "a"})
            assert (status, fields["x-ratelimit-limit"]) == (200, "9")
            assert fields["x-omniroute-route"] == "up/acct-1; attempt=1/1"

    asyncio.run(main())


def test_a_second_account_hides_a_rate_limit_and_the_first_gets_a_cooldown() -> None:
    async def main() -> None:
        refusal = said({"error": {"message": "slow down"}}, 429, ("retry-after", "30"))
        async with served(refusal, listed, secrets=("key-1", "key-2")) as (plane, upstream):
            status, fields, _ = await ask(plane, "/v1/embeddings", {"model": "up/m", "input": "a"})
            assert status == 200
            assert fields["x-omniroute-route"] == "up/acct-2; attempt=2/2; failed=up/acct-1 (429)"
            await ask(plane, "/v1/embeddings", {"model": "up/m", "input": "a"})
            assert [seen.headers["authorization"][-1] for seen in upstream.requests] == ["1", "2", "2"]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("codec", "body", "text"),
    [
        ("openai", {"error": {"message": "bad input", "type": "t"}}, "bad input"),
        ("cohere", {"message": "bad input"}, "[422]: bad input"),
        ("voyage", {"detail": "bad input"}, "[422]: bad input"),
        ("gemini", {"error": {"code": 422, "message": "bad input", "status": "INVALID_ARGUMENT"}}, "[422]: bad input"),
        ("ollama", {"error": "bad input"}, "[422]: bad input"),
    ],
)
def test_a_vendors_error_keeps_its_status_and_is_told_in_the_clients_form(codec: str, body: Any, text: str) -> None:
    async def main() -> None:
        async with served(said(body, 422), codec=codec) as (plane, _):
            status, _fields, answer = await ask(plane, "/v1/embeddings", {"model": "up/m", "input": "a"})
            assert (status, answer["error"]["message"]) == (422, text)

    asyncio.run(main())


def test_an_answer_that_cannot_be_read_is_the_providers_fault() -> None:
    async def main() -> None:
        async with served(said({"hello": 1})) as (plane, _):
            status, _fields, answer = await ask(plane, "/v1/embeddings", {"model": "up/m", "input": "a"})
            assert status == 502
            assert "could not be read" in answer["error"]["message"]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("/v1/embeddings", b"{", 400, "Invalid JSON body"),
        ("/v1/embeddings", {}, 400, "Missing model"),
        ("/v1/embeddings", {"model": "up/m"}, 400, "Missing input"),
        ("/v1/embeddings", {"model": "up/m", "input": []}, 400, "Missing input"),
        ("/v1/embeddings", {"model": "zzz", "input": "x"}, 400, "Invalid embedding model: zzz. Use format: provider/model"),
        ("/v1/embeddings", {"model": "no/m", "input": "x"}, 400, "No credentials for embedding provider: no"),
        ("/v1/providers/no/embeddings", {"model": "m", "input": "x"}, 400, "Unknown provider: no"),
        ("/v1/rerank", {"model": "up/m"}, 400, "Missing query"),
        ("/v1/moderations", {}, 400, "Missing input"),
        ("/v1/embeddings", {"model": "up/m", "input": "x" * 5000}, 413, ""),
    ],
)
def test_what_is_wrong_with_a_request_is_said(path: str, body: Any, status: int, text: str) -> None:
    async def main() -> None:
        async with served(listed, limits=Limits(gateway_body=4096)) as (plane, upstream):
            got, _fields, answer = await ask(plane, path, body)
            assert got == status
            assert text in answer["error"]["message"]
            assert upstream.requests == []

    asyncio.run(main())


def test_dedicated_and_doubled_paths_lead_to_the_same_place() -> None:
    async def main() -> None:
        async with served(listed) as (plane, upstream):
            for path in (
                "/v1/providers/up/embeddings",
                "/api/v1/providers/up/embeddings",
                "/v1/v1/embeddings",
                "/api/v1/embeddings",
            ):
                status, _fields, answer = await ask(plane, path, {"model": "up/m", "input": ["a", "b"]})
                assert (status, answer["model"]) == (200, "up/m")
            status, _fields, answer = await ask(plane, "/v1/providers/up/embeddings", {"model": "m", "input": "a"})
            assert (status, answer["model"]) == (200, "up/m")
            assert {seen.path for seen in upstream.requests} == {"/v1/embeddings"}

    asyncio.run(main())


def test_ollama_clients_have_their_own_endpoints_and_errors() -> None:
    async def main() -> None:
        async with served(listed) as (plane, _):
            status, _fields, answer = await ask(plane, "/api/embed", {"model": "up/m", "input": ["a", "b"]})
            assert (status, answer["embeddings"], answer["prompt_eval_count"]) == (200, VECTORS, 4)
            status, _fields, answer = await ask(plane, "/api/embeddings", {"model": "up/m", "prompt": "a"})
            assert (status, answer) == (200, {"embedding": VECTORS[0]})
            status, _fields, answer = await ask(plane, "/api/embed", {"model": "zzz", "input": "a"})
            assert (status, answer) == (400, {"error": "Invalid embedding model: zzz. Use format: provider/model"})

    asyncio.run(main())


@pytest.mark.parametrize("codec", ["openai", "gemini"])
def test_gemini_clients_have_their_own_endpoints_and_errors(codec: str) -> None:
    async def main() -> None:
        async with served(ANSWERS[codec], codec=codec) as (plane, upstream):
            texts = [{"model": "models/up/m", "content": {"parts": [{"text": text}]}} for text in "ab"]
            status, _fields, answer = await ask(plane, "/v1beta/models/up/m:batchEmbedContents", {"requests": texts})
            assert (status, answer["embeddings"]) == (200, [{"values": vector} for vector in VECTORS])
            assert upstream.requests[0].path == PATHS.get(codec, "/v1/embeddings")
            status, _fields, answer = await ask(plane, "/v1beta/models/up/m:embedContent", {})
            told = answer["error"]
            assert (status, told["status"], told["message"]) == (400, "INVALID_ARGUMENT", "Missing content")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        ({"error": {"message": "No provider answered", "code": 404}}, 404, "No provider answered"),
        ({"detail": "The key has expired"}, 502, "The key has expired"),
        ({"object": "list"}, 502, "could not be read"),
    ],
)
def test_an_error_with_a_success_status_keeps_its_message(answer: Any, status: int, text: str) -> None:
    async def main() -> None:
        async with served(said(answer)) as (plane, _):
            got, _fields, body = await ask(plane, "/v1/embeddings", {"model": "up/m", "input": "a"})
            assert (got, text in body["error"]["message"]) == (status, True)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("status", "text", "chat"),
    [
        (403, "You are not allowed to generate embeddings from this model", 200),
        (404, "No such model", 200),
        (501, "This server embeds nothing", 200),
        (403, "Your credit is used up", 403),
        (401, "Bad key", 401),
    ],
)
def test_a_model_that_cannot_embed_may_still_chat(status: int, text: str, chat: int) -> None:
    async def main() -> None:
        refusal = said({"error": {"message": text}}, status)
        async with served(refusal, said(json.loads(CHAT.whole))) as (plane, upstream):
            for _ in range(2):  # the second time nobody is asked
                assert (await ask(plane, "/v1/embeddings", {"model": "up/chatty", "input": "x"}))[0] == status
            assert len(upstream.requests) == 1
            assert (await ask(plane, "/v1/chat/completions", CHAT.ask("up/chatty")))[0] == chat

    asyncio.run(main())


def test_dropped_parameters_are_named_in_a_header() -> None:
    async def main() -> None:
        async with served(ANSWERS["cohere"], codec="cohere") as (plane, _):
            body = {"model": "up/m", "input": ["a", "b"], "user": "u", "odd": 1}
            _status, fields, _answer = await ask(plane, "/v1/embeddings", body)
            assert fields["x-omniroute-dropped"] == "odd, user"
            status, _fields, answer = await ask(plane, "/v1/embeddings", {"model": "up/m", "input": [1, 2]})
            assert status == 400
            assert "token ids" in answer["error"]["message"]

    asyncio.run(main())


def test_documents_are_ranked_and_the_searches_counted() -> None:
    async def main() -> None:
        results = [{"index": 0, "relevance_score": 0.1}, {"index": 1, "relevance_score": 0.9}]
        answer = said({"id": "r", "results": results, "meta": {"billed_units": {"search_units": 1}}})
        models = {"m": Model("m", kind="rerank", price=Price(per_search=0.002))}
        async with ScriptedUpstream(answer) as upstream:
            made = provider(CHAT, f"{upstream.url}/v1", models=models, media={"rerank": Served("cohere")})
            async with data_plane(snapshot(made, accounts("key-1"))) as plane:
                body = {"model": "up/m", "query": "q", "documents": ["a", "b"], "top_n": 1}
                status, _fields, got = await ask(plane, "/v1/rerank", body)
                assert (status, got["results"]) == (200, [{"index": 1, "relevance_score": 0.9}])
                assert upstream.requests[0].path == "/v1/rerank"
                assert plane.records[0].cost == pytest.approx(0.002)
                assert plane.records[0].tokens_in is None

    asyncio.run(main())


def test_the_openai_package_moderates_with_the_default_model() -> None:
    async def main() -> None:
        categories = {"violence": False}
        result = {"flagged": False, "categories": categories, "category_scores": {"violence": 0.1}}
        answer = said({"id": "modr-1", "model": "omni-moderation-2024-09-26", "results": [result]})
        async with served(answer, operation="moderations") as (plane, upstream):
            async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{plane.port}/v1", api_key="x", max_retries=0) as sdk:
                got = await sdk.moderations.create(input="hello")
            assert got.results[0].flagged is False
            assert json.loads(upstream.requests[0].body) == {"input": "hello", "model": "omni-moderation-latest"}

    asyncio.run(main())


def test_the_models_for_embeddings_are_listed_with_their_size() -> None:
    async def main() -> None:
        async with served(listed) as (plane, _):
            status, _fields, answer = await ask(plane, "/v1/embeddings", b"", "GET")
            (entry,) = answer["data"]
            assert (status, entry["id"], entry["type"], entry["dimensions"]) == (200, "up/m", "embedding", 2)

    asyncio.run(main())


def test_a_client_that_leaves_takes_the_call_upstream_with_it() -> None:
    async def main() -> None:
        async with served(Answer(200, [HANG], length=10)) as (plane, upstream):
            call = asyncio.ensure_future(ask(plane, "/v1/embeddings", {"model": "up/m", "input": "a"}))
            seen = await upstream.arrived(1)
            call.cancel()
            await asyncio.wait_for(seen.gone.wait(), 5)
            await until(lambda: bool(plane.records))
            assert plane.records[0].status == 499

    asyncio.run(main())


def test_missing_usage_is_estimated_and_marked_so() -> None:
    async def main() -> None:
        async with served(said({"embedding": {"values": [1, 2]}}), codec="gemini") as (plane, _):
            _status, fields, answer = await ask(plane, "/v1/embeddings", {"model": "up/m", "input": "12345678"})
            assert answer["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
            assert fields["x-omniroute-estimated"] == "true"
            assert plane.records[0].estimated

    asyncio.run(main())


def test_a_combo_of_embedding_models_falls_back_from_one_vendor_to_the_next() -> None:
    async def main() -> None:
        refusal = said({"error": {"message": "broken"}}, 500)
        combo = Combo("c", "both", (ComboEntry("up/m"), ComboEntry("down/m")), config={"maxRetries": 0})
        async with ScriptedUpstream(refusal) as first, ScriptedUpstream(ANSWERS["ollama"]) as second:
            up = provider(CHAT, f"{first.url}/v1", models=MODELS, media={"embeddings": Served("openai")})
            down = replace(up, id="node-down", prefix="down", base_url=second.url, media={"embeddings": Served("ollama")})
            (account,) = accounts("key-1")
            state = Snapshot(
                providers={"node-up": up, "node-down": down},
                prefixes={"up": "node-up", "down": "node-down"},
                connections={"node-up": (account,), "node-down": (replace(account, id="c2", provider="node-down"),)},
                combos={"both": combo},
            )
            async with data_plane(state) as plane:
                status, fields, answer = await ask(plane, "/v1/embeddings", {"model": "both", "input": ["a", "b"]})
                assert (status, [item["embedding"] for item in answer["data"]]) == (200, VECTORS)
                assert fields["x-omniroute-route"].startswith("down/acct-1")
                assert second.requests[0].path == "/api/embed"
                assert plane.records[0].combo == "both"

    asyncio.run(main())
