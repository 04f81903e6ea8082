"""Measures the rows of ``gates.toml`` and prints one table: ``python -m bench.run [row …]``."""

from __future__ import annotations

import argparse
import os
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import uvloop
from rich.console import Console
from rich.table import Table

from . import procs
from .rows import FULL, GATE, ROWS, SMOKE, Reading, Stage

EFFORTS = {"full": FULL, "gate": GATE, "smoke": SMOKE}


@dataclass(frozen=True, slots=True)
class Limit:
    """A row of ``gates.toml``: ``goal`` is the design target; above ``limit`` the build fails."""

    title: str
    unit: str
    limit: float
    goal: float = 0.0  # 0: the limit is the goal

    @property
    def wanted(self) -> float:
        return self.goal or self.limit


@dataclass(frozen=True, slots=True)
class Outcome:
    """A row, its limit and its reading."""

    row: str
    limit: Limit
    reading: Reading

    @property
    def ok(self) -> bool:
        return self.reading.value <= self.limit.limit


def limits() -> dict[str, Limit]:
    text = Path(__file__).with_name("gates.toml").read_text(encoding="utf-8")
    return {row: Limit(**table) for row, table in tomllib.loads(text).items()}


async def measure(stage: Stage, rows: Sequence[str] = ()) -> list[Outcome]:
    """Measure *rows* (default: all) in the order of the table; report progress on stderr."""
    known, outcomes = limits(), []
    for row in rows or ROWS:
        print(f"measuring {known[row].title} …", file=sys.stderr, flush=True)
        outcomes.append(Outcome(row, known[row], await ROWS[row](stage)))
    return outcomes


HEAD = ("work", "OmniRoute", "bare relay", "measured", "limit", "goal")


def _cells(outcome: Outcome) -> tuple[str, ...]:
    reading, limit = outcome.reading, outcome.limit
    numbers = (f"{reading.value:.2f} {limit.unit}", f"{limit.limit:g} {limit.unit}", f"{limit.wanted:g} {limit.unit}")
    return (limit.title, reading.gateway, reading.control, *numbers)


def report(outcomes: Sequence[Outcome]) -> None:
    """Print the table."""
    table = Table(*HEAD, "")
    for outcome in outcomes:
        table.add_row(*_cells(outcome), "[green]ok[/]" if outcome.ok else "[red]OVER[/]")
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Return the table for ``README.md``."""
    lines = [HEAD, ("---",) * len(HEAD), *map(_cells, outcomes)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


async def run(rows: Sequence[str], effort: str, form: str) -> None:
    with Stage(EFFORTS[effort]) as stage:
        outcomes = await measure(stage, rows)
    if form == "json":
        print(orjson.dumps([asdict(outcome) | {"ok": outcome.ok} for outcome in outcomes]).decode())
    elif form == "markdown":
        print(markdown(outcomes))
    else:
        report(outcomes)


def prepare() -> None:
    """Pin this process, the client, to the client's core."""
    if (load := procs.load_average()) > 1.0:
        print(f"the machine is busy (load {load:.1f}): times will be too long", file=sys.stderr)
    procs.raise_limits()
    os.sched_setaffinity(0, {procs.CLIENT_CORE})


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("rows", nargs="*", metavar="row", help=f"default: all of {', '.join(ROWS)}")
    options.add_argument("--effort", choices=EFFORTS, default="full")
    options.add_argument("--format", choices=("table", "markdown", "json"), default="table")
    given = options.parse_args()
    if unknown := set(given.rows) - set(ROWS):
        options.error(f"no such row: {', '.join(sorted(unknown))}")
    prepare()
    uvloop.run(run(given.rows, given.effort, given.format))


if __name__ == "__main__":
    main()
