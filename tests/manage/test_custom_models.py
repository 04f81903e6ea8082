"""Models that the user adds to a provider."""

from __future__ import annotations

import pytest
from fakes_manage import Admin, fields_of

from omniroute.gateway.models import catalogue

PATH = "/api/provider-models"
BODY = {"provider": "openai", "modelId": "gpt-next", "modelName": "GPT Next"}


@pytest.fixture
def admin(guarded: Admin) -> Admin:
    """Logged in: these routes ask for that even where management is open."""
    guarded.login()
    return guarded


def test_an_added_model_is_listed_and_routable_at_once(admin: Admin) -> None:
    admin.connection("openai")
    answer = admin.send("POST", PATH, BODY)
    model = {"id": "gpt-next", "name": "GPT Next", "source": "manual"}
    assert (answer.status, answer.json) == (200, {"model": model})
    assert admin.send("GET", f"{PATH}?provider=openai").json == {"models": [model]}
    assert admin.send("GET", PATH).json == {"models": {"openai": [model]}}
    [entry] = [entry for entry in catalogue(admin.store.snapshot) if entry["id"] == "openai/gpt-next"]
    assert entry["custom"] is True
    assert admin.audit()[-1] == "model.add"


def test_a_provider_may_be_named_by_its_alias_or_a_nodes_prefix(admin: Admin) -> None:
    node = admin.node("mine")
    admin.send("POST", PATH, {**BODY, "provider": "mine"})
    admin.send("POST", PATH, {**BODY, "provider": "ds"})
    assert set(admin.send("GET", PATH).json["models"]) == {node, "deepseek"}
    assert len(admin.send("GET", f"{PATH}?provider=mine").json["models"]) == 1


def test_a_model_that_exists_is_returned_as_it_is(admin: Admin) -> None:
    first = admin.send("POST", PATH, {**BODY, "source": "imported"}).json
    assert admin.send("POST", PATH, {**BODY, "modelName": "Other"}).json == first


@pytest.mark.parametrize("body", [{}, {"provider": "openai"}, {"modelId": "x"}, {"provider": " ", "modelId": " "}])
def test_both_names_are_needed(admin: Admin, body: dict[str, str]) -> None:
    answer = admin.send("POST", PATH, body)
    error = {"message": "provider and modelId are required", "type": "invalid_request"}
    assert (answer.status, answer.json) == (400, {"error": error})


def test_errors_have_a_type(admin: Admin) -> None:
    answer = admin.send("POST", PATH, {**BODY, "provider": "nobody"})
    assert answer.json == {"error": {"message": "Unknown provider: nobody", "type": "invalid_request"}}
    answer = admin.send("POST", PATH, {**BODY, "modelId": 5})
    assert fields_of(answer) == {"modelId": "Invalid input: expected string, received number"}
    assert answer.json["error"]["type"] == "validation_error"
    answer = admin.send("GET", PATH, anonymous=True)
    assert answer.json == {"error": {"message": "Authentication required", "type": "invalid_api_key"}}


def test_a_deleted_model_is_gone(admin: Admin) -> None:
    admin.send("POST", PATH, BODY)
    assert admin.send("DELETE", f"{PATH}?provider=openai&model=gpt-next").json == {"removed": True}
    assert admin.send("DELETE", f"{PATH}?provider=openai&model=gpt-next").json == {"removed": False}
    assert admin.send("GET", PATH).json == {"models": {}}
    for query in ("", "?provider=openai", "?model=gpt-next"):
        assert admin.send("DELETE", PATH + query).status == 400
