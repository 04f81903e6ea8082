from __future__ import annotations

import asyncio
import json

import pytest
from data_plane import JSON, MODEL
from fakes_exchange import FakeExchange
from fakes_gateway import exchange, fake_gateway, one_provider
from wires import CHAT, SAID, WIRES

from omniroute.gateway import auth, ollama
from omniroute.gateway.routes import DATA_ROUTES, DataPlane, DataRoute
from omniroute.gateway.snapshot import GatewayKey
from omniroute.proto.exchange import Request
from omniroute.proto.routes import RouteTable
from omniroute.upstream.providers import MEDIA

TABLE = RouteTable(DATA_ROUTES)


@pytest.mark.parametrize(
    ("method", "path", "wire"),
    [
        ("POST", "/v1/chat/completions", "openai-chat"),
        ("POST", "/chat/completions", "openai-chat"),
        ("POST", "/v1/v1/chat/completions", "openai-chat"),
        ("POST", "/api/v1/chat/completions", "openai-chat"),
        ("POST", "/v1/messages", "anthropic"),
        ("POST", "/messages", "anthropic"),
        ("POST", "/v1/v1/messages", "anthropic"),
        ("POST", "/v1/providers/up/chat/completions", "openai-chat"),
        ("POST", "/v1beta/models/up/m:generateContent", "gemini"),
        ("POST", "/v1/models/up/m:streamGenerateContent", "gemini"),
        ("POST", "/v1/models/up/m:countTokens", "gemini"),
        ("POST", "/v1beta/up/vendor/m:streamGenerateContent", "gemini"),
        ("POST", "/v1beta/models/up/m:embedContent", "gemini"),
        ("POST", "/openai/v1/chat/completions", "openai-chat"),
        ("POST", "/openai/v1/audio/transcriptions", "openai-chat"),
        ("GET", "/openai/v1/models", "openai-chat"),
    ],
)
def test_the_path_alone_decides_the_wire(method: str, path: str, wire: str) -> None:
    found = TABLE.find(path)
    assert found is not None
    assert found[0][method].wire == wire


@pytest.mark.parametrize("action", ["generateContent", "streamGenerateContent", "countTokens", "batchEmbedContents"])
@pytest.mark.parametrize("path", ["/v1beta/models/up/vendor/m", "/v1/models/up/vendor/m", "/v1beta/up/vendor/m"])
def test_gemini_models_are_the_same_with_and_without_their_collection(path: str, action: str) -> None:
    """The AI SDK and Google's older package send a name with a slash as it is."""
    found = TABLE.find(f"{path}:{action}")
    assert found is not None
    assert found[1] == {"model": "up/vendor/m"}


@pytest.mark.parametrize("path", ["/v1", "/v1/models", "/models", "/api/v1/models", "/v1/models/up/vendor/model"])
def test_models_are_where_clients_look_for_them(path: str) -> None:
    found = TABLE.find(path)
    assert found is not None
    assert "GET" in found[0]


@pytest.mark.parametrize(
    "path", ["/V1/messages", "/v1/messages/", "/v1/messages/x", "/v1/providers/chat/completions", "//v1/models", "/v1x"]
)
def test_whatever_is_not_in_the_table_is_not_there(path: str) -> None:
    assert TABLE.find(path) is None


def test_the_plane_serves_by_the_row() -> None:
    for wire in WIRES:
        gateway = fake_gateway(one_provider(wire), (200, JSON, wire.whole))
        made = exchange(wire, wire.ask(MODEL))
        found = TABLE.find(wire.path)
        assert found is not None
        made.request.route = found[0]["POST"]
        asyncio.run(DataPlane(gateway).handle(made))
        assert wire.text(made.text, False) == SAID


def test_the_provider_in_the_path_restricts_the_call() -> None:
    gateway = fake_gateway(one_provider(CHAT), (200, JSON, CHAT.whole))
    made = exchange(CHAT, CHAT.ask("m"), path="/v1/providers/up/chat/completions")
    found = TABLE.find(made.request.path)
    assert found is not None
    made.request.route, made.request.params = found[0]["POST"], found[1]
    asyncio.run(DataPlane(gateway).handle(made))
    assert made.status == 200
    assert made.header(b"x-omniroute-route") == b"up/acct-1; attempt=1/1"


# -- what a key may do, whatever it asks for

_SECRET = b"s" * 32
_FORM = b"".join(
    b'--X\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % part
    for part in ((b"model", b"", b"up/m"), (b"prompt", b"", b"x"), (b"image", b'; filename="a.png"', b"x"),
                 (b"file", b'; filename="a.wav"', b"x"))
) + b"--X--\r\n"  # fmt: skip
_BODY = {
    "model": "up/m", "messages": [{"role": "user", "content": "x"}], "input": "x", "prompt": "x", "query": "x",
    "max_tokens": 5, "documents": ["x"], "voice": "v", "contents": [{"parts": [{"text": "x"}]}],
    "content": {"parts": [{"text": "x"}]}, "requests": [{"content": {"parts": [{"text": "x"}]}}],
}  # fmt: skip
_ASKING = [row for row in DATA_ROUTES if row.method == "POST" and not row.path.startswith(("/api/v1", "/v1/v1"))]


async def _asked_with(row: DataRoute, key: GatewayKey) -> FakeExchange:
    """The answer to a caller with *key*; no provider can be reached."""
    about = {"models": {}, "extras": frozenset(MEDIA.values())}
    state = one_provider(CHAT, key_secret=_SECRET, keys={key.digest: key}, about=about)
    gateway = fake_gateway(state, AssertionError("a provider was asked"))
    kind = b"multipart/form-data; boundary=X" if row.stream_body else b"application/json"
    body = b"" if row.stream_body else json.dumps(_BODY).encode()
    request = Request("POST", row.path, "", [(b"content-type", kind), (b"x-api-key", b"sk-agent")], body)
    request.route, request.params = row, {"provider": "up", "model": "up/m"}
    if "{model*}" not in row.path:
        del request.params["model"]
    made = FakeExchange(request, [_FORM])
    await DataPlane(gateway).handle(made)
    return made


@pytest.mark.parametrize("row", _ASKING, ids=lambda row: row.path)
async def test_a_keys_end_scopes_and_models_hold_for_every_operation(row: DataRoute) -> None:
    digest = auth.digest(_SECRET, "sk-agent")
    assert (await _asked_with(row, GatewayKey("k", "k", digest, expires_at=1.0))).status == 401
    assert (await _asked_with(row, GatewayKey("k", "k", digest, scopes=frozenset({"manage"})))).status == 403
    refused = await _asked_with(row, GatewayKey("k", "k", digest, allowed_models=("up/other",)))
    if row.handler is ollama.show:  # as if there were no such model
        assert refused.status == 404
    else:
        assert (refused.status, b"not allowed for this API key" in refused.text) == (403, True)
