from __future__ import annotations

import asyncio

import pytest
from data_plane import JSON, MODEL
from fakes_gateway import exchange, fake_gateway, one_provider
from wires import CHAT, SAID, WIRES

from omniroute.gateway.routes import DATA_ROUTES, DataPlane
from omniroute.proto.routes import RouteTable

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
    ],
)
def test_the_path_alone_decides_the_wire(method: str, path: str, wire: str) -> None:
    found = TABLE.find(path)
    assert found is not None
    assert found[0][method].wire == wire


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
