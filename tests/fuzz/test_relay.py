"""The taps of all wires: whatever comes, never an exception, little held, and the same output however it is cut."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutation import TOKENS, cut, golden, mutated
from playbook import STAMP

from omniroute.translate.events import Failure
from omniroute.translate.format import BadAnswer
from omniroute.translate.formats import ARRAY_TAPS, FORMATS, RELAYS
from omniroute.translate.relay import HELD_BYTES, Tap

WIRES = [name for name in FORMATS if name != "ollama-generate"]
NUMBER = re.compile(rb'"sequence_number":\d+')  # of an ending of ours: where the stream was when it was last readable
BROKEN = Failure(502, "The connection to the provider broke")


def tap(wire: str, strip: bool = False) -> Tap:
    return RELAYS[wire].tap(lambda failure: FORMATS[wire].stream_encoder(STAMP).fail(failure), strip)


def play(pipe: Tap, pieces: list[bytes], breaks: bool = False) -> tuple[bytes, bytes]:
    """(what the client gets of the upstream's, and the error that follows where that was not everything)."""
    out = [pipe.feed(piece) for piece in pieces if piece]
    if not breaks:
        out.append(pipe.eof())
    error = pipe.fail(BROKEN) if breaks or not (pipe.finished or pipe.failure) else b""
    return b"".join(out), error


@pytest.mark.parametrize("wire", WIRES)
def test_nearly_right_streams_come_out_the_same_however_they_are_cut(wire: str, seeds: Iterator[int]) -> None:
    for seed in seeds:
        chance = random.Random(seed)
        body = mutated(golden(wire, "stream"), chance)
        try:
            whole, _ = play(tap(wire), [body])
            parts, _ = play(tap(wire), cut(body, chance))
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
        assert NUMBER.sub(b"", parts) == NUMBER.sub(b"", whole), f"seed {seed}"


@pytest.mark.parametrize("wire", WIRES)
def test_a_stream_that_breaks_anywhere_is_ended_without_an_exception(wire: str, seeds: Iterator[int]) -> None:
    for seed in seeds:
        chance = random.Random(seed)
        pieces = cut(mutated(golden(wire, "stream"), chance), chance)
        try:
            play(tap(wire, strip=chance.random() < 0.5), pieces[: chance.randrange(len(pieces) + 1)], breaks=True)
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error


@pytest.mark.parametrize("wire", WIRES)
@given(body=st.lists(st.sampled_from(TOKENS[:-2]) | st.binary(max_size=4), max_size=30).map(b"".join), at=st.integers(0))
def test_any_bytes_are_survived_and_come_out_the_same(wire: str, body: bytes, at: int) -> None:
    place = at % (len(body) + 1)
    whole, parts = play(tap(wire), [body])[0], play(tap(wire), [body[:place], body[place:]])[0]
    assert parts.rstrip(b"\r\n") == whole.rstrip(b"\r\n"), "blank lines before half an event may go with it"


@pytest.mark.parametrize("wire", ARRAY_TAPS)
def test_arrays_survive_too(wire: str, seeds: Iterator[int]) -> None:
    for seed in seeds:
        chance = random.Random(seed)
        pieces = cut(mutated(golden(wire, "stream"), chance), chance)
        for breaks in (False, True):
            try:
                out = b"".join(play(ARRAY_TAPS[wire](), pieces, breaks))
            except BadAnswer:
                continue
            except Exception as error:
                raise AssertionError(f"seed {seed}") from error
            assert out[:1] == b"[", f"seed {seed}"
            assert out[-1:] == b"]", f"seed {seed}"


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("filler", [b"x", b"data: x", b"\n", b"\r", b'{"a":"', b"data: x\n"])
def test_only_so_much_is_ever_held(wire: str, filler: bytes) -> None:
    pipe = tap(wire)
    piece = filler * (1000 // len(filler))
    came = went = 0
    for _ in range(300):
        came += len(piece)
        went += len(pipe.feed(piece))
        assert came - went <= HELD_BYTES + len(piece)
