"""How commands speak: tables and colours on a terminal, plain text in a pipe, JSON when asked."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import click
import msgspec
from rich.console import Console
from rich.table import Table

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def as_json(value: Any) -> None:
    """Print *value* as indented JSON."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Print rows, or the sentence *empty* where there are none."""
    found = list(rows)
    if not found:
        console.print(empty)
        return
    sheet = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        sheet.add_column(column, overflow="fold")
    for row in found:
        sheet.add_row(*("" if cell is None else str(cell) for cell in row))
    console.print(sheet)


def good(text: str) -> None:
    console.print(f"[green]✓[/green] {text}")


def bad(text: str) -> None:
    errors.print(f"[red]✗[/red] {text}")


def fail(text: str) -> NoReturn:
    """Say what went wrong and end with status 1."""
    raise click.ClickException(text)


json_option = click.option("--json", "json_out", is_flag=True, help="Print JSON for scripts.")
