from __future__ import annotations

from omniroute.translate.conversation import Text, ToolCall, ToolResult, Turn
from omniroute.translate.fidelity import Lost
from omniroute.translate.repair import repair


def user(text: str) -> Turn:
    return Turn("user", [Text(text)])


def calls(*ids: str) -> Turn:
    return Turn("assistant", [ToolCall(i, "f") for i in ids])


def results(*ids: str) -> Turn:
    return Turn("tool", [ToolResult(i, [Text(f"result {i}")]) for i in ids])


def shape(turns: list[Turn]) -> list[tuple[str, list[str]]]:
    return [(t.role, [getattr(b, "id", "") or getattr(b, "text", "") for b in t.blocks]) for t in turns]


def test_a_legal_history_stays_as_it_is() -> None:
    turns = [user("a"), calls("1", "2"), results("1", "2"), user("b")]
    repaired = repair(turns)
    assert shape(repaired.turns) == shape(turns)
    assert repaired.notes == []


def test_a_call_without_result_gets_an_empty_one() -> None:
    repaired = repair([user("a"), calls("1", "2"), results("2"), user("b")])
    assert shape(repaired.turns) == [("user", ["a"]), ("assistant", ["1", "2"]), ("tool", ["1", "2"]), ("user", ["b"])]
    assert repaired.turns[2].blocks[0] == ToolResult("1", [], name="f")
    assert repaired.notes == [Lost.ORPHAN_TOOL_CALL]


def test_a_result_without_call_becomes_user_text() -> None:
    repaired = repair([user("a"), results("9")])
    assert shape(repaired.turns) == [("user", ["a"]), ("user", ["Result of an earlier tool call:", "result 9"])]
    assert repaired.notes == [Lost.ORPHAN_TOOL_RESULT]


def test_results_move_right_behind_their_calls_in_the_order_of_the_calls() -> None:
    repaired = repair([calls("1", "2"), user("between"), results("2"), results("1")])
    assert shape(repaired.turns) == [("assistant", ["1", "2"]), ("tool", ["1", "2"]), ("user", ["between"])]
    assert repaired.notes == []


def test_calls_and_results_without_ids_find_each_other_by_name_and_order() -> None:
    asked = Turn("assistant", [ToolCall("", "f"), ToolCall("", "g")])
    turns = [asked, Turn("tool", [ToolResult("", name="g"), ToolResult("")])]
    first, second = repair(turns), repair(turns)
    assert shape(first.turns) == shape(second.turns)
    ids = shape(first.turns)[0][1]
    assert all(i.startswith("call_") for i in ids)
    assert len(set(ids)) == 2
    assert first.turns[1].blocks == [ToolResult(ids[0], name="f"), ToolResult(ids[1], name="g")]
    assert first.notes == []


def test_an_id_twice_in_one_turn_is_made_unique() -> None:
    repaired = repair([calls("1", "1"), results("1")])
    ids = shape(repaired.turns)[0][1]
    assert ids[0] == "1"
    assert ids[1] != "1"


def test_the_same_id_in_a_later_turn_is_no_mistake() -> None:
    turns = [calls("1"), results("1"), user("again"), calls("1"), results("1")]
    assert shape(repair(turns).turns) == shape(turns)


def test_the_given_turns_are_not_changed() -> None:
    turns = [Turn("assistant", [ToolCall("", "f")]), user("b")]
    repair(turns)
    assert shape(turns) == [("assistant", [""]), ("user", ["b"])]
