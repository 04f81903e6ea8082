"""Which addresses may be connected to: metadata services of clouds never, private networks as configured.

Anybody who can choose a URL for the gateway to call, or the name server behind one, could otherwise reach what only this
machine can reach (server-side request forgery).
"""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

_NEVER: Final = tuple(map(ip_network, (
    "169.254.0.0/16", "fe80::/10",  # link-local, where most clouds have their metadata service
    "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",  # metadata services elsewhere
    "fd00:ec2::/32", "fd20:ce::254/128", "fd00:42::42/128",
)))  # fmt: skip
# In these networks the last four bytes are an IPv4 address (RFC 6052, RFC 8215, RFC 4291 section 2.5.5.1, RFC 2765).
_CARRIERS: Final = tuple(map(IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")))
_LEGACY: Final = re.compile(r"[0-9][0-9a-fA-FxX.]*")  # what inet_aton(3) may read as an IPv4 address
METADATA_NAMES: Final = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)


def _inner(host: str) -> IPv4Address | IPv6Address:
    """The numeric address *host* without a zone, or the IPv4 address embedded in it (mapped, 6to4, :data:`_CARRIERS`)."""
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv4Address) or address.is_loopback or address.is_unspecified:
        return address
    if any(address in network for network in _CARRIERS):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def numeric(host: str) -> str | None:
    """The IP address that *host* stands for, None for a name.

    Reads everything that a resolver takes for an address, e.g. also ``0xa9fea9fe``, ``2852039166`` and ``169.254.43518``.
    """
    bare = host.rstrip(".").partition("%")[0]
    try:
        return str(ip_address(bare))
    except ValueError:
        if not _LEGACY.fullmatch(bare):
            return None
    try:
        return socket.inet_ntoa(socket.inet_aton(bare))
    except OSError:
        return None


def allowed(host: str, allow_private: bool) -> bool:
    """Whether connecting to the numeric address *host* is permitted.

    Loopback always is.  Multicast, link-local and cloud metadata addresses never are.  Other addresses that are not globally
    reachable (RFC 6890) need *allow_private*.
    """
    address = _inner(host)
    if address.is_loopback:
        return True
    if any(address in network for network in _NEVER if network.version == address.version):
        return False
    return not address.is_multicast and (allow_private or address.is_global)


def public(host: str) -> bool:
    """Whether the numeric address *host* is globally reachable.  Stricter than :func:`allowed`: loopback is not."""
    address = _inner(host)
    return address.is_global and not address.is_multicast and allowed(host, False)
