"""``omniroute explain MODEL``: the targets of a request in order, and why others are skipped."""

from __future__ import annotations

from typing import Any

import click

from ..clock import iso
from ..settings import Settings
from ..upstream.providers import MEDIA
from .backend import connect
from .output import as_json, say, shared, table


@click.command()
@click.argument("model")
@click.option("--provider", default="", help="Use only this provider, as under /v1/providers/PROVIDER.")
@click.option(
    "--operation", default="chat", show_default=True, type=click.Choice(("chat", *MEDIA)), help="The operation to route."
)
@shared
def explain(settings: Settings, model: str, provider: str, operation: str, json_out: bool) -> None:
    """Show how a request would be routed, without sending it."""
    with connect(settings) as api:
        found = api("POST", "/api/explain", {"model": model, "provider": provider, "operation": operation})
    if json_out:
        as_json(found)
        return
    combo = f", combo {found['combo']} ({found['strategy']})" if found["combo"] else ""
    say(f"{found['model']}{combo}: {found['first'] or 'nobody'} would be asked first", bold=True)
    table(("#", "TARGET", "ACCOUNT", "WHY", "PASSED OVER", "UNTIL"), _rows(found["candidates"]), "Nothing to try.")


def _rows(candidates: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for step in candidates:
        rows.append((step["position"], step["model"], "", step["why"], step["reason"], _time(step["until"])))
        for account in step["accounts"]:
            place = account["position"]
            why = f"account {place}" if place is not None else ""
            rows.append(("", "", account["name"], why, account["reason"], _time(account["until"])))
    return rows


def _time(unix: float | None) -> str:
    return "" if unix is None else iso(unix)
