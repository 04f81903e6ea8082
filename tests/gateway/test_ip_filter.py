"""Contract section 7.2."""

from __future__ import annotations

import pytest

from omniroute.clock import iso
from omniroute.gateway.ip_filter import Ban, IpFilter, TrustedProxies, compiled, normal

BLACK = "IP blacklisted"
NOW = 1_700_000_000.0


def refusal(peer: str, mode: str = "blacklist", black: tuple[str, ...] = (), white: tuple[str, ...] = ()) -> str:
    gate = IpFilter(mode, black, white, {})
    assert gate.refusal(peer, NOW) == gate.refusal(peer, NOW)  # what is remembered is the same
    return gate.refusal(peer, NOW)


@pytest.mark.parametrize(
    ("entry", "inside", "outside"),
    [
        ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
        ("10.0.0.1", "::ffff:10.0.0.1", "::ffff:10.0.0.2"),
        ("::ffff:10.0.0.1", "10.0.0.1", "10.0.0.2"),
        ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
        ("10.1.2.3/16", "10.1.0.1", "10.2.2.3"),
        ("0.0.0.0/0", "8.8.8.8", "2001:db8::1"),
        ("10.0.*.*", "10.0.255.1", "10.1.0.1"),
        ("10.*.0.1", "10.77.0.1", "10.77.0.2"),
        ("2001:db8::/32", "2001:db8:1::9", "2001:db9::9"),
        ("2001:DB8:0::1", "2001:db8::1", "2001:db8::2"),
        ("fe80::1", "fe80::1%eth0", "fe80::2%eth0"),
    ],
)
def test_an_entry_is_an_address_a_range_or_a_pattern(entry: str, inside: str, outside: str) -> None:
    assert refusal(inside, black=(normal(entry),)) == BLACK
    assert refusal(outside, black=(normal(entry),)) == ""


@pytest.mark.parametrize(
    "entry", ["", "x", "10.0.0", "10.0.0.256", "10.0.0.0/33", "10.0.*", "300.*.*.*", "1.2.3.4-9", "*.*"]
)
def test_what_is_no_entry(entry: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - which of several readers complains is no matter
        normal(entry)


def test_modes() -> None:
    lists = {"black": ("10.0.0.0/8",), "white": ("10.0.0.1", "192.168.0.1")}
    peers = ("10.0.0.1", "10.0.0.2", "192.168.0.1", "8.8.8.8")
    assert [refusal(peer, "blacklist", **lists) for peer in peers] == [BLACK, BLACK, "", ""]
    missing = "IP not in whitelist"
    assert [refusal(peer, "whitelist", **lists) for peer in peers] == ["", missing, "", missing]
    assert [refusal(peer, "whitelist-priority", **lists) for peer in peers] == ["", BLACK, "", ""]


def test_a_ban_goes_before_all_lists_and_ends_by_itself() -> None:
    gate = IpFilter("whitelist", (), ("10.0.0.1",), {"10.0.0.1": Ban(NOW + 60, "noise")})
    assert gate.refusal("::ffff:10.0.0.1", NOW) == "Temporarily banned: noise"
    assert gate.refusal("10.0.0.1", NOW + 60) == ""


def test_a_local_socket_has_no_address_to_judge() -> None:
    assert refusal("", "whitelist") == ""


def test_the_setting_counts_while_it_is_switched_on_and_damaged_parts_are_absent() -> None:
    assert compiled(None) is None
    assert compiled({"enabled": False, "blacklist": ["10.0.0.1"]}) is None
    until = iso(NOW + 60)
    bans = [{"ip": "10.0.0.3", "until": until, "reason": "r"}, {"ip": "zz", "until": until}, {"ip": "10.0.0.4"}, 5]
    gate = compiled({"enabled": True, "mode": 7, "blacklist": ["zz", 5, "10.0.0.1"], "whitelist": {}, "tempBans": bans})
    assert gate is not None
    assert [gate.refusal(f"10.0.0.{last}", NOW) for last in (1, 2, 3)] == [BLACK, "", "Temporarily banned: r"]


TRUSTED = TrustedProxies(["10.0.0.0/8", "::1"])


@pytest.mark.parametrize(
    ("peer", "headers", "client"),
    [
        ("8.8.8.8", {b"x-forwarded-for": "1.1.1.1", b"x-real-ip": "1.1.1.1"}, "8.8.8.8"),
        ("10.0.0.1", {}, "10.0.0.1"),
        ("10.0.0.1", {b"x-forwarded-for": "1.1.1.1"}, "1.1.1.1"),
        ("10.0.0.1", {b"x-forwarded-for": "6.6.6.6, 1.1.1.1, 10.9.9.9"}, "1.1.1.1"),
        ("10.0.0.1", {b"x-forwarded-for": "127.0.0.1, evil"}, "10.0.0.1"),
        ("10.0.0.1", {b"x-forwarded-for": "10.0.0.7"}, "10.0.0.1"),
        ("::1", {b"x-forwarded-for": '"[2001:db8::1]:4711"'}, "2001:db8::1"),
        ("::1", {b"x-forwarded-for": "1.1.1.1:4711"}, "1.1.1.1"),
        ("::1", {b"x-real-ip": "::ffff:1.1.1.1"}, "1.1.1.1"),
        ("::1", {b"cf-connecting-ip": "1.1.1.1"}, "1.1.1.1"),
        ("::1", {b"x-forwarded-for": "2.2.2.2", b"x-real-ip": "3.3.3.3", b"cf-connecting-ip": "4.4.4.4"}, "2.2.2.2"),
    ],
)
def test_the_clients_address_is_believed_from_trusted_proxies_only(
    peer: str, headers: dict[bytes, str], client: str
) -> None:
    assert TRUSTED.client(peer, headers) == client
