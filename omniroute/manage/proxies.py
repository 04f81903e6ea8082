"""Outbound proxies, and which calls use them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import urlsplit

import msgspec
import orjson
from msgspec import UNSET, Struct

from ..errors import OmniError
from ..gateway.ip_filter import address_of
from ..log import MASK
from ..proto.proxy import PORTS, Proxy, Scheme
from ..proto.transport import PORTS as TARGET_PORTS
from ..proto.transport import Origin, TransportError
from ..store.connections import ConnectionRow
from ..store.proxies import EVERYWHERE, MAPS, ProxyConfig
from .bodies import given
from .call import Call, Reply, one_at_a_time
from .connection_health import clear_failures
from .probes import via_for
from .refusals import refused

_LEVELS: Final = (EVERYWHERE, *MAPS)
_TEST_SECONDS: Final = 10.0
_TEST_BYTES: Final = 64 * 1024
_LONGEST: Final = 255  # bytes of host, user name and password: the limit of SOCKS5 (RFC 1928, RFC 1929)
_SOCKS_OFF: Final = "SOCKS5 proxy is disabled (set ENABLE_SOCKS5_PROXY=true to enable)"


class ProxyBody(Struct):
    """One level (``level``, ``id``, ``proxy``), or several at once, named as in the whole configuration."""

    level: Any = UNSET
    id: Any = UNSET
    proxy: Any = UNSET
    everywhere: Any = msgspec.field(default=UNSET, name=EVERYWHERE)
    providers: Any = UNSET
    combos: Any = UNSET
    keys: Any = UNSET


class TestBody(Struct):
    proxy: Any = UNSET


class ProxyView(Struct, omit_defaults=True):
    type: str
    host: str
    port: int
    username: str = ""
    password: str = ""


class ConfigView(Struct):
    everywhere: ProxyView | None = msgspec.field(name=EVERYWHERE)
    providers: dict[str, ProxyView]
    combos: dict[str, ProxyView]
    keys: dict[str, ProxyView]


class LevelView(Struct):
    level: str
    id: str | None
    proxy: ProxyView | None


class Resolved(Struct, rename="camel"):
    proxy: ProxyView | None
    level: str
    level_id: str | None


class Tested(Struct, rename="camel", omit_defaults=True):
    success: bool
    latency_ms: int
    proxy_url: str
    public_ip: str | None = None
    error: str | None = None


async def read(call: Call) -> Reply:
    """Show all proxies, one (``?level=&id=``), or the one that a connection uses (``?resolve=<connection id>``)."""
    if connection_id := call.query.get("resolve"):
        return Reply(200, await _resolved(call, connection_id))
    stored = await call.store.proxies.read()
    if "level" not in call.query:
        return Reply(200, _view(stored))
    level, id = _place(call.query["level"], call.query.get("id"))
    return Reply(200, LevelView(level, id or None, _shown(stored.get(level, id))))


@one_at_a_time
async def write(call: Call) -> Reply:
    """Set one level, or several; null removes a proxy, and a masked password keeps the stored one."""
    body = given(call.body)
    if not body.keys() - {"id", "proxy"}:
        raise refused(400, "level is required")
    changes = await _changes(call, body, await call.store.proxies.read())
    return Reply(200, await _apply(call, changes))


async def delete(call: Call) -> Reply:
    """Remove the proxy of ``?level=`` and ``?id=`` and return all that remain.  400 without a level."""
    if not call.query.get("level"):
        raise refused(400, "level is required")
    return Reply(200, await _apply(call, {_place(call.query["level"], call.query.get("id")): None}))


async def test(call: Call) -> Reply:
    """Fetch the gateway's public address through a proxy.  A failure of the proxy is a result, not an error status."""
    value = call.body.proxy
    if not isinstance(value, Mapping) or not value.get("host") or not value.get("port"):
        raise refused(400, "proxy.host and proxy.port are required")
    proxy = _unmasked(await _parse(call, value), await call.store.proxies.read())
    clock = call.services.clock
    began = clock.monotonic()
    address, error = await _public_address(call, proxy)
    latency = round((clock.monotonic() - began) * 1000)
    return Reply(200, Tested(error is None, latency, proxy.url, address, error))


async def _public_address(call: Call, proxy: Proxy) -> tuple[str | None, str | None]:
    """Return (address, None) or (None, what went wrong)."""
    if call.services.gateway is None:
        raise OmniError("internal", "The data plane is not running")
    place = urlsplit(call.services.settings.proxy_test_url)
    origin = Origin(place.scheme, place.hostname or "", place.port or TARGET_PORTS[place.scheme], proxy)
    path = (place.path or "/") + (f"?{place.query}" if place.query else "")
    late = f"Connection timeout ({_TEST_SECONDS:g}s)"
    try:
        async with asyncio.timeout(_TEST_SECONDS):
            fields = [(b"accept", b"application/json, text/plain"), (b"user-agent", b"omniroute")]
            client = call.services.gateway.client
            status, _, body = await client.fetch(origin, "GET", path.encode(), fields, limit=_TEST_BYTES)
    except TimeoutError:
        return None, late
    except TransportError as error:
        return None, late if error.reason in ("timeout", "connect_timeout") else str(error)
    if status != 200:
        return None, f"{origin.host} answered {status}"
    address = _address(body)
    return address, None if address else f"{origin.host} did not answer with an address"


def _address(body: bytes) -> str | None:
    """Return the IP address in ``{"ip": …}``, ``{"origin": …}`` or plain text."""
    try:
        found = orjson.loads(body)
        text = str(found.get("ip") or found.get("origin")) if isinstance(found, dict) else str(found)
    except orjson.JSONDecodeError:
        text = body.decode("latin-1")
    try:
        return str(address_of(text))
    except ValueError:
        return None


async def _changes(call: Call, body: Mapping[str, Any], stored: ProxyConfig) -> dict[tuple[str, str], Proxy | None]:
    """Return what to store, from either form of the request."""
    if "level" in body:
        place = _place(body["level"], body.get("id"))
        return {place: await _new(call, body.get("proxy", UNSET), stored.get(*place))}
    changes: dict[tuple[str, str], Proxy | None] = {}
    if "everywhere" in body:
        changes[EVERYWHERE, ""] = await _new(call, body["everywhere"], stored.everywhere)
    for level, name in MAPS.items():
        entries = body.get(name)
        if entries is None:
            continue
        if not isinstance(entries, Mapping):
            raise refused(400, f"{name} must be an object")
        for id, value in entries.items():
            place = _place(level, id)
            changes[place] = await _new(call, value, stored.get(*place))
    return changes


async def _apply(call: Call, changes: Mapping[tuple[str, str], Proxy | None]) -> ConfigView:
    troubled = await _troubled(call)
    before = {row.id: _proxy_for(call, row) for row in troubled}
    stored = await call.store.proxies.change(changes)
    for row in troubled:
        if _proxy_for(call, row) != before[row.id]:
            clear_failures(call.live, row)
    for (level, id), proxy in changes.items():
        target = f"{level}:{id}" if id else level
        await call.audit("settings.proxy", target, {"proxy": proxy.url if proxy is not None else None})
    return _view(stored)


def _proxy_for(call: Call, row: ConnectionRow) -> Proxy | None:
    via = via_for(call, row)
    return via.proxy if via is not None else None


async def _troubled(call: Call) -> list[ConnectionRow]:
    """Return the accounts that may be unavailable because of a connection failure: without a 4xx from the provider.

    The list is empty while no account and no breaker is in trouble.
    """
    live = call.live
    if live.health.calm and live.breakers.calm:
        return []
    return [
        row for row in await call.store.connections.list() if not (live.health.view(row.id).error_code or "").startswith("4")
    ]


def _place(level: object, id: object) -> tuple[str, str]:
    """Return (level, id); the id of ``global`` is empty."""
    if not level:
        raise refused(400, "level is required")
    if level not in _LEVELS or not isinstance(level, str):
        raise refused(400, f"level must be one of: {', '.join(_LEVELS)}")
    if level == EVERYWHERE:
        return level, ""
    if not isinstance(id, str) or not id.strip() or len(id) > _LONGEST:
        raise refused(400, f"id is required for level {level}")
    return level, id


async def _new(call: Call, value: object, before: Proxy | None) -> Proxy | None:
    """Return the proxy to store; *before* is the one that it replaces."""
    if value is None:
        return None
    proxy = await _parse(call, value)
    if proxy.password != MASK:
        return proxy
    if before is None or before.host != proxy.host:  # a stored password must not be sent to another host
        raise refused(400, "proxy.password is masked: give it anew")
    return proxy._replace(password=before.password)


async def _parse(call: Call, value: object) -> Proxy:
    """Read and check a proxy.  Raises 400."""
    if not isinstance(value, Mapping):
        raise refused(400, "proxy must be an object")
    socks = call.services.settings.enable_socks5_proxy or await call.store.config.get("enableSocks5Proxy") is True
    kind = str(value.get("type") or "http").lower()
    if kind == "socks5" and not socks:
        raise refused(400, _SOCKS_OFF)
    if kind not in PORTS:
        raise refused(400, "proxy.type must be http, https, or socks5" if socks else "proxy.type must be http or https")
    host, port = value.get("host"), value.get("port")
    if not host or not port:
        raise refused(400, "proxy.host and proxy.port are required")
    texts = {name: value.get(name) or "" for name in ("host", "username", "password")}
    for name, text in texts.items():
        if not isinstance(text, str) or len(text.encode(errors="replace")) > _LONGEST or not text.isprintable():
            raise refused(400, f"proxy.{name} must be a text of at most {_LONGEST} bytes")
    return Proxy(cast(Scheme, kind), _host(texts["host"]), _port(port), texts["username"], texts["password"])


def _host(text: str) -> str:
    host = text.strip().removeprefix("[").removesuffix("]")
    if not host or any(character in host for character in "/@?# \\") or (":" in host and not _is_address(host)):
        raise refused(400, "proxy.host must be a name or an address, without scheme and port")
    return host


def _is_address(text: str) -> bool:
    try:
        address_of(text)
    except ValueError:
        return False
    return True


def _port(value: object) -> int:
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 6 else value
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= 65535:
        raise refused(400, "proxy.port must be a number from 1 to 65535")
    return number


def _unmasked(proxy: Proxy, stored: ProxyConfig) -> Proxy:
    """Return *proxy* with the stored password of the same proxy in place of the mask."""
    if proxy.password != MASK:
        return proxy
    known = [stored.everywhere, *(one for entries in stored.maps.values() for one in entries.values())]
    same = (one for one in known if one is not None and one._replace(password=MASK) == proxy)
    return proxy._replace(password=next((one.password for one in same), ""))


async def _resolved(call: Call, connection_id: str) -> Resolved:
    row = await call.store.connections.get(connection_id)
    via = via_for(call, row) if row is not None else None
    if via is None:
        return Resolved(None, "direct", None)
    proxy = via.proxy._replace(scheme="socks5") if via.proxy.scheme == "disabled" else via.proxy
    return Resolved(_shown(proxy), via.level, via.level_id)


def _view(stored: ProxyConfig) -> ConfigView:
    maps = {level: {id: _view_of(proxy) for id, proxy in entries.items()} for level, entries in stored.maps.items()}
    return ConfigView(_shown(stored.everywhere), maps["provider"], maps["combo"], maps["key"])


def _shown(proxy: Proxy | None) -> ProxyView | None:
    return _view_of(proxy) if proxy is not None else None


def _view_of(proxy: Proxy) -> ProxyView:
    return ProxyView(proxy.scheme, proxy.host, proxy.port, proxy.username, MASK if proxy.password else "")
