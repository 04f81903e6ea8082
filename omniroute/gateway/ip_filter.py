"""The IP filter, compiled once per snapshot, and the client's address behind trusted proxies.  Pure.

An entry is an address, a CIDR range (RFC 4632, RFC 4291) or an IPv4 address with ``*`` for some octets.  Each is a mask and
a value, so a lookup tests one set per distinct mask, however long the lists are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final, NamedTuple

from ..clock import parse_iso

MODES: Final = ("blacklist", "whitelist", "whitelist-priority")
_PATTERN: Final = re.compile(r"(\d{1,3}|\*)(\.(\d{1,3}|\*)){3}")
_MAPPED: Final = "::ffff:"
_FULL: Final = {4: (1 << 32) - 1, 6: (1 << 128) - 1}
_MOST_KNOWN: Final = 4096

Rule = tuple[int, int, int]
"""IP version, mask, value."""


class Ban(NamedTuple):
    """A temporary ban; ``until`` is in Unix seconds."""

    until: float
    reason: str


def address_of(text: str) -> IPv4Address | IPv6Address:
    """Parse an IP address; an IPv4-mapped IPv6 address becomes the IPv4 address.  Raises ``ValueError``."""
    address = ip_address(text.strip().partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def normal(text: str) -> str:
    """Normalise an entry for storage: without ``::ffff:``, addresses and ranges in canonical form.

    Raises ``ValueError`` for an invalid entry.
    """
    bare = text.strip()
    if bare.lower().startswith(_MAPPED) and "." in bare:
        bare = bare[len(_MAPPED) :]
    if "*" in bare:
        rule_of(bare)
        return bare
    return str(network_of(bare)) if "/" in bare else str(address_of(bare))


def network_of(text: str) -> IPv4Network | IPv6Network:
    """Parse a CIDR range, ignoring host bits.  Raises ``ValueError``."""
    return ip_network(text.strip(), strict=False)


def rule_of(entry: str) -> Rule:
    """Parse an entry.  Raises ``ValueError``."""
    if "*" in entry:
        if not _PATTERN.fullmatch(entry):
            raise ValueError(entry)
        parts = entry.split(".")
        value = IPv4Address(".".join("0" if part == "*" else part for part in parts))
        mask = int.from_bytes(bytes(0 if part == "*" else 255 for part in parts), "big")
        return 4, mask, int(value)
    if "/" in entry:
        network = network_of(entry)
        return network.version, int(network.netmask), int(network.network_address)
    address = address_of(entry)
    return address.version, _FULL[address.version], int(address)


class AddressSet:
    """The addresses covered by a list of entries.  Invalid entries (edited by hand) are ignored."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._values: dict[tuple[int, int], set[int]] = {}
        for entry in entries:
            try:
                version, mask, value = rule_of(entry)
            except ValueError:
                continue
            self._values.setdefault((version, mask), set()).add(value)

    def __bool__(self) -> bool:
        return bool(self._values)

    def __contains__(self, address: IPv4Address | IPv6Address) -> bool:
        number, kind = int(address), address.version
        return any(kind == version and number & mask in values for (version, mask), values in self._values.items())


class IpFilter:
    """An enabled filter.  The lists' result for an address is cached; bans expire by the clock."""

    def __init__(self, mode: str, blacklist: Iterable[str], whitelist: Iterable[str], bans: Mapping[str, Ban]) -> None:
        self._mode = mode
        self._black = AddressSet(blacklist)
        self._white = AddressSet(whitelist)
        self._bans = dict(bans)
        self._known: dict[str, str] = {}

    def refusal(self, peer: str, now: float) -> str:
        """The error message if *peer* may not call, else "".  *now* is in Unix seconds."""
        try:
            return self._ban(peer, now) or self._listed(peer)
        except ValueError:  # a local socket without an IP address
            return ""

    def _ban(self, peer: str, now: float) -> str:
        ban = self._bans.get(str(address_of(peer))) if self._bans else None
        return f"Temporarily banned: {ban.reason}" if ban is not None and ban.until > now else ""

    def _listed(self, peer: str) -> str:
        known = self._known.get(peer)
        if known is None:
            known = self._judge(address_of(peer))
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[peer] = known
        return known

    def _judge(self, address: IPv4Address | IPv6Address) -> str:
        if self._mode == "whitelist":
            return "" if address in self._white else "IP not in whitelist"
        if self._mode == "whitelist-priority" and address in self._white:
            return ""
        return "IP blacklisted" if address in self._black else ""


def compiled(stored: Any) -> IpFilter | None:
    """Compile the stored setting; None when the filter is disabled.  Invalid parts are ignored."""
    if not isinstance(stored, dict) or stored.get("enabled") is not True:
        return None
    mode = stored.get("mode")
    return IpFilter(
        mode if mode in MODES else MODES[0], texts(stored.get("blacklist")), texts(stored.get("whitelist")), bans_of(stored)
    )


def texts(value: Any) -> list[str]:
    """The strings of a stored list."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def bans_of(stored: Mapping[str, Any]) -> dict[str, Ban]:
    """The temporary bans of the stored setting, by address."""
    found: dict[str, Ban] = {}
    rows = stored.get("tempBans")
    for row in rows if isinstance(rows, list) else ():
        try:
            found[str(address_of(row["ip"]))] = Ban(parse_iso(row["until"]), str(row.get("reason") or ""))
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return found


class TrustedProxies:
    """Reverse proxies, by address or range, whose fields about the client's address are trusted."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._set = AddressSet(entries)

    def __bool__(self) -> bool:
        return bool(self._set)

    def client(self, peer: str, header: Mapping[bytes, str]) -> str:
        """The client's address: *peer*, unless that is a trusted proxy.

        Behind one it is the last entry of ``X-Forwarded-For`` that is not a trusted proxy itself (the client may have
        invented the entries before it), else ``X-Real-IP``, else ``CF-Connecting-IP``.
        """
        if not self._trusts(peer):
            return peer
        for part in reversed(header.get(b"x-forwarded-for", "").split(",")):
            if (address := _forwarded(part)) is None:
                break
            if not self._trusts(address):
                return address
        for name in (b"x-real-ip", b"cf-connecting-ip"):
            if (address := _forwarded(header.get(name, ""))) is not None and not self._trusts(address):
                return address
        return peer

    def _trusts(self, address: str) -> bool:
        try:
            return address_of(address) in self._set
        except ValueError:
            return False


def _forwarded(text: str) -> str | None:
    """Parse an address that may have a port (IPv6 then in brackets); None when it is invalid."""
    bare = text.strip().strip('"')
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        return str(address_of(bare))
    except ValueError:
        return None
