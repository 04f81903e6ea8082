"""Key tests and model lists against a client that answers from a script."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from fakes import FakeClock

from omniroute.errors import OmniError
from omniroute.proto.proxy import Proxy
from omniroute.proto.transport import Origin, TransportError
from omniroute.upstream.catalog import load_catalog
from omniroute.upstream.credentials import with_login
from omniroute.upstream.probe import Prober, Validation
from omniroute.upstream.providers import Provider, node_provider

PROVIDERS = load_catalog().providers
KEY = "sk-very-secret-0123456789"
HTML = b"<!doctype html><title>nginx</title>"
Answer = tuple[int, bytes] | Exception | float  # a float hangs


class Call:
    def __init__(self, origin: Any, method: str, path: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.origin, self.method, self.path, self.headers, self.body = origin[:3], method, path, dict(headers), body


class ScriptedClient:
    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.calls: list[Call] = []
        self.clock = FakeClock()

    async def fetch(
        self, origin: Any, method: str, path: bytes, headers: list[tuple[bytes, bytes]], body: bytes = b"", *, limit: int
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        assert limit > 0
        self.calls.append(Call(origin, method, path, headers, body))
        self.clock.advance(0.25)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, float):
            await asyncio.Event().wait()
            raise AssertionError
        return answer[0], [], answer[1]


def json(status: int, data: Any) -> tuple[int, bytes]:
    return status, orjson.dumps(data)


def validate(provider: Provider, *answers: Answer, secret: str = KEY, **more: Any) -> tuple[Validation, list[Call]]:
    client = ScriptedClient(*answers)
    prober = Prober(client, client.clock, timeout=0.01 if float in map(type, answers) else 15.0)
    result = asyncio.run(prober.validate(provider, secret, **more))
    assert not client.answers, "not every scripted answer was asked for"
    assert KEY not in repr(result)
    return result, client.calls


def models(provider: Provider, *answers: Answer, secret: str = KEY, **more: Any) -> tuple[list[dict[str, Any]], list[Call]]:
    client = ScriptedClient(*answers)
    prober = Prober(client, client.clock, timeout=0.01 if float in map(type, answers) else 15.0)
    return asyncio.run(prober.list_models(provider, secret, **more)), client.calls


# -- key tests


def test_a_good_openai_key_is_known_from_the_model_list() -> None:
    result, calls = validate(PROVIDERS["openai"], json(200, {"data": []}))
    assert (result.valid, result.error, result.status, result.latency_ms) == (True, None, 200, 250)
    assert (result.diagnosis.type, result.diagnosis.source) == ("ok", "upstream")
    assert [(c.origin, c.method, c.path) for c in calls] == [(("https", "api.openai.com", 443), "GET", b"/v1/models")]
    assert calls[0].headers[b"authorization"] == b"Bearer " + KEY.encode()


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_invalid(status: int) -> None:
    said = {"error": {"message": f"Incorrect API key provided: {KEY}.", "type": "invalid_request_error"}}
    result, _ = validate(PROVIDERS["openai"], json(status, said))
    assert (result.valid, result.error, result.status) == (False, "Invalid API key", status)
    assert result.diagnosis.type == "upstream_auth_error"
    assert result.diagnosis.message == "Incorrect API key provided: [key]."
    assert result.diagnosis.code == str(status)


@pytest.mark.parametrize("first", [(404, b"{}"), (500, b"oops"), (200, HTML), (429, b"{}"), (302, b"")])
@pytest.mark.parametrize(
    ("second", "valid", "diagnosis"),
    [
        (json(200, {"choices": []}), True, "ok"),
        (json(400, {"error": {"message": "max_tokens is too small"}}), True, "ok"),
        (json(422, {"detail": [{"msg": "nope"}]}), True, "ok"),
        (json(404, {"error": {"message": "The model `probe` does not exist"}}), True, "ok"),
        (json(402, {"error": {"message": "Insufficient balance"}}), True, "ok"),
        (json(429, {"error": {"message": "slow down"}}), True, "upstream_rate_limited"),
        (json(401, {"error": "bad key"}), False, "upstream_auth_error"),
        (json(403, {}), False, "upstream_auth_error"),
        (json(400, {"error": "Incorrect API key provided: xa***yz"}), False, "upstream_auth_error"),
        (json(503, {"error": {"message": "overloaded"}}), False, "upstream_unavailable"),
        ((502, HTML), False, "upstream_unavailable"),
        ((404, HTML), False, "upstream_error"),
        (json(404, {"detail": "Not Found"}), False, "upstream_error"),
        ((404, b""), False, "upstream_error"),
        ((200, HTML), False, "upstream_error"),
        ((200, b'{"choices": ['), False, "upstream_error"),
        ((301, b""), False, "upstream_error"),
    ],
)
def test_without_a_model_list_a_chat_of_one_token_tells(
    first: tuple[int, bytes], second: tuple[int, bytes], valid: bool, diagnosis: str
) -> None:
    result, calls = validate(PROVIDERS["deepseek"], first, second)
    assert (result.valid, result.diagnosis.type) == (valid, diagnosis)
    assert (result.error is None) == valid
    assert result.status == second[0]
    assert (calls[1].method, calls[1].path) == ("POST", b"/v1/chat/completions")
    assert calls[1].headers[b"content-type"] == b"application/json"
    assert orjson.loads(calls[1].body)["max_tokens"] == 1


def test_the_limit_is_named_as_the_provider_wants_it() -> None:
    _, calls = validate(PROVIDERS["openai"], (404, b""), json(200, {}))
    assert orjson.loads(calls[1].body)["max_completion_tokens"] == 1


def test_anthropic_is_asked_for_one_token_of_its_cheapest_model() -> None:
    result, calls = validate(PROVIDERS["anthropic"], json(400, {"type": "error", "error": {"message": "credit too low"}}))
    assert result.valid
    assert calls[0].path == b"/v1/messages"
    assert calls[0].headers[b"x-api-key"] == KEY.encode()
    assert calls[0].headers[b"anthropic-version"] == b"2023-06-01"
    body = orjson.loads(calls[0].body)
    assert body["max_tokens"] == 1
    assert body["model"] in PROVIDERS["anthropic"].models


def test_gemini_says_400_for_a_bad_key() -> None:
    said = {
        "error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}
    }
    result, calls = validate(PROVIDERS["gemini"], json(400, said))
    assert (result.valid, result.error, result.diagnosis.type) == (False, "Invalid API key", "upstream_auth_error")
    assert calls[0].path == b"/v1beta/models"
    assert KEY.encode() not in calls[0].path
    assert calls[0].headers[b"x-goog-api-key"] == KEY.encode()


@pytest.mark.parametrize(
    ("provider_id", "method", "host", "path", "field", "before"),
    [
        ("deepgram", "GET", "api.deepgram.com", b"/v1/projects", b"authorization", b"Token "),
        ("assemblyai", "GET", "api.assemblyai.com", b"/v2/transcript?limit=1", b"authorization", b""),
        ("nanobanana", "GET", "api.nanobananaapi.ai", b"/api/v1/common/credit", b"authorization", b"Bearer "),
        ("openrouter", "GET", "openrouter.ai", b"/api/v1/key", b"authorization", b"Bearer "),
        ("perplexity", "POST", "api.perplexity.ai", b"/chat/completions", b"authorization", b"Bearer "),
        ("voyage", "POST", "api.voyageai.com", b"/v1/embeddings", b"authorization", b"Bearer "),
        ("cohere", "GET", "api.cohere.ai", b"/v1/models?page_size=1000", b"authorization", b"Bearer "),
    ],
)
def test_vendors_with_their_own_cheap_question(
    provider_id: str, method: str, host: str, path: bytes, field: bytes, before: bytes
) -> None:
    result, calls = validate(PROVIDERS[provider_id], json(200, {}))
    assert result.valid
    assert (calls[0].method, calls[0].origin, calls[0].path) == (method, ("https", host, 443), path)
    assert calls[0].headers[field] == before + KEY.encode()


def test_one_vendor_refuses_keys_with_200() -> None:
    result, _ = validate(PROVIDERS["nanobanana"], json(200, {"code": 401, "msg": "You do not have access"}))
    assert (result.valid, result.error, result.diagnosis.message) == (False, "Invalid API key", "You do not have access")


def test_a_vendors_own_question_is_not_put_to_somebody_elses_server() -> None:
    _, calls = validate(PROVIDERS["openrouter"], json(200, {"data": []}), base_url="http://127.0.0.1:9/v1")
    assert (calls[0].origin, calls[0].path) == (("http", "127.0.0.1", 9), b"/v1/models")


def test_an_anthropic_node_gets_the_key_in_both_fields() -> None:
    node = node_provider("n", "anthropic-compatible", "N", "n", "http://127.0.0.1:9/v1/messages")
    result, calls = validate(node, json(200, {"data": []}))
    assert result.valid
    assert calls[0].path == b"/v1/models"
    assert calls[0].headers[b"x-api-key"] == KEY.encode()
    assert calls[0].headers[b"authorization"] == b"Bearer " + KEY.encode()


def test_an_access_token_of_an_anthropic_node_is_sent_once() -> None:
    node = node_provider("n", "anthropic-compatible", "N", "n", "http://127.0.0.1:9/v1")
    _, calls = validate(with_login(node, "oauth"), json(200, {"data": []}))
    assert calls[0].headers[b"authorization"] == b"Bearer " + KEY.encode()


@pytest.mark.parametrize(
    ("node_type", "api_type", "answers", "path"),
    [
        ("openai-compatible", "chat", 2, b"/chat/completions"),
        ("openai-compatible", "responses", 2, b"/responses"),
        ("anthropic-compatible", None, 2, b"/messages"),
        ("gemini-compatible", None, 1, b"/models"),
        ("ollama-compatible", None, 1, b"/api/tags"),
    ],
)
def test_open_nodes_need_no_key(node_type: str, api_type: str | None, answers: int, path: bytes) -> None:
    node = node_provider("n", node_type, "N", "n", "http://127.0.0.1:9/b", api_type)
    script = [(404, b"")] * (answers - 1) + [json(200, {})]
    result, calls = validate(node, *script, secret="")
    assert result.valid
    assert calls[-1].path == b"/b" + path
    assert b"authorization" not in calls[-1].headers


@pytest.mark.parametrize(
    ("status", "body", "diagnosis", "text"),
    [
        (404, b"", "upstream_error", "There is no such API at this address (404). Check the base URL"),
        (500, b"", "upstream_unavailable", "The provider is unavailable (500)"),
        (400, b'{"error":{"message":"bad\\n page  size"}}', "upstream_error", "bad page size"),
        (418, b"{}", "upstream_error", "The provider answered 418"),
        (200, HTML, "upstream_error", "The answer is not JSON. Check the base URL"),
        (307, b"", "upstream_error", "The address redirects elsewhere. Check the base URL"),
    ],
)
def test_a_failed_check_says_what_happened_and_what_to_do(status: int, body: bytes, diagnosis: str, text: str) -> None:
    result, _ = validate(PROVIDERS["gemini"], (status, body))
    assert (result.valid, result.diagnosis.type, result.error) == (False, diagnosis, text)


def test_a_prober_with_a_proxy_sends_every_request_through_it() -> None:
    asked: list[Origin] = []

    class Client:
        async def fetch(self, origin: Origin, *_: Any, limit: int) -> tuple[int, list[Any], bytes]:
            asked.append(origin)
            return 200, [], b'{"data": []}'

    proxy = Proxy("http", "p.test", 3128)
    prober = Prober(Client(), FakeClock()).by(proxy)  # type: ignore[arg-type]
    assert asyncio.run(prober.validate(PROVIDERS["openai"], KEY)).valid
    assert [origin.via for origin in asked] == [proxy]


def test_long_upstream_texts_are_cut() -> None:
    result, _ = validate(PROVIDERS["gemini"], json(500, {"error": {"message": "x" * 5000}}))
    assert result.error is not None
    assert len(result.error) == 200


@pytest.mark.parametrize("data", [[], [1], {"error": []}, {"error": {"message": 5}}, "text", 7, None])
def test_odd_error_bodies_do_no_harm(data: Any) -> None:
    result, _ = validate(PROVIDERS["gemini"], json(500, data))
    assert result.error == "The provider is unavailable (500)"


def test_an_unreachable_host_is_a_network_error() -> None:
    result, _ = validate(PROVIDERS["openai"], TransportError("refused", f"no luck with {KEY}"))
    assert (result.valid, result.status, result.diagnosis.type, result.diagnosis.code) == (
        False,
        None,
        "network_error",
        "refused",
    )
    assert result.error is not None
    assert result.error.startswith("Could not reach api.openai.com: ")


def test_silence_is_a_network_error() -> None:
    result, _ = validate(PROVIDERS["openai"], 1e9)
    assert (result.diagnosis.type, result.diagnosis.code) == ("network_error", "timeout")


def test_an_answer_over_the_limit_is_an_upstream_error() -> None:
    result, _ = validate(PROVIDERS["openai"], OmniError("upstream_answer", "The answer is too long"))
    assert (result.diagnosis.type, result.error) == ("upstream_error", "The answer is too long")


@pytest.mark.parametrize(
    ("provider_id", "secret", "diagnosis", "text"),
    [
        ("openai", " ", "auth_missing", "OpenAI needs an API key"),
        ("azure-openai", KEY, "runtime_error", 'Azure OpenAI needs "resource" in providerSpecificData'),
        ("openai", "a\r\nb", "runtime_error", "The API key contains characters that cannot be sent"),
    ],
)
def test_what_cannot_be_asked_is_said_without_asking(provider_id: str, secret: str, diagnosis: str, text: str) -> None:
    result, calls = validate(PROVIDERS[provider_id], secret=secret)
    assert not calls
    assert (result.valid, result.error, result.diagnosis.type) == (False, text, diagnosis)


def test_the_offline_provider_is_always_well() -> None:
    result, calls = validate(PROVIDERS["demo"], secret="")
    assert not calls
    assert (result.valid, result.diagnosis.source) == (True, "local")


def test_a_provider_without_any_question_is_unsupported() -> None:
    result, _ = validate(Provider("p", "p", "P", "", "https://p.example"))
    assert (result.diagnosis.type, result.error) == ("unsupported", "Provider validation not supported")


@pytest.mark.parametrize("provider_id", [p.id for p in PROVIDERS.values() if p.base_url])
def test_every_built_in_provider_can_be_validated(provider_id: str) -> None:
    data = {"resource": "r", "account": "a"}
    result, calls = validate(PROVIDERS[provider_id], json(200, {}), data=data)
    assert result.valid
    assert len(calls) == 1


# -- model lists


@pytest.mark.parametrize(
    ("data", "ids"),
    [
        ({"object": "list", "data": [{"id": "a", "owned_by": "x"}, {"id": "b"}]}, ["a", "b"]),
        ([{"id": "a"}], ["a"]),
        ({"models": [{"name": "models/a"}, {"model": "b"}]}, ["a", "b"]),
        ({"result": [{"name": "@cf/x/y"}], "success": True}, ["@cf/x/y"]),
        ({"data": ["a", "a", "b"]}, ["a", "b"]),
        ({"data": [None, 5, {}, {"id": 7}, {"id": "a"}]}, ["a"]),
        ({"data": []}, []),
    ],
)
def test_every_shape_of_model_list_is_read(data: Any, ids: list[str]) -> None:
    found, calls = models(PROVIDERS["openai"], json(200, data))
    assert [item["id"] for item in found] == ids
    assert (calls[0].method, calls[0].path) == ("GET", b"/v1/models")


def test_upstream_items_are_kept_whole() -> None:
    item = {"id": "a", "object": "model", "pricing": {"prompt": "0.1"}}
    found, _ = models(PROVIDERS["openai"], json(200, {"data": [item]}))
    assert found == [item]


def test_anthropic_lists_are_followed_by_last_id() -> None:
    first = {"data": [{"id": "a"}, {"id": "b/c"}], "has_more": True, "last_id": "b/c"}
    last = {"data": [{"id": "d"}], "has_more": False, "last_id": "d"}
    found, calls = models(PROVIDERS["anthropic"], json(200, first), json(200, last))
    assert [item["id"] for item in found] == ["a", "b/c", "d"]
    assert [c.path for c in calls] == [b"/v1/models?limit=1000", b"/v1/models?limit=1000&after_id=b%2Fc"]


def test_gemini_lists_are_followed_by_token() -> None:
    first = {"models": [{"name": "models/gemini-a", "inputTokenLimit": 5}], "nextPageToken": "t=1"}
    found, calls = models(PROVIDERS["gemini"], json(200, first), json(200, {"models": [{"name": "models/gemini-b"}]}))
    assert [item["id"] for item in found] == ["gemini-a", "gemini-b"]
    assert found[0]["name"] == "models/gemini-a"
    assert calls[1].path == b"/v1beta/models?pageSize=1000&pageToken=t%3D1"


def test_an_upstream_that_repeats_its_page_does_not_hold_us() -> None:
    page = json(200, {"data": [{"id": "a"}], "has_more": True, "last_id": "a"})
    found, calls = models(PROVIDERS["anthropic"], page, page)
    assert ([item["id"] for item in found], len(calls)) == (["a"], 2)


def test_an_endless_list_is_cut() -> None:
    pages = [json(200, {"data": [{"id": f"m{n}"}], "has_more": True, "last_id": f"m{n}"}) for n in range(25)]
    found, calls = models(PROVIDERS["anthropic"], *pages)
    assert (len(found), len(calls)) == (20, 20)


@pytest.mark.parametrize("provider_id", ["deepgram", "assemblyai", "perplexity", "nanobanana", "demo"])
def test_providers_without_a_list_answer_from_the_catalogue(provider_id: str) -> None:
    found, calls = models(PROVIDERS[provider_id], secret="")
    assert not calls
    assert {item["id"] for item in found} == set(PROVIDERS[provider_id].models)


@pytest.mark.parametrize(
    ("status", "kind", "shown"),
    [
        (401, "upstream_auth", 401),
        (403, "upstream_auth", 403),
        (404, "upstream_not_found", 404),
        (429, "upstream_rate_limit", 429),
        (418, "upstream_other", 418),
        (503, "upstream_server", 503),
        (302, "upstream_other", 502),
    ],
)
def test_a_refused_list_keeps_the_upstream_status(status: int, kind: str, shown: int) -> None:
    with pytest.raises(OmniError, match=f"Failed to fetch models: {status}") as caught:
        models(PROVIDERS["openai"], (status, b"{}"))
    assert (caught.value.kind, caught.value.status) == (kind, shown)


@pytest.mark.parametrize("body", [HTML, b"", b'{"data": [', b'{"data": 5}', b"7", b"\xff\xfe"])
def test_what_is_not_a_list_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(OmniError, match="not a model list") as caught:
        models(PROVIDERS["openai"], (200, body))
    assert caught.value.kind == "upstream_answer"


@pytest.mark.parametrize(
    ("provider", "answers", "secret", "kind", "text"),
    [
        (PROVIDERS["openai"], [], "", "unauthenticated", "No valid token found"),
        (
            PROVIDERS["openai"],
            [TransportError("reset", f"no luck with {KEY}")],
            KEY,
            "upstream_network",
            "Could not reach api.openai.com",
        ),
        (PROVIDERS["openai"], [1e9], KEY, "upstream_timeout", "no answer within"),
        (
            Provider("p", "p", "P", "", "https://p", lists_models=False),
            [],
            KEY,
            "invalid_request",
            "Provider p does not support",
        ),
        (PROVIDERS["cloudflare"], [], KEY, "invalid_request", 'needs "account"'),
    ],
)
def test_a_list_that_cannot_be_had_is_an_error_without_the_key(
    provider: Provider, answers: list[Answer], secret: str, kind: str, text: str
) -> None:
    with pytest.raises(OmniError, match=text) as caught:
        models(provider, *answers, secret=secret)
    assert caught.value.kind == kind
    assert KEY not in caught.value.message
