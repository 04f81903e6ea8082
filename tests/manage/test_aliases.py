"""Model aliases, and ``PUT /api/models``, which claims one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fakes_manage import Admin, fields_of

PATH = "/api/models/alias"
FAST = {"model": "openai/gpt-4o", "alias": "fast"}


@pytest.fixture
def admin(guarded: Admin) -> Admin:
    """Logged in: these routes ask for that even where management is open."""
    guarded.login()
    return guarded


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_an_alias_is_in_force_at_once(admin: Admin, method: str) -> None:
    answer = admin.send(method, PATH, FAST)
    assert (answer.status, answer.json) == (200, {"success": True, **FAST})
    assert admin.send("GET", PATH).json == {"aliases": {"fast": "openai/gpt-4o"}}
    assert admin.store.snapshot.aliases == {"fast": "openai/gpt-4o"}
    assert admin.audit()[1:] == ["alias.update"]


def test_an_alias_may_lead_elsewhere_later(admin: Admin) -> None:
    admin.send("PUT", PATH, FAST)
    admin.send("PUT", PATH, FAST | {"model": "openai/o1"})
    assert admin.send("GET", PATH).json == {"aliases": {"fast": "openai/o1"}}


@pytest.mark.parametrize("body", [{}, {"model": "openai/gpt-4o"}, {"alias": "fast"}, {"model": " ", "alias": "x"}])
@pytest.mark.parametrize(("method", "path"), [("PUT", PATH), ("POST", PATH), ("PUT", "/api/models")])
def test_both_names_are_needed(admin: Admin, method: str, path: str, body: dict[str, str]) -> None:
    answer = admin.send(method, path, body)
    assert (answer.status, answer.json) == (400, {"error": "Model and alias required"})
    assert admin.audit()[1:] == []


@pytest.mark.parametrize("alias", ["a/b", "openai/gpt-4o"])
def test_an_alias_that_could_never_be_looked_up_is_refused(admin: Admin, alias: str) -> None:
    assert list(fields_of(admin.send("PUT", PATH, {"model": "openai/gpt-4o", "alias": alias}))) == ["alias"]
    assert list(fields_of(admin.send("PUT", PATH, {"model": "x", "alias": "x"}))) == ["alias"]


def test_a_deleted_alias_is_gone(admin: Admin) -> None:
    admin.send("PUT", PATH, FAST)
    assert admin.send("DELETE", f"{PATH}?alias=fast").json == {"success": True}
    assert admin.send("GET", PATH).json == {"aliases": {}}
    assert admin.send("DELETE", f"{PATH}?alias=fast").json == {"success": True}
    assert admin.audit()[1:] == ["alias.update", "alias.delete"]
    answer = admin.send("DELETE", PATH)
    assert (answer.status, answer.json) == (400, {"error": "Alias required"})


def test_a_stranger_is_refused_even_where_management_is_open(make_admin: Callable[..., Admin]) -> None:
    fresh = make_admin()
    assert fresh.send("GET", "/api/keys").status == 200
    answer = fresh.send("GET", PATH)
    assert (answer.status, answer.json) == (401, {"error": "Authentication required"})
    headers = {"authorization": f"Bearer {fresh.key('manage')}"}
    assert fresh.send("GET", PATH, headers=headers).status == 200


def test_models_put_takes_free_aliases_only(admin: Admin) -> None:
    assert admin.send("PUT", "/api/models", FAST).json == {"success": True, **FAST}
    assert admin.send("PUT", "/api/models", FAST).status == 200
    asked = (("PUT", "/api/models", {"model": f"openai/o{number}", "alias": "new"}) for number in (1, 2))
    assert [answer.status for answer in admin.at_once(*asked)] == [200, 400]
    admin.send("DELETE", "/api/models/alias?alias=new")
    answer = admin.send("PUT", "/api/models", FAST | {"model": "openai/o1"})
    assert (answer.status, answer.json) == (400, {"error": "Alias already in use"})
    assert admin.store.snapshot.aliases == {"fast": "openai/gpt-4o"}
