"""Who may call, by address: stored in the setting ``ipFilter``, enforced by ``gateway/edge.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

from ..clock import iso
from ..gateway.ip_filter import Ban, address_of, bans_of, compiled, normal, texts
from .bodies import Text200, given
from .call import Call, Reply, one_at_a_time
from .refusals import Invalid, refused

T = TypeVar("T")
_SETTING: Final = "ipFilter"
_HOUR: Final = 3_600_000
_LONGEST_BAN: Final = 10 * 365 * 24 * _HOUR
_MOST_ENTRIES: Final = 10_000
_LISTS: Final = ("blacklist", "whitelist")

Entries = str | list[str]


class TempBan(Struct, rename="camel"):
    ip: str
    duration_ms: Annotated[int, Meta(ge=1, le=_LONGEST_BAN)] = _HOUR
    reason: Text200 = "Manual ban"


class FilterBody(Struct, rename="camel", kw_only=True):
    """Changes to the filter; absent fields stay.  ``add…`` and ``remove…`` take one entry or several."""

    enabled: bool | UnsetType = UNSET
    mode: Literal["blacklist", "whitelist", "whitelist-priority"] | UnsetType = UNSET
    blacklist: list[str] | UnsetType = UNSET
    whitelist: list[str] | UnsetType = UNSET
    add_blacklist: Entries | UnsetType = UNSET
    remove_blacklist: Entries | UnsetType = UNSET
    add_whitelist: Entries | UnsetType = UNSET
    remove_whitelist: Entries | UnsetType = UNSET
    temp_ban: TempBan | UnsetType = UNSET
    remove_ban: str | UnsetType = UNSET


class BanView(Struct, rename="camel"):
    ip: str
    until: str
    reason: str
    remaining_ms: int


class FilterView(Struct, rename="camel"):
    enabled: bool
    mode: str
    blacklist: list[str]
    whitelist: list[str]
    temp_bans: list[BanView]


async def read(call: Call) -> Reply:
    """Return mode and lists, and the temporary bans that still last, in milliseconds."""
    return Reply(200, _view(await _stored(call), call.now))


@one_at_a_time
async def write(call: Call) -> Reply:
    """Change the filter.  Raises 400 for an invalid entry, and for a change that would lock the caller out."""
    config = _changed(await _stored(call), call.body, call.now)
    gate = compiled(config)
    reason = gate.refusal(call.ip, call.now) if gate is not None else ""
    if reason:
        raise refused(400, f"This change would lock you out ({reason}): your address is {call.ip}")
    await call.store.config.set_many({_SETTING: config})
    await call.audit("settings.ip_filter", None, {"changed": sorted(given(call.body)), "enabled": config["enabled"]})
    return Reply(200, _view(config, call.now))


async def _stored(call: Call) -> dict[str, Any]:
    """Return the complete setting; malformed parts count as absent."""
    found = await call.store.config.get(_SETTING)
    stored = found if isinstance(found, dict) else {}
    return {
        "enabled": stored.get("enabled") is True,
        "mode": stored["mode"] if isinstance(stored.get("mode"), str) else "blacklist",
        **{name: texts(stored.get(name)) for name in _LISTS},
        "tempBans": _rows(bans_of(stored), call.now),
    }


def _changed(config: dict[str, Any], body: FilterBody, now: float) -> dict[str, Any]:
    for name in ("enabled", "mode"):
        if (value := getattr(body, name)) is not UNSET:
            config[name] = value
    for name in _LISTS:
        entries = config[name]
        if (whole := getattr(body, name)) is not UNSET:
            entries = _clean(name, whole)
        added = _clean(f"add{name.title()}", _several(getattr(body, f"add_{name}")))
        gone = {_known(entry) for entry in _several(getattr(body, f"remove_{name}"))}
        config[name] = [entry for entry in dict.fromkeys([*entries, *added]) if _known(entry) not in gone]
        if len(config[name]) > _MOST_ENTRIES:
            raise Invalid((name, f"At most {_MOST_ENTRIES} entries"))
    bans = bans_of(config)
    if body.temp_ban is not UNSET:
        ban = body.temp_ban
        address = _read("tempBan.ip", ban.ip, lambda text: str(address_of(text)))
        bans[address] = Ban(now + ban.duration_ms / 1000, ban.reason)
    if body.remove_ban is not UNSET:
        bans.pop(_read("removeBan", body.remove_ban, lambda text: str(address_of(text))), None)
    config["tempBans"] = _rows(bans, now)
    return config


def _several(value: Entries | UnsetType) -> list[str]:
    if isinstance(value, UnsetType):
        return []
    return [value] if isinstance(value, str) else value


def _clean(name: str, entries: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(_read(name, entry, normal) for entry in entries))


def _read(name: str, entry: str, reader: Callable[[str], T]) -> T:
    try:
        return reader(entry)
    except ValueError:
        raise Invalid((name, f"Not an IP address, range or pattern: {entry[:100]}")) from None


def _known(entry: str) -> str:
    """Normalise an entry if possible, so that entries that are invalid today can still be removed."""
    try:
        return normal(entry)
    except ValueError:
        return entry


def _rows(bans: Mapping[str, Ban], now: float) -> list[dict[str, Any]]:
    """Return the bans as they are stored, without expired ones."""
    return [{"ip": ip, "until": iso(ban.until), "reason": ban.reason} for ip, ban in bans.items() if ban.until > now]


def _view(config: Mapping[str, Any], now: float) -> FilterView:
    shown = [
        BanView(ip, iso(ban.until), ban.reason, round((ban.until - now) * 1000))
        for ip, ban in bans_of(config).items()
        if ban.until > now
    ]
    return FilterView(config["enabled"], config["mode"], config["blacklist"], config["whitelist"], shown)
