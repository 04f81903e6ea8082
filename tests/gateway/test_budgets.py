"""Windows and purses (routing semantics section 11)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from fakes import FakeClock

from omniroute.errors import OmniError
from omniroute.gateway.budgets import Budget, Budgets, Purse, ends, windows

PURSE = Purse("k1", Budget(daily=1.0))


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def clock_at(text: str) -> FakeClock:
    clock = FakeClock()
    clock.now = clock.now - clock.time() + at(text)
    assert clock.time() == at(text)
    return clock


@pytest.mark.parametrize(("now", "day", "week", "month"), [
    ("2026-02-26T14:03", "2026-02-26", "2026-02-23", "2026-02-01"),
    ("2026-03-01T00:00", "2026-03-01", "2026-02-23", "2026-03-01"),  # a Sunday
    ("2026-03-02T23:59", "2026-03-02", "2026-03-02", "2026-03-01"),  # a Monday
    ("2024-02-29T12:00", "2024-02-29", "2024-02-26", "2024-02-01"),
    ("2025-12-31T23:59", "2025-12-31", "2025-12-29", "2025-12-01"),
])  # fmt: skip
def test_the_windows_are_the_utc_day_the_week_from_monday_and_the_calendar_month(
    now: str, day: str, week: str, month: str
) -> None:
    assert windows(at(now)) == (at(day), at(week), at(month))


def test_each_window_ends_where_the_next_begins() -> None:
    assert ends(windows(at("2026-02-26T14:03"))) == (at("2026-02-27"), at("2026-03-02"), at("2026-03-01"))
    assert ends(windows(at("2025-12-31T14:03"))) == (at("2026-01-01"), at("2026-01-05"), at("2026-01-01"))


@pytest.mark.parametrize(("budget", "words", "until"), [
    (Budget(daily=1), "Daily budget exceeded: $1.2500 / $1.00", "2026-02-27"),
    (Budget(weekly=1), "Weekly budget exceeded: $1.2500 / $1.00", "2026-03-02"),
    (Budget(monthly=1), "Monthly budget exceeded: $1.2500 / $1.00", "2026-03-01"),
])  # fmt: skip
def test_a_call_that_would_pass_the_limit_is_refused_until_the_window_ends(budget: Budget, words: str, until: str) -> None:
    clock = clock_at("2026-02-26T14:00")
    budgets = Budgets(clock)
    purse = Purse("k1", budget)
    budgets.charge(["k1"], 0.5)
    budgets.reserve([purse], 0.25)
    with pytest.raises(OmniError) as caught:
        budgets.reserve([purse], 0.5)
    assert (caught.value.status, caught.value.message) == (429, words)
    assert caught.value.retry_after == at(until) - clock.time()
    budgets.reserve([purse], 0.25)  # up to the limit


def test_what_is_refused_by_one_purse_is_taken_from_none() -> None:
    budgets = Budgets(FakeClock())
    wide, narrow = Purse("k1", Budget(daily=10)), Purse("policy:p", Budget(daily=1), "p")
    with pytest.raises(OmniError, match=r'\(policy "p"\)'):
        budgets.reserve([wide, narrow], 2.0)
    assert [check.used for check in budgets.checks(wide)] == [0.0]


def test_a_guess_reserves_what_is_left_and_is_refused_when_nothing_is_or_the_certain_part_does_not_fit() -> None:
    budgets = Budgets(FakeClock())
    other = Purse("policy:p", Budget(daily=0.5), "p")
    reservation = budgets.reserve([PURSE, other], 2.0, 0.1)
    assert (reservation.amount, reservation.warning) == (0.5, "")
    assert [budgets.checks(purse)[0].used for purse in (PURSE, other)] == [0.5, 0.5]
    with pytest.raises(OmniError, match=r"\$0\.6000 / \$0\.50"):
        budgets.reserve([PURSE, other], 2.0, 0.1)
    with pytest.raises(OmniError, match=r"\$1\.1000 / \$1\.00"):
        budgets.reserve([PURSE], 2.0, 0.6)
    assert budgets.reserve([PURSE], 0.2, 0.0).amount == 0.2
    budgets.release(reservation)
    assert [budgets.checks(purse)[0].used for purse in (PURSE, other)] == [pytest.approx(0.2), 0.0]
    budgets.charge(["k1"], 0.8)
    with pytest.raises(OmniError, match="Daily budget exceeded"):
        budgets.reserve([PURSE], 0.2, 0.0)


def test_a_reservation_that_is_released_is_free_again_and_only_the_cost_stays() -> None:
    budgets = Budgets(FakeClock())
    for _ in range(50):
        budgets.release(budgets.reserve([PURSE], 1.0))
        budgets.charge(["k1"], 0.01)
        budgets.charge(["k1"], -0.01)
    budgets.charge(["k1"], 0.3)
    assert budgets.used("k1") == pytest.approx((0.3, 0.3, 0.3))
    assert budgets.checks(PURSE)[0].used == pytest.approx(0.3)


def test_a_new_window_begins_with_nothing_spent() -> None:
    clock = clock_at("2026-02-28T23:00")  # a Saturday
    budgets = Budgets(clock)
    budgets.charge(["k1"], 1.0)
    clock.now += 3600
    assert budgets.used("k1") == (0.0, 1.0, 0.0)
    budgets.charge(["k1"], 0.5)
    clock.now += 24 * 3600
    assert budgets.used("k1") == (0.0, 0.0, 0.5)


def test_a_clock_that_is_set_back_over_midnight_begins_no_second_window() -> None:
    clock = clock_at("2026-03-01T00:10")
    budgets = Budgets(clock)
    budgets.charge(["k1"], 0.75)
    clock.now -= 3600
    assert budgets.used("k1") == (0.75, 0.75, 0.75)
    clock.now += 3600
    assert budgets.used("k1") == (0.75, 0.75, 0.75)
    clock.now -= 3 * 86_400  # it was days ahead
    assert budgets.used("k1") == (0.0, 0.75, 0.0)


def test_a_call_that_ends_after_midnight_is_charged_to_the_new_day() -> None:
    clock = clock_at("2026-02-26T23:59")
    budgets = Budgets(clock)
    reservation = budgets.reserve([PURSE], 0.5)
    clock.now += 120
    assert budgets.checks(PURSE)[0].used == 0.5
    budgets.release(reservation)
    budgets.charge(["k1"], 0.4)
    assert budgets.used("k1")[0] == 0.4


def test_an_unknown_cost_is_let_through_as_long_as_anything_is_left() -> None:
    budgets = Budgets(FakeClock())
    budgets.reserve([PURSE], None)
    budgets.charge(["k1"], None)
    assert (budgets.used("k1"), budgets.unpriced("k1")) == ((0.0, 0.0, 0.0), 1)
    budgets.charge(["k1"], 1.0)
    with pytest.raises(OmniError, match="Daily budget exceeded"):
        budgets.reserve([PURSE], None)
    assert budgets.unpriced("nobody") == 0


def test_unpriced_calls_are_counted_by_the_day() -> None:
    clock = FakeClock()
    budgets = Budgets(clock)
    budgets.charge(["k1"], None)
    clock.now += 24 * 3600
    assert budgets.unpriced("k1") == 0


def test_sums_of_the_books_are_put_back() -> None:
    budgets = Budgets(FakeClock())
    budgets.restore({"k1": (0.9, 2.0, 3.0)})
    assert budgets.used("k1") == (0.9, 2.0, 3.0)
    with pytest.raises(OmniError):
        budgets.reserve([PURSE], 0.2)


def test_sums_put_back_replace_those_kept_and_leave_what_is_reserved() -> None:
    budgets = Budgets(FakeClock())
    budgets.charge(["k1", "k2"], 5.0)
    reservation = budgets.reserve([Purse("k1", Budget(daily=9))], 0.5)
    budgets.restore({"k3": (1.0, 1.0, 1.0)})
    assert [budgets.used(id)[0] for id in ("k1", "k2", "k3")] == [0.0, 0.0, 1.0]
    assert budgets.checks(PURSE)[0].used == 0.5
    budgets.release(reservation)
    assert budgets.checks(PURSE)[0].used == 0.0


def test_a_warning_names_the_fullest_window_and_is_logged_once_for_each(caplog: pytest.LogCaptureFixture) -> None:
    clock = clock_at("2026-02-26T14:00")
    budgets = Budgets(clock)
    purse = Purse("k1", Budget(daily=1.0, monthly=1.0))
    assert budgets.reserve([purse], 0.7).warning == ""
    assert budgets.reserve([purse], 0.1).warning == "monthly 80% of $1.00"
    budgets.charge(["k1"], 0.8)
    caplog.clear()
    for _ in range(2):
        budgets.warn(purse, "agent")
    assert [record.getMessage() for record in caplog.records] == [
        "daily budget of agent: $1.6000 of $1.00 spent or reserved",
        "monthly budget of agent: $1.6000 of $1.00 spent or reserved",
    ]
    clock.now += 24 * 3600
    budgets.charge(["k1"], 0.9)
    budgets.warn(purse, "agent")
    assert len(caplog.records) == 3, "a new day warns again, the month has said it"


def test_a_model_without_a_price_is_complained_of_once(caplog: pytest.LogCaptureFixture) -> None:
    budgets = Budgets(FakeClock())
    budgets.note_unpriced("up/m")
    budgets.note_unpriced("up/m")
    assert len(caplog.records) == 1


def test_a_purse_is_forgotten_unless_a_call_has_reserved_from_it() -> None:
    budgets = Budgets(FakeClock())
    reservation = budgets.reserve([PURSE], 0.5)
    budgets.charge(["k1"], 0.2)
    budgets.forget("k1")
    assert budgets.used("k1")[0] == 0.2
    budgets.release(reservation)
    budgets.forget("k1")
    budgets.forget("k1")
    assert budgets.used("k1")[0] == 0.0
