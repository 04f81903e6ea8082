from __future__ import annotations

from omniroute.translate.conversation import Opaque, Text, ToolCall, ToolResult, Turn
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


def test_a_result_with_an_id_finds_a_call_that_lost_its_own() -> None:
    said = Turn("assistant", [ToolCall("", "f"), ToolCall("", "g"), ToolCall("3", "f")])
    given = [ToolResult(i, [Text(i)], name=name) for i, name in (("2", "g"), ("1", "f"), ("3", "f"), ("9", "h"))]
    repaired = repair([said, Turn("tool", [*given])])
    calls_, results_ = repaired.turns[0].blocks, repaired.turns[1].blocks
    assert [r.id for r in results_ if isinstance(r, ToolResult)] == [c.id for c in calls_ if isinstance(c, ToolCall)]
    assert [r.blocks for r in results_ if isinstance(r, ToolResult)] == [[Text("1")], [Text("2")], [Text("3")]]
    assert repaired.notes == [Lost.ORPHAN_TOOL_RESULT]


def test_thousands_of_calls_in_one_turn_do_not_take_long() -> None:
    ids = [str(number) for number in range(8000)]
    assert repair([calls(*ids), results(*reversed(ids))]).notes == []


def test_thousands_of_calls_without_ids_find_their_results_by_name_at_once() -> None:
    """No call is gone over twice, whatever the order of the results."""
    names = [f"f{number}" for number in range(3000)]
    asked = Turn("assistant", [ToolCall("", name) for name in names])
    for id_ in ("", "x"):
        answers = Turn("tool", [ToolResult(id_, [Text(name)], name=name) for name in reversed(names)])
        repaired = repair([asked, answers])
        assert [block.blocks for block in repaired.turns[1].blocks if isinstance(block, ToolResult)] == [
            [Text(n)] for n in names
        ]
        assert repaired.notes == []


def test_results_of_calls_that_share_an_id_are_all_kept() -> None:
    repaired = repair([calls("1", "1"), results("1", "1")])
    first, second = repaired.turns[0].blocks
    assert isinstance(first, ToolCall)
    assert isinstance(second, ToolCall)
    assert first.id != second.id
    assert shape(repaired.turns) == [("assistant", [first.id, second.id]), ("tool", [first.id, second.id])]
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


def test_a_call_and_the_text_beside_it_in_messages_of_their_own_are_one_turn() -> None:
    """As Strands writes to Ollama: the call, then the text, then a result that has neither id nor name."""
    asked = Turn("assistant", [ToolCall("", "f")])
    repaired = repair([user("a"), asked, Turn("assistant", [Text("Calling.")]), Turn("tool", [ToolResult("", [Text("r")])])])
    made = shape(repaired.turns)[1][1][1]
    assert shape(repaired.turns) == [("user", ["a"]), ("assistant", ["Calling.", made]), ("tool", [made])]
    assert repaired.turns[2].blocks == [ToolResult(made, [Text("r")], name="f")]
    assert repaired.notes == []


def test_parallel_calls_in_messages_of_their_own_are_one_turn() -> None:
    repaired = repair([user("a"), calls("1"), calls("2"), results("1"), results("2"), calls("3"), results("3")])
    assert shape(repaired.turns)[1:3] == [("assistant", ["1", "2"]), ("tool", ["1", "2"])]
    assert shape(repaired.turns)[3:] == [("assistant", ["3"]), ("tool", ["3"])]
    assert repaired.notes == []


def test_a_call_that_was_given_up_is_not_joined_with_the_next_turn() -> None:
    repaired = repair([calls("1"), calls("2"), results("2"), Turn("assistant", [Text("x")]), Turn("assistant", [Text("y")])])
    assert [turn.role for turn in repaired.turns] == ["assistant", "tool", "assistant", "tool", "assistant", "assistant"]
    assert repaired.notes == [Lost.ORPHAN_TOOL_CALL]


def test_a_vendors_block_that_can_be_told_in_words_is_text_for_other_wires() -> None:
    found = Opaque("anthropic", "tool_reference", b"{}", "Tool found: f")
    silent = Opaque("anthropic", "container_upload", b"{}")
    turns = [calls("1"), Turn("tool", [ToolResult("1", [found, silent])]), Turn("user", [found])]
    repaired = repair(turns)
    assert repaired.turns[1].blocks == [ToolResult("1", [Text("Tool found: f"), silent], name="f")]
    assert repaired.turns[2].blocks == [Text("Tool found: f")]
    assert repaired.notes == [Lost.SERVER_BLOCKS]
    assert repair(turns, "anthropic") == (
        [*turns[:1], Turn("tool", [ToolResult("1", [found, silent], name="f")]), turns[2]],
        [],
    )


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
