from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest
from data_plane import JSON
from fakes_gateway import FakeClient
from fakes_manage import Admin
from wires import CHAT

from omniroute.gateway.job import Gateway

PATH = "/api/combos"


def make(admin: Admin, name: str, *models: str, **more: Any) -> None:
    assert admin.send("POST", PATH, {"name": name, "models": [*models], **more}).status == 201


@pytest.fixture
def upstream(admin: Admin) -> FakeClient:
    """What the data plane asks; nodes ``one`` and ``two`` are there."""
    client = FakeClient(admin.clock)
    admin.services.gateway = Gateway(
        admin.live, cast(Any, client), admin.settings.limits, cast(Any, admin.clock), require_key=True
    )
    admin.store.on_publish = lambda snapshot: setattr(admin.live, "snapshot", snapshot)
    for prefix in ("one", "two"):
        admin.connection(admin.node(prefix), prefix)
    return client


def test_each_model_is_asked_alone(admin: Admin, upstream: FakeClient) -> None:
    make(admin, "inner", "two/m")
    make(admin, "x", "one/m", "gone/m", "inner", strategy="random", isActive=False)
    upstream.replies = [(503, JSON, CHAT.error("server_error", "Down")), (200, JSON, CHAT.whole)]
    answer = admin.send("POST", f"{PATH}/test", {"comboName": "x"})
    assert answer.status == 200
    assert answer.json == {
        "comboName": "x", "strategy": "random", "resolvedBy": "two/m", "testedAt": "2025-06-15T15:06:40.000Z",
        "results": [
            {"model": "one/m", "status": "error", "statusCode": 503, "error": "Down", "latencyMs": 0},
            {"model": "gone/m", "status": "error", "error": "No credentials for provider: gone", "latencyMs": 0},
            {"model": "two/m", "status": "ok", "latencyMs": 0},
        ],
    }  # fmt: skip
    first = msgspec.json.decode(bytes(upstream.sent[0]))
    assert (first["model"], first["max_tokens"], first["messages"]) == ("m", 5, [{"role": "user", "content": "Hi"}])
    admin.run(admin.store.usage.flush())
    assert [row["status"] for row in admin.run(admin.store.db.fetch("SELECT status FROM call_logs ORDER BY rowid"))] == [
        503,
        200,
    ]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [({}, 400, "comboName is required"), ({"comboName": "no"}, 404, "Combo not found"),
     ({"comboName": "empty"}, 400, "Combo has no models")],
)  # fmt: skip
def test_what_cannot_be_tested_is_refused(admin: Admin, body: Any, status: int, message: str) -> None:
    make(admin, "empty")
    answer = admin.send("POST", f"{PATH}/test", body)
    assert (answer.status, answer.json) == (status, {"error": message})
