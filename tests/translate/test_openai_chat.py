from __future__ import annotations

import pytest
from playbook import STAMP, decode, frames, translate

from omniroute.translate.format import Stamp, Target
from omniroute.translate.openai_chat import FORMAT

STREAM = (
    'data: {"id":"c1","created":7,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Grüße"}}]}\n\n'
    'data: {"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    'data: {"id":"c1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\n'
    "data: [DONE]\n\n"
).encode()


def test_a_stream_is_server_sent_events() -> None:
    assert (FORMAT.name, FORMAT.framing) == ("openai-chat", "sse")
    assert FORMAT.stream_type.startswith(b"text/event-stream")


@pytest.mark.parametrize("body", list(frames(STREAM)))
def test_every_framing_means_the_same(body: bytes) -> None:
    assert decode(FORMAT, [body]) == decode(FORMAT, [STREAM])


def test_what_we_write_we_read_the_same_again() -> None:
    again = translate(FORMAT, FORMAT, [STREAM])
    assert translate(FORMAT, FORMAT, [again]) == again


def test_equal_input_gives_equal_bytes() -> None:
    assert translate(FORMAT, FORMAT, [STREAM], STAMP) == translate(
        FORMAT, FORMAT, [STREAM], Stamp("id-1", 1_700_000_000, "model-1")
    )


def test_a_plain_request_comes_out_as_it_went_in() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0.5,"stop":["a"]}'
    assert FORMAT.encode_request(FORMAT.decode_request(body), Target("m")).body == body
