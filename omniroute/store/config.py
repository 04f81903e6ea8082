"""Stored settings.  One table gives name, type, range and default of each; ``manage/settings.py`` validates with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from . import keyvalue
from .db import Database

Type = Literal["string", "bool", "int", "strings", "choice", "aliases", "object"]

NAMESPACE: Final = "settings"
PASSWORD: Final = "password"  # the password hash; all() never returns it


class Field(NamedTuple):
    """One setting.

    ``low`` and ``high`` bound the value of an int, ``high`` the length of a string.  ``writable``: through
    ``/api/settings``; the others have routes of their own.
    """

    type: Type
    default: Any = None  # None: absent until stored
    low: int = 0
    high: int = 0
    choices: tuple[str, ...] = ()
    writable: bool = True


STRATEGIES: Final = ("fill-first", "round-robin", "p2c", "random", "least-used", "cost-optimized")
FIELDS: Final[dict[str, Field]] = {
    "theme": Field("string", high=50),
    "language": Field("string", high=10),
    "instanceName": Field("string", high=100),
    "corsOrigins": Field("string", high=500),
    "cloudUrl": Field("string", high=500),
    "baseUrl": Field("string", high=500),
    "requireLogin": Field("bool", True),
    "enableRequestLogs": Field("bool"),
    "enableSocks5Proxy": Field("bool"),
    "setupComplete": Field("bool"),
    "requireAuthForModels": Field("bool"),
    "hideHealthCheckLogs": Field("bool"),
    "logRetentionDays": Field("int", low=1, high=365),
    "blockedProviders": Field("strings"),
    "fallbackStrategy": Field("choice", "fill-first", choices=STRATEGIES),
    "stickyRoundRobinLimit": Field("int", 3, 0, 1000),
    "wildcardAliases": Field("aliases"),
    "cloudEnabled": Field("bool", False, writable=False),
    "comboDefaults": Field("object", writable=False),
    "providerOverrides": Field("object", writable=False),
    "providerProfiles": Field("object", writable=False),
    "rateLimitDefaults": Field("object", writable=False),
    "thinkingBudget": Field("object", writable=False),
    "systemPrompt": Field("object", writable=False),
    "ipFilter": Field("object", writable=False),
    "oauthClients": Field("object", writable=False),
}
DEFAULTS: Final[dict[str, Any]] = {name: field.default for name, field in FIELDS.items() if field.default is not None}

# API name of a resilience profile's field -> (field of gateway.retry.Profile, factor from the API's unit to the field's)
PROFILE_FIELDS: Final[dict[str, tuple[str, float]]] = {
    "transientCooldown": ("transient_cooldown", 0.001),
    "rateLimitCooldown": ("rate_limit_cooldown", 0.001),
    "maxBackoffLevel": ("max_backoff_level", 1),
    "circuitBreakerThreshold": ("breaker_threshold", 1),
    "circuitBreakerReset": ("breaker_reset", 0.001),
}

# API name of a limit for protected connections -> (field of gateway.snapshot.RateDefaults, factor)
RATE_FIELDS: Final[dict[str, tuple[str, float]]] = {
    "requestsPerMinute": ("per_minute", 1),
    "minTimeBetweenRequests": ("spacing", 0.001),
    "concurrentRequests": ("concurrent", 1),
}


def check(name: str, value: Any) -> str | None:
    """The error message for *value* as setting *name*; None when it is valid."""
    field = FIELDS[name]
    return _CHECKS[field.type](field, value)


def _string(field: Field, value: Any) -> str | None:
    if not isinstance(value, str):
        return "Expected a string"
    return None if len(value) <= field.high else f"Must be at most {field.high} characters"


def _bool(_: Field, value: Any) -> str | None:
    return None if isinstance(value, bool) else "Expected a boolean"


def _int(field: Field, value: Any) -> str | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return "Expected an integer"
    return None if field.low <= value <= field.high else f"Must be between {field.low} and {field.high}"


def _strings(_: Field, value: Any) -> str | None:
    good = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return None if good else "Expected an array of strings"


def _choice(field: Field, value: Any) -> str | None:
    return None if value in field.choices else f"Must be one of: {', '.join(field.choices)}"


def _aliases(_: Field, value: Any) -> str | None:
    good = isinstance(value, list) and all(
        isinstance(item, dict) and all(isinstance(item.get(part), str) and item[part] for part in ("pattern", "target"))
        for item in value
    )
    return None if good else "Expected an array of {pattern, target}"


def _object(_: Field, value: Any) -> str | None:
    return None if isinstance(value, dict) else "Expected an object"


_CHECKS: Final = {
    "string": _string, "bool": _bool, "int": _int, "strings": _strings, "choice": _choice, "aliases": _aliases,
    "object": _object,
}  # fmt: skip


class Config:
    """Namespace ``settings`` of table ``key_value``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def get(self, name: str, default: Any = None) -> Any:
        """The stored value, else *default*, else the setting's own default."""
        value = await keyvalue.get(self._db, NAMESPACE, name)
        if value is None:
            return DEFAULTS.get(name) if default is None else default
        return value

    async def all(self) -> dict[str, Any]:
        """All settings: stored values over the defaults, without the password hash."""
        stored = await keyvalue.read(self._db, NAMESPACE)
        stored.pop(PASSWORD, None)
        return {**DEFAULTS, **stored}

    async def set_many(self, values: Mapping[str, Any]) -> None:
        """Store all of *values* in one transaction; None removes a setting.  Callers validate with :func:`check`."""
        async with self._db.change() as tx:
            for name, value in values.items():
                await keyvalue.write(tx, NAMESPACE, name, value)


def sound(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The known settings in *stored* with valid values (see :func:`check`), over the defaults."""
    return {**DEFAULTS, **{name: value for name, value in stored.items() if name in FIELDS and check(name, value) is None}}
