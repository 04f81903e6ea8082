"""Fallback chains."""

from __future__ import annotations

from typing import Any

import pytest
from fakes_manage import Admin, fields_of

PATH = "/api/fallback/chains"


def test_a_chain_is_set_read_and_removed(admin: Admin) -> None:
    body = {"model": "gpt-4o", "chain": [{"provider": "ds", "priority": 2}, {"provider": "openai", "enabled": False}]}
    assert admin.send("POST", PATH, body).json == {"success": True, "model": "gpt-4o"}
    assert admin.send("GET", PATH).json == {
        "gpt-4o": [
            {"provider": "openai", "priority": 0, "enabled": False},
            {"provider": "ds", "priority": 2, "enabled": True},
        ]
    }
    assert admin.store.snapshot.chains == {"gpt-4o": ("deepseek",)}
    assert admin.send("DELETE", PATH, {"model": "gpt-4o"}).json == {"success": True, "removed": True}
    assert admin.send("DELETE", f"{PATH}?model=gpt-4o").json == {"success": True, "removed": False}
    assert admin.send("GET", PATH).json == {}
    assert admin.audit() == ["fallback-chain.update", "fallback-chain.delete"]


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_the_model_must_be_named(admin: Admin, method: str) -> None:
    answer = admin.send(method, PATH, {"model": " ", "chain": [{"provider": "openai"}]})
    assert (answer.status, answer.json) == (400, {"error": "model is required"})


@pytest.mark.parametrize(
    ("chain", "field"),
    [([], "chain"), ([{}], "chain.0.provider"), ([{"provider": " "}], "chain.0.provider"),
     ([{"provider": "openai", "priority": "x"}], "chain.0.priority")],
)  # fmt: skip
def test_what_does_not_fit_is_named(admin: Admin, chain: Any, field: str) -> None:
    assert [*fields_of(admin.send("POST", PATH, {"model": "m", "chain": chain}))] == [field]
