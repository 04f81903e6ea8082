"""The mock's answers on both wires: one whole answer of about 1 KB, and the events of a stream."""

from __future__ import annotations

from typing import NamedTuple

MARK = b"The answer of the mock begins here: "
TEXT = MARK + b"the second retry waits for a minute because the delay grows thirtyfold after the first failure. " * 7


class Answers(NamedTuple):
    """A whole answer, and the SSE events of a stream: those before the text, the frame of a text event, those after."""

    whole: bytes
    before: tuple[bytes, ...]
    text: tuple[bytes, bytes]
    after: tuple[bytes, ...]

    def event(self, digits: int) -> bytes:
        """Return a text event with ``tok-<digits>``."""
        return b"%btok-%d %b" % (self.text[0], digits, self.text[1])


def _chunk(rest: bytes) -> bytes:
    head = b'data: {"id":"chatcmpl-bench0001","object":"chat.completion.chunk","created":1750000000,"model":"gpt-mock",'
    return b"%b%b}\n\n" % (head, rest)


def _choice(delta: bytes, reason: bytes = b"null") -> bytes:
    return _chunk(b'"choices":[{"index":0,"delta":{%b},"finish_reason":%b}]' % (delta, reason))


def _event(name: bytes, rest: bytes = b"") -> bytes:
    return b'event: %b\ndata: {"type":"%b"%b}\n\n' % (name, name, rest)


def _split(event: bytes) -> tuple[bytes, bytes]:
    before, _, after = event.partition(b"|")
    return before, after


_CHAT_USAGE = (
    b'"usage":{"prompt_tokens":120,"completion_tokens":50,"total_tokens":170,"prompt_tokens_details":{"cached_tokens":100}}'
)
CHAT = Answers(
    whole=b'{"id":"chatcmpl-bench0001","object":"chat.completion","created":1750000000,"model":"gpt-mock","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"%b","refusal":null},"logprobs":null,"finish_reason":"stop"}],%b}'
    % (TEXT, _CHAT_USAGE),
    before=(_choice(b'"role":"assistant","content":""'),),
    text=_split(_choice(b'"content":"|"')),
    after=(_choice(b"", b'"stop"'), _chunk(b'"choices":[],%b' % _CHAT_USAGE), b"data: [DONE]\n\n"),
)

_MESSAGE = b'"id":"msg_bench0001","type":"message","role":"assistant","model":"claude-mock"'
_COUNTS = b'"usage":{"input_tokens":20,"cache_creation_input_tokens":0,"cache_read_input_tokens":100,"output_tokens":%d}'
_END = b'"stop_reason":"end_turn","stop_sequence":null'
ANTHROPIC = Answers(
    whole=b'{%b,"content":[{"type":"text","text":"%b"}],%b,%b}' % (_MESSAGE, TEXT, _END, _COUNTS % 50),
    before=(
        _event(b"message_start", b',"message":{%b,"content":[],"stop_reason":null,%b}' % (_MESSAGE, _COUNTS % 1)),
        _event(b"content_block_start", b',"index":0,"content_block":{"type":"text","text":""}'),
        _event(b"ping"),
    ),
    text=_split(_event(b"content_block_delta", b',"index":0,"delta":{"type":"text_delta","text":"|"}')),
    after=(
        _event(b"content_block_stop", b',"index":0'),
        _event(b"message_delta", b',"delta":{%b},"usage":{"output_tokens":50}' % _END),
        _event(b"message_stop"),
    ),
)
MODELS = b'{"object":"list","data":[{"id":"gpt-mock","object":"model","created":1750000000,"owned_by":"bench"}]}'
