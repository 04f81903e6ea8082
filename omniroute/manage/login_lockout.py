"""Login lockout: five failed passwords within five minutes lock an address out for fifteen.

An attempt counts as failed when it *begins*, until it succeeds, so that one abandoned halfway counts too.  Attempts take
turns (``gateway_login.try_password``), or several right passwords at once would lock their sender out.  The address is
``Call.ip``, where only trusted proxies are believed.  An IPv6 address counts as its /64 network, because one subscriber
owns all of it.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from msgspec import Struct

ATTEMPTS = 5
WINDOW = 5 * 60.0
LOCKED = 15 * 60.0
_MOST_ADDRESSES = 10_000


class _Record(Struct):
    failures: list[float]
    locked_until: float = 0.0
    told: bool = False


def _network(address: str) -> str:
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, IPv6Address):
        return str(ip.ipv4_mapped) if ip.ipv4_mapped else f"{int(ip) >> 64:x}/64"
    return str(ip)


class LoginLockout:
    """The failed attempts by address; times are monotonic seconds.  Memory is bounded: the oldest address is dropped."""

    __slots__ = ("_records",)

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}

    def begin(self, address: str, now: float) -> float:
        """Count an attempt; return 0 if it may proceed, else the seconds until the lock ends."""
        record = self._records.setdefault(_network(address), _Record([]))
        if record.locked_until > now:
            return record.locked_until - now
        record.failures = [at for at in record.failures if at > now - WINDOW]
        record.failures.append(now)
        if len(record.failures) >= ATTEMPTS:
            record.locked_until, record.told = now + LOCKED, False
            record.failures.clear()
        if len(self._records) > _MOST_ADDRESSES:
            del self._records[next(iter(self._records))]
        return 0.0

    def succeed(self, address: str) -> None:
        """Forget the failures of *address*, after a correct password."""
        self._records.pop(_network(address), None)

    def first_refusal(self, address: str) -> bool:
        """Return True once per lock, so that repeated attempts do not fill the audit log."""
        record = self._records.get(_network(address))
        if record is None or record.told:
            return False
        record.told = True
        return True

    def locks(self, now: float) -> list[tuple[str, float]]:
        """Return the locked networks, each with its remaining seconds."""
        return [(name, record.locked_until - now) for name, record in self._records.items() if record.locked_until > now]

    def unlock(self, identifier: str) -> bool:
        """Unlock an address, or a network as named by :meth:`locks`; return whether there was anything to forget."""
        known = [name for name in dict.fromkeys((identifier, _network(identifier))) if name in self._records]
        for name in known:
            del self._records[name]
        return bool(known)

    def locked(self, address: str, now: float) -> bool:
        """Whether *address* is locked out at monotonic time *now*."""
        record = self._records.get(_network(address))
        return record is not None and record.locked_until > now
