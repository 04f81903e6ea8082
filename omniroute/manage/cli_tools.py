"""The known command line tools: their programs, their files, and what is written there.  Data and lookups.

Sources for where each tool reads its model provider from: https://code.claude.com/docs/en/settings,
https://developers.openai.com/codex/config-reference, https://docs.factory.ai/cli/byok,
https://docs.openclaw.ai/concepts/model-providers, https://docs.continue.dev/reference.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Format = Literal["json", "toml"]


class File(NamedTuple):
    """A configuration file, as path segments below the home folder."""

    parts: tuple[str, ...]
    format: Format = "json"

    @property
    def name(self) -> str:
        """The name without folders."""
        return self.parts[-1]


class Tool(NamedTuple):
    """One tool.  ``commands`` are tried in order; ``seconds`` limits ``--version`` and ``-v`` together."""

    id: str
    label: str
    commands: tuple[str, ...]
    files: tuple[File, ...]  # the first one is shown
    seconds: float = 4.0

    @property
    def requires_binary(self) -> bool:
        """Whether the tool has a program of its own to look for."""
        return bool(self.commands)


_CODEX: Final = (File((".codex", "config.toml"), "toml"), File((".codex", "auth.json")))
_ROWS: Final = (
    Tool("claude", "Claude", ("claude",), (File((".claude", "settings.json")),)),
    Tool("codex", "Codex", ("codex",), _CODEX),
    Tool("droid", "Factory Droid", ("droid",), (File((".factory", "settings.json")),), 8.0),
    Tool("openclaw", "OpenClaw", ("openclaw",), (File((".openclaw", "openclaw.json")),), 12.0),
    Tool("cursor", "Cursor", ("agent", "cursor"), (File((".cursor", "cli-config.json")),), 12.0),
    Tool("cline", "Cline", ("cline",), (File((".cline", "data", "globalState.json")),), 12.0),
    Tool("kilo", "Kilo Code", ("kilocode",), (File((".local", "share", "kilo", "auth.json")),)),
    Tool("continue", "Continue", (), (File((".continue", "config.json")),)),
)
TOOLS: Final[dict[str, Tool]] = {tool.id: tool for tool in _ROWS}
