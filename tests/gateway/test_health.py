from __future__ import annotations

from fakes import FakeClock

from omniroute.gateway.health import AccountHealth, Health
from omniroute.gateway.retry import Rule, judge
from omniroute.gateway.tokens import REAUTH


def rule_of(status: int, message: str = "") -> Rule:
    rule = judge(status, message).rule
    assert rule is not None
    return rule


def fail(health: Health, status: int, *, account: str = "a", model: str = "m", hint: float | None = None) -> None:
    health.fail(account, "p", model, rule_of(status), status=status, message=f"error {status}", hint=hint)


def test_an_unknown_account_is_free_and_reading_it_creates_nothing() -> None:
    health = Health(FakeClock())
    assert health.blocked_until("a", "m") is None
    assert health.view("a") == AccountHealth()
    assert health.cooling() == {}


def test_a_failure_cools_the_account_until_its_time_and_is_told_to_the_store() -> None:
    clock, told = FakeClock(), []
    health = Health(clock, lambda id_, state: told.append((id_, state.rate_limited_until)))
    fail(health, 429)
    assert health.blocked_until("a", "m") == clock.now + 1
    assert health.view("a").test_status == "unavailable"
    assert health.view("a").error_code == "429"
    assert told == [("a", clock.now + 1)]
    clock.advance(1.001)
    assert health.blocked_until("a", "m") is None


def test_a_burst_of_failures_raises_the_level_once() -> None:
    clock = FakeClock()
    health = Health(clock)
    for _ in range(200):
        fail(health, 429)
    assert health.view("a").backoff_level == 1
    clock.advance(1.5)
    fail(health, 429)
    assert health.view("a").backoff_level == 2
    assert health.blocked_until("a", "m") == clock.now + 2


def test_success_clears_all_error_state() -> None:
    clock = FakeClock()
    health = Health(clock)
    fail(health, 500)
    clock.advance(10)
    health.succeed("a", "p", "m")
    view = health.view("a")
    assert (view.test_status, view.backoff_level, view.last_error, view.rate_limited_until) == ("active", 0, None, None)


def test_a_missing_model_locks_the_model_and_not_the_account_with_longer_steps() -> None:
    clock = FakeClock()
    health = Health(clock)
    fail(health, 404)
    assert health.blocked_until("a", "m") == clock.now + 60
    assert health.blocked_until("a", "other") is None
    assert [(lock.model, lock.reason) for lock in health.locks()] == [("m", "unknown")]
    clock.advance(61)
    assert health.locks() == []
    fail(health, 404)
    assert health.blocked_until("a", "m") == clock.now + 120


def test_hint_wins_over_the_table_when_longer() -> None:
    clock = FakeClock()
    health = Health(clock)
    fail(health, 429, hint=42.0)
    assert health.blocked_until("a", "m") == clock.now + 42


def test_last_error_is_kept_short() -> None:
    health = Health(FakeClock())
    health.fail("a", "p", "m", rule_of(500), status=500, message="x" * 500)
    assert len(health.view("a").last_error or "") == 100


def test_connection_test_notes_failure_without_cooldown_and_success_clears() -> None:
    health = Health(FakeClock())
    health.tested("a", ok=False, message="Invalid API key", kind="upstream_auth_error", source="upstream", status=401)
    assert health.view("a").test_status == "error"
    assert health.blocked_until("a", "m") is None
    health.tested("a", ok=True)
    assert health.view("a").test_status == "active"
    assert health.view("a").last_error is None


def test_that_a_new_login_is_needed_is_not_hidden_by_the_refusal_of_the_old_token() -> None:
    clock = FakeClock()
    health = Health(clock)
    health.tested("a", ok=False, message="Log in again", kind=REAUTH, source="oauth")
    fail(health, 401)
    view = health.view("a")
    assert (view.test_status, view.last_error, view.last_error_type) == ("error", "Log in again", REAUTH)
    assert (view.error_code, health.blocked_until("a", "m")) == ("401", clock.now + 120)
    health.tested("a", ok=False, message="Log in again", kind=REAUTH, source="oauth")
    assert health.view("a").error_code == "401", "the status of the calls that the cooldown refuses"
    clock.advance(121)
    fail(health, 500)
    assert (health.view("a").last_error, health.view("a").test_status) == ("error 500", "unavailable")


def test_clear_all_counts_the_troubled_and_lifts_locks() -> None:
    health = Health(FakeClock())
    fail(health, 429, account="a")
    fail(health, 500, account="b")
    fail(health, 404, account="c")
    assert health.clear_all() == 2
    assert health.cooling() == {}
    assert health.locks() == []


def test_restored_state_blocks_until_its_time_and_forget_removes_it() -> None:
    clock = FakeClock()
    health = Health(clock)
    health.restore("a", AccountHealth(rate_limited_until=clock.now + 5, backoff_level=3))
    assert health.blocked_until("a", "m") == clock.now + 5
    health.forget("a")
    assert health.blocked_until("a", "m") is None


def test_a_state_that_is_restored_goes_over_the_one_before() -> None:
    clock = FakeClock()
    health = Health(clock)
    for state in (AccountHealth(), AccountHealth(test_status="active")):
        fail(health, 429)
        health.restore("a", state)
        assert (health.view("a"), health.calm) == (state, True)


def test_model_locks_are_bounded_because_clients_make_up_the_names_of_models() -> None:
    clock = FakeClock()
    health = Health(clock)
    for number in range(6000):
        health.fail("a", "p", f"made-up-{number}", rule_of(404), status=404, message="No such model")
    assert len(health.locks()) == 4096
    assert health.blocked_until("a", "made-up-0") is None
    assert health.blocked_until("a", "made-up-5999") is not None
    clock.advance(86_400)
    health.fail("a", "p", "one more", rule_of(404), status=404, message="No such model")
    assert [lock.model for lock in health.locks()] == ["one more"]


def test_a_lock_knows_since_when_and_can_be_lifted_alone() -> None:
    clock = FakeClock()
    health = Health(clock)
    fail(health, 404, model="m")
    fail(health, 404, model="other")
    assert {lock.since for lock in health.locks()} == {clock.now}
    assert health.unlock_model("a", "m")
    assert not health.unlock_model("a", "m")
    assert [lock.model for lock in health.locks()] == ["other"]
    clock.advance(61)
    assert not health.unlock_model("a", "other")


def test_what_is_well_again_costs_nothing_any_more() -> None:
    clock = FakeClock()
    health = Health(clock)
    health.restore("b", AccountHealth(test_status="active"))
    assert health.calm
    fail(health, 500)
    assert not health.calm
    clock.advance(10)
    health.succeed("a", "p", "m")
    assert health.calm
    fail(health, 429)
    health.clear("a")
    assert health.calm
    fail(health, 429)
    health.forget("a")
    assert health.calm


def test_a_model_that_no_account_can_serve_is_closed_until_its_time_a_success_or_by_hand() -> None:
    clock = FakeClock()
    health = Health(clock)
    for end in (lambda: clock.advance(60), lambda: health.succeed("a", "p", "m"), lambda: health.open_model("p", "m")):
        health.close_model("p", "m", clock.now + 60)
        assert (health.closed_until("p", "m"), health.closed_until("p", "other")) == (clock.now + 60, None)
        assert [closed.model for closed in health.closed()] == ["m"]
        end()
        assert (health.closed_until("p", "m"), health.closed(), health.calm) == (None, [], True)
    assert not health.open_model("p", "m")


def test_locks_are_told_to_the_store_and_put_back() -> None:
    clock = FakeClock()
    health, told = Health(clock), []
    health.on_lock = lambda lock, lifted: told.append((lock.model, lock.step, lifted))
    fail(health, 404)
    later = Health(clock)
    later.restore_lock(health.locks()[0])
    assert later.blocked_until("a", "m") == clock.now + 60
    clock.advance(61)
    fail(later, 404)
    assert later.blocked_until("a", "m") == clock.now + 120  # the second step, though in another run
    health.clear_all()
    assert told == [("m", 0, False), ("m", 0, True)]


def test_emptying_it_is_told_to_nobody() -> None:
    told: list[object] = []
    health = Health(FakeClock(), lambda *what: told.append(what))
    health.on_lock = lambda *what: told.append(what)
    fail(health, 429)
    fail(health, 404, account="b")
    health.close_model("p", "m", 1e12)
    told.clear()
    health.empty()
    assert (health.calm, health.view("a"), told) == (True, AccountHealth(), [])


def test_a_clock_that_is_set_back_does_not_prolong_a_pause() -> None:
    clock = FakeClock()
    health = Health(clock)
    fail(health, 429, hint=20)
    fail(health, 404, account="b")
    health.close_model("p", "m", clock.now + 30)
    clock.now -= 3600
    assert health.blocked_until("a", "m") == clock.now + 20
    assert health.blocked_until("b", "m") == clock.now + 60
    assert health.closed_until("p", "m") == clock.now + 30
    clock.advance(61)
    assert health.blocked_until("a", "m") is health.blocked_until("b", "m") is health.closed_until("p", "m") is None
