from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import Result

Command = Callable[..., Result]
pytestmark = pytest.mark.usefixtures("either_way")


def test_the_route_of_a_request_is_shown(omniroute: Command) -> None:
    told = omniroute("explain", "openai/gpt-4o")
    assert told.exit_code == 0
    assert "nobody would be asked first" in told.stdout
    assert "no active account" in told.stdout
    found = json.loads(omniroute("explain", "openai/gpt-4o", "--json").stdout)
    assert found["candidates"][0]["provider"] == "openai"


def test_an_unknown_model_is_an_error(omniroute: Command) -> None:
    told = omniroute("explain", "nobody/x")
    assert told.exit_code == 1
    assert "nobody" in told.stderr


def test_an_unknown_operation_is_a_usage_error(omniroute: Command) -> None:
    told = omniroute("explain", "openai/gpt-4o", "--operation", "painting")
    assert told.exit_code == 2
    assert "embeddings" in told.stderr
