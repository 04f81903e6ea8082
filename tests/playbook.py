"""Byte-split tests: a stream must mean the same however the network splits it.

``cuts`` yields the ways to split one body: whole, byte by byte, in two at every place (for large bodies: at a sample of
places, including those inside a UTF-8 character and inside a CRLF), and in random pieces.  ``frames`` yields other
framings of the same events: CRLF, CR, a byte order mark, comments before and after.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from omniroute.proto.ndjson import NDJSONReader
from omniroute.proto.sse import SSEReader
from omniroute.translate.events import Event
from omniroute.translate.format import Format, Stamp

T = TypeVar("T")

EVERY_BYTE = 4096  # bytes; bodies up to this size are split at every place
STAMP = Stamp("id-1", 1_700_000_000, "model-1")


def cuts(body: bytes, *, samples: int = 150, seeds: int = 3) -> Iterator[list[bytes]]:
    """Yield the pieces of *body* for each way to split it."""
    yield [body]
    yield [body[i : i + 1] for i in range(len(body))]
    for place in _places(body, samples):
        yield [body[:place], body[place:]]
    for seed in range(seeds):
        yield _random_pieces(body, random.Random(seed))


def _places(body: bytes, samples: int) -> list[int]:
    if len(body) <= EVERY_BYTE:
        return list(range(1, len(body)))
    inside = [i for i in range(1, len(body)) if body[i] & 0xC0 == 0x80 or body[i - 1 : i + 1] == b"\r\n"]
    chosen = random.Random(len(body))
    return sorted({*chosen.sample(inside, min(samples // 3, len(inside))), *chosen.sample(range(1, len(body)), samples)})


def _random_pieces(body: bytes, chance: random.Random) -> list[bytes]:
    pieces = []
    while body:
        size = chance.choice((1, 2, 3, 7, 50, 400))
        pieces.append(body[:size])
        body = body[size:]
    return pieces


def frames(body: bytes) -> Iterator[bytes]:
    """Yield *body*, an SSE stream with LF line ends and a final blank line, in other framings."""
    yield b"\xef\xbb\xbf" + body
    yield b": hello\n\n" + body + b": bye\n\n"
    yield body.replace(b"\n", b"\r\n")
    yield body.replace(b"\n", b"\r")
    yield body.removesuffix(b"\n\n")


def reader_of(wire: Format) -> SSEReader | NDJSONReader:
    """Return the reader that splits a stream of this wire into events."""
    return SSEReader() if wire.framing == "sse" else NDJSONReader()


def decode(wire: Format, pieces: Iterable[bytes]) -> list[Event]:
    """Return the events of a stream that arrives in *pieces* and ends."""
    reader, decoder = reader_of(wire), wire.stream_decoder()
    events: list[Event] = []
    for piece in pieces:
        for name, data in reader.feed(piece):
            events += decoder.feed(name, data)
    for name, data in reader.finish():
        events += decoder.feed(name, data)
    return [*events, *decoder.eof()]


def translate(source: Format, target: Format, pieces: Iterable[bytes], stamp: Stamp = STAMP) -> bytes:
    """Return the stream as a client of *target* sees it."""
    reader, decoder, encoder = reader_of(source), source.stream_decoder(), target.stream_encoder(stamp)
    out: list[bytes] = []
    for piece in pieces:
        for name, data in reader.feed(piece):
            out.append(encoder.feed(decoder.feed(name, data)))
    for name, data in reader.finish():
        out.append(encoder.feed(decoder.feed(name, data)))
    return b"".join([*out, encoder.feed(decoder.eof()), encoder.eof()])


def assert_same_however_cut(body: bytes, play: Callable[[list[bytes]], T], *, samples: int = 150) -> T:
    """Check that *play* returns the same for every way to split *body*; return that."""
    whole = play([body])
    for pieces in cuts(body, samples=samples):
        assert play(pieces) == whole, f"differs when cut into {len(pieces)}: {pieces[0][-40:]!r} | {pieces[-1][:40]!r}"
    return whole
