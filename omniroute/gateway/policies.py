"""The owner's policies: which models and providers a call may use, and how much it may spend.  Pure.

A policy applies to a candidate when all of its conditions match; then its actions apply.  Several policies add up: what any
of them forbids is forbidden, and the lowest limit counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from msgspec import Struct

from ..errors import OmniError
from ..upstream.providers import Price, Provider
from .budgets import Budget, Purse


class Conditions(Struct, frozen=True):
    """Globs, all of which must match; "" matches everything.

    ``model_pattern`` is compared with the requested name and the names of the candidate, ``provider`` with its provider's
    id, alias and prefix, ``api_key_id`` with the id of the caller's key ("" without one).
    """

    model_pattern: str = ""
    provider: str = ""
    api_key_id: str = ""


class Actions(Struct, frozen=True):
    """What a policy does.  Amounts are in US dollars; None and () have no effect."""

    prefer_provider: tuple[str, ...] = ()
    block_provider: tuple[str, ...] = ()
    block_model: tuple[str, ...] = ()
    max_tokens: int | None = None
    max_cost_per_1k: float | None = None
    daily_budget: float | None = None


class Policy(Struct, frozen=True):
    """One policy.  ``type`` is only for people; lower priorities come first."""

    id: str
    name: str
    type: str = "routing"
    enabled: bool = True
    priority: int = 100
    conditions: Conditions = Conditions()
    actions: Actions = Actions()

    @property
    def purse(self) -> Purse | None:
        """The purse of its daily budget, shared by all calls to which it applies; None without a budget."""
        most = self.actions.daily_budget
        return None if most is None else Purse(purse_id(self.id), Budget(daily=most), self.name)


def purse_id(policy_id: str) -> str:
    """The id of a policy's purse in the usage tables."""
    return f"policy:{policy_id}"


class Candidate(Protocol):
    """What policies need of a route."""

    @property
    def provider(self) -> Provider: ...
    @property
    def model(self) -> str: ...
    @property
    def price(self) -> Price | None: ...


class Ruling(NamedTuple):
    """The effect of all policies together on one call.

    ``barred`` has for each candidate the policy that forbids it, or None.  ``order`` has the indexes of all candidates,
    preferred providers first.  ``concerned`` has the policies that apply to a candidate that is not forbidden.
    """

    barred: tuple[Policy | None, ...]
    order: tuple[int, ...]
    concerned: tuple[Policy, ...]

    @property
    def max_tokens(self) -> int | None:
        """The lowest limit on generated tokens."""
        return min((p.actions.max_tokens for p in self.concerned if p.actions.max_tokens is not None), default=None)

    @property
    def wants_price(self) -> bool:
        """Whether any policy depends on prices."""
        return any(policy.actions.max_cost_per_1k is not None for policy in self.concerned)

    @property
    def purses(self) -> tuple[Purse, ...]:
        """The purses of the policies' daily budgets."""
        return tuple(purse for policy in self.concerned if (purse := policy.purse) is not None)


def rule(policies: Iterable[Policy], key_id: str, requested: str, candidates: Sequence[Candidate | None]) -> Ruling:
    """Apply *policies*, in their order, to a call for *requested*; a candidate None cannot be used anyway."""
    barred: list[Policy | None] = [None] * len(candidates)
    ranks: list[list[int]] = [[] for _ in candidates]
    concerned: list[tuple[Policy, set[int]]] = []
    for policy in policies:
        under = {
            place
            for place, candidate in enumerate(candidates)
            if candidate is not None and _concerns(policy.conditions, key_id, requested, candidate)
        }
        for place in under:
            candidate = candidates[place]
            assert candidate is not None
            if barred[place] is None and _forbids(policy.actions, requested, candidate):
                barred[place] = policy
        if policy.actions.prefer_provider and under:
            for place, candidate in enumerate(candidates):
                ranks[place].append(_rank(policy.actions.prefer_provider, candidate) if place in under else _LAST)
        concerned.append((policy, under))
    left = {place for place, by in enumerate(barred) if by is None}
    return Ruling(
        tuple(barred),
        tuple(sorted(range(len(candidates)), key=lambda place: ranks[place])),
        tuple(policy for policy, under in concerned if under & left),
    )


_LAST: Final = 1 << 30


def check_name(policies: Iterable[Policy], key_id: str, requested: str) -> None:
    """Refuse a name that is blocked for every provider.  Raises ``OmniError("forbidden")``."""
    for policy in policies:
        about = policy.conditions
        if (
            not about.provider
            and _key_and_name(about, key_id, (requested,))
            and _any(policy.actions.block_model, (requested,))
        ):
            raise refusal(policy, requested)


def refusal(policy: Policy, requested: str) -> OmniError:
    """The error (403) for a model that *policy* blocks."""
    message = f'Model "{requested}" blocked by policy "{policy.name}"'
    return OmniError("forbidden", message, param="model")


def names_of(candidate: Candidate) -> tuple[str, ...]:
    """The names of a candidate's model: bare, and with each of its provider's names as prefix."""
    return (candidate.model, *(f"{name}/{candidate.model}" for name in _provider_names(candidate)))


def _provider_names(candidate: Candidate) -> tuple[str, ...]:
    provider = candidate.provider
    return tuple(name for name in (provider.id, provider.alias, provider.prefix) if name)


def _key_and_name(about: Conditions, key_id: str, names: Iterable[str]) -> bool:
    if about.api_key_id and not matches(about.api_key_id, key_id):
        return False
    return not about.model_pattern or any(matches(about.model_pattern, name) for name in names)


def _concerns(about: Conditions, key_id: str, requested: str, candidate: Candidate) -> bool:
    if about.provider and not any(matches(about.provider, name) for name in _provider_names(candidate)):
        return False
    return _key_and_name(about, key_id, (requested, *names_of(candidate)))


def _forbids(actions: Actions, requested: str, candidate: Candidate) -> bool:
    if actions.block_provider and _any(actions.block_provider, _provider_names(candidate)):
        return True
    if actions.block_model and _any(actions.block_model, (requested, *names_of(candidate))):
        return True
    most, price = actions.max_cost_per_1k, candidate.price
    if most is None or price is None:
        return False  # an unknown price is not forbidden
    return max(price.input or 0.0, price.output or 0.0) / 1000 > most


def _rank(preferred: Sequence[str], candidate: Candidate | None) -> int:
    names = _provider_names(candidate) if candidate is not None else ()
    return next((place for place, pattern in enumerate(preferred) if _any((pattern,), names)), _LAST)


def _any(patterns: Iterable[str], names: Iterable[str]) -> bool:
    return any(matches(pattern, name) for pattern in patterns for name in names)


def matches(pattern: str, name: str) -> bool:
    """Whether the glob *pattern* matches the whole *name*."""
    return _compiled(pattern).fullmatch(name) is not None


def glob(pattern: str) -> re.Pattern[str]:
    """Compile a case-insensitive glob, for ``fullmatch``: ``*`` is any text, ``?`` any single character.

    The text up to the next literal part is matched by an atomic group, which rules out catastrophic backtracking.
    """
    first, *rest = ("".join("." if c == "?" else re.escape(c) for c in part) for part in re.split(r"\*+", pattern))
    middle = "".join(f"(?>.*?{part})" for part in rest[:-1])
    return re.compile(first + middle + (f".*{rest[-1]}" if rest else ""), re.IGNORECASE | re.DOTALL)


_compiled: Final = lru_cache(maxsize=1024)(glob)
