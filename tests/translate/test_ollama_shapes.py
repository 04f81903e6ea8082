"""Lines of the Ollama wire, as loosely as its speakers write them."""

from __future__ import annotations

import pytest

from omniroute.translate.format import BadAnswer
from omniroute.translate.ollama_shapes import read_line


def test_a_member_that_the_answer_does_not_depend_on_may_have_any_type() -> None:
    line = read_line(b'{"model":1,"created_at":[],"message":{"content":"hi"},"done":"yes","eval_count":"7","done_reason":0}')
    assert line.message is not None
    assert line.message.content == "hi"
    assert (line.model, line.created_at, line.done, line.eval_count, line.done_reason) == (None, None, None, None, None)


def test_a_null_is_not_said() -> None:
    line = read_line(b'{"message":{"content":null,"tool_calls":null},"response":null,"eval_count":null,"model":[]}')
    assert line.message is not None
    assert (line.message.content, line.message.tool_calls, line.response) == (None, None, None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"data: {}",
        b'{"message":"hi"}',
        b'{"message":{"content":1}}',
        b'{"response":[]}',
        b'{"message":{"tool_calls":[{"function":"f"}]}}',
        b'{"message":{"content":"cut',
        b'{"message":{"content":"\xff"}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_line_is_a_declared_failure(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        read_line(data)
