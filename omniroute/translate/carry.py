"""The page ``docs/fidelity.md``: what is carried between each of the 25 pairs of wires, generated from :mod:`.fidelity`.

``python -m omniroute.translate.carry > docs/fidelity.md`` writes it; a test checks that the page is current.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from .fidelity import FIDELITY, Lost, Row, Way
from .formats import FORMATS

WIRES: Final = tuple(name for name in FORMATS if any(row.wire == name for row in FIDELITY))
_MARK: Final = {"reject": "✗", "drop": "−", "emulate": "~"}
_INTRO: Final = """\
# What is carried between the wires

The client speaks one wire format, the provider possibly another: 25 pairs. On the same wire a request goes through unchanged
except for the model, and its answer byte for byte. Between two wires everything is carried that the other wire can
represent, and no loss is silent. A request that would mean something else without the missing part is refused with a 400.
What is left out or expressed in another way is named in the header field `X-OmniRoute-Dropped`.

| | |
| --- | --- |
| `=` | the same wire: goes through unchanged |
| blank | carried, if the client's wire has it at all |
| `~` | emulated: expressed in another way, and named |
| `−` | dropped: left out, and named |
| `✗` | rejected: 400, and nothing is sent |

A mark says what happens when the target wire cannot represent something; the reasons after the tables say when that is.
Even on the same wire, signatures and encrypted reasoning go back only to the account, model and effort that made them.

This page is generated from `omniroute/translate/fidelity.py` by `python -m omniroute.translate.carry`.
"""
_TITLES: Final[dict[Way, tuple[str, str, str]]] = {
    "request": (
        "Requests",
        "What a client asks, translated for a provider of another wire.",
        "client → provider",
    ),
    "answer": (
        "Answers",
        "What a provider answers, whole or streamed, translated for a client of another wire.",
        "provider → client",
    ),
}


def _rows(way: Way) -> dict[Lost, dict[str, Row]]:
    """Feature -> target wire -> its row, features in the order of their definition."""
    rows = [row for row in FIDELITY if row.way == way]
    named = {name: {row.wire: row for row in rows if row.name == name} for name in Lost}
    return {name: found for name, found in named.items() if found}


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _matrix(source: str, features: dict[Lost, dict[str, Row]]) -> Iterator[str]:
    """The pairs of one source wire: a row for each feature, a column for each target wire."""
    yield _line("feature", *(f"`{wire}`" for wire in WIRES))
    yield _line(*["---"] * (len(WIRES) + 1))
    for name, rows in features.items():
        marks = ("=" if wire == source else _MARK[rows[wire].choice] if wire in rows else "" for wire in WIRES)
        yield _line(f"`{name}`", *marks)


def _reasons(features: dict[Lost, dict[str, Row]]) -> Iterator[str]:
    for name, rows in features.items():
        yield f"- `{name}`"
        yield from (f"  - {_MARK[row.choice]} `{wire}`: {row.why}" for wire, row in rows.items())


def page() -> str:
    """Return the whole page as Markdown."""
    lines = [_INTRO]
    for way, (title, about, arrow) in _TITLES.items():
        features = _rows(way)
        lines += [f"## {title}", "", about, ""]
        for source in WIRES:
            first, _, second = arrow.partition(" → ")
            lines += [f"### {first} `{source}` → {second} …", "", *_matrix(source, features), ""]
        lines += [f"### Why: {title.lower()}", "", *_reasons(features), ""]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
