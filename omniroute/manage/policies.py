"""Routing policies, and addresses locked out of the login."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypedDict
from uuid import uuid4

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ..gateway.policies import Actions, Conditions, Policy, purse_id
from .bodies import Name, decode_if_sent
from .call import Call, Reply
from .refusals import Invalid, refused
from .resilience import circuit_breakers

_Glob = Annotated[str, Meta(min_length=1, max_length=300, pattern=r"\S")]
_Globs = Annotated[list[_Glob], Meta(max_length=100)]
_MOST_TOKENS = 10_000_000
_MOST_POLICIES = 1000  # each is checked in every call


class ConditionsBody(Struct, forbid_unknown_fields=True):
    """Globs (``*``, ``?``), all of which must match.  Unknown names are refused: ignored, they would widen the policy."""

    model_pattern: _Glob | None = None
    provider: _Glob | None = None
    api_key_id: _Glob | None = None


class ActionsBody(Struct):
    """Costs in US dollars; ``max_cost_per_1k`` is compared with the higher of a model's prices for 1,000 tokens."""

    prefer_provider: _Globs | None = None
    block_provider: _Globs | None = None
    block_model: _Globs | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=_MOST_TOKENS)] | None = None
    max_cost_per_1k: Annotated[float, Meta(ge=0, le=1e6)] | None = None
    daily_budget: Annotated[float, Meta(gt=0, le=1e9)] | None = None


class PolicyBody(Struct, kw_only=True):
    """A policy; or, with ``action``, the ``identifier`` to unlock."""

    PATTERNS: ClassVar = {
        "id": "Id can only contain letters, numbers, -, _ and .",
        "conditions": "conditions can only be model_pattern, provider and api_key_id",
    }
    action: str | UnsetType = UNSET
    identifier: Annotated[str, Meta(max_length=200)] = ""
    id: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.-]+$(?!\n)")] | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    type: Literal["routing", "budget", "access"] = "routing"
    enabled: bool = True
    priority: Annotated[int, Meta(ge=0, le=1_000_000)] = 100
    conditions: ConditionsBody = msgspec.field(default_factory=ConditionsBody)
    actions: ActionsBody = msgspec.field(default_factory=ActionsBody)


class IdBody(Struct):
    id: str = ""


class PoliciesView(TypedDict):
    """``lockedUntil`` is in Unix milliseconds."""

    circuitBreakers: list[dict[str, Any]]
    lockedIdentifiers: list[dict[str, Any]]
    policies: list[dict[str, Any]]


class Unlocked(Struct):
    success: bool
    action: str
    identifier: str


class OnePolicy(Struct):
    policy: dict[str, Any]


class PolicyRemoved(Struct):
    success: bool
    removed: bool


async def read(call: Call) -> Reply:
    """Show the breakers, the addresses locked out of the login, and the policies in order."""
    clock = call.services.clock
    locked = [
        {"identifier": address, "lockedUntil": round((call.now + left) * 1000), "remainingMs": round(left * 1000)}
        for address, left in call.services.lockout.locks(clock.monotonic())
    ]
    return Reply(200, {
        "circuitBreakers": circuit_breakers(call),
        "lockedIdentifiers": locked,
        "policies": [_view(policy) for policy in await call.store.policies.list()],
    })  # fmt: skip


async def write(call: Call) -> Reply:
    """Add a policy, replace the one with its id, or unlock an address."""
    body: PolicyBody = call.body
    if body.action is not UNSET:
        return await _unlock(call, body)
    if body.name is UNSET:
        raise Invalid(("name", "Name is required"))
    actions = _given(body.actions)
    if not actions:
        raise Invalid(("actions", "actions must name at least one action"))
    known = await call.store.policies.list()
    id = str(uuid4()) if body.id is UNSET else body.id
    if len(known) >= _MOST_POLICIES and all(policy.id != id for policy in known):
        raise refused(400, f"There can be at most {_MOST_POLICIES} policies")
    policy = Policy(
        id=id,
        name=body.name,
        type=body.type,
        enabled=body.enabled,
        priority=body.priority,
        conditions=msgspec.convert(_given(body.conditions), Conditions),
        actions=msgspec.convert(actions, Actions),
    )
    new = await call.store.policies.set(policy)
    await call.audit(
        "policy.create" if new else "policy.update", policy.id, {"name": policy.name, "enabled": policy.enabled}
    )
    return Reply(201 if new else 200, OnePolicy(_view(policy)))


async def delete(call: Call) -> Reply:
    """Delete a policy; query or body give its id."""
    id = call.query.get("id") or decode_if_sent(call.request.body, IdBody).id
    if not id:
        raise refused(400, "id is required")
    removed = await call.store.policies.delete(id)
    if removed:
        call.live.budgets.forget(purse_id(id))
        await call.audit("policy.delete", id)
    return Reply(200, PolicyRemoved(True, removed))


async def _unlock(call: Call, body: PolicyBody) -> Reply:
    if body.action != "unlock":
        raise refused(400, "Unknown action. Supported: unlock")
    identifier = body.identifier.strip()
    if not identifier:
        raise refused(400, "identifier is required")
    if call.services.lockout.unlock(identifier):
        await call.audit("login.unlock", identifier)
    return Reply(200, Unlocked(True, "unlocked", identifier))


def _given(part: Struct) -> dict[str, Any]:
    """Return the fields that are set; null and an empty list count as not set."""
    return {name: value for name, value in msgspec.to_builtins(part).items() if value not in (None, [])}


def _view(policy: Policy) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(policy)
    shown["conditions"] = {name: glob for name, glob in shown["conditions"].items() if glob}
    shown["actions"] = {name: value for name, value in shown["actions"].items() if value not in (None, (), [])}
    return shown
