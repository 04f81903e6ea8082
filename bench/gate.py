"""Fails when a row of ``gates.toml`` is over its limit: ``python -m bench.gate``.

A broken row is measured once more before it fails; noise does not decide, a slow gateway does.
"""

from __future__ import annotations

import sys

import uvloop

from .rows import GATE, Stage
from .run import measure, prepare, report


async def gate() -> int:
    """The number of rows over their limit."""
    with Stage(GATE) as stage:
        outcomes = await measure(stage)
        if broken := [outcome.row for outcome in outcomes if not outcome.ok]:
            print(f"over the limit, measured once more: {', '.join(broken)}", flush=True)
            again = {outcome.row: outcome for outcome in await measure(stage, broken)}
            outcomes = [again.get(outcome.row, outcome) for outcome in outcomes]
    report(outcomes)
    return sum(not outcome.ok for outcome in outcomes)


if __name__ == "__main__":
    prepare()
    sys.exit(1 if uvloop.run(gate()) else 0)
