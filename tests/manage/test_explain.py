"""``POST /api/explain``."""

from __future__ import annotations

from typing import Any, cast

import pytest
from fakes_gateway import FakeClient
from fakes_manage import Admin

from omniroute.gateway.job import Gateway

PATH = "/api/explain"


@pytest.fixture(autouse=True)
def data_plane(admin: Admin) -> None:
    clock: Any = admin.clock
    services = admin.plane.services
    services.live.snapshot = admin.store.snapshot
    services.gateway = Gateway(services.live, cast(Any, FakeClient(clock)), services.settings.limits, clock)


def add(admin: Admin, name: str) -> None:
    body = {"provider": "openai", "apiKey": "sk-test-0123456789", "name": name}
    assert admin.send("POST", "/api/providers", body).status == 201
    admin.plane.services.live.snapshot = admin.store.snapshot


def test_a_request_is_explained_without_sending_it(admin: Admin) -> None:
    add(admin, "work")
    told = admin.send("POST", PATH, {"model": "openai/gpt-4o"}).json
    assert told["first"] == "openai/work"
    (step,) = told["candidates"]
    assert (step["provider"], step["upstreamModel"], step["available"]) == ("openai", "gpt-4o", True)
    assert step["price"]["input"] == 2.5
    assert [account["name"] for account in step["accounts"]] == ["work"]


def test_a_provider_without_an_account_is_said_to_have_none(admin: Admin) -> None:
    (step,) = admin.send("POST", PATH, {"model": "openai/gpt-4o"}).json["candidates"]
    assert (step["available"], step["reason"]) == (False, "no active account")
    admin.store.snapshot.unopened["openai"] = {"lost": "It cannot be decrypted"}
    (step,) = admin.send("POST", PATH, {"model": "openai/gpt-4o"}).json["candidates"]
    assert step["reason"] == "no active account. It cannot be decrypted"
    admin.plane.services.live.snapshot.unopened["openai"] = {"lost": "It cannot be decrypted"}
    (step,) = admin.send("POST", PATH, {"model": "openai/gpt-4o"}).json["candidates"]
    assert step["reason"] == "no active account. It cannot be decrypted"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"model": "nobody/x"}, 400),
        ({"model": "openai/x", "apiKeyId": "none"}, 404),
        ({"model": "x", "operation": "y"}, 400),
    ],
)
def test_what_cannot_be_explained(admin: Admin, body: dict[str, Any], status: int) -> None:
    assert admin.send("POST", PATH, body).status == status


def test_a_key_that_may_not_is_refused_as_the_call_would_be(admin: Admin) -> None:
    add(admin, "work")
    made = admin.send("POST", "/api/keys", {"name": "k", "allowedModels": ["groq/*"]}).json
    admin.plane.services.live.snapshot = admin.store.snapshot
    assert admin.send("POST", PATH, {"model": "openai/gpt-4o", "apiKeyId": made["id"]}).status == 403
