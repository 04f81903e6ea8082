from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import Result

from omniroute.cli.explain import _rows

Command = Callable[..., Result]
either_way = pytest.mark.usefixtures("either_way")


@either_way
def test_the_route_of_a_request_is_shown(omniroute: Command) -> None:
    told = omniroute("explain", "openai/gpt-4o")
    assert told.exit_code == 0
    assert "nobody would be asked first" in told.stdout
    assert "no active account" in told.stdout
    found = json.loads(omniroute("explain", "openai/gpt-4o", "--json").stdout)
    assert found["candidates"][0]["provider"] == "openai"


def test_each_account_has_a_line_below_its_target() -> None:
    waits = {"position": None, "name": "work", "reason": "cooling", "until": 0.0}
    goes = {"position": 1, "name": "home", "reason": None, "until": None}
    step = {"position": 1, "model": "p/m", "why": "named", "reason": None, "until": None, "accounts": [goes, waits]}
    assert _rows([step]) == [
        (1, "p/m", "", "named", None, ""),
        ("", "", "home", "account 1", None, ""),
        ("", "", "work", "", "cooling", "1970-01-01T00:00:00.000Z"),
    ]


@either_way
def test_an_unknown_model_is_an_error(omniroute: Command) -> None:
    told = omniroute("explain", "nobody/x")
    assert told.exit_code == 1
    assert "nobody" in told.stderr


@either_way
def test_an_unknown_operation_is_a_usage_error(omniroute: Command) -> None:
    told = omniroute("explain", "openai/gpt-4o", "--operation", "painting")
    assert told.exit_code == 2
    assert "embeddings" in told.stderr
