"""``omniroute providers``: add, list, test and remove accounts."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from ..settings import Settings
from .backend import Api, connect
from .output import as_json, bad, fail, good, progress, say, shared, table

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
    """Accounts at providers."""


@providers.command("list")
@shared
def list_(settings: Settings, json_out: bool) -> None:
    """Show all accounts."""
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
@click.option("--key", help="API key. Left out: asked for, or read from standard input (there other users cannot see it).")
@click.option("--name", help="A name of your own; one in use gets a new key.  [default: default]")
@click.option("--url", help="Base URL of your own endpoint, instead of a known provider.")
@click.option("--prefix", help="With --url: models are called PREFIX/MODEL.")
@click.option(
    "--type",
    "kind",
    default="openai-compatible",
    show_default=True,
    type=click.Choice(KINDS),
    help="With --url: what it speaks.",
)
@shared
def add(
    settings: Settings,
    provider: str | None,
    key: str | None,
    name: str | None,
    url: str | None,
    prefix: str | None,
    kind: str,
    json_out: bool,
) -> None:
    """Add an account at PROVIDER, or an endpoint of your own.

    \b
    omniroute providers add openai
    omniroute providers add --url http://127.0.0.1:8000/v1 --prefix mine
    """
    if bool(provider) == bool(url):
        raise click.UsageError("Name a provider, or give --url for an endpoint of your own.")
    if bool(url) != bool(prefix):
        raise click.UsageError("--url and --prefix belong together: models are then called PREFIX/MODEL.")
    with connect(settings) as api:
        known = {c["id"] for c in api("GET", "/api/providers")["connections"]}
        if url and prefix:
            secret = key if key is not None else _ask_key(optional=True)
            connection = _add_own(api, url, prefix, kind, name or prefix, secret)
        else:
            row = _catalogued(api, str(provider))
            if key is None and not (row and not row["takesKey"]):
                key = _ask_key(optional=bool(row and not row["needsKey"]))
            connection = _add(api, provider, name or "default", key or "")
    if json_out:
        as_json(connection)
        return
    account = f"{_provider(connection)} account '{connection['name']}' ({connection['id'][:8]})"
    if connection["id"] in known:
        good(f"Replaced what was stored for {account}; another account needs another --name")
    else:
        good(f"Added {account}")
    say(f"Check it with: omniroute providers test {connection['id'][:8]}")


def _catalogued(api: Api, provider: str) -> dict[str, Any] | None:
    """The built-in provider of this id, None for a node.  Ends the command for what is neither."""
    rows = {row["id"]: row for row in api("GET", "/admin_ui/catalog.json")["providers"]}
    if provider not in rows and all(node["id"] != provider for node in api("GET", "/api/provider-nodes")["nodes"]):
        from difflib import get_close_matches

        near = [id for id, row in rows.items() if row["alias"] == provider] or get_close_matches(provider.lower(), rows, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else "An endpoint of your own: --url and --prefix."
        fail(f"Invalid provider '{provider}'. {hint} The built-in ones: {', '.join(rows)}")
    return rows.get(provider)


def _add(api: Api, provider: str | None, name: str, secret: str) -> Any:
    body = {"provider": provider, "name": name, **({"apiKey": secret} if secret else {})}
    return api("POST", "/api/providers", body)["connection"]


def _add_own(api: Api, url: str, prefix: str, kind: str, name: str, secret: str) -> Any:
    """A node and its account: both or neither."""
    kind, _, api_type = kind.partition(":")
    body = {"name": name, "prefix": prefix, "type": kind, "baseUrl": url}
    if kind == "openai-compatible":
        body["apiType"] = api_type or "chat"
    node = api("POST", "/api/provider-nodes", body)["node"]["id"]
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
    """What names of models begin with: the prefix of an endpoint of one's own, whose id is long, else the provider's id."""
    data = connection.get("providerSpecificData", {})
    return str(data["prefix"] if data.get("nodeName") and data.get("prefix") else connection["provider"])


def label(connection: dict[str, Any]) -> str:
    """PROVIDER/NAME: how an account is named here."""
    return f"{_provider(connection)}/{connection['name']}"


def find(api: Api, wanted: str) -> dict[str, Any]:
    """The one account that is meant by the beginning of its ID, its name, its provider (id or prefix), or PROVIDER/NAME."""
    connections = api("GET", "/api/providers")["connections"]
    exact = [c for c in connections if wanted in (c["id"], c["name"], c["provider"], _provider(c), label(c))]
    found: list[dict[str, Any]] = exact or [c for c in connections if c["id"].startswith(wanted)]
    if not found:
        fail(f"No account '{wanted}'. See: omniroute providers list")
    if len(found) > 1:
        fail(f"'{wanted}' fits {len(found)} accounts: use the ID from: omniroute providers list")
    return found[0]


@providers.command()
@click.argument("account", required=False)
@shared
def test(settings: Settings, account: str | None, json_out: bool) -> None:
    """Ask the provider whether the key works; all accounts when none is named."""
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
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@shared
def remove(settings: Settings, account: str, yes: bool, json_out: bool) -> None:
    """Remove an account."""
    with connect(settings) as api:
        connection = find(api, account)
        if not yes and sys.stdin.isatty():
            click.confirm(f"Remove {label(connection)}?", abort=True, err=True)
        answer = api("DELETE", f"/api/providers/{connection['id']}")
    if json_out:
        as_json(answer)
    else:
        good(f"Removed {label(connection)}")
