from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

Command = Callable[..., Result]
pytestmark = pytest.mark.usefixtures("either_way")


def listed(omniroute: Command) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(omniroute("backup", "list", "--json").stdout)
    return found


def test_without_copies_the_list_says_how_to_make_one(omniroute: Command) -> None:
    assert "omniroute backup create" in omniroute("backup", "list").stdout
    assert listed(omniroute) == []


def test_a_copy_is_made_and_restored_after_a_copy_of_the_current_state(omniroute: Command) -> None:
    omniroute("keys", "create", "before")
    made = json.loads(omniroute("backup", "create", "--json").stdout)
    omniroute("keys", "create", "after")
    assert made["filename"] in omniroute("backup", "list").stdout
    restored = omniroute("backup", "restore", made["filename"])
    assert (restored.exit_code, "keys: 1" in restored.stdout) == (0, True)
    assert [key["name"] for key in json.loads(omniroute("keys", "list", "--json").stdout)] == ["before"]
    assert [copy["reason"] for copy in listed(omniroute)] == ["pre-restore", "manual"]
    assert json.loads(omniroute("backup", "restore", made["filename"], "--json").stdout)["apiKeyCount"] == 1


def test_an_unknown_copy_is_refused(omniroute: Command) -> None:
    answer = omniroute("backup", "restore", "../storage.sqlite")
    assert (answer.exit_code, answer.stderr) == (1, "Error: No copy '../storage.sqlite'. See: omniroute backup list\n")
    assert omniroute("backup", "restore").exit_code == 2
