"""Gateway keys: shown once, then masked; changed; revoked."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from fakes_manage import Admin, fields_of

PATH = "/api/keys"


def _make(admin: Admin, **body: object) -> dict[str, object]:
    answer = admin.send("POST", PATH, {"name": "demo", **body})
    assert answer.status == 201, answer.text
    made: dict[str, object] = answer.json
    return made


def test_a_new_key_shows_its_text_once(admin: Admin) -> None:
    made = _make(admin)
    text = str(made["key"])
    assert re.fullmatch(r"sk-[0-9a-f]{16}-[a-z0-9]{6}-[0-9a-f]{8}", text)
    assert made["name"] == "demo"
    assert made["machineId"] == text.split("-")[1]
    assert made["noLog"] is False
    assert made["scopes"] == ["inference"]
    shown = admin.send("GET", f"{PATH}/{made['id']}").json
    assert shown["key"] == f"{text[:8]}****{text[-4:]}"
    assert text.encode() not in admin.send("GET", PATH).text
    assert text.encode() not in (admin.settings.data_dir / "storage.sqlite").read_bytes()
    assert admin.audit() == ["key.create"]


def test_the_list_has_masked_keys_and_a_total(admin: Admin) -> None:
    for name in "abc":
        _make(admin, name=name)
    listed = admin.send("GET", PATH).json
    assert listed["total"] == 3
    assert [key["name"] for key in listed["keys"]] == ["a", "b", "c"]
    assert set(listed["keys"][0]) >= {"id", "name", "key", "machineId", "allowedModels", "createdAt"}
    page = admin.send("GET", PATH + "?limit=1&offset=1").json
    assert ([key["name"] for key in page["keys"]], page["total"]) == (["b"], 3)


def test_every_optional_field_is_kept(admin: Admin) -> None:
    made = _make(
        admin, allowedModels=["mock/*"], noLog=True, scopes=["inference", "manage"], expiresAt="2035-01-01T00:00:00Z"
    )
    shown = admin.send("GET", f"{PATH}/{made['id']}").json
    assert shown["allowedModels"] == ["mock/*"]
    assert shown["noLog"] is True
    assert shown["scopes"] == ["inference", "manage"]
    assert shown["expiresAt"] == "2035-01-01T00:00:00.000Z"
    assert shown["isActive"] is True


def test_label_is_as_good_as_name(admin: Admin) -> None:
    assert admin.send("POST", PATH, {"label": "mine"}).json["name"] == "mine"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {"name": "Name is required"}),
        ({"name": ""}, {"name": "Name is required"}),
        ({"name": "x" * 201}, {"name": "Too big: expected string to have <=200 characters"}),
        ({"name": "n", "allowedModels": "x"}, {"allowedModels": "allowedModels must be an array"}),
        ({"name": "n", "allowedModels": [5]}, {"allowedModels.0": "Each model ID must be a string"}),
        ({"name": "n", "scopes": ["root"]}, {"scopes.0": 'Invalid option: expected one of "inference"|"manage"'}),
        ({"name": "n", "expiresAt": "soon"}, {"expiresAt": "Invalid ISO 8601 date-time"}),
    ],
)
def test_create_names_what_is_wrong(admin: Admin, body: dict[str, object], expected: dict[str, str]) -> None:
    assert fields_of(admin.send("POST", PATH, body)) == expected


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_permissions_are_changed(admin: Admin, method: str) -> None:
    made = _make(admin)
    answer = admin.send(method, f"{PATH}/{made['id']}", {"allowedModels": ["a", "b/*"], "noLog": True})
    assert answer.status == 200
    assert answer.json["message"] == "Permissions updated successfully"
    assert answer.json["allowedModels"] == ["a", "b/*"]
    assert answer.json["noLog"] is True
    assert admin.send("GET", f"{PATH}/{made['id']}").json["allowedModels"] == ["a", "b/*"]
    assert admin.audit()[-1] == "key.update"


def test_a_scope_that_is_named_twice_counts_once(admin: Admin) -> None:
    made = _make(admin, scopes=["inference", "inference"])
    assert made["scopes"] == ["inference"]
    after = admin.send("PATCH", f"{PATH}/{made['id']}", {"scopes": ["manage", "inference", "manage"]}).json
    assert after["scopes"] == ["manage", "inference"]


def test_permissions_can_be_emptied_again(admin: Admin) -> None:
    made = _make(admin, allowedModels=["a"], expiresAt="2035-01-01T00:00:00Z")
    after = admin.send("PATCH", f"{PATH}/{made['id']}", {"allowedModels": [], "expiresAt": None}).json
    assert (after["allowedModels"], after["expiresAt"]) == ([], None)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {"allowedModels": "allowedModels must be an array"}),
        ({"allowedModels": "x"}, {"allowedModels": "allowedModels must be an array"}),
        ({"allowedModels": None}, {"allowedModels": "allowedModels must be an array"}),
        ({"allowedModels": ["a", 5]}, {"allowedModels.1": "Each model ID must be a string"}),
    ],
)
def test_a_change_names_what_is_wrong(admin: Admin, body: dict[str, object], expected: dict[str, str]) -> None:
    assert fields_of(admin.send("PATCH", f"{PATH}/{_make(admin)['id']}", body)) == expected


def test_a_deleted_key_is_gone_at_once(admin: Admin) -> None:
    made = _make(admin)
    assert len(admin.store.snapshot.keys) == 1
    answer = admin.send("DELETE", f"{PATH}/{made['id']}")
    assert (answer.status, answer.json) == (200, {"message": "Key deleted successfully"})
    assert admin.store.snapshot.keys == {}
    assert admin.audit()[-1] == "key.delete"


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_an_unknown_key_is_404(admin: Admin, method: str) -> None:
    answer = admin.send(method, PATH + "/nope", {"allowedModels": []} if method.startswith("P") else None)
    assert (answer.status, answer.json) == (404, {"error": "Key not found"})


def test_a_key_listed_in_the_environment_shows_that_it_is_not_logged(make_admin: Callable[..., Admin]) -> None:
    made = make_admin()
    row, _ = made.run(made.store.keys.create("k"))
    object.__setattr__(made.settings, "no_log_key_ids", frozenset({row.id}))
    assert made.send("GET", f"{PATH}/{row.id}").json["noLog"] is True


def test_an_expired_key_is_not_active(admin: Admin) -> None:
    made = _make(admin, expiresAt="2020-01-01T00:00:00Z")
    assert admin.send("GET", f"{PATH}/{made['id']}").json["isActive"] is False


def test_a_key_whose_expiry_cannot_be_read_is_shown_as_ended(admin: Admin) -> None:
    text = admin.key()

    async def damage() -> None:
        async with admin.store.db.change() as tx:
            await tx.execute("UPDATE api_keys SET expires_at = 'some day'")

    admin.run(damage())
    (row,) = admin.send("GET", "/api/keys").json["keys"]
    assert (row["isActive"], row["expiresAt"]) == (False, "some day")
    assert admin.send("POST", "/api/cloud/auth", {}, headers={"authorization": f"Bearer {text}"}).status == 401
