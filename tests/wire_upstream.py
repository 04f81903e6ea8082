"""A provider on loopback that speaks every wire: one script, in the neutral vocabulary, serves them all.

::

    with WireUpstream() as upstream:
        upstream.model = lambda ask: [Start(), TextDelta("Hello"), Finish("stop")]
        ...                     # call upstream.base_url("gemini")
        upstream.seen[-1].ask   # what was asked, decoded
        upstream.seen[-1].body  # the same as received

The path tells the wire.  The script is a function from the request to the events of the answer, so that it can react to
what it receives.  If the first event is a ``Failure``, it becomes an HTTP error.  A request to count tokens is answered with
``COUNTED``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from omniroute.translate.collect import collect
from omniroute.translate.conversation import Ask
from omniroute.translate.events import Event, Failure
from omniroute.translate.format import Format, Stamp
from omniroute.translate.formats import FORMATS

Model = Callable[[Ask], list[Event]]
BASES = {"openai-chat": "/v1", "openai-responses": "/v1", "anthropic": "/v1", "gemini": "/v1beta", "ollama": ""}
KINDS = {
    "openai-chat": "openai-compatible",
    "openai-responses": "openai-compatible:responses",
    "anthropic": "anthropic-compatible",
    "gemini": "gemini-compatible",
    "ollama": "ollama-compatible",
}
COUNTED = 42
_COUNTERS = {"/messages/count_tokens": "input_tokens", ":countTokens": "totalTokens"}
_ENDINGS = {
    "/chat/completions": "openai-chat",
    "/responses": "openai-responses",
    "/messages": "anthropic",
    ":generateContent": "gemini",
    ":streamGenerateContent": "gemini",
    "/api/chat": "ollama",
}


@dataclass
class Seen:
    """A received request, as bytes and decoded."""

    wire: str
    path: str
    headers: dict[str, str]
    body: bytes
    ask: Ask


class WireUpstream:
    """``model`` answers; ``seen`` holds the requests."""

    def __init__(self) -> None:
        self.model: Model = lambda ask: [Failure(500, "No script")]
        self.seen: list[Seen] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def play(self, model: Model) -> None:
        """Let *model* answer from now on, and forget earlier requests."""
        self.model = model
        self.seen.clear()

    def base_url(self, wire: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{BASES[wire]}"

    def __enter__(self) -> WireUpstream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def read_ask(wire: str, path: str, body: bytes) -> Ask:
    """Decode the request, including what one wire says in its path."""
    ask = FORMATS[wire].decode_request(body)
    if wire == "gemini":
        ask.model = path.rpartition("/")[2].partition(":")[0]
        ask.stream = ":streamGenerateContent" in path
    return ask


def pieces(wire: Format, events: list[Event], stamp: Stamp) -> Iterator[bytes]:
    """Encode the answer as a stream, one piece per event that writes anything."""
    encoder = wire.stream_encoder(stamp)
    for event in events:
        yield encoder.feed([event])
    yield encoder.eof()


def _handler_of(upstream: WireUpstream) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            path = self.path.partition("?")[0]
            counter = next((member for ending, member in _COUNTERS.items() if path.endswith(ending)), None)
            if counter is not None:
                self.whole(200, b'{"%b": %d}' % (counter.encode(), COUNTED), {})
                return
            name = next(wire for ending, wire in _ENDINGS.items() if path.endswith(ending))
            ask = read_ask(name, path, body)
            headers = {key.lower(): value for key, value in self.headers.items()}
            upstream.seen.append(Seen(name, self.path, headers, body, ask))
            self.answer(FORMATS[name], ask, upstream.model(ask))

        def answer(self, wire: Format, ask: Ask, events: list[Event]) -> None:
            stamp = Stamp("answer-1", 1_750_000_000, ask.model, ask.include_usage, ask=ask)
            first = events[0]
            if isinstance(first, Failure):
                after = {"retry-after": f"{first.retry_after:g}"} if first.retry_after else {}
                self.whole(first.status, wire.encode_error(first), after)
            elif ask.stream:
                self.stream(wire.stream_type, pieces(wire, events, stamp))
            else:
                self.whole(200, wire.encode_answer(collect(events), stamp).body, {})

        def whole(self, status: int, body: bytes, fields: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in {"content-type": "application/json", "content-length": str(len(body)), **fields}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

        def stream(self, kind: bytes, parts: Iterator[bytes]) -> None:
            self.send_response(200)
            self.send_header("content-type", kind.decode())
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for part in filter(None, parts):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, format: str, *args: Any) -> None: ...

    return Handler
