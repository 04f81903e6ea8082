from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click
import pytest

from omniroute.cli.in_process import opened
from omniroute.settings import Settings


def test_calls_share_one_open_store(settings: Settings) -> None:
    with opened(settings) as perform:
        status, made = perform("POST", "/api/keys", {"name": "laptop"})
        assert status == 201
        status, listed = perform("GET", "/api/keys?limit=5", None)
        assert [key["id"] for key in json.loads(listed)["keys"]] == [json.loads(made)["id"]]


def test_the_owner_of_the_machine_needs_no_password(settings: Settings) -> None:
    guarded = Settings(data_dir=settings.data_dir, initial_password="a password")
    with opened(guarded) as perform:
        assert perform("GET", "/api/providers", None)[0] == 200


def test_nothing_is_seeded_and_no_gateway_is_announced(settings: Settings) -> None:
    with opened(Settings(data_dir=settings.data_dir, provider_keys={"openai": "sk-1"})) as perform:
        assert json.loads(perform("GET", "/api/providers", None)[1])["connections"] == []
    with opened(settings):
        pass  # a mark left behind would have the database checked


def test_a_directory_that_cannot_be_used_ends_the_command(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(click.ClickException, match="cannot be used"), opened(Settings(data_dir=tmp_path / "file" / "data")):
        pass


def test_no_loop_is_left_behind(settings: Settings) -> None:
    with opened(settings):
        pass
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
