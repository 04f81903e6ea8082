from __future__ import annotations

from typing import Any

import pytest
from attempts import BOTH
from data_plane import JSON
from fakes_gateway import SSE
from wires import ANTHROPIC, CHAT, SAID, Wire

from omniroute.gateway.fold import ENDS, fold
from omniroute.translate.collect import collect
from omniroute.translate.conversation import Text
from omniroute.translate.format import BadAnswer


@BOTH
def test_a_stream_folds_into_an_answer(wire: Wire) -> None:
    answer = collect(fold(wire.name, b"".join(wire.stream)))
    assert [block.text for block in answer.blocks if isinstance(block, Text)] == [SAID]
    assert answer.failure is None


def test_a_stream_that_was_cut_folds_into_a_failure() -> None:
    assert collect(fold("openai-chat", b"".join(CHAT.stream[:2]))).failure is not None
    with pytest.raises(BadAnswer):
        fold("openai-chat", b"data: {oops\n\n")


NDJSON = [(b"content-type", b"application/x-ndjson")]


ENDED = [
    ("openai-chat", SSE, b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n', b"data: [DONE]\n\n"),
    ("openai-chat", SSE, b": so far so good\n\n", b'data: {"error":{"message":"No"}}\n\n'),
    ("anthropic", SSE, ANTHROPIC.stream[0], b"".join(ANTHROPIC.stream[1:])),
    ("openai-responses", SSE, b"", b'data: {"type":"response.completed","response":{"output":[]}}\n\n'),
    ("ollama", NDJSON, b'{"message":{"content":"a"},"done":false}\n', b'{"message":{"content":""},"done":true}\n'),
    ("openai-chat", SSE, b"", b"data: {oops\n\n"),
]


@pytest.mark.parametrize(("wire", "kind", "before", "end"), ENDED)
def test_a_stream_for_a_whole_answer_ends_where_its_wire_says_so(wire: str, kind: Any, before: bytes, end: bytes) -> None:
    reached = ENDS[wire](kind)
    assert reached is not None
    assert [reached(before), reached(end[:-1]), reached(end[-1:])] == [False, False, True]
    assert ENDS[wire](JSON) is None
