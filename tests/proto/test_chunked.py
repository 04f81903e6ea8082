from __future__ import annotations

import pytest
from h1_attacks import BODIES

from omniroute.proto.chunked import ChunkDecoder
from omniroute.proto.framing import ProtocolError


def decode(data: bytes, size: int = 0) -> tuple[bytes, bytes, bool]:
    """Body, what follows, and whether it is complete."""
    decoder = ChunkDecoder()
    body = b""
    for at in range(0, len(data), size or len(data) or 1):
        if decoder.complete:
            return body, decoder.rest + data[at:], True
        body += decoder.feed(data[at : at + (size or len(data))])
        while decoder.rest and not decoder.complete:
            body += decoder.feed(decoder.rest)
    return body, decoder.rest, decoder.complete


@pytest.mark.parametrize("size", [0, 1, 2, 3, 5])
@pytest.mark.parametrize(
    ("data", "body", "rest"),
    [
        (b"0\r\n\r\n", b"", b""),
        (b"3\r\nabc\r\n0\r\n\r\n", b"abc", b""),
        (b"3\r\nabc\r\nA\r\n\r\n\r\n012345\r\n0000\r\n\r\nGET /", b"abc\r\n\r\n012345", b"GET /"),
        (b"0000000000000003\r\nabc\r\n0\r\n\r\n", b"abc", b""),
        (b'3;a;b=c;d="e\\"f;\t"\r\nabc\r\n0;last\r\n\r\n', b"abc", b""),
        (b"0\r\nX-Sum: 1\r\nX-Empty:\r\n\r\nrest", b"", b"rest"),
    ],
)
def test_the_body_and_what_follows(data: bytes, body: bytes, rest: bytes, size: int) -> None:
    assert decode(data, size) == (body, rest, True)


@pytest.mark.parametrize("cut", range(1, 20))
def test_an_unfinished_body_is_not_complete(cut: int) -> None:
    assert not decode(b"3\r\nabc\r\n0\r\nX: y\r\n\r\n"[:-cut])[2]


@pytest.mark.parametrize("attack", [row for row in BODIES if row.status != 413], ids=lambda attack: attack.name)
@pytest.mark.parametrize("size", [0, 1, 7])
def test_what_is_not_chunked_is_refused(attack: object, size: int) -> None:
    data = attack.data.partition(b"\r\n\r\n")[2]  # type: ignore[attr-defined]
    with pytest.raises(ProtocolError) as caught:
        decode(data, size)
    assert caught.value.status == attack.status  # type: ignore[attr-defined]


def test_what_a_chunk_announces_is_known_before_it_comes() -> None:
    decoder = ChunkDecoder()
    assert decoder.feed(b"fffff\r\nabc") == b"abc"
    assert decoder.announced == 0xFFFFF - 3


@pytest.mark.parametrize("size", [0, 7])
def test_extensions_may_not_outgrow_the_body(size: int) -> None:
    extended = b"1;" + b"a" * 900 + b"\r\nx\r\n"
    with pytest.raises(ProtocolError) as caught:
        decode(extended * 20, size)
    assert (caught.value.status, caught.value.message) == (400, "chunk extensions too large")
    assert decode(extended * 10 + b"0\r\n\r\n", size) == (b"x" * 10, b"", True)
    assert decode(b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n", size) == (b"x" * 5000, b"", True)


def test_only_so_much_is_read_at_a_time() -> None:
    decoder = ChunkDecoder()
    many = b"1\r\nx\r\n" * 1000
    first = decoder.feed(many)
    assert 0 < len(first) < 200
    assert decoder.rest == many[6 * len(first) :]
    assert decoder.feed(b"1\r\ny\r\n0") == b"y"
    assert (decoder.rest, decoder.complete) == (b"", False)


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_chunk_read_in_one_is_the_same_as_one_read_in_pieces(cut: int) -> None:
    decoder = ChunkDecoder()
    data = b"2\r\nab\r\n0A\r\n0123456789\r\n"
    assert decoder.feed(data[:-cut]) + decoder.feed(data[-cut:] + b"0\r\n\r\n") == b"ab0123456789"
    assert decoder.complete
