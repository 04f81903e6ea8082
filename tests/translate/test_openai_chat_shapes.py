from __future__ import annotations

from typing import Any

import pytest

from omniroute.translate.format import BadAnswer
from omniroute.translate.openai_chat_shapes import Choice, Chunk, Delta, plain_text, read_chunk


@pytest.mark.parametrize(
    "data",
    [
        b'{"created":"now","choices":[{"index":0,"delta":{"content":"a"}}]}',
        b'{"id":5,"model":[],"choices":[{"index":"0","delta":{"content":"a"}}]}',
        b'{"usage":"none","choices":[{"finish_reason":{},"delta":{"content":"a","reasoning":1,"annotations":{}}}]}',
        b'{"choices":[{"delta":{"content":"a","tool_calls":[{"index":"x","id":1,"function":{"name":"f"}}]}}]}',
        b'{"choices":[{"delta":{"content":"a"},"logprobs":[]}],"x_groq":7}',
    ],
)
def test_a_member_of_a_wrong_type_is_left_out_when_the_answer_does_not_depend_on_it(data: bytes) -> None:
    chunk = read_chunk(data)
    assert chunk.choices is not None
    assert chunk.choices[0].delta is not None
    assert chunk.choices[0].delta.content == "a"


def test_an_object_as_content_is_its_text() -> None:
    chunk = read_chunk(b'{"choices":[{"index":0,"message":{"content":{"title":"a","tags":[1,{}]},"refusal":null}}]}')
    assert chunk.choices is not None
    assert chunk.choices[0].message is not None
    assert chunk.choices[0].message.content == '{"title":"a","tags":[1,{}]}'


@pytest.mark.parametrize(
    "data",
    [
        b"1",
        b'{"choices":{}}',
        b'{"choices":["a"]}',
        b'{"choices":[{"delta":{"content":1}}]}',
        b'{"choices":[{"delta":{"tool_calls":[1]}}]}',
        b'{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":1}}]}}]}',
        b'{"choices":' + b"[" * 100_000,
        b'{"id":"\xff"}',
        b'{"choices":[' + b",".join([b'{"index":"a"}'] * 40) + b"]}",
    ],
)
def test_a_chunk_without_its_content_is_refused(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        read_chunk(data)


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ('"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"usage":null', "a"),
        ('"choices":[{"delta":{"role":"assistant","content":"a","refusal":null,"tool_calls":[]}}]', "a"),
        ('"choices":[{"index":0,"delta":{"content":""}}]', ""),
        ('"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"a"}]}}]', ""),
        ('"choices":[{"index":1,"delta":{"content":"a"}}]', ""),
        ('"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]', ""),
        ('"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[]}}]', ""),
        ('"choices":[{"index":0,"delta":{"content":"a","reasoning":"b"}}]', ""),
        ('"choices":[{"index":0,"delta":{"content":"a","tool_calls":[{"index":0}]}}]', ""),
        ('"choices":[{"index":0,"delta":{"content":"a","images":[{"image_url":{"url":"x"}}]}}]', ""),
        ('"choices":[{"index":0,"message":{"content":"a"}}]', ""),
        ('"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]', ""),
        ('"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":1}', ""),
        ('"choices":[{"index":0,"delta":{"content":"a"}}],"error":{"message":"x"}', ""),
        ('"choices":[]', ""),
    ],
)
def test_a_piece_of_text_and_nothing_else_is_seen_at_once(members: str, text: str) -> None:
    assert plain_text(read_chunk(f"{{{members}}}".encode())) == text


@pytest.mark.parametrize("member", [name for name in Delta.__struct_fields__ if name != "content"])
def test_no_member_of_a_delta_is_passed_over(member: str) -> None:
    full: dict[str, Any] = {member: ["something"]}
    assert plain_text(Chunk(choices=[Choice(delta=Delta(content="a"))])) == "a"
    assert plain_text(Chunk(choices=[Choice(delta=Delta(content="a", **full))])) == ""
