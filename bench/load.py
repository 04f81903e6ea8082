"""The client: raw asyncio protocols that send prepared bytes and check every answer.

There are three kinds of load.  A *closed* loop, for throughput and CPU: N connections, each sends again when its answer is
complete.  An *open* loop, for honest percentiles: requests at random moments with a fixed mean rate, independent of the
answers; latency counts from when a request was due, so a stall counts for every request that waits in it.  *Live* streams,
for the cost of an event: N open streams with slow events.
"""

from __future__ import annotations

import asyncio
import gc
import random
import re
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic_ns

import httptools

from .ticker import Ticker

TICK = 0.0001  # seconds; the grid of the open loop
_TOKEN = re.compile(rb"tok-(\d+)")


@dataclass(frozen=True, slots=True)
class Shot:
    """One prepared request, and what its answer must contain."""

    port: int
    raw: bytes
    expect: bytes  # must occur in the body
    times: int = 1  # how often it must occur

    def verify(self, status: int, body: bytes) -> str:
        """Return what is wrong with an answer; ``""`` if nothing is."""
        if status != 200:
            return f"status {status}"
        found = body.count(self.expect)
        return "" if found == self.times else f"{found} of {self.times} × {self.expect.decode(errors='replace')!r}"


def shot(port: int, path: str, body: bytes, expect: bytes, *, times: int = 1, key: str = "") -> Shot:
    auth = f"authorization: Bearer {key}\r\n" if key else ""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nuser-agent: bench\r\n"
        "accept: application/json, text/event-stream\r\n"
        f"accept-encoding: identity\r\n{auth}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return Shot(port, head.encode() + body, expect, times)


@dataclass(slots=True)
class Result:
    """The result of a round.  Latencies are in nanoseconds, unsorted."""

    count: int = 0
    seconds: float = 0.0
    latencies: list[int] = field(default_factory=list)
    first_bytes: list[int] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        return self.count / self.seconds if self.seconds else 0.0

    def percentile(self, share: float, of: list[int] | None = None) -> float:
        """Return a percentile in microseconds; *share* is between 0 and 1."""
        values = sorted(self.latencies if of is None else of)
        return values[min(len(values) - 1, int(share * len(values)))] / 1000 if values else 0.0

    def check(self) -> Result:
        """Return self.  Raises ``RuntimeError`` if an answer was wrong: a fast wrong answer is not a measurement."""
        if self.errors or not self.count:
            raise RuntimeError(f"{self.count} right answers, wrong ones: {dict(self.errors.most_common(5))}")
        return self


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request at a time."""

    transport: asyncio.Transport

    def __init__(self, done: Callable[[Connection, str], None]) -> None:
        self._done = done
        self._parser = httptools.HttpResponseParser(self)
        self._shot: Shot | None = None
        self._pieces: list[bytes] = []
        self.due = 0
        self.first = 0  # time of the first byte of the body
        self.delays: list[int] | None = None  # delays of the events, if wanted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def fire(self, what: Shot, due: int) -> None:
        self._shot, self._pieces, self.due, self.first = what, [], due, 0
        self.transport.write(what.raw)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._finish(f"not HTTP: {error}")

    def on_body(self, body: bytes) -> None:
        if not self.first:
            self.first = monotonic_ns()
        self._pieces.append(body)
        if self.delays is not None:
            now = monotonic_ns()
            self.delays += [now - int(digits) for digits in _TOKEN.findall(body)]

    def on_message_complete(self) -> None:
        if self._shot is not None:
            self._finish(self._shot.verify(self._parser.get_status_code(), b"".join(self._pieces)))

    def _finish(self, error: str) -> None:
        if self._shot is not None:
            self._shot = None
            self._done(self, error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish("connection lost")


class _Round:
    """What the kinds of load share: the connections, the result and the end."""

    def __init__(self, what: Shot) -> None:
        self.what = what
        self.result = Result()
        self.pool: list[Connection] = []
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._start = 0

    async def connect(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(count):
            _, connection = await loop.create_connection(lambda: Connection(self.done), "127.0.0.1", self.what.port)
            self.pool.append(connection)
        gc.collect()
        gc.disable()
        self._start = monotonic_ns()

    def done(self, connection: Connection, error: str) -> None:
        """An answer is complete; *error* says what is wrong with it."""
        if error:
            self.result.errors[error] += 1
        else:
            self.result.count += 1
            self.result.latencies.append(monotonic_ns() - connection.due)
            self.result.first_bytes.append(connection.first - connection.due)
        if connection.transport.is_closing():
            self.end()

    def end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    async def wait(self, limit: float) -> Result:
        try:
            await asyncio.wait_for(self._over, limit)
        except TimeoutError:
            self.result.errors["time is up"] += 1
        finally:
            self.close()
        return self.result

    def close(self) -> None:
        gc.enable()
        self.result.seconds = (monotonic_ns() - self._start) / 1e9
        for connection in self.pool:
            connection.transport.abort()


class _Closed(_Round):
    left = 0  # outstanding answers, including those of requests not yet sent

    def done(self, connection: Connection, error: str) -> None:
        super().done(connection, error)
        self.left -= 1
        if self.left <= 0:
            self.end()
        elif self.left >= len(self.pool) and not connection.transport.is_closing():
            connection.fire(self.what, monotonic_ns())


async def closed(what: Shot, connections: int, count: int, limit: float = 120.0) -> Result:
    """Send *count* requests over *connections*, as fast as answers arrive; give up after *limit* seconds."""
    press = _Closed(what)
    press.left = count
    await press.connect(min(connections, count))
    for connection in press.pool:
        connection.fire(what, monotonic_ns())
    return await press.wait(limit)


class _Open(_Round):
    """``due`` is the time of the next request; requests without a free connection wait, and keep their due time."""

    def __init__(self, what: Shot, rate: float, seconds: float, seed: int) -> None:
        super().__init__(what)
        self._rate = rate
        self._dice = random.Random(seed)
        self._free: deque[Connection] = deque()
        self._waiting: deque[int] = deque()
        self._running = 0
        self.due = monotonic_ns()
        self.until = self.due + int(seconds * 1e9)

    def begin(self) -> None:
        self._free.extend(self.pool)
        now = monotonic_ns()
        self.due, self.until = now, now + self.until - self.due

    def done(self, connection: Connection, error: str) -> None:
        super().done(connection, error)
        self._running -= 1
        if self._waiting and not connection.transport.is_closing():
            connection.fire(self.what, self._waiting.popleft())
        else:
            self._free.append(connection)
        if not self._running and self.due >= self.until:
            self.end()

    def tick(self, _: int) -> None:
        now = monotonic_ns()
        while self.due <= now and self.due < self.until:
            self._running += 1
            if self._free:
                self._free.popleft().fire(self.what, self.due)
            else:
                self._waiting.append(self.due)
            self.due += int(self._dice.expovariate(self._rate) * 1e9)


async def opened(what: Shot, connections: int, rate: float, seconds: float, seed: int = 1) -> Result:
    """Send requests at random moments (exponential gaps, reproducible by *seed*), on average *rate* a second."""
    press = _Open(what, rate, seconds, seed)
    await press.connect(connections)
    press.begin()
    ticker = Ticker(TICK, press.tick)
    try:
        return await press.wait(seconds * 3 + 10)
    finally:
        ticker.close()


class _Streams(_Round):
    async def open(self, count: int) -> None:
        """Open *count* streams and wait until each has sent something.  Raises ``RuntimeError``."""
        await self.connect(count)
        for connection in self.pool:
            connection.fire(self.what, monotonic_ns())
        deadline = monotonic_ns() + 30_000_000_000
        while not all(connection.first for connection in self.pool):
            await asyncio.sleep(0.05)
            if self.result.errors or monotonic_ns() > deadline:
                self.close()
                raise RuntimeError(f"streams did not open: {dict(self.result.errors)}")

    def done(self, connection: Connection, error: str) -> None:
        super().done(connection, error)
        if self.result.count + self.result.errors.total() >= len(self.pool):
            self.end()


@dataclass(slots=True)
class Live:
    """The measurements of a window over open streams; ``delays`` are the events' delays in nanoseconds."""

    events: int
    cpu: int  # nanoseconds, from the meter
    delays: Result


async def live(what: Shot, streams: int, window: float, meter: Callable[[], int]) -> Live:
    """Open *streams*, wait until events arrive on all, measure for *window* seconds, and check that all end well.

    ``what`` must ask for streams that outlast opening and window.  Raises ``RuntimeError``.
    """
    press = _Streams(what)
    await press.open(streams)
    await asyncio.sleep(0.3)
    for connection in press.pool:
        connection.delays = []
    before = meter()
    await asyncio.sleep(window)
    cpu = meter() - before
    delays = Result(seconds=window)
    for connection in press.pool:
        delays.latencies += connection.delays or ()
        connection.delays = None
    delays.count = len(delays.latencies)
    if press.result.count:
        press.result.errors["streams ended inside the window"] += 1
    (await press.wait(60.0)).check()
    return Live(delays.count, cpu, delays)


async def hold(what: Shot, streams: int, inside: Callable[[], int]) -> int:
    """Open *streams* that stay silent after their first event; return what *inside* returns while all are open."""
    press = _Streams(what)
    await press.open(streams)
    await asyncio.sleep(0.5)
    try:
        return inside()
    finally:
        press.close()
