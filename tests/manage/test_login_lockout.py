"""The lockout's arithmetic."""

from __future__ import annotations

from omniroute.manage.login_lockout import ATTEMPTS, LoginLockout


def test_the_fifth_failure_locks() -> None:
    lockout = LoginLockout()
    assert [lockout.begin("192.0.2.1", float(t)) for t in range(5)] == [0.0] * 5
    assert lockout.begin("192.0.2.1", 5.0) == 4.0 + 900 - 5
    assert lockout.locked("192.0.2.1", 5.0)


def test_failures_older_than_five_minutes_do_not_count() -> None:
    lockout = LoginLockout()
    for t in range(4):
        lockout.begin("192.0.2.1", float(t))
    assert lockout.begin("192.0.2.1", 400.0) == 0.0
    assert not lockout.locked("192.0.2.1", 400.0)


def test_success_forgives() -> None:
    lockout = LoginLockout()
    for _ in range(4):
        lockout.begin("192.0.2.1", 0.0)
    lockout.succeed("192.0.2.1")
    assert all(lockout.begin("192.0.2.1", 1.0) == 0.0 for _ in range(ATTEMPTS))


def test_the_lock_ends_after_fifteen_minutes() -> None:
    lockout = LoginLockout()
    for _ in range(5):
        lockout.begin("192.0.2.1", 0.0)
    assert lockout.begin("192.0.2.1", 899.0) == 1.0
    assert lockout.begin("192.0.2.1", 900.0) == 0.0


def test_addresses_are_separate_but_an_ipv6_network_is_one() -> None:
    lockout = LoginLockout()
    for number in range(5):
        lockout.begin(f"2001:db8::{number}", 0.0)
    assert lockout.locked("2001:db8::ffff", 0.0)
    assert not lockout.locked("2001:db8:0:1::1", 0.0)
    assert not lockout.locked("192.0.2.1", 0.0)


def test_a_mapped_address_is_the_ipv4_one() -> None:
    lockout = LoginLockout()
    for _ in range(5):
        lockout.begin("::ffff:192.0.2.1", 0.0)
    assert lockout.locked("192.0.2.1", 0.0)


def test_a_lock_is_reported_once() -> None:
    lockout = LoginLockout()
    assert not lockout.first_refusal("192.0.2.1")
    for _ in range(5):
        lockout.begin("192.0.2.1", 0.0)
    assert [lockout.first_refusal("192.0.2.1") for _ in range(3)] == [True, False, False]


def test_memory_is_bounded() -> None:
    lockout = LoginLockout()
    for number in range(10_050):
        lockout.begin(f"host-{number}", 0.0)
    assert len(lockout._records) <= 10_000


def test_a_lock_is_listed_until_it_ends_or_is_lifted() -> None:
    lockout = LoginLockout()
    for address in ("10.0.0.1", "2001:db8::1"):
        for _ in range(5):
            lockout.begin(address, 100.0)
    lockout.begin("10.0.0.2", 100.0)
    (first, left), (second, _) = lockout.locks(160.0)
    assert (first, left, second) == ("10.0.0.1", 840.0, "20010db800000000/64")
    assert lockout.unlock("2001:db8::2") is True
    assert lockout.unlock(first) is True
    assert lockout.unlock("nobody") is False
    assert lockout.locks(160.0) == []
    assert lockout.begin("10.0.0.1", 161.0) == 0.0


def test_a_lock_that_has_ended_is_not_listed() -> None:
    lockout = LoginLockout()
    for _ in range(5):
        lockout.begin("10.0.0.1", 100.0)
    assert lockout.locks(100.0 + 15 * 60) == []
