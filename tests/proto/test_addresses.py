from __future__ import annotations

import pytest

from omniroute.proto.addresses import allowed, numeric, public

NAMES = {
    "loopback": ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"],
    "public": ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
    "private": ["10.0.0.1", "172.16.3.4", "192.168.1.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1", "0.0.0.0", "::"],
    "never": [
        "169.254.169.254",
        "169.254.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "fe80::1",
        "fe80::1%eth0",
        "febf::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fd00:ec2::23",
        "fd00:42::42",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b:1::a9fe:a9fe",
        "224.0.0.1",
        "ff02::1",
    ],
}


@pytest.mark.parametrize(
    ("kind", "allow_private", "expected"),
    [
        ("loopback", True, True),
        ("loopback", False, True),
        ("public", True, True),
        ("public", False, True),
        ("private", True, True),
        ("private", False, False),
        ("never", True, False),
        ("never", False, False),
    ],
)
def test_which_addresses_may_be_connected_to(kind: str, allow_private: bool, expected: bool) -> None:
    for address in NAMES[kind]:
        assert allowed(address, allow_private) is expected, address


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True), ("2606:4700::1", True), ("127.0.0.1", False), ("::1", False), ("::ffff:127.0.0.1", False),
        ("10.0.0.1", False), ("192.168.1.1", False), ("169.254.169.254", False), ("fd00:ec2::254", False),
        ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False), ("0.0.0.0", False), ("224.0.0.1", False), ("::", False),
        ("100.64.0.1", False), ("fe80::1%eth0", False), ("ff0e::1", False), ("::10.0.0.1", False), ("168.63.129.16", False),
        ("64:ff9b:1::7f00:1", False),
    ],
)  # fmt: skip
def test_public_addresses_are_those_of_the_internet_alone(address: str, expected: bool) -> None:
    assert public(address) is expected


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"), ("10.0.0.1.", "10.0.0.1"), ("fe80::1%eth0", "fe80::1"),
        ("0xa9fea9fe", "169.254.169.254"), ("2852039166", "169.254.169.254"), ("169.254.43518", "169.254.169.254"),
        ("127.1", "127.0.0.1"), ("0177.0.0.1", "127.0.0.1"),
        ("api.test", None), ("1password.test", None), ("256.1.1.1", None), ("", None), ("127.1 x", None),
    ],
)  # fmt: skip
def test_all_notations_of_an_address_are_read_and_names_are_not(host: str, address: str | None) -> None:
    assert numeric(host) == address
