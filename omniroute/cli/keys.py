"""``omniroute keys``: gateway keys for clients."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..settings import Settings
from .backend import Api, connect
from .output import as_json, fail, good, say, shared, table


@click.group()
def keys() -> None:
    """Keys that clients of the gateway use."""


@keys.command()
@click.argument("name")
@click.option("--model", "models", multiple=True, help="Allow only this model; may be repeated, * is a wildcard.")
@click.option("--manage", is_flag=True, help="The key may also manage the gateway.")
@click.option("--no-log", is_flag=True, help="Keep no bodies of its calls.")
@shared
def create(settings: Settings, name: str, models: tuple[str, ...], manage: bool, no_log: bool, json_out: bool) -> None:
    """Make a key. Its text is shown this once."""
    body: dict[str, Any] = {"name": name, "noLog": no_log, "scopes": ["inference", "manage"] if manage else ["inference"]}
    if models:
        body["allowedModels"] = list(models)
    with connect(settings) as api:
        key = api("POST", "/api/keys", body)
    if json_out:
        as_json(key)
        return
    good(f"Key '{name}' made. It is shown only now:")
    say(key["key"], bold=True)


@keys.command("list")
@shared
def list_(settings: Settings, json_out: bool) -> None:
    """Show all keys, masked."""
    with connect(settings) as api:
        found = api("GET", "/api/keys")["keys"]
    if json_out:
        as_json(found)
        return
    rows = [(k["id"][:8], k["name"], k["key"], ", ".join(k.get("allowedModels") or ["all"]), k["createdAt"]) for k in found]
    table(("ID", "NAME", "KEY", "MODELS", "CREATED"), rows, "No keys yet. Make one: omniroute keys create laptop")


def find(api: Api, wanted: str) -> dict[str, Any]:
    """The one key that is meant by its name or the beginning of its ID."""
    known = api("GET", "/api/keys")["keys"]
    exact = [k for k in known if wanted in (k["id"], k["name"])]
    found: list[dict[str, Any]] = exact or [k for k in known if k["id"].startswith(wanted)]
    if not found:
        fail(f"No key '{wanted}'. See: omniroute keys list")
    if len(found) > 1:
        fail(f"'{wanted}' fits {len(found)} keys: use the ID from: omniroute keys list")
    return found[0]


@keys.command()
@click.argument("key")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@shared
def revoke(settings: Settings, key: str, yes: bool, json_out: bool) -> None:
    """Remove a key, named by its ID or name."""
    with connect(settings) as api:
        found = find(api, key)
        if not yes and sys.stdin.isatty():
            click.confirm(f"Revoke '{found['name']}'?", abort=True, err=True)
        answer = api("DELETE", f"/api/keys/{found['id']}")
    if json_out:
        as_json(answer)
    else:
        good(f"Revoked '{found['name']}'")
