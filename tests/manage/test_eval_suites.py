from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest

from omniroute.manage.eval_suites import Case, Expected, Input, Suites, built_in, judge, parse, report

CASE: dict[str, Any] = {
    "id": "c1", "name": "One", "input": {"messages": [{"role": "user", "content": "?"}]},
    "expected": {"strategy": "contains", "value": "x"},
}  # fmt: skip


def suite(**fields: Any) -> bytes:
    return msgspec.json.encode({"id": "own", "name": "Own", "cases": [CASE], **fields})


def case(strategy: Any, value: str) -> Case:
    return Case(id="c", name="C", input=Input([{"role": "user", "content": "?"}]), expected=Expected(strategy, value))


def test_the_built_in_suites_are_whole() -> None:
    suites = built_in()
    assert list(suites) == ["golden-set", "coding-proficiency", "reasoning-logic", "multilingual"]
    for found in suites.values():
        assert 6 <= len(found.cases) <= 10
        assert len({one.id for one in found.cases}) == len(found.cases)
        for one in found.cases:
            judge(one, "")  # each pattern is one


@pytest.mark.parametrize(
    ("strategy", "value", "answer", "passed"),
    [
        ("exact", "Yes", "Yes", True), ("exact", "Yes", "yes", False), ("exact", "Yes", "Yes.", False),
        ("contains", "PARIS", "It is Paris.", True), ("contains", "Paris", "Rome", False),
        ("regex", r"\b42\b", "It is 42.", True), ("regex", r"\b42\b", "421", False), ("regex", "(?i)^no", "No.", True),
    ],
)  # fmt: skip
def test_an_answer_is_judged_by_its_strategy(strategy: str, value: str, answer: str, passed: bool) -> None:
    assert judge(case(strategy, value), answer).passed is passed


def test_results_show_a_snippet_of_what_was_compared() -> None:
    assert judge(case("contains", "x"), "y" * 1000).details == {"actualSnippet": "y" * 200, "searchTerm": "x"}
    assert judge(case("exact", "x"), "y").details == {"expected": "x", "actual": "y"}
    assert judge(case("regex", "x"), "y").details == {"actualSnippet": "y", "pattern": "x"}


def test_a_pattern_that_would_run_for_ever_is_ended() -> None:
    found = judge(case("regex", "(a|aa)+$"), "a" * 100 + "b")
    assert not found.passed
    assert found.error == "The pattern took longer than 0.25 seconds"


@pytest.mark.parametrize("name", ["golden-set", "coding-proficiency", "reasoning-logic", "multilingual"])
def test_an_answer_of_any_kind_is_judged_at_once_by_our_own_patterns(name: str) -> None:
    for one in built_in()[name].cases:
        for answer in ("a" * 20_000, "{" * 5000 + '"colour"' * 1000, "4 " * 10_000, "\n" * 20_000):
            assert judge(one, answer).error is None


def test_the_share_is_in_whole_percent() -> None:
    own = msgspec.json.decode(suite(cases=[{**CASE, "id": f"c{n}"} for n in range(3)]), type=type(built_in()["golden-set"]))
    found = report(own, [judge(one, "x" if one.id == "c0" else "") for one in own.cases])
    assert msgspec.to_builtins(found.summary) == {"total": 3, "passed": 1, "failed": 2, "passRate": 33}


def test_files_add_suites_and_are_read_again_when_they_change(tmp_path: Path) -> None:
    suites = Suites(tmp_path)
    assert list(suites.all()) == list(built_in())
    file = tmp_path / "a.json"
    file.write_bytes(suite())
    first = suites.all()["own"]
    assert first.cases[0].name == "One"
    assert suites.all()["own"] is first
    file.write_bytes(suite(name="Renamed"))
    assert suites.all()["own"].name == "Renamed"
    file.unlink()
    assert "own" not in suites.all()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"{", "truncated"), (b"\xff", "malformed"), (suite(id="runs"), "no suite can have the id runs"),
        (suite(id="a/b"), "regex"), (suite(cases=[]), "length"), (suite(cases=[CASE, CASE]), "two cases have the same id"),
        (suite(cases=[{**CASE, "expected": {"strategy": "regex", "value": "("}}]), "case c1: invalid pattern"),
        (suite(cases=[{**CASE, "expected": {"strategy": "near", "value": "x"}}]), "enum"),
        (b" " * 2_000_000, "larger than"), (suite(id="golden-set"), "another one with the id golden-set"),
    ],
)  # fmt: skip
def test_a_broken_file_is_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: bytes, reason: str
) -> None:
    (tmp_path / "bad.json").write_bytes(text)
    (tmp_path / "good.json").write_bytes(suite())
    with caplog.at_level(logging.WARNING):
        found = Suites(tmp_path).all()
    assert [*found] == [*built_in(), "own"]
    (line,) = (record.getMessage() for record in caplog.records)
    assert "bad.json" in line
    assert reason in line.lower()


def test_a_file_that_is_gone_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        parse(tmp_path / "none.json")
