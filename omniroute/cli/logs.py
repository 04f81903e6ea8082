"""``omniroute logs``: the calls of the running gateway, or the log file when none is running."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import click
import msgspec

from ..settings import Settings
from . import backend
from .output import fail, pause, plain, say, shared

SECONDS: Final = 1.0  # between polls
MOST: Final = 500  # calls that the API returns at once
_REMEMBERED: Final = 20 * MOST
_TAIL_BYTES: Final = 1024 * 1024


def _status(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Accept only what the API knows as a filter; it ignores anything else and would return all calls."""
    if value is None or value in ("ok", "error") or (value.isdecimal() and len(value) == 3):
        return value
    raise click.BadParameter("give a number like 429, ok or error")


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Keep showing new calls, until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(0, MOST), default=20, show_default=True, help="How many to show first.")
@click.option("--status", callback=_status, help="Only calls with this status: a number, ok or error.")
@click.option("--model", help="Only calls of models with this in their name.")
@click.option("--provider", help="Only calls of this provider, by its id or prefix.")
@shared
def logs(settings: Settings, follow: bool, lines: int, json_out: bool, **filters: str | None) -> None:
    """Show the newest calls.

    Without a running gateway, show lines of its log file; each filter is then a word that a line must contain.
    """
    wanted = {name: value for name, value in filters.items() if value}
    try:
        running = backend.find_running(settings)
    except backend.Unanswering as error:
        fail(str(error))
    with suppress(KeyboardInterrupt):
        if running is not None:
            with backend.connect(settings) as api:
                prefixes = {node["id"]: node["prefix"] for node in api("GET", "/api/provider-nodes")["nodes"]}
                for call in calls(api, wanted, lines, follow):
                    click.echo(msgspec.json.encode(call).decode() if json_out else call_line(call, prefixes))
            return
        for line in file_lines(_log_file(settings), wanted.values(), lines, follow):
            click.echo(msgspec.json.encode({"line": line}).decode() if json_out else plain(line))


def calls(api: backend.Api, filters: dict[str, str], count: int, follow: bool) -> Iterator[dict[str, Any]]:
    """The last *count* calls, oldest first, in the API's shape; with *follow*, then each new call once."""
    path = "/api/usage/call-logs?" + urlencode({**filters, "limit": MOST})
    newest: list[dict[str, Any]] = api("GET", path)[::-1]
    yield from newest[len(newest) - min(count, len(newest)) :]
    seen = dict.fromkeys(call["id"] for call in newest)
    while follow:
        pause(SECONDS)
        for call in reversed(api("GET", path)):
            if call["id"] not in seen:
                seen[call["id"]] = None
                yield call
        for old in list(seen)[: max(0, len(seen) - _REMEMBERED)]:
            del seen[old]


def call_line(call: dict[str, Any], prefixes: Mapping[str, str]) -> str:
    """One call on one line; *prefixes* maps the id of a node to the prefix shown in its place."""
    status = str(call["status"])
    colour = "green" if call["status"] < 400 else "red"
    tokens = call["tokens"]
    fields = [
        call["timestamp"],
        click.style(status, fg=colour),
        plain(f"{prefixes.get(call['provider'], call['provider']) or '-'}/{call['model'] or '-'}"),
        plain(call["account"] or "-"),
        f"{call['duration']} ms",
        f"{tokens['in'] or 0}→{tokens['out'] or 0} tokens",
        plain(call["requestId"] or call["id"]),
    ]
    return "  ".join([*fields, *([plain(call["error"])] if call["error"] else [])])


def _log_file(settings: Settings) -> Path:
    if settings.log_file is None:
        fail("No gateway runs here, and LOG_TO_FILE=false disables the log file")
    if not settings.log_file.is_file():
        fail(f"No gateway runs here, and there is no log file {settings.log_file} yet")
    say(f"No gateway runs here; showing {settings.log_file}", err=True)
    return settings.log_file


def file_lines(path: Path, words: Iterable[str], count: int, follow: bool) -> Iterator[str]:
    """The last *count* lines of *path* that contain all *words*; with *follow*, then new ones, also after a rotation."""
    needed = [word.lower() for word in words]

    def fits(line: str) -> bool:
        return all(word in line.lower() for word in needed)

    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL_BYTES))
        whole, place = _read_lines(file.read(), file.tell())
    yield from deque(filter(fits, whole), maxlen=count)
    inode = path.stat().st_ino
    while follow:
        pause(SECONDS)
        try:
            state = path.stat()
        except FileNotFoundError:
            continue
        if state.st_ino != inode or state.st_size < place:
            inode, place = state.st_ino, 0
        with path.open("rb") as file:
            file.seek(place)
            whole, place = _read_lines(file.read(), file.tell())
        yield from filter(fits, whole)


def _read_lines(data: bytes, end: int) -> tuple[list[str], int]:
    """The complete lines of *data*, which ends at file offset *end*, and the offset of the end of these lines."""
    complete, _, rest = data.rpartition(b"\n")
    return complete.decode("utf-8", "replace").splitlines(), end - len(rest)
