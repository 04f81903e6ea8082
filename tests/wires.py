"""The two main wires for tests: requests, made-up answers, and how to read what comes back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from omniroute.translate.format import Stamp
from omniroute.translate.formats import FORMATS, RELAYS
from omniroute.translate.relay import Pipe

TEXT = ("Good ", "morning, ", "Zürich.")
SAID = "".join(TEXT)
CREATED = 1_750_000_000


def sse(data: Any, name: str = "") -> bytes:
    """Return one SSE event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()


def spelled(raw: bytes) -> bytes:
    """*raw* without needless escapes: a text may reach the client in its vendor's spelling (``\\u00fc``) or in ours."""
    return re.sub(rb"\\u00([a-f][0-9a-f])", lambda found: chr(int(found[1], 16)).encode(), raw)


def events(raw: bytes) -> list[tuple[str, str]]:
    """Return (event name, data) of each event of a stream with LF line ends, without comments."""
    out = []
    for block in raw.decode().split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            fields = dict(line.split(": ", 1) for line in lines)
            out.append((fields.get("event", ""), fields.get("data", "")))
    return out


# -- openai-chat


def chunk(delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> bytes:
    """Return one ``chat.completion.chunk``; without *delta* it has no choices."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return sse(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": "gpt-x",
            "choices": choices,
            **more,
        }
    )


CHAT_USAGE = {
    "prompt_tokens": 21,
    "completion_tokens": 5,
    "total_tokens": 26,
    "prompt_tokens_details": {"cached_tokens": 16},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
DONE = sse("[DONE]")


def chat_message(message: dict[str, Any], finish: str = "stop", **more: Any) -> bytes:
    """Return a whole ``chat.completion``."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": None, **message},
        "finish_reason": finish,
        "logprobs": None,
    }
    answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": CREATED, "model": "gpt-x", "choices": [choice]}
    return json.dumps({**answer, "usage": CHAT_USAGE, **more}).encode()


def chat_text(raw: bytes, stream: bool) -> str:
    if not stream:
        return str(json.loads(raw)["choices"][0]["message"]["content"])
    chunks = [json.loads(data) for _, data in events(raw) if data != "[DONE]"]
    return "".join(choice["delta"].get("content") or "" for c in chunks for choice in c.get("choices", ()))


def chat_errors(raw: bytes) -> list[dict[str, Any]]:
    found = [json.loads(data) for _, data in events(raw) if data != "[DONE]"]
    return [event["error"] for event in found if event.get("error")]


# -- anthropic


def event(kind: str, **data: Any) -> bytes:
    """Return one event of an Anthropic stream."""
    return sse({"type": kind, **data}, kind)


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[bytes]:
    """Return the events of a whole content block."""
    return [
        event("content_block_start", index=index, content_block=start),
        *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
        event("content_block_stop", index=index),
    ]


COUNTS = {"input_tokens": 5, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 16, "output_tokens": 5}
_MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "stop_sequence": None}
MESSAGE_START = event(
    "message_start", message={**_MESSAGE, "content": [], "stop_reason": None, "usage": {**COUNTS, "output_tokens": 1}}
)
MESSAGE_END = [
    event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 5}),
    event("message_stop"),
]
TEXT_BLOCK = block(0, {"type": "text", "text": ""}, *({"type": "text_delta", "text": piece} for piece in TEXT))
THINKING_BLOCK = block(
    0,
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "Morning, "},
    {"type": "thinking_delta", "thinking": "in Switzerland."},
    {"type": "signature_delta", "signature": "c2lnbmVk"},
)


def message(*blocks: dict[str, Any], stop: str = "end_turn") -> bytes:
    """Return a whole Anthropic message."""
    return json.dumps({**_MESSAGE, "content": blocks, "stop_reason": stop, "usage": COUNTS}).encode()


def anthropic_text(raw: bytes, stream: bool) -> str:
    if not stream:
        return "".join(part.get("text", "") for part in json.loads(raw)["content"])
    deltas = [json.loads(data) for name, data in events(raw) if name == "content_block_delta"]
    return "".join(delta["delta"].get("text", "") for delta in deltas)


def anthropic_errors(raw: bytes) -> list[dict[str, Any]]:
    return [json.loads(data)["error"] for name, data in events(raw) if name == "error"]


# -- both


@dataclass(frozen=True, eq=False)
class Wire:
    """One wire.

    ``kind``: of nodes that speak it; ``stream``: a whole stream, ``opening`` its events before the first text, ``first`` the
    event with that text; ``error_event``: an overloaded upstream's error inside a stream.
    """

    name: str
    path: str
    kind: str
    auth: str  # the provider's authentication scheme
    whole: bytes
    opening: Sequence[bytes]
    first: bytes
    stream: Sequence[bytes]
    error_event: bytes
    text: Callable[[bytes, bool], str]
    errors: Callable[[bytes], list[dict[str, Any]]]

    def ask(self, model: str, *, stream: bool = False, **more: Any) -> dict[str, Any]:
        """Return a small request."""
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": "user", "content": "Greet me"}],
            "max_tokens": 64,
            **more,
        }
        if stream:
            body["stream"] = True
            if self is CHAT:
                body.setdefault("stream_options", {"include_usage": True})
        return body

    def error(self, kind: str, text: str) -> bytes:
        """Return the body of an HTTP error answer."""
        if self is ANTHROPIC:
            return json.dumps({"type": "error", "error": {"type": kind, "message": text}}).encode()
        return json.dumps({"error": {"message": text, "type": kind, "param": None, "code": None}}).encode()

    def error_of(self, raw: bytes) -> dict[str, Any]:
        """Return the error object of an HTTP error answer, after checking its shape."""
        body = json.loads(raw)
        if self is ANTHROPIC:
            assert body["type"] == "error"
        error: dict[str, Any] = body["error"]
        assert error["type"]
        assert error["message"]
        return error

    def __repr__(self) -> str:
        return self.name


def _chat_stream() -> list[bytes]:
    pieces: Iterable[bytes] = (chunk({"content": piece}) for piece in TEXT)
    return [chunk({"role": "assistant", "content": ""}), *pieces, chunk({}, "stop"), chunk(None, usage=CHAT_USAGE), DONE]


CHAT = Wire(
    name="openai-chat",
    path="/v1/chat/completions",
    kind="openai-compatible",
    auth="bearer",
    whole=chat_message({"content": SAID}),
    opening=_chat_stream()[:1],
    first=_chat_stream()[1],
    stream=_chat_stream(),
    error_event=sse({"error": {"message": "Overloaded, try later", "type": "overloaded_error", "code": None}}),
    text=chat_text,
    errors=chat_errors,
)
ANTHROPIC = Wire(
    name="anthropic",
    path="/v1/messages",
    kind="anthropic-compatible",
    auth="x-api-key",
    whole=message({"type": "text", "text": SAID}),
    opening=[MESSAGE_START, TEXT_BLOCK[0]],
    first=TEXT_BLOCK[1],
    stream=[MESSAGE_START, *TEXT_BLOCK, *MESSAGE_END],
    error_event=event("error", error={"type": "overloaded_error", "message": "Overloaded, try later"}),
    text=anthropic_text,
    errors=anthropic_errors,
)
WIRES = (CHAT, ANTHROPIC)


# -- two parallel tool calls

CALLS = (("call_1", "Rome"), ("call_2", "Zürich"))
_PARTS = {place: ('{"place": ', f'"{place}"}}') for _, place in CALLS}


def _chat_call(call_id: str, arguments: str, **more: Any) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "get_weather", "arguments": arguments}, **more}


def _tool_use(call_id: str, **arguments: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "get_weather", "input": arguments}


CALLING = {
    CHAT: chat_message({"tool_calls": [_chat_call(i, "".join(_PARTS[place])) for i, place in CALLS]}, "tool_calls"),
    ANTHROPIC: message(*(_tool_use(i, place=place) for i, place in CALLS), stop="tool_use"),
}


def _chat_calls(index: int, call_id: str, place: str) -> list[bytes]:
    parts = ({"index": index, "function": {"arguments": part}} for part in _PARTS[place])
    return [chunk({"tool_calls": [call]}) for call in (_chat_call(call_id, "", index=index), *parts)]


def _anthropic_calls(index: int, call_id: str, place: str) -> list[bytes]:
    return block(index, _tool_use(call_id), *({"type": "input_json_delta", "partial_json": p} for p in _PARTS[place]))


CALLING_STREAM = {
    CHAT: [
        CHAT.stream[0],
        *(piece for n, (i, place) in enumerate(CALLS) for piece in _chat_calls(n, i, place)),
        chunk({}, "tool_calls"),
        *CHAT.stream[-2:],
    ],
    ANTHROPIC: [
        MESSAGE_START,
        *(piece for n, (i, place) in enumerate(CALLS) for piece in _anthropic_calls(n, i, place)),
        event("message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 5}),
        event("message_stop"),
    ],
}


def tap(wire: Wire, strip: bool = False) -> Pipe:
    """Return what a stream of *wire* passes through when its client speaks *wire* too."""
    encoder = FORMATS[wire.name].stream_encoder
    return RELAYS[wire.name].tap(lambda failure: encoder(Stamp("id", 0, "m")).fail(failure), strip)


def play(pipe: Pipe, *pieces: bytes) -> bytes:
    """Return what comes out of *pipe* for a whole stream."""
    return b"".join([*map(pipe.feed, pieces), pipe.eof()])
