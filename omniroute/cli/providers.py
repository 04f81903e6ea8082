"""``omniroute providers``: add, list, test and remove accounts."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from ..settings import Settings
from .backend import Api, connect
from .output import as_json, bad, confirm, fail, good, only, progress, say, shared, table, warn, yes_option

KINDS: Final = (
    "openai-compatible",
    "openai-compatible:responses",
    "anthropic-compatible",
    "gemini-compatible",
    "ollama-compatible",
)
_NONE: Final = "No accounts yet. Add one: omniroute providers add openai"


@click.group()
def providers() -> None:
    """Manage accounts at providers."""


@providers.command("list")
@shared
def list_(settings: Settings, json_out: bool) -> None:
    """List all accounts."""
    with connect(settings) as api:
        connections = api("GET", "/api/providers")["connections"]
    if json_out:
        as_json(connections)
        return
    rows = [(c["id"][:8], _provider(c), c["name"], c["priority"], _state(c), c.get("lastError")) for c in connections]
    table(("ID", "PROVIDER", "NAME", "PRIORITY", "STATE", "LAST ERROR"), rows, _NONE)


def _state(connection: dict[str, Any]) -> str:
    return str(connection["testStatus"]) if connection["isActive"] else "off"


@providers.command()
@click.argument("provider", required=False)
@click.option("--key", help="API key. By default it is prompted for or read from stdin, where other users cannot see it.")
@click.option("--name", help="Name of the account; an existing one gets the new key.  [default: default]")
@click.option(
    "--set",
    "fields",
    multiple=True,
    metavar="FIELD=VALUE",
    help="A part of the address that some providers need, e.g. resource=NAME.",
)
@click.option("--url", help="Base URL of your own endpoint, instead of a known provider.")
@click.option("--prefix", help="With --url: models are called PREFIX/MODEL.")
@click.option(
    "--type",
    "kind",
    default="openai-compatible",
    show_default=True,
    type=click.Choice(KINDS),
    help="With --url: its API format.",
)
@shared
def add(
    settings: Settings,
    provider: str | None,
    key: str | None,
    name: str | None,
    fields: tuple[str, ...],
    url: str | None,
    prefix: str | None,
    kind: str,
    json_out: bool,
) -> None:
    """Add an account at PROVIDER, or your own endpoint.

    \b
    omniroute providers add openai
    omniroute providers add --url http://127.0.0.1:8000/v1 --prefix mine
    """
    if bool(provider) == bool(url):
        raise click.UsageError("Name a provider, or give --url for your own endpoint.")
    if bool(url) != bool(prefix):
        raise click.UsageError("--url and --prefix belong together: models are then called PREFIX/MODEL.")
    if url and fields:
        raise click.UsageError("--set completes the address of a known provider; --url is a whole one.")
    data = dict(_pair(text) for text in fields)
    with connect(settings) as api:
        stored = api("GET", "/api/providers")["connections"]
        if url and prefix:
            connection = _add_own(api, url, prefix, kind, name or prefix, key)
        else:
            connection = _add_known(api, str(provider), name or "default", key, data, stored)
    if json_out:
        as_json(connection)
        return
    account = f"{_provider(connection)} account '{connection['name']}' ({connection['id'][:8]})"
    if any(c["id"] == connection["id"] for c in stored):
        good(f"Replaced what was stored for {account}; to add another account, give another --name")
    else:
        good(f"Added {account}")
    say(f"Check it with: omniroute providers test {connection['id'][:8]}")


def _catalogued(api: Api, provider: str) -> dict[str, Any] | None:
    """The built-in provider with this id, None for a node.  Ends the command when it is neither."""
    rows = {row["id"]: row for row in api("GET", "/admin_ui/catalog.json")["providers"]}
    if provider not in rows and all(node["id"] != provider for node in api("GET", "/api/provider-nodes")["nodes"]):
        from difflib import get_close_matches

        near = [id for id, row in rows.items() if row["alias"] == provider] or get_close_matches(provider.lower(), rows, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else "An endpoint of your own: --url and --prefix."
        fail(f"Invalid provider '{provider}'. {hint} The built-in ones: {', '.join(rows)}")
    return rows.get(provider)


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not name.strip() or not value.strip():
        raise click.UsageError(f"--set expects FIELD=VALUE, not '{text}'.")
    return name.strip(), value.strip()


def _check_fields(provider: str, wanted: list[str], given: dict[str, str], *, complete: bool) -> None:
    """End the command for a field that the provider's address does not have or, with *complete*, for a missing one."""
    for name in given:
        if name not in wanted:
            hint = f"only: {', '.join(wanted)}" if wanted else "nothing to set: its address is complete"
            raise click.UsageError(f"{provider} has no '{name}'; it has {hint}.")
    if missing := [name for name in wanted if complete and name not in given]:
        raise click.UsageError(f"{provider} needs {' '.join(f'--set {name}=…' for name in missing)}")


def _add_known(
    api: Api, provider: str, name: str, key: str | None, data: dict[str, str], stored: list[dict[str, Any]]
) -> Any:
    """Add an account at a built-in provider or an existing node, or replace the one of that name in *stored*."""
    row = _catalogued(api, provider)
    new = (provider, name) not in {(c["provider"], c["name"]) for c in stored}
    _check_fields(provider, row["fields"] if row else [], data, complete=new or bool(data))
    if key is None and not (row and not row["takesKey"]):
        key = _ask_key(optional=bool(row and not row["needsKey"]))
    return _add(api, provider, name, key or "", data)


def _add(api: Api, provider: str, name: str, secret: str, data: dict[str, str] | None = None) -> Any:
    body: dict[str, Any] = {"provider": provider, "name": name, **({"apiKey": secret} if secret else {})}
    if data:
        body["providerSpecificData"] = data
    return api("POST", "/api/providers", body)["connection"]


def _add_own(api: Api, url: str, prefix: str, kind: str, name: str, key: str | None) -> Any:
    """Add a node and its account; when the account fails, the node is removed again."""
    secret = key if key is not None else _ask_key(optional=True)
    kind, _, api_type = kind.partition(":")
    body = {"name": name, "prefix": prefix, "type": kind, "baseUrl": url}
    if kind == "openai-compatible":
        body["apiType"] = api_type or "chat"
    made = api("POST", "/api/provider-nodes", body)
    node = made["node"]["id"]
    if said := made.get("warning"):
        warn(said)
    try:
        return _add(api, node, name, secret)
    except click.ClickException:
        api("DELETE", f"/api/provider-nodes/{node}")
        raise


def _on_terminal() -> bool:
    return sys.stdin.isatty()


def _ask_key(*, optional: bool) -> str:
    if _on_terminal():
        hint = "API key (Enter for none)" if optional else "API key"
        text: str = click.prompt(hint, hide_input=True, default="" if optional else None, show_default=False, err=True)
        return text.strip()
    return sys.stdin.readline().strip()


def _provider(connection: dict[str, Any]) -> str:
    """The first part of model names: a node's prefix, because its id is long, or a built-in provider's id."""
    data = connection.get("providerSpecificData", {})
    return str(data["prefix"] if data.get("nodeName") and data.get("prefix") else connection["provider"])


def label(connection: dict[str, Any]) -> str:
    """The name of an account in messages: PROVIDER/NAME."""
    return f"{_provider(connection)}/{connection['name']}"


def find(api: Api, wanted: str) -> dict[str, Any]:
    """The account with this name, provider (id or prefix), PROVIDER/NAME or beginning of its ID.

    Ends the command unless there is exactly one.
    """
    connections = api("GET", "/api/providers")["connections"]
    exact = [c for c in connections if wanted in (c["id"], c["name"], c["provider"], _provider(c), label(c))]
    found: list[dict[str, Any]] = exact or [c for c in connections if c["id"].startswith(wanted)]
    return only(found, wanted, "account", "omniroute providers list")


@providers.command()
@click.argument("account", required=False)
@shared
def test(settings: Settings, account: str | None, json_out: bool) -> None:
    """Check with the provider whether an account's key works; by default for all accounts."""
    results = []
    with connect(settings) as api:
        for connection in [find(api, account)] if account else api("GET", "/api/providers")["connections"]:
            with progress(f"Testing {label(connection)} …"):
                result = api("POST", f"/api/providers/{connection['id']}/test")
            results.append({"connectionId": connection["id"], "provider": connection["provider"], **result})
            if json_out:
                continue
            if result["valid"]:
                good(f"{label(connection)}: works ({result['latencyMs']} ms)")
            else:
                bad(f"{label(connection)}: {result['error']}")
    if json_out:
        as_json(results)
    elif not results:
        say(_NONE)
    if any(not result["valid"] for result in results):
        raise SystemExit(1)


@providers.command()
@click.argument("account")
@yes_option
@shared
def remove(settings: Settings, account: str, yes: bool, json_out: bool) -> None:
    """Remove an account."""
    with connect(settings) as api:
        connection = find(api, account)
        confirm(f"Remove {label(connection)}?", yes=yes)
        answer = api("DELETE", f"/api/providers/{connection['id']}")
    if json_out:
        as_json(answer)
    else:
        good(f"Removed {label(connection)}")
