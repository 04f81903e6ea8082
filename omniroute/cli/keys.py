"""``omniroute keys``: gateway keys for clients."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..settings import Settings
from .backend import call
from .output import as_json, console, fail, good, json_option, table


@click.group()
def keys() -> None:
    """Keys that clients of the gateway use."""


@keys.command()
@click.argument("name")
@click.option("--model", "models", multiple=True, help="Allow only this model; may be repeated, * is a wildcard.")
@click.option("--manage", is_flag=True, help="The key may also manage the gateway.")
@click.option("--no-log", is_flag=True, help="Keep no bodies of its calls.")
@json_option
@click.pass_obj
def create(settings: Settings, name: str, models: tuple[str, ...], manage: bool, no_log: bool, json_out: bool) -> None:
    """Make a key. Its text is shown this once."""
    body: dict[str, Any] = {"name": name, "noLog": no_log, "scopes": ["inference", "manage"] if manage else ["inference"]}
    if models:
        body["allowedModels"] = list(models)
    key = call(settings, "POST", "/api/keys", body)
    if json_out:
        as_json(key)
        return
    good(f"Key '{name}' made. It is shown only now:")
    console.print(key["key"], style="bold")


@keys.command("list")
@json_option
@click.pass_obj
def list_(settings: Settings, json_out: bool) -> None:
    """Show all keys, masked."""
    found = call(settings, "GET", "/api/keys")["keys"]
    if json_out:
        as_json(found)
        return
    rows = [(k["id"][:8], k["name"], k["key"], ", ".join(k.get("allowedModels") or ["all"]), k["createdAt"]) for k in found]
    table(("ID", "NAME", "KEY", "MODELS", "CREATED"), rows, "No keys yet. Make one: omniroute keys create laptop")


@keys.command()
@click.argument("key")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def revoke(settings: Settings, key: str, yes: bool, json_out: bool) -> None:
    """Remove a key, named by its ID or name."""
    found = [k for k in call(settings, "GET", "/api/keys")["keys"] if k["id"].startswith(key) or k["name"] == key]
    if len(found) != 1:
        fail(f"No key '{key}'." if not found else f"'{key}' fits {len(found)} keys: use the ID from: omniroute keys list")
    if not yes and sys.stdin.isatty():
        click.confirm(f"Revoke '{found[0]['name']}'?", abort=True)
    answer = call(settings, "DELETE", f"/api/keys/{found[0]['id']}")
    if json_out:
        as_json(answer)
    else:
        good(f"Revoked '{found[0]['name']}'")
