from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import click
import pytest
from click.testing import Result

import omniroute as package
from omniroute.cli import main, serve

Command = Callable[..., Result]


@pytest.mark.parametrize("name", main.COMMANDS)
def test_each_command_is_where_the_table_says_with_the_same_help(name: str) -> None:
    command = getattr(import_module(f"omniroute.cli.{name}"), name)
    assert isinstance(command, click.Command)
    assert (command.help or "").split("\n")[0] == main.COMMANDS[name]


def leaves(command: click.Command, *names: str) -> list[tuple[str, ...]]:
    if not isinstance(command, click.Group):
        return [names]
    context = click.Context(command)
    found = ((name, command.get_command(context, name)) for name in command.list_commands(context))
    return [leaf for name, child in found if child is not None for leaf in leaves(child, *names, name)]


@pytest.mark.parametrize("words", leaves(main.cli), ids=" ".join)
def test_every_command_explains_itself_and_speaks_json(omniroute: Command, words: tuple[str, ...]) -> None:
    shown = omniroute(*words, "--help", PORT="no number")  # help is given whatever the environment says
    assert shown.exit_code == 0
    assert "--json" in shown.stdout
    assert "--data-dir" in shown.stdout


def test_the_group_lists_its_commands(omniroute: Command) -> None:
    shown = omniroute("--help").stdout
    assert all(name in shown for name in main.COMMANDS)
    assert omniroute("--version").stdout == f"omniroute {package.__version__}\n"


@pytest.mark.parametrize(
    ("words", "port"),
    [
        ((), 20128),
        (("--port", "3"), 3),
        (("--data-dir", "/x", "--port", "3"), 3),
        (("--data-dir=/x", "--no-open"), 20128),
        (("serve", "--port", "3"), 3),
        (("--data-dir", "/x", "serve"), 20128),
    ],
)
def test_without_a_command_it_serves(
    omniroute: Command, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], port: int
) -> None:
    started: list[Any] = []
    monkeypatch.setattr(serve, "start", lambda settings, announce: started.append(settings))
    assert omniroute(*words).exit_code == 0
    assert [settings.port for settings in started] == [port]
    assert ("/x" in " ".join(words)) == (str(started[0].data_dir) == "/x")


@pytest.mark.parametrize("words", [("frob",), ("--data-dir", "/x", "frob"), ("--bogus",), ("serve", "--port", "70000")])
def test_unknown_words_are_usage_errors(omniroute: Command, words: tuple[str, ...]) -> None:
    refused = omniroute(*words)
    assert refused.exit_code == 2
    assert "Usage:" in refused.stderr


@pytest.mark.parametrize(("typed", "meant"), [("doctr", "doctor"), ("serv", "serve"), ("provider", "providers")])
def test_a_misspelt_command_gets_a_suggestion(omniroute: Command, typed: str, meant: str) -> None:
    assert f"Did you mean '{meant}'?" in omniroute(typed).stderr


def test_a_variable_that_cannot_be_used_ends_every_command_with_its_name(omniroute: Command) -> None:
    refused = omniroute("keys", "list", PORT="many")
    assert (refused.exit_code, refused.stderr) == (1, "Error: PORT='many' is not a whole number\n")


@pytest.mark.parametrize(("value", "color"), [("1", False), ("", None)])
def test_colours_are_left_out_where_they_are_not_wanted(
    omniroute: Command, monkeypatch: pytest.MonkeyPatch, value: str, color: bool | None
) -> None:
    seen: list[bool | None] = []
    monkeypatch.setattr(serve, "start", lambda *_: seen.append(click.get_current_context().color))
    omniroute("serve", NO_COLOR=value)
    assert seen == [color]


def test_a_light_command_does_not_load_the_gateway() -> None:
    code = (
        "import sys; from omniroute.cli import main, keys; print({'omniroute.app', 'rich', 'asyncio'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout == "set()\n"
