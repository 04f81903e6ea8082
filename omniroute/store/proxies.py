"""Outbound proxies by level: namespace ``proxyConfig`` of table ``key_value``, with encrypted passwords."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, cast

from msgspec import Struct, field

from ..errors import OmniError
from ..proto.proxy import PORTS, Proxy, Scheme, parse_proxy
from . import keyvalue
from .db import Database
from .vault import Vault

NAMESPACE: Final = "proxyConfig"
EVERYWHERE: Final = "global"
MAPS: Final = {"provider": "providers", "combo": "combos", "key": "keys"}
"""Level -> key in the namespace; its value maps ids to proxies.  Level ``key`` means connections, by connection id."""

Changes = Mapping[tuple[str, str], Proxy | None]
"""(level, id) -> the proxy to set, or None to remove it; for level ``global`` the id is empty."""


class ProxyConfig(Struct):
    """The stored proxies.  ``everywhere``: level ``global``; ``maps``: the other levels, then by id."""

    everywhere: Proxy | None = None
    maps: dict[str, dict[str, Proxy]] = field(default_factory=lambda: {level: {} for level in MAPS})

    def get(self, level: str, id: str = "") -> Proxy | None:
        """The proxy at one place; None: none is set there."""
        return self.everywhere if level == EVERYWHERE else self.maps[level].get(id)


def of_values(values: Mapping[str, Any], vault: Vault) -> ProxyConfig:
    """Convert the values of the namespace; malformed entries are left out."""
    found = ProxyConfig(_proxy_of(values.get(EVERYWHERE), vault))
    for level, name in MAPS.items():
        stored = values.get(name)
        for id, value in stored.items() if isinstance(stored, dict) else ():
            if (proxy := _proxy_of(value, vault)) is not None:
                found.maps[level][id] = proxy
    return found


def _proxy_of(value: Any, vault: Vault) -> Proxy | None:
    """A stored proxy: an object, or a URL as earlier releases wrote it.  None when it is malformed."""
    if isinstance(value, str):
        with suppress(ValueError):
            return parse_proxy(value)
    if not isinstance(value, dict):
        return None
    scheme, host, port = value.get("type", "http"), value.get("host"), str(value.get("port") or "")
    if scheme not in PORTS or not isinstance(host, str) or not host or not (port.isdigit() or not port):
        return None
    password = ""
    with suppress(OmniError):  # not decryptable: the proxy will refuse the calls, which is better than bypassing it
        password = vault.open(str(value.get("password") or ""))
    return Proxy(cast(Scheme, scheme), host, int(port or PORTS[scheme]), str(value.get("username") or ""), password)


def _stored(proxy: Proxy, vault: Vault) -> dict[str, Any]:
    value: dict[str, Any] = {"type": proxy.scheme, "host": proxy.host, "port": proxy.port}
    if proxy.username:
        value["username"] = proxy.username
    if proxy.password:
        value["password"] = vault.seal(proxy.password)
    return value


class Proxies:
    """The stored proxies."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._db = db
        self._vault = vault

    async def read(self) -> ProxyConfig:
        """The stored proxies, with decrypted passwords."""
        return of_values(await keyvalue.read(self._db, NAMESPACE), self._vault)

    async def change(self, changes: Changes) -> ProxyConfig:
        """Apply *changes* in one transaction; returns the resulting configuration."""
        async with self._db.change() as tx:
            values = await keyvalue.read(tx, NAMESPACE)
            for (level, id), proxy in changes.items():
                value = None if proxy is None else _stored(proxy, self._vault)
                if level == EVERYWHERE:
                    values[EVERYWHERE] = value
                    continue
                before = values.get(MAPS[level])
                entries = {**(before if isinstance(before, dict) else {}), id: value}
                values[MAPS[level]] = {key: entry for key, entry in entries.items() if entry is not None}
            for name in {EVERYWHERE if level == EVERYWHERE else MAPS[level] for level, _ in changes}:
                await keyvalue.write(tx, NAMESPACE, name, values[name])
        return of_values(values, self._vault)

    async def seal_clear_texts(self) -> None:
        """Encrypt clear-text passwords of an imported configuration; the others are not touched, readable or not."""
        values = await keyvalue.read(self._db, NAMESPACE)
        found = of_values(values, self._vault)
        changes: dict[tuple[str, str], Proxy | None] = {
            (level, id): proxy
            for level, entries in found.maps.items()
            for id, proxy in entries.items()
            if _has_clear_text(values[MAPS[level]][id], self._vault)
        }
        if found.everywhere is not None and _has_clear_text(values[EVERYWHERE], self._vault):
            changes[EVERYWHERE, ""] = found.everywhere
        if changes:
            await self.change(changes)


def _has_clear_text(value: Any, vault: Vault) -> bool:
    if isinstance(value, dict):
        password = value.get("password")
        plain = isinstance(password, str) and password != "" and not vault.sealed(password)
        return plain or any(_has_clear_text(part, vault) for part in value.values())
    return isinstance(value, str) and "://" in value and "@" in value  # a URL with credentials
