from __future__ import annotations

import pytest

from omniroute.errors import OmniError
from omniroute.gateway.auth import authenticate, check_model, digest, find, model_allowed, presented_key
from omniroute.gateway.routes import DataRoute, chat
from omniroute.gateway.snapshot import GatewayKey, Snapshot
from omniroute.proto.exchange import Request
from omniroute.upstream.providers import Provider

SECRET = b"s" * 32


def snapshot(**changes: object) -> Snapshot:
    key = GatewayKey("id", "name", digest(SECRET, "sk-good"), **changes)  # type: ignore[arg-type]
    return Snapshot(key_secret=SECRET, keys={key.digest: key})


def request(*headers: tuple[bytes, bytes], query: str = "", wire: str = "anthropic") -> Request:
    made = Request("POST", "/v1/messages", query, list(headers))
    made.route = DataRoute("POST", "/v1/messages", chat, wire)
    return made


@pytest.mark.parametrize(
    "sent",
    [
        request((b"authorization", b"Bearer sk-good")),
        request((b"authorization", b"bearer   sk-good")),
        request((b"x-api-key", b"sk-good")),
        request((b"x-goog-api-key", b" sk-good ")),
        request(query="alt=sse&key=sk-good", wire="gemini"),
        request((b"x-api-key", b"other"), (b"authorization", b"Bearer sk-good")),
    ],
)
def test_a_key_is_found_wherever_a_client_puts_it(sent: Request) -> None:
    key = authenticate(snapshot(), sent, 0.0, required=True)
    assert key is not None
    assert key.id == "id"


def test_a_key_in_the_address_counts_on_geminis_paths_only() -> None:
    assert presented_key(request(query="key=sk-good")) == ""


def test_no_key_and_wrong_key_are_told_apart_only_when_one_is_required() -> None:
    with pytest.raises(OmniError, match="Missing API key") as missing:
        authenticate(snapshot(), request(), 0.0, required=True)
    assert missing.value.status == 401
    with pytest.raises(OmniError, match="Invalid API key"):
        authenticate(snapshot(), request((b"x-api-key", b"sk-bad")), 0.0, required=True)
    assert authenticate(snapshot(), request(), 0.0, required=False) is None
    assert authenticate(snapshot(), request((b"x-api-key", b"sk-bad")), 0.0, required=False) is None


def test_a_known_key_is_applied_even_where_none_is_required() -> None:
    with pytest.raises(OmniError, match="expired"):
        authenticate(snapshot(expires_at=5.0), request((b"x-api-key", b"sk-good")), 6.0, required=False)
    with pytest.raises(OmniError, match="scope"):
        authenticate(snapshot(scopes=frozenset({"manage"})), request((b"x-api-key", b"sk-good")), 0.0, required=False)


def test_basic_authorization_is_not_a_key() -> None:
    assert presented_key(request((b"authorization", b"Basic c2s="))) == ""


def test_lookup_needs_the_right_secret_and_survives_odd_bytes() -> None:
    assert find(snapshot(), "sk-good") is not None
    assert find(Snapshot(key_secret=b"other", keys=snapshot().keys), "sk-good") is None
    assert find(snapshot(), presented_key(request((b"x-api-key", b"\xff\xfe")))) is None


@pytest.mark.parametrize(
    ("patterns", "name", "allowed"),
    [
        ((), "anything", True),
        (("openai/gpt-4o",), "openai/gpt-4o", True),
        (("openai/gpt-4o",), "openai/gpt-4o-mini", False),
        (("openai/*",), "openai/gpt-4o", True),
        (("openai/*",), "openai-x/gpt-4o", False),
        (("*",), "x", True),
        (("*/gpt-*-mini",), "openai/gpt-4o-mini", True),
        (("*/gpt-*-mini",), "openai/gpt-4o", False),
        (("ab*ba",), "aba", False),
    ],
)
def test_allowed_models_are_anchored_patterns(patterns: tuple[str, ...], name: str, allowed: bool) -> None:
    assert model_allowed(patterns, name) is allowed


def test_a_restricted_key_gets_its_models_by_any_of_their_names() -> None:
    up = Provider("node-1", "up", "Up", "openai-chat", "http://x")
    key = GatewayKey("k", "k", b"", allowed_models=("up/small", "big"))
    check_model(None, "x", up, "x")
    check_model(GatewayKey("k", "k", b""), "x", up, "x")
    check_model(key, "small", up, "small")
    check_model(key, "big", up, "other")
    with pytest.raises(OmniError) as caught:
        check_model(key, "up/large", up, "large")
    assert (caught.value.status, caught.value.param) == (403, "model")
