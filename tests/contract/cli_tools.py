"""Section 11: CLI tools."""

from __future__ import annotations

import re
from typing import Any, Final

from contract.row import SUCCESS, Ask, Fact, error, exactly, fact, row
from contract.shape import ISO, Some

_STATUS: Final = {
    "installed": bool, "runnable": bool, "command": str | None, "commandPath": str | None,
    "runtimeMode": re.compile("^(auto|host|container)$"),
    "reason": str | None,
}  # fmt: skip
_ABSENT: Final = {**_STATUS, "installed": False, "runnable": False, "commandPath": None, "reason": "not_found"}
_HERE: Final = {**_STATUS, "installed": True, "runnable": True, "commandPath": "{folder}-tools/bin/{tool}", "reason": None}
_HOME: Final = {"cli_home": "{folder}-tools"}
_WITH_TOOLS: Final = {**_HOME, "search_path": ("{folder}-tools/bin",)}
_URL: Final = "http://127.0.0.1:20128"
_MODEL: Final = {"baseUrl": _URL, "apiKey": "sk-planted-123", "model": "openai/gpt-4o"}
_CLAUDE: Final = {"env": {"ANTHROPIC_BASE_URL": _URL, "ANTHROPIC_AUTH_TOKEN": "sk-planted-123"}}
_BODIES: Final[dict[str, dict[str, Any]]] = {"claude": _CLAUDE, "codex": _MODEL, "droid": _MODEL, "openclaw": _MODEL}
_OFF: Final = error("CLI config writes are disabled (CLI_ALLOW_CONFIG_WRITES=false)")
_MASKED: Final = re.compile(r"(?s)^(?!.*sk-planted-123)")

# tool -> command, its file in the home directory
TOOLS: Final = {
    "claude": ("claude", ".claude/settings.json"),
    "codex": ("codex", ".codex/config.toml"),
    "droid": ("droid", ".factory/settings.json"),
    "openclaw": ("openclaw", ".openclaw/openclaw.json"),
    "cursor": ("agent", ".cursor/cli-config.json"),
    "cline": ("cline", ".cline/data/globalState.json"),
    "kilo": ("kilocode", ".local/share/kilo/auth.json"),
    "continue": (None, ".continue/config.json"),
}


def _tool(name: str, command: str | None, file: str) -> Fact:
    """The tool is absent at first, then found where its variable points."""
    found = {"toolId": name, "configPath": re.compile(f"{re.escape(file)}$"), "message": str}
    at = f"GET /api/cli-tools/runtime/{name}"
    if command is None:
        state = {**_STATUS, "requiresBinary": False, "command": None, "reason": "not_required", **found}
        return fact(name, Ask(200, state, at=at), **_HOME)
    here = {**_STATUS, "requiresBinary": True, "installed": True, "runnable": True, "reason": None,
            "commandPath": "{folder}-tools/bin/other"}  # fmt: skip
    return fact(
        name, Ask(200, {**here, **found}, at=at), given="tools", cli_bins={name: "{folder}-tools/bin/other"}, **_HOME
    )


TOOL_ROWS: Final = tuple(_tool(name, *about) for name, about in TOOLS.items())


def _written(name: str) -> dict[str, Any]:
    """What the API shows of the tool once it is set up; never the key."""
    if name == "codex":
        return {"config": re.compile(r'(?s)^(?!.*sk-planted).*model_provider = "omniroute".*wire_api = "responses"'),
                "configPath": str}  # fmt: skip
    settings: dict[str, Any] = {
        "claude": {"env": {"ANTHROPIC_BASE_URL": f"{_URL}/v1", "ANTHROPIC_AUTH_TOKEN": _MASKED}},
        "droid": {"customModels": Some({
            "id": "custom:OmniRoute-0", "model": "openai/gpt-4o", "baseUrl": str, "apiKey": _MASKED, "displayName": str,
            "maxOutputTokens": 131072, "provider": "openai",
        })},
        "openclaw": {
            "models": {"providers": {"omniroute": {
                "baseUrl": str, "apiKey": _MASKED, "api": "openai-completions", "models": [{"id": str, "name": str}],
            }}},
            "agents": {"defaults": {"model": {"primary": "omniroute/openai/gpt-4o"}}},
        },
    }  # fmt: skip
    return {"settings": settings[name], "settingsPath": str}


def _settings(name: str) -> tuple[Any, ...]:
    path = f"/api/cli-tools/{name}-settings"
    nothing = "config" if name == "codex" else "settings"
    write = Ask(200, {"success": True, "message": str}, _BODIES[name], at=f"POST {path}")
    more = {"given": "tools", "settings": _WITH_TOOLS}
    return (
        row(f"GET {path}", "M", Ask(200, {**_ABSENT, nothing: None, "message": str}), settings=_HOME),
        row(f"GET {path}", "M",
            Ask(200, {**_STATUS, "hasOmniRoute": False}),
            write,
            Ask(200, {**_STATUS, "hasOmniRoute": True, **_written(name)}), **more),
        row(f"POST {path}", "M",
            Ask(200, {"success": True, "message": str}, _BODIES[name]),
            Ask(400, {"error": dict}, {}), **more),
        row(f"DELETE {path}", "M",
            write, Ask(200, {"success": True, "message": str}), Ask(200, {"hasOmniRoute": False}, at=f"GET {path}"), **more),
        *(row(f"{method} {path}", "M", Ask(403, _OFF, body), settings={**_HOME, "cli_writes": False})
          for method, body in (("POST", _BODIES[name]), ("DELETE", None))),
    )  # fmt: skip


_WRITE: Final = Ask(200, SUCCESS, _CLAUDE, at="POST /api/cli-tools/claude-settings")
_TWICE: Final = (_WRITE, Ask(200, SUCCESS, at="DELETE /api/cli-tools/claude-settings"))
_COPY: Final = {"id": str, "toolId": "claude", "originalPath": str, "createdAt": ISO, "size": int}
_KEEP: Final = Ask(200, {"tool": "claude", "backups": [_COPY]}, at="GET /api/cli-tools/backups?tool=claude",
                   keep={"copy": "backups.0.id"})  # fmt: skip
_NAMED: Final = {"tool": "claude", "backupId": "{copy}"}
_DONE: Final = {"success": True, "message": str}
_NOT_SUPPORTED: Final = Ask(501, {"error": {"message": str}})

ENDPOINTS: Final = (
    row(
        "GET /api/cli-tools/runtime/{toolId}", "M",
        Ask(200, {**_ABSENT, "requiresBinary": True, "toolId": "claude", "configPath": str, "message": str},
            ids={"toolId": "claude"}),
        Ask(404, error(exactly("Unsupported CLI tool")), ids={"toolId": "zzz"}),
        settings=_HOME,
    ),
    *(each for name in _BODIES for each in _settings(name)),
    row(
        "GET /api/cli-tools/status", "M",
        Ask(200, {name: {
            "installed": bool, "runnable": bool, "command": str | None, "commandPath": str | None, "reason": str | None,
            "configStatus": re.compile("^(configured|not_configured|not_installed|unknown)$"), "lastConfiguredAt?": ISO,
        } for name in TOOLS}),
        _WRITE,
        Ask(200, {"claude": {"configStatus": "configured", "lastConfiguredAt": ISO}}),
        given="tools", settings=_WITH_TOOLS,
    ),
    row("GET /api/cli-tools/backups", "M", *_TWICE, _KEEP, given="tools", settings=_WITH_TOOLS),
    row("POST /api/cli-tools/backups", "M", *_TWICE, _KEEP, Ask(200, _DONE, _NAMED), given="tools", settings=_WITH_TOOLS),
    row(
        "DELETE /api/cli-tools/backups", "M",
        *_TWICE, _KEEP, Ask(200, _DONE, _NAMED), Ask(404, {"error": str}, _NAMED),
        given="tools", settings=_WITH_TOOLS,
    ),
    row("POST /api/cli-tools/guide-settings/continue", "M", Ask(200, _DONE, _MODEL), Ask(400, {"error": dict}, {}),
        settings=_HOME),
    *(row(f"{method} /api/cli-tools/antigravity-mitm", "M", Ask(501, error("Not supported"))) for method in ("GET", "POST")),
)  # fmt: skip
