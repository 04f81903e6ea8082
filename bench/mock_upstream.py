"""A provider that costs almost nothing: canned answers on two wires, as fast as one Python process can send them.

It serves ``POST …/chat/completions`` and ``POST …/messages``.  Without ``"stream": true`` it sends a whole answer of about
1 KB.  The model's name shapes a stream:

* ``…events-N``      N text events, sent at once, each as its own chunk (50 if the name does not say)
* ``…paced-NxMms``   N text events, one every M milliseconds; the streams are spread evenly over the period
* ``…hold``          one text event, then silence until the client leaves

Each text event holds ``tok-<digits>``.  In paced streams the digits are the monotonic time of sending in nanoseconds, from
which the reader computes the delay.

It is not a strict server: it trusts ``Content-Length`` and does not support chunked requests.
``python -m bench.mock_upstream --port 0`` prints the port that it listens on.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import Iterable
from functools import cache
from time import monotonic_ns

import uvloop

from .answers import ANTHROPIC, CHAT, MODELS, Answers
from .ticker import Ticker

TICK = 0.00025  # seconds; the grid on which paced streams are spread
_MODEL = re.compile(rb'"model"\s*:\s*"([^"]*)"')
_STREAM = re.compile(rb'"stream"\s*:\s*true')
_PACED = re.compile(rb"paced-(\d+)x(\d+)ms$")
_EVENTS = re.compile(rb"events-(\d+)$")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _chunks(events: Iterable[bytes]) -> bytes:
    return b"".join(map(_chunk, events))


_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"x-request-id: req_bench0001\r\ntransfer-encoding: chunked\r\n\r\n"
)
_LAST_CHUNK = b"0\r\n\r\n"


def _whole(status: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\nx-request-id: req_bench0001\r\ncontent-length: %d\r\n\r\n"
    return head % (status, len(body)) + body


@cache
def _canned(path: bytes, model: bytes, stream: bool) -> bytes | tuple[Answers, int, int]:
    """Return the bytes of an answer, or (wire, events, period in ms) of one sent over time; 0 events: hold."""
    wire = CHAT if path.endswith(b"/chat/completions") else ANTHROPIC if path.endswith(b"/messages") else None
    if wire is None:
        known = path.endswith(b"/models")
        return _whole(b"200 OK", MODELS) if known else _whole(b"404 Not Found", b'{"error":"not found"}')
    if not stream:
        return _whole(b"200 OK", wire.whole)
    if found := _PACED.search(model):
        return wire, int(found[1]), int(found[2])
    if model.endswith(b"hold"):
        return wire, 0, 0
    count = int(found[1]) if (found := _EVENTS.search(model)) else 50
    return _STREAM_HEAD + _chunks((*wire.before, *map(wire.event, range(count)), *wire.after)) + _LAST_CHUNK


class _Wheel:
    """The paced streams of one period, each in a slot of its own as long as there are free ones."""

    def __init__(self, period: int) -> None:
        self._slots: list[dict[Upstream, tuple[Answers, int]]] = [{} for _ in range(max(1, round(period / 1000 / TICK)))]
        self._at = self._next = 0
        self._streams = 0
        self._ticker: Ticker | None = None

    def add(self, stream: Upstream, wire: Answers, events: int) -> None:
        self._next = (self._next + 1) % len(self._slots)
        self._slots[self._next][stream] = (wire, events)
        self._streams += 1
        if self._ticker is None:
            self._ticker = Ticker(TICK, self._tick)

    def _tick(self, count: int) -> None:
        for _ in range(min(count, len(self._slots))):
            self._at = (self._at + 1) % len(self._slots)
            slot = self._slots[self._at]
            for stream, (wire, left) in list(slot.items()):
                if left and not stream.transport.is_closing():
                    slot[stream] = (wire, left - 1)
                    stream.transport.write(_chunk(wire.event(monotonic_ns())))
                    continue
                stream.transport.write(_chunks(wire.after) + _LAST_CHUNK)
                del slot[stream]
                self._streams -= 1
        if not self._streams and self._ticker is not None:
            self._ticker.close()
            self._ticker = None


_wheels: dict[int, _Wheel] = {}


class Upstream(asyncio.Protocol):
    """One connection."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._buffer = b""
        self._need = 0  # length of the message whose head has been read

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._buffer = data = self._buffer + data if self._buffer else data
        while len(data) >= self._need:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                break
            if not self._need:
                at = data[:end].lower().find(b"content-length:")
                length = int(data[at + 15 : data.find(b"\r", at)]) if at > 0 else 0
                self._need = end + 4 + length
                continue
            self._answer(data[: data.find(b" HTTP/1.1\r\n")], data[end + 4 : self._need])
            self._buffer = data = data[self._need :]
            self._need = 0

    def _answer(self, line: bytes, body: bytes) -> None:
        path = line.partition(b" ")[2].partition(b"?")[0]
        model = found[1] if (found := _MODEL.search(body)) else b""
        answer = _canned(path, model, _STREAM.search(body) is not None)
        if isinstance(answer, bytes):
            self.transport.write(answer)
            return
        wire, events, period = answer
        first = b"" if events else _chunk(wire.event(monotonic_ns()))
        self.transport.write(_STREAM_HEAD + _chunks(wire.before) + first)
        if events:
            _wheels.setdefault(period, _Wheel(period)).add(self, wire, events)


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", port, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--port", type=int, default=0)
    uvloop.run(serve(options.parse_args().port))


if __name__ == "__main__":
    main()
