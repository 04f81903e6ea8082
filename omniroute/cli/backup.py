"""``omniroute backup``: copies of the database, made, listed and put back."""

from __future__ import annotations

import sys

import click

from ..settings import Settings
from .backend import connect
from .output import as_json, good, say, shared, table


@click.group()
def backup() -> None:
    """Copies of the database."""


@backup.command()
@shared
def create(settings: Settings, json_out: bool) -> None:
    """Make a copy now."""
    with connect(settings) as api:
        made = api("PUT", "/api/db-backups")
    if json_out:
        as_json(made)
    elif "filename" in made:
        good(f"Made {made['filename']} ({made['size']} bytes)")
    else:
        say(made["message"])


@backup.command("list")
@shared
def list_(settings: Settings, json_out: bool) -> None:
    """Show the copies, newest first."""
    with connect(settings) as api:
        found = api("GET", "/api/db-backups")["backups"]
    if json_out:
        as_json(found)
        return
    rows = [(b["id"], b["createdAt"], b["reason"], b["size"], b["connectionCount"]) for b in found]
    table(("ID", "CREATED", "REASON", "BYTES", "ACCOUNTS"), rows, "No copies yet. Make one: omniroute backup create")


@backup.command()
@click.argument("id")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@shared
def restore(settings: Settings, id: str, yes: bool, json_out: bool) -> None:
    """Put a copy, named by its ID, in the place of what is there now, of which a copy is made first."""
    with connect(settings) as api:
        if not yes and sys.stdin.isatty():
            click.confirm(f"Replace everything by '{id}'?", abort=True, err=True)
        counts = api("POST", "/api/db-backups", {"backupId": id})
    if json_out:
        as_json(counts)
        return
    accounts, combos, keys = counts["connectionCount"], counts["comboCount"], counts["apiKeyCount"]
    good(f"{id} is in force (accounts: {accounts}, combos: {combos}, keys: {keys})")
