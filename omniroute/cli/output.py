"""What the commands share: output, common options, questions, pauses.

Output is colours, tables and progress on a terminal, plain text in a pipe, JSON with ``--json``.  ``rich`` is imported only
for a terminal, because the import takes longer than most commands.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
import msgspec

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def as_json(value: Any) -> None:
    """Print *value* as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def plain(text: object) -> str:
    """*text* without terminal control characters, which untrusted names and error messages may contain."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in str(text))


def say(text: str = "", *, bold: bool = False, err: bool = False) -> None:
    """Print a line, with *err* to stderr."""
    click.echo(click.style(plain(text), bold=True) if bold else plain(text), err=err)


def good(text: str) -> None:
    """Print a line marked as a success."""
    click.echo(f"{click.style('✓', fg='green')} {plain(text)}")


def warn(text: str) -> None:
    """Print a line marked as a warning, to stderr."""
    click.echo(f"{click.style('!', fg='yellow')} {plain(text)}", err=True)


def bad(text: str) -> None:
    """Print a line marked as a failure, to stderr."""
    click.echo(f"{click.style('✗', fg='red')} {plain(text)}", err=True)


def fail(text: str) -> NoReturn:
    """End the command with the error message *text* and exit status 1."""
    raise click.ClickException(plain(text))


def only(found: Sequence[T], wanted: str, kind: str, listing: str) -> T:
    """The one item in *found*, the items of a *kind* that *wanted* fits.  Ends the command unless there is exactly one."""
    if not found:
        fail(f"No {kind} '{wanted}'. See: {listing}")
    if len(found) > 1:
        fail(f"'{wanted}' fits {len(found)} {kind}s: use the ID from: {listing}")
    return found[0]


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal, unless the option *yes* was given; the answer no ends the command."""
    if not yes and sys.stdin.isatty():
        click.confirm(question, abort=True, err=True)


def pause(seconds: float) -> None:
    """Wait between two looks at something that changes."""
    threading.Event().wait(seconds)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Print rows in columns, wrapped to the width of a terminal; the sentence *empty* when there are no rows."""
    cells = [["" if cell is None else plain(cell) for cell in row] for row in rows]
    if not cells:
        say(empty)
    elif sys.stdout.isatty():
        _rich_table(columns, cells)
    else:
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        for row in (columns, *cells):
            click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _rich_table(columns: Sequence[str], cells: Iterable[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    sheet = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        sheet.add_column(column, overflow="fold")
    for row in cells:
        sheet.add_row(*map(Text, row))
    Console(highlight=False).print(sheet)


def progress(text: str) -> AbstractContextManager[object]:
    """Show *text* with a spinner while the block runs; nothing unless stderr is a terminal."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console
    from rich.text import Text

    return Console(stderr=True).status(Text(plain(text)))


def _use_data_dir(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.obj = dataclasses.replace(context.obj, data_dir=value.expanduser())


yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
json_option = click.option("--json", "json_out", is_flag=True, help="Print JSON for scripts.")
data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    callback=_use_data_dir,
    expose_value=False,
    help="Directory of database, keys and logs.",
)


def shared(command: F) -> F:
    """Decorate a command with the common options, and pass it the settings as first argument."""
    return json_option(data_dir_option(click.pass_obj(command)))  # type: ignore[return-value]
