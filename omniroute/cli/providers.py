"""``omniroute providers``: add, list, test and remove accounts."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..settings import Settings
from .backend import call
from .output import as_json, bad, console, fail, good, json_option, table


@click.group()
def providers() -> None:
    """Accounts at providers."""


@providers.command("list")
@json_option
@click.pass_obj
def list_(settings: Settings, json_out: bool) -> None:
    """Show all accounts."""
    connections = call(settings, "GET", "/api/providers")["connections"]
    if json_out:
        as_json(connections)
        return
    rows = [(c["id"][:8], c["provider"], c["name"], c["priority"], _state(c), c.get("lastError", "")) for c in connections]
    empty = "No accounts yet. Add one: omniroute providers add openai --key <key>"
    table(("ID", "PROVIDER", "NAME", "PRIORITY", "STATE", "LAST ERROR"), rows, empty)


def _state(connection: dict[str, Any]) -> str:
    return connection["testStatus"] if connection["isActive"] else "off"


@providers.command()
@click.argument("provider", required=False)
@click.option("--key", help="API key. Left out: asked for, or read from standard input.")
@click.option("--name", default="default", show_default=True, help="A name of your own for the account.")
@click.option("--url", help="Base URL of your own endpoint, instead of a known provider.")
@click.option("--prefix", help="With --url: models are called PREFIX/MODEL.")
@click.option(
    "--type",
    "kind",
    default="openai-compatible",
    show_default=True,
    type=click.Choice(["openai-compatible", "anthropic-compatible"]),
    help="With --url: what it speaks.",
)
@json_option
@click.pass_obj
def add(
    settings: Settings,
    provider: str | None,
    key: str | None,
    name: str,
    url: str | None,
    prefix: str | None,
    kind: str,
    json_out: bool,
) -> None:
    """Add an account, e.g. `omniroute providers add openai` or `omniroute providers add --url http://127.0.0.1:8000/v1 --prefix vllm`."""
    if bool(provider) == bool(url):
        raise click.UsageError("Name a provider, or give --url for an endpoint of your own.")
    secret = key if key is not None else _ask_key(optional=bool(url))
    if url:
        if not prefix:
            raise click.UsageError("--url needs --prefix: models are then called PREFIX/MODEL.")
        node = {"name": name if name != "default" else prefix, "prefix": prefix, "type": kind, "baseUrl": url}
        if kind == "openai-compatible":
            node["apiType"] = "chat"
        provider = call(settings, "POST", "/api/provider-nodes", node)["node"]["id"]
    body: dict[str, Any] = {"provider": provider, "name": name}
    if secret:
        body["apiKey"] = secret
    connection = call(settings, "POST", "/api/providers", body)["connection"]
    if json_out:
        as_json(connection)
    else:
        good(f"Added {connection['provider']} account '{connection['name']}' ({connection['id'][:8]})")
        console.print(f"Check it with: omniroute providers test {connection['id'][:8]}")


def _ask_key(*, optional: bool) -> str:
    if sys.stdin.isatty():
        text: str = click.prompt("API key", hide_input=True, default="" if optional else None, show_default=False)
        return text.strip()
    return sys.stdin.readline().strip()


def _find(settings: Settings, wanted: str) -> dict[str, Any]:
    connections = call(settings, "GET", "/api/providers")["connections"]
    found = [c for c in connections if c["id"].startswith(wanted) or wanted in (c["name"], f"{c['provider']}/{c['name']}")]
    if not found:
        fail(f"No account '{wanted}'. See: omniroute providers list")
    if len(found) > 1:
        fail(f"'{wanted}' fits {len(found)} accounts: use the ID from: omniroute providers list")
    connection: dict[str, Any] = found[0]
    return connection


@providers.command()
@click.argument("account", required=False)
@json_option
@click.pass_obj
def test(settings: Settings, account: str | None, json_out: bool) -> None:
    """Ask the provider whether the key works; all accounts when none is named."""
    chosen = [_find(settings, account)] if account else call(settings, "GET", "/api/providers")["connections"]
    results = []
    for connection in chosen:
        with console.status(f"Testing {connection['provider']}/{connection['name']} …"):
            result = call(settings, "POST", f"/api/providers/{connection['id']}/test")
        results.append({"connectionId": connection["id"], "provider": connection["provider"], **result})
        if not json_out:
            label = f"{connection['provider']}/{connection['name']}"
            if result["valid"]:
                good(f"{label}: works ({result['latencyMs']} ms)")
            else:
                bad(f"{label}: {result['error']}")
    if json_out:
        as_json(results)
    elif not results:
        console.print("No accounts yet. Add one: omniroute providers add openai --key <key>")
    if any(not result["valid"] for result in results):
        raise SystemExit(1)


@providers.command()
@click.argument("account")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def remove(settings: Settings, account: str, yes: bool, json_out: bool) -> None:
    """Remove an account."""
    connection = _find(settings, account)
    label = f"{connection['provider']}/{connection['name']}"
    if not yes and sys.stdin.isatty():
        click.confirm(f"Remove {label}?", abort=True)
    answer = call(settings, "DELETE", f"/api/providers/{connection['id']}")
    if json_out:
        as_json(answer)
    else:
        good(f"Removed {label}")
