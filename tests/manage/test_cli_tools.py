"""The table of the tools."""

from __future__ import annotations

import pytest

from omniroute.manage.cli_edits import EDITS
from omniroute.manage.cli_tools import TOOLS
from omniroute.settings import load


@pytest.mark.parametrize(
    ("id", "commands", "files", "seconds"),
    [
        ("claude", ("claude",), [".claude/settings.json"], 4),
        ("codex", ("codex",), [".codex/config.toml", ".codex/auth.json"], 4),
        ("droid", ("droid",), [".factory/settings.json"], 8),
        ("openclaw", ("openclaw",), [".openclaw/openclaw.json"], 12),
        ("cursor", ("agent", "cursor"), [".cursor/cli-config.json"], 12),
        ("cline", ("cline",), [".cline/data/globalState.json"], 12),
        ("kilo", ("kilocode",), [".local/share/kilo/auth.json"], 4),
        ("continue", (), [".continue/config.json"], 4),
    ],
)
def test_the_table_is_the_contracts(id: str, commands: tuple[str, ...], files: list[str], seconds: float) -> None:
    tool = TOOLS[id]
    assert (tool.commands, ["/".join(file.parts) for file in tool.files], tool.seconds) == (commands, files, seconds)
    assert tool.requires_binary == bool(commands)


def test_each_tool_has_a_variable_for_its_program() -> None:
    env = {f"CLI_{name.upper()}_BIN": f"/opt/{name}" for name in TOOLS}
    assert load(env).cli_bins == {name: f"/opt/{name}" for name in TOOLS}


def test_each_edit_is_of_a_tool() -> None:
    assert set(EDITS) <= set(TOOLS)
