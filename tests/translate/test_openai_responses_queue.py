from __future__ import annotations

from omniroute.translate.events import BlockEnd, Event, TextDelta, ToolArguments, ToolStart
from omniroute.translate.openai_responses_queue import Open, Queue


def test_what_waits_is_let_out_as_soon_as_the_call_before_it_is_whole() -> None:
    queue, out = Queue(), list[Event]()
    call, text = queue.add(Open(0, "function_call")), queue.add(Open(1, "message"))
    queue.put(call, ToolStart("c1", "look"), out)
    queue.put(call, queue.argument(call, '{"a":'), out)
    queue.put(text, TextDelta("x"), out)
    assert TextDelta("x") not in out
    queue.put(call, queue.argument(call, "1}"), out)
    queue.put(text, TextDelta("y"), out)
    assert out[2:] == [ToolArguments("1}"), BlockEnd(), TextDelta("x"), TextDelta("y")]


def test_free_text_of_a_custom_tool_is_whole_only_at_its_end() -> None:
    queue, out = Queue(), list[Event]()
    call, text = queue.add(Open(0, "custom_tool_call")), queue.add(Open(1, "message"))
    queue.put(call, ToolStart("c1", "patch", "custom"), out)
    queue.put(call, queue.argument(call, "{}"), out)
    queue.put(text, TextDelta("x"), out)
    assert TextDelta("x") not in out
    queue.end(call, out)
    assert out[-2:] == [BlockEnd(), TextDelta("x")]


def test_many_pieces_of_a_waiting_item_cost_the_open_call_no_second_look() -> None:
    queue, out = Queue(), list[Event]()
    call, text = queue.add(Open(0, "function_call")), queue.add(Open(1, "message"))
    queue.put(call, ToolStart("c1", "look"), out)
    queue.put(call, queue.argument(call, '{"a":{}'), out)
    for _ in range(1000):
        queue.put(text, TextDelta("x"), out)
    assert call.checks <= 1
    queue.flush(out)
    assert out.count(TextDelta("x")) == 1000
    assert out[-1] == BlockEnd()


def test_calls_announced_together_keep_their_own_arguments() -> None:
    queue, out = Queue(), list[Event]()
    calls = [queue.add(Open(number, "function_call")) for number in range(5)]
    for number, call in enumerate(calls):
        queue.put(call, ToolStart(f"c{number}", "look"), out)
    for number, call in enumerate(calls):
        queue.put(call, queue.argument(call, f'{{"n":{number}}}'), out)
    for call in calls:
        queue.end(call, out)
    expected: list[Event] = []
    for number in range(5):
        expected += [ToolStart(f"c{number}", "look"), ToolArguments(f'{{"n":{number}}}'), BlockEnd()]
    assert out == expected


def test_what_comes_after_a_whole_call_was_closed_is_given_out() -> None:
    queue, out = Queue(), list[Event]()
    call, text = queue.add(Open(0, "function_call")), queue.add(Open(1, "message"))
    queue.put(call, ToolStart("c1", "look"), out)
    queue.put(call, queue.argument(call, "{}"), out)
    queue.put(text, TextDelta("x"), out)
    queue.put(call, ToolArguments(" "), out)
    queue.put(text, TextDelta("y"), out)
    queue.flush(out)
    assert [event for event in out if not isinstance(event, BlockEnd)][2:] == [
        TextDelta("x"),
        ToolArguments(" "),
        TextDelta("y"),
    ]


def test_thousands_of_items_that_wait_do_not_take_long() -> None:
    queue, out = Queue(), list[Event]()
    calls = [queue.add(Open(number, "function_call")) for number in range(3000)]
    for _ in range(2):
        for call in calls:
            queue.put(call, queue.argument(call, "["), out)
    queue.flush(out)
    assert out.count(ToolArguments("[")) == 6000
