from __future__ import annotations

import re
from pathlib import Path

from omniroute.translate.carry import WIRES, page
from omniroute.translate.fidelity import FIDELITY

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fidelity.md"
MARKS = {"reject": "✗", "drop": "−", "emulate": "~"}


def tables(way: str) -> dict[str, dict[str, list[str]]]:
    """Source wire -> feature -> its marks, of the part of the page that is about *way*."""
    _, requests, answers = re.split(r"^## (?:Requests|Answers)$", page(), flags=re.MULTILINE)
    parts = re.split(r"^### (?:client|provider) `([^`]+)`.*$", requests if way == "request" else answers, flags=re.MULTILINE)
    rows = re.compile(r"^\| `(\w+)` \|(.*)\|$", re.MULTILINE)
    return {
        wire: {name: [mark.strip() for mark in marks.split("|")] for name, marks in rows.findall(text)}
        for wire, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_the_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m omniroute.translate.carry > docs/fidelity.md"


def test_it_has_all_twenty_five_pairs_both_ways() -> None:
    assert len(WIRES) == 5
    for way in ("request", "answer"):
        assert tuple(tables(way)) == WIRES
        assert all(len(marks) == len(WIRES) for features in tables(way).values() for marks in features.values())


def test_every_row_is_on_it_with_its_mark_and_its_reason() -> None:
    for row in FIDELITY:
        for source, features in tables(row.way).items():
            mark = features[row.name][WIRES.index(row.wire)]
            assert mark == ("=" if source == row.wire else MARKS[row.choice])
        assert f"{MARKS[row.choice]} `{row.wire}`: {row.why}" in page()


def test_on_the_same_wire_all_goes_through_as_it_came() -> None:
    for way in ("request", "answer"):
        for source, features in tables(way).items():
            assert {marks[WIRES.index(source)] for marks in features.values()} == {"="}
