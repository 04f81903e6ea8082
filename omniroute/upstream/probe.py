"""Tests keys and lists models at a provider.

Which request tests a key is data (``Provider.check``, the wire).  ``verdict.py`` decides what the response means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import orjson
from msgspec import Struct

from ..clock import Clock
from ..errors import OmniError
from ..proto.headers import Headers
from ..proto.proxy import Proxy
from ..proto.transport import TransportError
from .base_url import base_url_of
from .credentials import auth_headers, call_headers, needs_secret
from .endpoints import CHAT_OPERATION, Endpoint, beside, endpoint
from .fetcher import Fetcher, Through
from .listing import PAGES, first_page, items_of, next_page, static_models
from .providers import Model, Provider
from .verdict import Diagnosis, Question, Reply, headline, judge, read_reply, short

TIMEOUT: Final = 15.0  # seconds, for one validation or one listing as a whole
ANSWER_LIMIT: Final = 16 * 1024 * 1024  # bytes; the longest known model list has 2 MB
_JSON: Final = [(b"accept", b"application/json"), (b"user-agent", b"omniroute")]


class Validation(Struct, frozen=True):
    """The outcome of one key test.  ``status`` is the upstream's HTTP status, None when there was no answer."""

    valid: bool
    error: str | None
    status: int | None
    latency_ms: int
    diagnosis: Diagnosis


class Prober:
    """Validates keys and lists models.  ``timeout`` is in seconds."""

    def __init__(self, client: Fetcher, clock: Clock, *, timeout: float = TIMEOUT) -> None:
        self._client = client
        self._clock = clock
        self._timeout = timeout

    def by(self, proxy: Proxy) -> Prober:
        """This prober with *proxy* for all its requests."""
        return Prober(Through(self._client, proxy), self._clock, timeout=self._timeout)

    async def validate(
        self, provider: Provider, secret: str, base_url: str = "", data: Mapping[str, Any] | None = None
    ) -> Validation:
        """Test the key with the cheapest request that the provider offers.  A failure is returned, never raised."""
        began = self._clock.monotonic()
        secret = secret.strip()
        status, diagnosis = await self._diagnose(provider, secret, base_url, data)
        valid = diagnosis.type in ("ok", "upstream_rate_limited")
        return Validation(
            valid=valid,
            error=None if valid else headline(diagnosis),
            status=status,
            latency_ms=round((self._clock.monotonic() - began) * 1000),
            diagnosis=diagnosis,
        )

    async def _diagnose(
        self, provider: Provider, secret: str, base_url: str, data: Mapping[str, Any] | None
    ) -> tuple[int | None, Diagnosis]:
        if not secret and needs_secret(provider):
            return None, Diagnosis("auth_missing", "local", f"{provider.name} needs an API key", "missing_key")
        try:
            base = base_url_of(provider, base_url, data)
            if not base:
                return None, Diagnosis("ok", "local", "Served inside the gateway")
            questions = _questions(provider, base)
            headers = _headers(provider, secret)
        except OmniError as error:
            return None, Diagnosis("runtime_error", "validation", error.message, error.kind)
        if not questions:
            return None, Diagnosis("unsupported", "validation", "Provider validation not supported", "unsupported")
        try:
            async with asyncio.timeout(self._timeout):
                return await self._ask(questions, headers, secret)
        except TimeoutError:
            return None, Diagnosis("network_error", "upstream", f"No answer within {self._timeout:g} seconds", "timeout")
        except TransportError as error:
            return None, Diagnosis(
                "network_error", "upstream", _network_text(questions[0].place, error, secret), error.reason
            )
        except OmniError as error:
            return None, Diagnosis("upstream_error", "upstream", short(error.message, secret), error.kind)

    async def _ask(self, questions: list[Question], headers: Headers, secret: str) -> tuple[int, Diagnosis]:
        reply, diagnosis = None, None
        for question in questions:
            reply = await self._fetch(question, headers)
            diagnosis = judge(reply, question, secret)
            if diagnosis is not None:
                break
        assert reply is not None
        assert diagnosis is not None
        return reply.status, diagnosis

    async def _fetch(self, question: Question, headers: Headers) -> Reply:
        place = question.place
        fields = [*_JSON, *headers]
        if question.body:
            fields.append((b"content-type", b"application/json"))
        status, _, body = await self._client.fetch(
            place.origin, question.method, place.path, fields, question.body, limit=ANSWER_LIMIT
        )
        return read_reply(status, body)

    async def list_models(
        self, provider: Provider, secret: str, base_url: str = "", data: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """The items of the upstream's model list, each with an ``id``, or the catalogue's when the provider has no list.

        Raises ``OmniError``: ``unauthenticated`` without a key, ``invalid_request`` when there is nothing to list, otherwise
        one of the ``upstream_…`` kinds with the upstream's status.
        """
        if not provider.lists_models:
            return static_models(provider)
        secret = secret.strip()
        if not secret and needs_secret(provider):
            raise OmniError("unauthenticated", "No valid token found")
        place = endpoint(provider, base_url_of(provider, base_url, data), "models")
        try:
            async with asyncio.timeout(self._timeout):
                return await self._pages(provider, place, _headers(provider, secret))
        except TimeoutError:
            raise OmniError("upstream_timeout", f"Failed to fetch models: no answer within {self._timeout:g} s") from None
        except TransportError as error:
            raise OmniError("upstream_network", f"Failed to fetch models: {_network_text(place, error, secret)}") from None

    async def _pages(self, provider: Provider, place: Endpoint, headers: Headers) -> list[dict[str, Any]]:
        models: dict[str, dict[str, Any]] = {}
        page: Endpoint | None = first_page(provider, place)
        for _ in range(PAGES):
            if page is None:
                break
            reply = await self._fetch(Question("GET", page), headers)
            before = len(models)
            for item in items_of(reply):
                models.setdefault(item["id"], item)
            page = next_page(provider, place, reply) if len(models) > before else None
        return list(models.values())


# -- test requests


def _questions(provider: Provider, base_url: str) -> list[Question]:
    check = provider.check
    if provider.wire and "{" not in provider.base_url and base_url != provider.base_url:
        check = "models"  # not the vendor's server: the vendor's own paths need not exist there
    if check == "chat":
        return [_chat_question(provider, base_url)]
    if check == "embeddings":
        return [_embedding_question(provider, base_url)]
    if check != "models":
        return [Question("GET", beside(base_url, check))]
    if not provider.wire:
        return []
    if provider.wire == "anthropic" and not provider.node:
        return [_chat_question(provider, base_url)]
    place = endpoint(provider, base_url, "models")
    if provider.wire in ("gemini", "ollama"):
        return [Question("GET", place)]
    return [Question("GET", place, open=True), _chat_question(provider, base_url)]


def _chat_question(provider: Provider, base_url: str) -> Question:
    """A chat request for one token.  The model need not exist, because providers check the key first."""
    model = _cheapest(provider, "chat")
    hello = [{"role": "user", "content": "hi"}]
    limit = "max_completion_tokens" if "max_completion_tokens" in provider.quirks else "max_tokens"
    bodies: dict[str, dict[str, Any]] = {
        "openai-chat": {"model": model, "messages": hello, limit: 1},
        "openai-responses": {"model": model, "input": "hi", "max_output_tokens": 16, "store": False},
        "anthropic": {"model": model, "max_tokens": 1, "messages": hello},
        "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "generationConfig": {"maxOutputTokens": 1}},
        "ollama": {"model": model, "messages": hello, "stream": False, "options": {"num_predict": 1}},
    }
    place = endpoint(provider, base_url, CHAT_OPERATION[provider.wire], model)
    return Question("POST", place, orjson.dumps(bodies[provider.wire]))


def _embedding_question(provider: Provider, base_url: str) -> Question:
    body = {"model": _cheapest(provider, "embedding"), "input": ["hi"]}
    return Question("POST", endpoint(provider, base_url, "embeddings"), orjson.dumps(body))


def _cheapest(provider: Provider, kind: str) -> str:
    def price(model: Model) -> float:
        return model.price.input if model.price and model.price.input is not None else float("inf")

    fitting = [model for model in provider.models.values() if model.kind == kind and not model.wire]
    return min(fitting, key=price).id if fitting else "probe"


def _headers(provider: Provider, secret: str) -> Headers:
    headers = call_headers(provider, secret)
    if provider.node and provider.wire == "anthropic" and provider.auth == "x-api-key":
        # some compatible servers read x-api-key, others Authorization: send both
        headers += [(b"authorization", b"Bearer " + value) for _, value in auth_headers(provider, secret)]
    return headers


def _network_text(place: Endpoint, error: TransportError, secret: str) -> str:
    return short(f"Could not reach {place.host}: {error}", secret)
