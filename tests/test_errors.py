from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from omniroute import errors
from omniroute.errors import KINDS, WIRE_WORDS, Kind, OmniError, wire_words

PACKAGE = Path(errors.__file__).parent


def test_every_kind_has_a_row() -> None:
    assert get_args(Kind) == tuple(KINDS)


def test_the_drawn_hierarchy_is_the_real_one() -> None:
    places: set[tuple[str, str, str]] = set()  # (class, its base, its file)
    for path in PACKAGE.rglob("*.py"):
        for name, base in re.findall(r"^class (\w+)\((\w+)\):", path.read_text("utf-8"), re.MULTILINE):
            places.add((name, base, path.relative_to(PACKAGE).as_posix()))
    raised = {"Exception", "ValueError"}
    while found := {name for name, base, _ in places if base in raised} - raised:
        raised |= found
    drawn: set[tuple[str, str, str]] = set()
    above: list[str] = []
    for line in re.findall(r"^    ((?:Exception|[├└│ ]).*)$", errors.__doc__ or "", re.MULTILINE):
        depth, name = len(re.match(r"[├└│─ ]*", line)[0]) // 4, re.search(r"\w+", line)[0]  # type: ignore[index]
        above[depth:] = [name]
        if depth and name != "ValueError":
            file = re.search(r"\(([\w/]+\.py)\)$", line)
            drawn.add((name, above[depth - 1], file[1] if file else "errors.py"))
    assert drawn == {place for place in places if place[1] in raised}


def test_every_kind_has_words_for_its_status() -> None:
    assert {row.status for row in KINDS.values()} <= WIRE_WORDS.keys()


def test_only_our_own_defects_are_logged_as_errors() -> None:
    assert [kind for kind, row in KINDS.items() if row.level == "error"] == ["internal"]


@pytest.mark.parametrize(
    ("status", "openai", "anthropic", "gemini"),
    [
        (429, "rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED"),
        (529, "server_error", "overloaded_error", "UNAVAILABLE"),
        (418, "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),  # unlisted: those of its class
        (599, "server_error", "api_error", "INTERNAL"),
    ],
)
def test_each_wire_has_its_word_for_a_status(status: int, openai: str, anthropic: str, gemini: str) -> None:
    words = wire_words(status)
    assert (words.openai_type, words.anthropic_type, words.gemini_status) == (openai, anthropic, gemini)


def test_an_error_takes_the_status_of_its_kind_unless_told_otherwise() -> None:
    assert OmniError("too_large", "Too large").status == 413
    error = OmniError("invalid_request", "No", status=422, param="messages.0.role", code="bad", retry_after=2.5)
    assert (error.status, error.param, error.code, error.retry_after) == (422, "messages.0.role", "bad", 2.5)
    assert str(error) == "No"


def test_an_unknown_kind_is_a_defect() -> None:
    with pytest.raises(KeyError):
        OmniError("no_such_kind", "?")
