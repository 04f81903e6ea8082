"""The lockout's arithmetic."""

from __future__ import annotations

from omniroute.manage.logins import ATTEMPTS, Logins


def test_the_fifth_failure_locks() -> None:
    logins = Logins()
    assert [logins.begin("192.0.2.1", float(t)) for t in range(5)] == [0.0] * 5
    assert logins.begin("192.0.2.1", 5.0) == 4.0 + 900 - 5
    assert logins.locked("192.0.2.1", 5.0)


def test_failures_older_than_five_minutes_do_not_count() -> None:
    logins = Logins()
    for t in range(4):
        logins.begin("192.0.2.1", float(t))
    assert logins.begin("192.0.2.1", 400.0) == 0.0
    assert not logins.locked("192.0.2.1", 400.0)


def test_success_forgives() -> None:
    logins = Logins()
    for _ in range(4):
        logins.begin("192.0.2.1", 0.0)
    logins.succeed("192.0.2.1")
    assert all(logins.begin("192.0.2.1", 1.0) == 0.0 for _ in range(ATTEMPTS))


def test_the_lock_ends_after_fifteen_minutes() -> None:
    logins = Logins()
    for _ in range(5):
        logins.begin("192.0.2.1", 0.0)
    assert logins.begin("192.0.2.1", 899.0) == 1.0
    assert logins.begin("192.0.2.1", 900.0) == 0.0


def test_addresses_are_separate_but_an_ipv6_network_is_one() -> None:
    logins = Logins()
    for number in range(5):
        logins.begin(f"2001:db8::{number}", 0.0)
    assert logins.locked("2001:db8::ffff", 0.0)
    assert not logins.locked("2001:db8:0:1::1", 0.0)
    assert not logins.locked("192.0.2.1", 0.0)


def test_a_mapped_address_is_the_ipv4_one() -> None:
    logins = Logins()
    for _ in range(5):
        logins.begin("::ffff:192.0.2.1", 0.0)
    assert logins.locked("192.0.2.1", 0.0)


def test_a_lock_is_reported_once() -> None:
    logins = Logins()
    assert not logins.first_refusal("192.0.2.1")
    for _ in range(5):
        logins.begin("192.0.2.1", 0.0)
    assert [logins.first_refusal("192.0.2.1") for _ in range(3)] == [True, False, False]


def test_memory_is_bounded() -> None:
    logins = Logins()
    for number in range(10_050):
        logins.begin(f"host-{number}", 0.0)
    assert len(logins._records) <= 10_000


def test_a_lock_is_listed_until_it_ends_or_is_lifted() -> None:
    logins = Logins()
    for address in ("10.0.0.1", "2001:db8::1"):
        for _ in range(5):
            logins.begin(address, 100.0)
    logins.begin("10.0.0.2", 100.0)
    (first, left), (second, _) = logins.locks(160.0)
    assert (first, left, second) == ("10.0.0.1", 840.0, "20010db800000000/64")
    assert logins.unlock("2001:db8::2") is True
    assert logins.unlock(first) is True
    assert logins.unlock("nobody") is False
    assert logins.locks(160.0) == []
    assert logins.begin("10.0.0.1", 161.0) == 0.0


def test_a_lock_that_has_ended_is_not_listed() -> None:
    logins = Logins()
    for _ in range(5):
        logins.begin("10.0.0.1", 100.0)
    assert logins.locks(100.0 + 15 * 60) == []
