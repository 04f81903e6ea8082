"""``omniroute keys``: create, list and revoke gateway keys."""

from __future__ import annotations

from typing import Any

import click

from ..settings import Settings
from .backend import Api, connect
from .output import as_json, confirm, good, only, say, shared, table, yes_option


@click.group()
def keys() -> None:
    """Manage the keys of the gateway's clients."""


@keys.command()
@click.argument("name")
@click.option("--model", "models", multiple=True, help="Allow only this model; repeatable, * is a wildcard.")
@click.option("--manage", is_flag=True, help="The key may also manage the gateway.")
@click.option("--no-log", is_flag=True, help="Do not log request and response bodies of its calls.")
@shared
def create(settings: Settings, name: str, models: tuple[str, ...], manage: bool, no_log: bool, json_out: bool) -> None:
    """Create a key. It is shown only once."""
    body: dict[str, Any] = {"name": name, "noLog": no_log, "scopes": ["inference", "manage"] if manage else ["inference"]}
    if models:
        body["allowedModels"] = list(models)
    with connect(settings) as api:
        key = api("POST", "/api/keys", body)
    if json_out:
        as_json(key)
        return
    good(f"Created key '{name}'. It is shown only once:")
    say(key["key"], bold=True)


@keys.command("list")
@shared
def list_(settings: Settings, json_out: bool) -> None:
    """List all keys, masked."""
    with connect(settings) as api:
        found = api("GET", "/api/keys")["keys"]
    if json_out:
        as_json(found)
        return
    rows = [(k["id"][:8], k["name"], k["key"], ", ".join(k.get("allowedModels") or ["all"]), k["createdAt"]) for k in found]
    table(("ID", "NAME", "KEY", "MODELS", "CREATED"), rows, "No keys yet. Create one: omniroute keys create laptop")


def find(api: Api, wanted: str) -> dict[str, Any]:
    """The key with the name *wanted* or an ID that begins so.  Ends the command unless there is exactly one."""
    known = api("GET", "/api/keys")["keys"]
    exact = [k for k in known if wanted in (k["id"], k["name"])]
    found: list[dict[str, Any]] = exact or [k for k in known if k["id"].startswith(wanted)]
    return only(found, wanted, "key", "omniroute keys list")


@keys.command()
@click.argument("key")
@yes_option
@shared
def revoke(settings: Settings, key: str, yes: bool, json_out: bool) -> None:
    """Revoke a key. KEY is its name, its ID or the beginning of its ID."""
    with connect(settings) as api:
        found = find(api, key)
        confirm(f"Revoke '{found['name']}'?", yes=yes)
        answer = api("DELETE", f"/api/keys/{found['id']}")
    if json_out:
        as_json(answer)
    else:
        good(f"Revoked '{found['name']}'")
