"""Command line tools: whether they are installed, how they are configured, configuring them and undoing that."""

from __future__ import annotations

import asyncio
from typing import Final

from msgspec import UNSET, Struct, UnsetType, field, to_builtins
from msgspec.structs import asdict

from ..errors import OmniError
from ..upstream.base_url import check_base_url
from .access import is_local
from .bodies import Text200, Text500, clean_key, decode_if_sent
from .call import Call, Done, Reply, flag
from .cli_edits import CLAUDE_RESET, CLAUDE_URL, Wanted, with_version
from .cli_files import CopyRow
from .cli_runtime import Presence
from .cli_setup import CliSetup
from .cli_tools import TOOLS, Tool
from .refusals import Invalid, refused

_BY_VARIABLES: Final = "claude"
_GUIDED: Final = ("continue",)
_WITH_SETTINGS: Final = ("claude", "codex", "droid", "openclaw")
_REQUIRED: Final = {"codex": ("baseUrl", "apiKey", "model")}
_ALWAYS: Final = ("baseUrl", "model")
_NO_KEY: Final = "sk_omniroute"  # the tools require some key; a gateway without keys accepts any


class ToolBody(Struct, rename="camel"):
    """``env`` is for the tool that is configured by variables, the other fields are for the rest."""

    env: dict[str, Text500] = field(default_factory=dict)
    base_url: Text500 = ""
    api_key: Text500 = ""
    model: Text200 = ""


class Runtime(Presence, rename="camel", kw_only=True, frozen=True):
    requires_binary: bool
    tool_id: str
    config_path: str
    message: str


class ToolState(Struct, rename="camel"):
    installed: bool
    runnable: bool
    command: str | None
    command_path: str | None
    reason: str | None
    config_status: str
    last_configured_at: str | UnsetType = UNSET


class Written(Struct, rename="camel"):
    """``diff`` shows what changed, with secrets masked."""

    success: bool
    message: str
    settings_path: str | UnsetType = UNSET
    config_path: str | UnsetType = UNSET
    diff: str = ""


class CopyBody(Struct, rename="camel"):
    tool: Text200 = ""
    backup_id: Text200 = ""


class CopyList(Struct):
    tool: str | None
    backups: list[CopyRow]


async def runtime(call: Call) -> Reply:
    """Return whether the tool's program was found and runs, and where its configuration is.  404 for an unknown tool."""
    tool = _tool(call.params["toolId"])
    setup = _setup(call)
    found = await setup.detector.find(tool)
    return Reply(200, Runtime(
        **asdict(found), requires_binary=tool.requires_binary, tool_id=tool.id,
        config_path=str(setup.home.path(tool.files[0])), message=_MESSAGES.get(found.reason or "", "CLI detected"),
    ))  # fmt: skip


async def status(call: Call) -> Reply:
    """Return the state of all tools, by id; they are examined at the same time."""
    setup = _setup(call)
    moments = await setup.configured_at()
    states = await asyncio.gather(*(_state(setup, tool, moments) for tool in TOOLS.values()))
    return Reply(200, dict(zip(TOOLS, states, strict=True)))


async def _state(setup: CliSetup, tool: Tool, moments: dict[str, str]) -> ToolState:
    found = await setup.detector.find(tool)
    shown = await setup.show(tool)
    state = "configured" if shown.ours else "not_configured"
    state = "unknown" if shown.problem else state
    return ToolState(
        installed=found.installed,
        runnable=found.runnable,
        command=found.command,
        command_path=found.command_path,
        reason=found.reason,
        config_status=state if found.installed else "not_installed",
        last_configured_at=moments.get(tool.id, UNSET),
    )


async def read(call: Call) -> Reply:
    """Show the tool's current configuration, with secrets masked."""
    tool = _tool(call.params["toolId"], _WITH_SETTINGS)
    setup = _setup(call)
    found = await setup.detector.find(tool)
    what, where = ("config", "configPath") if tool.files[0].format == "toml" else ("settings", "settingsPath")
    if not found.runnable:
        text = f"{tool.label} CLI is {'installed but does not run' if found.installed else 'not installed'}"
        return Reply(200, {**to_builtins(found), what: None, "message": text})
    shown = await setup.show(tool)
    place = {"hasOmniRoute": shown.ours, where: str(setup.home.path(tool.files[0]))}
    if shown.problem:
        return Reply(200, {**to_builtins(found), what: None, **place, "message": shown.problem})
    return Reply(200, {**to_builtins(found), what: shown.text if what == "config" else shown.document, **place})


async def write(call: Call) -> Reply:
    """Configure the tool for this gateway.  ``?preview=true`` only shows what would change."""
    return await _configure(call, _tool(call.params["toolId"], _WITH_SETTINGS))


async def guide(call: Call) -> Reply:
    """Configure one of the tools for which the admin page shows a guide."""
    return await _configure(call, _tool(call.params["toolId"], _GUIDED))


async def _configure(call: Call, tool: Tool) -> Reply:
    preview = bool(flag(call.query.get("preview")))
    _check_writable(call, preview=preview)
    wanted = _wanted(call, tool)
    diff = await _setup(call).configure(tool, wanted, preview=preview)
    if not preview:
        await call.audit("cli.configure", tool.id, {"baseUrl": wanted.base_url or wanted.env.get(CLAUDE_URL, "")})
    return Reply(200, _written(call, tool, "would be updated" if preview else "updated", diff))


async def reset(call: Call) -> Reply:
    """Remove the gateway's entries from the tool's files; everything else stays."""
    return await _reset(call, _tool(call.params["toolId"], _WITH_SETTINGS))


async def guide_reset(call: Call) -> Reply:
    """Remove what the gateway wrote for a tool that is set up by hand.  404 for any other tool."""
    return await _reset(call, _tool(call.params["toolId"], _GUIDED))


async def _reset(call: Call, tool: Tool) -> Reply:
    preview = bool(flag(call.query.get("preview")))
    _check_writable(call, preview=preview)
    diff = await _setup(call).reset(tool, preview=preview)
    if not preview:
        await call.audit("cli.reset", tool.id)
    return Reply(200, _written(call, tool, "would be reset" if preview else "reset", diff))


async def list_copies(call: Call) -> Reply:
    """Return the copies of the configuration files of ``?tool=``, or of all tools; sizes in bytes."""
    name = call.query.get("tool", "")
    tool = _tool(name) if name else None
    return Reply(200, CopyList(name or None, await _setup(call).copies(tool)))


async def restore_copy(call: Call) -> Reply:
    """Put a copy back in place of the configuration file.  403 when writing is disabled, 404 for an unknown copy."""
    tool, copy_id = _copy(call.body)
    _check_writable(call)
    path = await _setup(call).restore(tool, copy_id)
    await call.audit("cli.restore", tool.id, {"backup": copy_id})
    return Reply(200, Done(True, f"{path} was restored"))


async def delete_copy(call: Call) -> Reply:
    """Delete a backup; body or query name it."""
    sent = decode_if_sent(call.request.body, CopyBody)
    asked = CopyBody(sent.tool or call.query.get("tool", ""), sent.backup_id or call.query.get("backupId", ""))
    tool, copy_id = _copy(asked)
    _check_writable(call)
    await _setup(call).forget(tool, copy_id)
    await call.audit("cli.backup_delete", tool.id, {"backup": copy_id})
    return Reply(200, Done(True, "Backup deleted"))


async def unsupported(call: Call) -> Reply:
    """Refuse: a gateway should not read another product's encrypted traffic."""
    raise OmniError("not_supported", "Not supported", status=501)


_MESSAGES: Final = {
    "not_found": "CLI not detected",
    "not_executable": "CLI found, but it is not executable",
    "healthcheck_failed": "CLI found, but it does not run",
    "not_required": "No CLI needed",
}


def _setup(call: Call) -> CliSetup:
    services = call.services
    if services.cli is None:
        services.cli = CliSetup(services.settings, services.clock, services.store)
    return services.cli


def _tool(name: str, among: tuple[str, ...] = tuple(TOOLS)) -> Tool:
    if name not in among:
        raise refused(404, "Unsupported CLI tool")
    return TOOLS[name]


def _written(call: Call, tool: Tool, what: str, diff: str) -> Written:
    path = str(_setup(call).home.path(tool.files[0]))
    toml = tool.files[0].format == "toml"
    return Written(True, f"{tool.label} settings {what}", UNSET if toml else path, path if toml else UNSET, diff)


def _check_writable(call: Call, *, preview: bool = False) -> None:
    """Raise OmniError 403 if writing is not allowed; a *preview* writes nothing, but shows what is in the files."""
    if not preview and not call.services.settings.cli_writes:
        raise refused(403, "CLI config writes are disabled (CLI_ALLOW_CONFIG_WRITES=false)")
    if not (call.actor.known or is_local(call)):
        raise refused(403, "CLI config writes need a login, or a caller on this machine")


def _wanted(call: Call, tool: Tool) -> Wanted:
    body: ToolBody = call.body
    if tool.id == _BY_VARIABLES:
        return Wanted(env=_variables(call, body.env))
    values = {"baseUrl": body.base_url.strip(), "apiKey": body.api_key.strip(), "model": body.model.strip()}
    labels = {"baseUrl": "Base URL", "apiKey": "API key", "model": "Model"}
    missing = [(name, f"{labels[name]} is required") for name in _REQUIRED.get(tool.id, _ALWAYS) if not values[name]]
    if missing:
        raise Invalid(*missing)
    if not values["model"].isprintable():
        raise Invalid(("model", "Model contains invalid characters"))
    check_base_url(values["baseUrl"], call.services.settings.allow_private_urls)
    return Wanted(with_version(values["baseUrl"]), clean_key(values["apiKey"]) or _NO_KEY, values["model"])


def _variables(call: Call, env: dict[str, str]) -> dict[str, str]:
    """Return the variables to set.  Only known ones are allowed: others (``NODE_OPTIONS``) could run any code."""
    if not env:
        raise Invalid(("env", "Env is required"))
    wrong = [(f"env.{name}", "This variable cannot be set here") for name in env if name not in CLAUDE_RESET]
    wrong += [(f"env.{name}", "Contains invalid characters") for name, value in env.items() if not value.isprintable()]
    if wrong:
        raise Invalid(*wrong)
    if url := env.get(CLAUDE_URL, "").strip():
        check_base_url(url, call.services.settings.allow_private_urls)
    elif CLAUDE_URL in env:
        raise Invalid((f"env.{CLAUDE_URL}", "Base URL is required"))
    return env


def _copy(body: CopyBody) -> tuple[Tool, str]:
    values = {"tool": body.tool, "backupId": body.backup_id}
    missing = [(name, f"{name} is required") for name, value in values.items() if not value]
    if missing:
        raise Invalid(*missing)
    return _tool(body.tool), body.backup_id
