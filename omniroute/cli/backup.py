"""``omniroute backup``: create, list and restore copies of the database."""

from __future__ import annotations

import click

from ..settings import Settings
from .backend import connect
from .output import as_json, confirm, fail, good, say, shared, table, yes_option


@click.group()
def backup() -> None:
    """Create, list and restore copies of the database."""


@backup.command()
@shared
def create(settings: Settings, json_out: bool) -> None:
    """Create a copy now."""
    with connect(settings) as api:
        made = api("PUT", "/api/db-backups")
    if json_out:
        as_json(made)
    elif "filename" in made:
        good(f"Created {made['filename']} ({made['size']} bytes)")
    else:
        say(made["message"])


@backup.command("list")
@shared
def list_(settings: Settings, json_out: bool) -> None:
    """List the copies, newest first."""
    with connect(settings) as api:
        found = api("GET", "/api/db-backups")["backups"]
    if json_out:
        as_json(found)
        return
    rows = [(b["id"], b["createdAt"], b["reason"], b["size"], b["connectionCount"]) for b in found]
    table(("ID", "CREATED", "REASON", "BYTES", "ACCOUNTS"), rows, "No copies yet. Create one: omniroute backup create")


@backup.command()
@click.argument("id")
@yes_option
@shared
def restore(settings: Settings, id: str, yes: bool, json_out: bool) -> None:
    """Restore the copy with the given ID. The current database is copied first."""
    with connect(settings) as api:
        if all(copy["id"] != id for copy in api("GET", "/api/db-backups")["backups"]):
            fail(f"No copy '{id}'. See: omniroute backup list")
        confirm(f"Replace the current database by '{id}'?", yes=yes)
        counts = api("POST", "/api/db-backups", {"backupId": id})
    if json_out:
        as_json(counts)
        return
    accounts, combos, keys = counts["connectionCount"], counts["comboCount"], counts["apiKeyCount"]
    good(f"Restored {id} (accounts: {accounts}, combos: {combos}, keys: {keys})")
