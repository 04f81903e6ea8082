from __future__ import annotations

import pytest
from fakes import FakeClock

from omniroute.proto.framing import ProtocolError
from omniroute.proto.intake import Held, Intake
from omniroute.settings import Limits


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def intake(clock: FakeClock) -> Intake:
    return Intake(Limits(body_silence=30, body_min_rate=1000), clock, Held())  # type: ignore[arg-type]


def test_pieces_become_the_whole_in_order(intake: Intake) -> None:
    intake.begin(10_000_000, 0)
    pieces = [bytes([number % 256]) * (100_000 if number % 300 == 0 else 2) for number in range(1000)]
    for piece in pieces:
        intake.keep(piece)
    assert intake.whole(b"last") == b"".join(pieces) + b"last"
    assert intake.whole(b"next") == b"next"


def test_a_body_of_one_piece_is_not_copied(intake: Intake) -> None:
    piece = b"x" * 1000
    assert intake.whole(piece) is piece


def test_the_limit_counts_what_came_and_what_is_announced(intake: Intake) -> None:
    with pytest.raises(ProtocolError) as caught:
        intake.begin(10, 11)
    assert caught.value.status == 413
    intake.begin(10, 10)
    intake.count(4, 6)
    with pytest.raises(ProtocolError):
        intake.count(1, 6)
    intake.begin(10, 0)
    intake.count(10, 0)


def test_the_rate_is_an_average_after_a_grace(intake: Intake, clock: FakeClock) -> None:
    intake.begin(10_000_000, 0)
    intake.check_rate()
    clock.advance(30)
    intake.check_rate()
    clock.advance(1)
    intake.count(31_000, 0)
    intake.check_rate()
    clock.advance(1)
    with pytest.raises(ProtocolError) as caught:
        intake.check_rate()
    assert caught.value.status == 408
    intake.measure()
    intake.check_rate()
    clock.advance(31)
    with pytest.raises(ProtocolError):
        intake.check_rate()


def test_large_bodies_share_one_memory_and_small_ones_are_always_read(clock: FakeClock) -> None:
    held = Held()
    limits = Limits(body_memory=300_000)
    first, second = (Intake(limits, clock, held) for _ in range(2))  # type: ignore[arg-type]
    first.begin(1_000_000, 250_000, holds=True)
    first.count(250_000, 0)
    with pytest.raises(ProtocolError) as caught:
        second.begin(1_000_000, 100_000, holds=True)
    assert caught.value.status == 503
    second.begin(1_000_000, 0, holds=True)  # of unknown length
    second.count(40_000, 0)
    with pytest.raises(ProtocolError):
        second.count(40_000, 0)
    second.release()
    second.begin(1_000_000, 60_000, holds=True)
    second.begin(1_000_000, 900_000)  # a streamed body is not held
    first.release()
    first.release()
    second.release()
    assert held.size == 0
