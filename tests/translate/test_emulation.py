from __future__ import annotations

import pytest

from omniroute.translate.emulation import as_error, effort_of, json_instruction, reminder


def test_the_effort_that_corresponds_to_a_budget() -> None:
    assert [effort_of(n) for n in (0, 1024, 1025, 10240, 10241)] == ["low", "low", "medium", "medium", "high"]


def test_a_schema_is_put_into_words_on_a_line_of_its_own() -> None:
    assert json_instruction(b'{\n "type": "object"}').splitlines()[1:] == ['{"type":"object"}']
    assert "JSON object" in json_instruction(None)


def test_a_reminder_is_marked_on_both_sides() -> None:
    assert reminder("Be brief.") == "<system-reminder>\nBe brief.\n</system-reminder>"


@pytest.mark.parametrize("text", ["Error: no such file", "ERROR", "[error] no"])
def test_a_result_that_says_that_it_failed_is_not_told_twice(text: str) -> None:
    assert as_error(text) == text


def test_a_failed_result_says_so() -> None:
    assert as_error("no such file, an error") == "Error: no such file, an error"
