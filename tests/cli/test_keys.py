from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

Command = Callable[..., Result]
pytestmark = pytest.mark.usefixtures("either_way")


def listed(omniroute: Command) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(omniroute("keys", "list", "--json").stdout)
    return found


def test_a_key_is_shown_once_and_masked_from_then_on(omniroute: Command) -> None:
    made = omniroute("keys", "create", "laptop")
    assert made.exit_code == 0
    text = made.stdout.split()[-1]
    assert text.startswith("sk-")
    shown = omniroute("keys", "list").stdout
    assert "laptop" in shown
    assert text not in shown


def test_the_rights_of_a_key_are_given_when_it_is_created(omniroute: Command) -> None:
    words = ("--model", "openai/*", "--model", "demo/echo", "--manage", "--no-log", "--json")
    made = json.loads(omniroute("keys", "create", "agent", *words).stdout)
    assert made["key"].startswith("sk-")
    (row,) = listed(omniroute)
    assert row["allowedModels"] == ["openai/*", "demo/echo"]
    assert row["noLog"] is True
    assert row["scopes"] == ["inference", "manage"]


def test_no_keys_yet_says_how_to_make_one(omniroute: Command) -> None:
    assert "omniroute keys create" in omniroute("keys", "list").stdout
    assert listed(omniroute) == []


@pytest.mark.parametrize("by", ["name", "ID", "beginning of the ID"])
def test_a_key_is_revoked_by_name_or_id(omniroute: Command, by: str) -> None:
    for name in ("one", "other"):
        omniroute("keys", "create", name)
    row = next(key for key in listed(omniroute) if key["name"] == "one")
    wanted = {"name": "one", "ID": row["id"], "beginning of the ID": row["id"][:8]}[by]
    assert omniroute("keys", "revoke", wanted).exit_code == 0
    assert [key["name"] for key in listed(omniroute)] == ["other"]


def test_a_name_that_fits_several_keys_or_none_revokes_nothing(omniroute: Command) -> None:
    for _ in range(2):
        omniroute("keys", "create", "twin")
    several, none = omniroute("keys", "revoke", "twin"), omniroute("keys", "revoke", "nobody", "--json")
    assert (several.exit_code, none.exit_code) == (1, 1)
    assert "fits 2 keys" in several.stderr
    assert "No key 'nobody'" in none.stderr
    assert len(listed(omniroute)) == 2
    assert json.loads(omniroute("keys", "revoke", listed(omniroute)[0]["id"], "--json").stdout)


def test_a_name_is_needed(omniroute: Command) -> None:
    assert omniroute("keys", "create").exit_code == 2
    assert omniroute("keys", "create", "").exit_code == 1
