from __future__ import annotations

from fakes import FakeClock

from omniroute.gateway.uses import NEVER, SAVE_SECONDS, Use, Uses


def test_uses_in_a_row_are_counted_and_another_account_ends_the_row() -> None:
    uses = Uses(FakeClock(100.0))  # type: ignore[arg-type]
    for name in ("a", "a", "b", "a"):
        uses.note("p", name)
    uses.note("other", "x")
    assert (uses.of("a").times, uses.of("b").times, uses.of("x").times, uses.of("z")) == (1, 1, 1, NEVER)
    assert uses.of("b") < uses.of("a")  # in order, though the clock stands still


def test_what_changed_is_handed_over_now_and_then_and_not_each_time() -> None:
    clock = FakeClock(100.0)
    told: list[tuple[str, Use]] = []
    uses = Uses(clock, lambda id, use: told.append((id, use)))  # type: ignore[arg-type]
    for _ in range(1000):
        uses.note("p", "a")
    assert told == []
    clock.advance(SAVE_SECONDS)
    assert [(id, use.times) for id, use in told] == [("a", 1000)]
    clock.advance(60.0)
    assert (len(told), clock.pending) == (1, 0)


def test_saving_by_hand_stops_the_timer() -> None:
    clock = FakeClock()
    told: list[str] = []
    uses = Uses(clock, lambda id, use: told.append(id))  # type: ignore[arg-type]
    uses.note("p", "a")
    uses.save()
    assert (told, clock.pending) == (["a"], 0)


def test_what_was_stored_is_put_back() -> None:
    uses = Uses(FakeClock(100.0))  # type: ignore[arg-type]
    uses.restore("p", "new", 50.0, 2)
    uses.restore("p", "old", 40.0, 1)
    uses.note("p", "new")
    assert (uses.of("new").times, uses.of("old").at) == (3, 40.0)
    uses.forget("new")
    assert uses.of("new") == NEVER
    uses.note("p", "new")
    assert uses.of("new").times == 1


def test_after_empty_nothing_is_saved() -> None:
    told: list[str] = []
    uses = Uses(FakeClock(), lambda id, use: told.append(id))  # type: ignore[arg-type]
    uses.note("p", "a")
    uses.empty()
    uses.save()
    assert (uses.of("a"), told) == (NEVER, [])
