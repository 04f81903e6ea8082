from __future__ import annotations

from typing import Any

import pytest
from fakes_manage import Admin, fields_of

PATH = "/api/combos"
BODY: dict[str, Any] = {
    "name": "coding",
    "models": ["cc/x", {"model": "openai/gpt-4o", "weight": 70}],
    "strategy": "weighted",
}


def made(admin: Admin, name: str = "coding", *models: Any, **more: Any) -> Any:
    answer = admin.send("POST", PATH, {"name": name, "models": [*models], **more})
    assert answer.status == 201, answer.text
    return answer.json


def test_a_combo_is_made_read_changed_and_deleted(admin: Admin) -> None:
    answer = admin.send("POST", PATH, {**BODY, "config": {"maxRetries": 2, "timeoutMs": None}})
    combo = answer.json
    assert answer.status == 201
    assert combo == {
        **BODY, "id": combo["id"], "config": {"maxRetries": 2}, "isActive": True,
        "createdAt": "2025-06-15T15:06:40.000Z", "updatedAt": "2025-06-15T15:06:40.000Z",
    }  # fmt: skip
    assert b'"weight":70}' in answer.text  # 70.0 is no whole number to every reader
    one = f"{PATH}/{combo['id']}"
    assert admin.send("GET", one).json == combo
    made(admin, "archive")
    assert [row["name"] for row in admin.send("GET", PATH).json["combos"]] == ["archive", "coding"]
    assert admin.send("DELETE", one).json == {"success": True}
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        gone = admin.send(method, one, {} if method[0] == "P" else None)
        assert (gone.status, gone.json) == (404, {"error": "Combo not found"})
    assert admin.audit() == ["combo.create", "combo.create", "combo.delete"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_change_replaces_what_is_given(admin: Admin, method: str) -> None:
    combo = made(admin, "x", "a/m", config={"maxRetries": 2})
    changed = admin.send(method, f"{PATH}/{combo['id']}", {"strategy": "p2c", "config": {"timeoutMs": 5000}}).json
    assert (changed["models"], changed["strategy"], changed["config"]) == (["a/m"], "p2c", {"timeoutMs": 5000})
    assert admin.send(method, f"{PATH}/{combo['id']}", {"isActive": False}).json["isActive"] is False
    assert admin.store.snapshot.inactive_combos == {"x"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"), ({"name": "a b"}, "name"), ({"name": "x" * 101}, "name"), ({"name": "a\n"}, "name"),
        ({"strategy": "magic"}, "strategy"), ({"models": "a/m"}, "models"), ({"models": [""]}, "models.0"),
        ({"models": [{"model": "a/m", "weight": 101}]}, "models.0.weight"), ({"models": [{"weight": 1}]}, "models.0.model"),
        ({"models": ["a\u0000b"]}, "models.0"), ({"config": {"maxRetries": 11}}, "config.maxRetries"),
        ({"config": {"timeoutMs": 999}}, "config.timeoutMs"), ({"config": {"trackMetrics": 1}}, "config.trackMetrics"),
        ({"config": {"concurrencyPerModel": 0}}, "config.concurrencyPerModel"), ({"isActive": "yes"}, "isActive"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(admin: Admin, change: dict[str, Any], field: str) -> None:
    assert [*fields_of(admin.send("POST", PATH, BODY | change))] == [field]
    combo = made(admin)
    assert [*fields_of(admin.send("PATCH", f"{PATH}/{combo['id']}", change))] == [field]


def test_a_name_is_taken_once(admin: Admin) -> None:
    combo = made(admin, "one")
    made(admin, "two")
    answer = admin.send("POST", PATH, {"name": "one"})
    assert (answer.status, answer.json) == (400, {"error": "Combo name already exists"})
    answer = admin.send("PUT", f"{PATH}/{combo['id']}", {"name": "two"})
    assert (answer.status, answer.json) == (400, {"error": "Combo name already exists"})
    assert admin.send("PUT", f"{PATH}/{combo['id']}", {"name": "one"}).status == 200


def test_of_two_combos_made_at_once_with_one_name_the_second_is_refused(admin: Admin) -> None:
    first, second = admin.at_once(("POST", PATH, {"name": "one"}), ("POST", PATH, {"name": "one"}))
    assert first.status == 201
    assert (second.status, second.json) == (400, {"error": "Combo name already exists"})


def test_changes_made_at_once_are_all_kept(admin: Admin) -> None:
    one = f"{PATH}/{made(admin)['id']}"
    admin.at_once(("PATCH", one, {"strategy": "random"}), ("PATCH", one, {"isActive": False}))
    after = admin.send("GET", one).json
    assert (after["strategy"], after["isActive"]) == ("random", False)


def test_a_combo_deleted_while_another_changes_stays_out_of_it(admin: Admin) -> None:
    inner = made(admin, "inner", "a/m")
    outer = f"{PATH}/{made(admin, 'outer', 'inner', 'b/m')['id']}"
    admin.at_once(("DELETE", f"{PATH}/{inner['id']}", None), ("PATCH", outer, {"strategy": "random"}))
    assert admin.send("GET", outer).json["models"] == ["b/m"]


def test_what_is_wrong_with_a_name_is_said(admin: Admin) -> None:
    def complaint(body: dict[str, Any]) -> str:
        return fields_of(admin.send("POST", PATH, body))["name"]

    assert complaint({}) == complaint({"name": ""}) == "Name is required"
    assert complaint({"name": "x" * 101}) == "Too big: expected string to have <=100 characters"
    assert complaint({"name": "bad name!"}) == "Name can only contain letters, numbers, -, _, / and ."


def test_circular_combos_are_refused(admin: Admin) -> None:
    answer = admin.send("POST", PATH, {"name": "self", "models": ["self"]})
    assert (answer.status, answer.json) == (400, {"error": "Circular combo reference detected: self"})
    inner = made(admin, "inner", "a/m")
    made(admin, "outer", "inner")
    answer = admin.send("PUT", f"{PATH}/{inner['id']}", {"models": ["a/m", {"model": "outer"}]})
    assert (answer.status, answer.json) == (400, {"error": "Circular combo reference detected: inner"})
    assert admin.send("GET", f"{PATH}/{inner['id']}").json["models"] == ["a/m"]


def test_too_deep_is_refused_wherever_it_becomes_so(admin: Admin) -> None:
    deepest = made(admin, "l4", "a/m")
    for level in (3, 2, 1):
        made(admin, f"l{level}", f"l{level + 1}")
    answer = admin.send("POST", PATH, {"name": "l0", "models": ["l1"]})
    assert (answer.status, answer.json) == (400, {"error": 'Max combo nesting depth (3) exceeded at "l4"'})
    made(admin, "z", "l1", config={"maxComboDepth": 4})
    made(admin, "below")
    answer = admin.send("PUT", f"{PATH}/{deepest['id']}", {"models": ["below"]})
    assert (answer.status, answer.json) == (400, {"error": 'Max combo nesting depth (3) exceeded at "below"'})
    admin.send("PATCH", "/api/settings/combo-defaults", {"comboDefaults": {"maxComboDepth": 6}})
    assert admin.send("POST", PATH, {"name": "l0", "models": ["l1"]}).status == 201


def test_others_follow_a_new_name_and_lose_what_is_deleted(admin: Admin) -> None:
    inner = made(admin, "inner", "a/m")
    outer = made(admin, "outer", "inner", "b/m")
    admin.send("PUT", f"{PATH}/{inner['id']}", {"name": "core"})
    assert admin.send("GET", f"{PATH}/{outer['id']}").json["models"] == ["core", "b/m"]
    assert admin.send("DELETE", f"{PATH}/{inner['id']}").json == {"success": True, "removedFrom": ["outer"]}
    assert admin.send("GET", f"{PATH}/{outer['id']}").json["models"] == ["b/m"]


def test_a_combo_that_goes_takes_its_counts_along(admin: Admin) -> None:
    combo = made(admin, "x", "a/m")
    admin.live.combos.finished("x", "random", 1.0, ok=True, fallbacks=0, latency_ms=50)
    admin.send("PUT", f"{PATH}/{combo['id']}", {"name": "y"})
    assert admin.send("GET", f"{PATH}/metrics").json == {"metrics": {}}
