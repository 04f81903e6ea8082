"""Detection: look-up order, what is wrong with a program, time limits.  Fake programs, no shell."""

from __future__ import annotations

import asyncio
import os
import select
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeClock

from omniroute.manage.cli_runtime import Detector, Presence
from omniroute.manage.cli_tools import TOOLS, Tool
from omniroute.settings import Settings

CLAUDE = TOOLS["claude"]


def program(folder: Path, name: str = "claude", script: str = "exit 0", mode: int = 0o755) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(mode)
    return path


def find(tool: Tool = CLAUDE, **settings: Any) -> Presence:
    return asyncio.run(Detector(Settings(**settings), FakeClock()).find(tool))


def test_a_program_in_the_path_is_found(tmp_path: Path) -> None:
    path = program(tmp_path / "bin")
    assert find(search_path=(str(tmp_path), str(tmp_path / "bin"))) == Presence(
        True, True, "claude", str(path), "auto", None
    )


def test_without_a_program_it_is_not_found(tmp_path: Path) -> None:
    assert find(search_path=(str(tmp_path),)) == Presence(False, False, "claude", None, "auto", "not_found")


def test_the_variable_goes_before_the_path(tmp_path: Path) -> None:
    program(tmp_path / "bin")
    other = program(tmp_path / "opt", "my-claude")
    bin = (str(tmp_path / "bin"),)
    assert find(search_path=bin, cli_bins={"claude": str(other)}).command_path == str(other)
    assert find(search_path=(*bin, str(tmp_path / "opt")), cli_bins={"claude": "my-claude"}).command_path == str(other)
    missing = find(search_path=bin, cli_bins={"claude": str(tmp_path / "nowhere")})
    assert (missing.installed, missing.reason, missing.command) == (False, "not_found", str(tmp_path / "nowhere"))


@pytest.mark.parametrize("given", ["./claude", "../claude", "a/b"])
def test_a_relative_path_is_no_program(tmp_path: Path, given: str) -> None:
    assert find(cli_bins={"claude": given}).reason == "not_found"


def test_extra_paths_come_last_or_in_a_container_first(tmp_path: Path) -> None:
    own, mounted = program(tmp_path / "own"), program(tmp_path / "mounted")
    folders: dict[str, Any] = {"search_path": (str(own.parent),), "cli_paths": (str(mounted.parent),)}
    assert find(**folders).command_path == str(own)
    assert find(**folders, cli_mode="host").command_path == str(own)
    inside = find(**folders, cli_mode="container")
    assert (inside.command_path, inside.runtime_mode) == (str(mounted), "container")


def test_a_file_that_is_not_executable_is_installed_but_does_not_run(tmp_path: Path) -> None:
    program(tmp_path, mode=0o644)
    found = find(search_path=(str(tmp_path),))
    assert (found.installed, found.runnable, found.reason, found.command_path) == (True, False, "not_executable", None)


def test_the_second_question_is_asked_when_the_first_is_not_understood(tmp_path: Path) -> None:
    program(tmp_path, script='[ "$1" = -v ] && [ $# = 1 ]')
    assert find(search_path=(str(tmp_path),)).runnable


def test_a_program_that_fails_is_installed_but_does_not_run(tmp_path: Path) -> None:
    program(tmp_path, script="exit 3")
    found = find(search_path=(str(tmp_path),))
    assert (found.installed, found.runnable, found.reason) == (True, False, "healthcheck_failed")


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    program(tmp_path, script=f"sleep 60 & echo $! > {tmp_path}/child; wait")
    found = find(CLAUDE._replace(seconds=0.3), search_path=(str(tmp_path), "/bin", "/usr/bin"))
    assert found.reason == "healthcheck_failed"
    assert ends(int((tmp_path / "child").read_text()))


def ends(pid: int) -> bool:
    """Whether a process has ended, or does so within 5 seconds: the kernel kills it a little later than it says so."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 5.0)[0])
    finally:
        os.close(handle)


def test_what_is_no_program_at_all_does_not_run(tmp_path: Path) -> None:
    path = program(tmp_path)
    path.write_bytes(b"\x7fELF nothing")
    assert find(search_path=(str(tmp_path),)).reason == "healthcheck_failed"


def test_names_are_no_shell_commands(tmp_path: Path) -> None:
    sign = tmp_path / "pwned"
    found = find(search_path=("/bin", "/usr/bin"), cli_bins={"claude": f"touch {sign}; true"})
    assert (found.installed, sign.exists()) == (False, False)


def test_a_program_gets_none_of_our_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_ENCRYPTION_KEY", "planted")
    program(tmp_path, script=f"env > {tmp_path}/seen")
    find(search_path=(str(tmp_path), "/bin", "/usr/bin"), cli_home=tmp_path / "home")
    seen = (tmp_path / "seen").read_text()
    assert "planted" not in seen
    assert f"HOME={tmp_path}/home" in seen


def test_of_two_commands_the_first_that_is_there_counts(tmp_path: Path) -> None:
    program(tmp_path, "cursor")
    assert find(TOOLS["cursor"], search_path=(str(tmp_path),)).command == "cursor"
    program(tmp_path, "agent")
    assert find(TOOLS["cursor"], search_path=(str(tmp_path),)).command == "agent"
    assert find(TOOLS["cursor"]).command == "agent"


def test_a_tool_without_a_command_is_always_there() -> None:
    assert find(TOOLS["continue"]) == Presence(True, True, None, None, "auto", "not_required")


async def test_an_answer_is_kept_for_a_while_unless_the_program_changes(tmp_path: Path) -> None:
    path = program(tmp_path, script=f"echo x >> {tmp_path}/calls")
    clock = FakeClock()
    detector = Detector(Settings(search_path=(str(tmp_path),)), clock)

    async def calls() -> int:
        assert (await detector.find(CLAUDE)).runnable
        return len((tmp_path / "calls").read_text().split())

    assert [await calls(), await calls()] == [1, 1]
    clock.advance(31)
    assert await calls() == 2
    os.utime(path, (1, 1))
    assert await calls() == 3
