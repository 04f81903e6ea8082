from __future__ import annotations

import json
import sys
from collections.abc import Callable
from io import StringIO

import click
import pytest
from click.testing import CliRunner

from omniroute.cli import output
from omniroute.settings import Settings


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def on_screen(capture: Callable[[], None]) -> str:
    screen = Terminal()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("stdout", "stderr"):
            patch.setattr(sys, name, screen)
        patch.setenv("COLUMNS", "40")
        patch.setenv("TERM", "xterm")
        capture()
    return screen.getvalue()


@pytest.mark.parametrize(("yes", "terminal", "asks"), [(False, True, True), (True, True, False), (False, False, False)])
def test_a_question_is_asked_on_a_terminal_unless_it_is_answered(
    monkeypatch: pytest.MonkeyPatch, yes: bool, terminal: bool, asks: bool
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(click, "confirm", lambda question, **_: asked.append(question))
    monkeypatch.setattr(sys, "stdin", Terminal() if terminal else StringIO())
    output.confirm("Really?", yes=yes)
    assert asked == ["Really?"] * asks


def test_json_is_indented_and_keeps_letters(capsys: pytest.CaptureFixture[str]) -> None:
    output.as_json({"name": "Zoë", "list": [1]})
    out = capsys.readouterr().out
    assert json.loads(out) == {"name": "Zoë", "list": [1]}
    assert "Zoë" in out
    assert "\n  " in out


def test_good_and_bad_go_where_they_belong(capsys: pytest.CaptureFixture[str]) -> None:
    output.good("works")
    output.warn("careful")
    output.bad("broken")
    output.say("plain")
    assert capsys.readouterr() == ("✓ works\nplain\n", "! careful\n✗ broken\n")


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert output.plain("a\x1b[2Jb\rc\nd é") == "a\ufffd[2Jb\ufffdc\nd é"


def test_a_table_in_a_pipe_is_plain_columns_however_wide(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("ID", "NAME"), [("1", "x" * 200), ("22", None)], "none")
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["ID  NAME", f"1   {'x' * 200}", "22"]


def test_an_empty_table_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("ID",), [], "Nothing yet.")
    assert capsys.readouterr().out == "Nothing yet.\n"


def test_a_table_on_a_terminal_folds_to_its_width_and_takes_no_markup() -> None:
    shown = on_screen(lambda: output.table(("ID", "NAME"), [("1", "[bold]" + "x" * 60)], "none"))
    assert "[bold]" in shown
    assert shown.count("\n") > 2


def test_progress_turns_on_a_terminal_only() -> None:
    def turn() -> None:
        with output.progress("Asking …"):
            pass

    assert "Asking …" in on_screen(turn)


def test_progress_is_silent_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress("Asking …"):
        pass
    assert capsys.readouterr() == ("", "")


def test_a_failure_ends_with_status_1_and_its_text() -> None:
    @click.command()
    def broken() -> None:
        output.fail("No\x07 luck")

    result = CliRunner().invoke(broken)
    assert (result.exit_code, result.stderr) == (1, "Error: No\ufffd luck\n")


def test_every_command_takes_the_data_directory_and_json() -> None:
    @click.command()
    @output.shared
    def show(settings: Settings, json_out: bool) -> None:
        click.echo(f"{settings.data_dir} {json_out}")

    result = CliRunner().invoke(show, ["--data-dir", "elsewhere", "--json"], obj=Settings())
    assert result.output == "elsewhere True\n"
