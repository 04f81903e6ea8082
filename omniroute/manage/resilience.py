"""Cooldowns, circuit breakers and the limits of protected connections; changes apply at once."""

from __future__ import annotations

from typing import Any, Final, NotRequired, TypedDict

from msgspec import UNSET, Struct, UnsetType

from ..gateway.blame import profile_name
from ..gateway.retry import PROFILES, profile_of
from ..store.config import PROFILE_FIELDS, RATE_FIELDS
from . import rate_limits
from .call import Call, Reply, one_at_a_time
from .monitoring import lift_all, rate_limit_status
from .refusals import refused

_MOST: Final = 1e12  # milliseconds, or a count; anything larger is a mistake


class ResilienceBody(Struct):
    profiles: dict[str, dict[str, Any]] | UnsetType = UNSET
    defaults: dict[str, Any] | UnsetType = UNSET


class ResilienceView(TypedDict):
    """Times in milliseconds."""

    profiles: dict[str, dict[str, int]]
    defaults: dict[str, int]
    circuitBreakers: list[dict[str, Any]]
    rateLimitStatus: dict[str, dict[str, Any]]


class ResilienceSet(TypedDict):
    ok: bool
    profiles: NotRequired[dict[str, dict[str, int]]]
    defaults: NotRequired[dict[str, int]]


class ResilienceReset(TypedDict):
    ok: bool
    resetCount: int
    message: str


async def read(call: Call) -> Reply:
    """Return the resilience profiles (milliseconds), the limits of protected accounts, and the circuit breakers."""
    return Reply(200, {
        "profiles": _profiles(call),
        "defaults": rate_limits.defaults(call),
        "circuitBreakers": circuit_breakers(call),
        "rateLimitStatus": rate_limit_status(call),
    })  # fmt: skip


@one_at_a_time
async def write(call: Call) -> Reply:
    """PUT and PATCH: replace the given profiles, keep the rest."""
    body: ResilienceBody = call.body
    profiles = {} if body.profiles is UNSET else body.profiles
    defaults = {} if body.defaults is UNSET else body.defaults
    if not profiles and not defaults:
        raise refused(400, "Must provide profiles or defaults")
    changes: dict[str, Any] = {}
    if profiles:
        changes["providerProfiles"] = await _stored(call, "providerProfiles") | _checked_profiles(profiles)
    if defaults:
        changes["rateLimitDefaults"] = await _stored(call, "rateLimitDefaults") | _checked_defaults(defaults)
    await call.store.config.set_many(changes)
    _adjust_breakers(call)
    await call.audit("resilience.update", None, {"changed": sorted([*profiles, *defaults])})
    reply: dict[str, Any] = {"ok": True}
    if profiles:
        reply["profiles"] = _profiles(call)
    if defaults:
        reply["defaults"] = rate_limits.defaults(call)
    return Reply(200, reply)


async def reset(call: Call) -> Reply:
    """Close all breakers, lift all cooldowns and locks."""
    count = await lift_all(call)
    return Reply(200, {"ok": True, "resetCount": count, "message": f"Reset {count} circuit breaker(s)"})


def circuit_breakers(call: Call) -> list[dict[str, Any]]:
    """Return the breakers of providers with accounts or recent failures; ``lastFailureTime`` is in Unix milliseconds."""
    breakers = call.live.breakers
    shown = []
    for name in dict.fromkeys((*call.snapshot.connections, *breakers.known())):
        breaker = breakers.view(name)
        last = None if breaker.last_failure is None else int(breaker.last_failure * 1000)
        shown.append({
            "name": name, "state": breaker.state, "failureCount": breaker.failures, "lastFailureTime": last,
            "retryAfterMs": round(breakers.wait(name) * 1000),
        })  # fmt: skip
    return shown


def _adjust_breakers(call: Call) -> None:
    snapshot, breakers = call.snapshot, call.live.breakers
    for name in breakers.known():
        if (provider := snapshot.providers.get(name)) is not None:
            breakers.adjust(name, profile_of(snapshot.settings.profiles, profile_name(snapshot, provider)))


def _profiles(call: Call) -> dict[str, dict[str, int]]:
    stored = call.snapshot.settings.profiles
    return {name: _shown(profile_of(stored, name)._asdict()) for name in PROFILES}


def _shown(values: dict[str, float]) -> dict[str, int]:
    return {key: round(values[field] / factor) for key, (field, factor) in PROFILE_FIELDS.items()}


async def _stored(call: Call, name: str) -> dict[str, Any]:
    stored = await call.store.config.get(name)
    return stored if isinstance(stored, dict) else {}


def _checked_profiles(given: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    for name, values in given.items():
        if name not in PROFILES:
            raise refused(400, f"Invalid profile key: {name}")
        for key in PROFILE_FIELDS:
            if not _is_number(values.get(key), 0):
                raise refused(400, f"Invalid {name}.{key}: must be a non-negative number")
    return {name: {key: round(values[key]) for key in PROFILE_FIELDS} for name, values in given.items()}


def _checked_defaults(given: dict[str, Any]) -> dict[str, Any]:
    for key, value in given.items():
        if key not in RATE_FIELDS or not _is_number(value, 1):
            raise refused(400, f"Invalid defaults.{key}: must be a positive number")
    return {key: round(value) for key, value in given.items()}


def _is_number(value: object, least: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= _MOST
