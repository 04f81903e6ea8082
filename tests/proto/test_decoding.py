from __future__ import annotations

import gzip
import zlib

import pytest

from omniroute.proto.decoding import Decoder, DecodingError, decoder_for

TEXT = b"data: some text that repeats, some text that repeats\n\n" * 200


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


CODED = {b"gzip": gzip.compress(TEXT), b"X-GZip": gzip.compress(TEXT), b"deflate": zlib.compress(TEXT)}
MEMBERS = b"".join(map(gzip.compress, (TEXT[:1000], b"", TEXT[1000:])))


def decoder(coding: bytes, total: int = 64 << 20) -> Decoder:
    made = decoder_for([(b"content-encoding", coding)], total)
    assert made is not None
    return made


def feed_all(unpack: Decoder, data: bytes, step: int) -> bytes:
    return b"".join(unpack.feed(data[at : at + step]) for at in range(0, len(data), step))


@pytest.mark.parametrize("step", [1, 2, 7, 100_000])
@pytest.mark.parametrize(("coding", "data"), [*CODED.items(), (b"deflate", raw_deflate(TEXT)), (b"gzip", MEMBERS)])
def test_coded_bodies_are_decoded_at_any_split(coding: bytes, data: bytes, step: int) -> None:
    unpack = decoder(coding)
    assert feed_all(unpack, data, step) == TEXT
    unpack.finish()


def test_each_flushed_piece_comes_out_at_once() -> None:
    packer, unpack = zlib.compressobj(wbits=31), decoder(b"gzip")
    for event in (b"data: 1\n\n", b"data: 2\n\n"):
        assert unpack.feed(packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH)) == event


@pytest.mark.parametrize("codings", [[], [b"identity"], [b"br"], [b"gzip, gzip"], [b"gzip", b"gzip"]])
def test_other_codings_are_left_alone(codings: list[bytes]) -> None:
    assert decoder_for([(b"content-encoding", coding) for coding in codings], 1000) is None


def test_bomb_is_refused_by_its_ratio() -> None:
    bomb = gzip.compress(bytes(20_000_000))
    with pytest.raises(DecodingError) as caught:
        feed_all(decoder(b"gzip"), bomb, 4096)
    assert caught.value.reason == "too_large"


def test_total_is_bounded_too() -> None:
    with pytest.raises(DecodingError, match="too far"):
        decoder(b"gzip", total=1000).feed(gzip.compress(TEXT))


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
def test_damage_is_a_protocol_error(coding: bytes) -> None:
    with pytest.raises(DecodingError) as caught:
        decoder(coding).feed(b"<html>no compression here</html>")
    assert caught.value.reason == "protocol"


@pytest.mark.parametrize(("coding", "data"), [*CODED.items(), (b"gzip", MEMBERS)])
def test_early_end_is_noticed(coding: bytes, data: bytes) -> None:
    for cut in (1, len(data) // 2, len(data) - 1):
        unpack = decoder(coding)
        unpack.feed(data[:cut])
        with pytest.raises(DecodingError) as caught:
            unpack.finish()
        assert caught.value.reason == "truncated"


def test_empty_body_is_complete() -> None:
    decoder(b"gzip").finish()


@pytest.mark.parametrize("step", [1, 100_000])
@pytest.mark.parametrize(
    ("coding", "data"), [(b"gzip", gzip.compress(TEXT) + b"more"), (b"deflate", zlib.compress(TEXT) + gzip.compress(TEXT))]
)
def test_bytes_after_the_end_are_refused(coding: bytes, data: bytes, step: int) -> None:
    with pytest.raises(DecodingError, match="after the end"):
        feed_all(decoder(coding), data, step)
