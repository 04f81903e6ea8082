"""Usage and cost: sums by provider, model, account and key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from msgspec import Struct

from ..clock import iso
from ..store.keys import KeyRow
from ..store.usage import UsageGroup
from .call import Call, Reply
from .refusals import Invalid, existing

_DAY: Final = 86_400.0
_RANGES: Final = {"1d": 1, "7d": 7, "30d": 30, "90d": 90}
_COUNTED: Final = ("requests", "promptTokens", "completionTokens", "cost")
K = TypeVar("K")


class History(Struct, rename="camel", kw_only=True):
    """Usage by provider, model, account and key.  The costs exclude the ``unpricedRequests``, whose price is unknown."""

    total_requests: int
    total_prompt_tokens: int
    total_completion_tokens: int
    total_cost: float
    unpriced_requests: int
    by_provider: dict[str, dict[str, Any]]
    by_model: dict[str, dict[str, Any]]
    by_account: dict[str, dict[str, Any]]
    by_api_key: dict[str, dict[str, Any]]
    last10_minutes: list[dict[str, Any]]
    pending: dict[str, Any]
    active_requests: list[dict[str, Any]]


async def history(call: Call) -> Reply:
    """Return the sums of ``?range=`` (default: all) by provider, model, account and key, in tokens and US dollars.

    Also the last ten minutes one by one, and the calls in progress.
    """
    await call.store.usage.flush()
    since = range_start(call.query.get("range") or "all", call.now)
    groups = await call.store.usage.history(since)
    unpriced = await call.store.usage.unpriced("" if since is None else iso(since))
    names = {row.id: row.label or row.id for row in await call.store.connections.list()}
    minutes = await call.store.usage.minutes(10)
    everything = _sum(groups)
    placed = [group for group in groups if group.provider]  # without calls that ended before a provider was chosen
    return Reply(200, History(
        total_requests=everything["requests"],
        total_prompt_tokens=everything["promptTokens"],
        total_completion_tokens=everything["completionTokens"],
        total_cost=everything["cost"],
        unpriced_requests=sum(unpriced.values()),
        by_provider={name: _sum(part) for name, part in _split(placed, lambda group: group.provider).items()},
        by_model={
            name: group | {"unpricedRequests": unpriced.get((group["provider"], group["rawModel"]), 0)}
            for name, group in _by_model(placed).items()
        },
        by_account=_by_account(placed, names),
        by_api_key=_by_key(groups, await call.store.keys.list()),
        last10_minutes=[_counts(m.requests, m.prompt_tokens, m.completion_tokens, m.cost) for m in minutes],
        pending=_pending(call.live.in_flight),
        active_requests=[
            {"model": model, "provider": provider, "account": names.get(connection, connection), "count": count}
            for (provider, model, connection), count in call.live.in_flight.items()
        ],
    ))  # fmt: skip


async def connection(call: Call) -> Reply:
    """Show the usage of one connection as the gateway counted it; the provider's own quota is not available."""
    row = existing(await call.store.connections.get(call.params["connectionId"]), "Connection")
    await call.store.usage.flush()
    groups = await call.store.usage.history(None, row.id)
    kind = "API key" if row.auth_type == "apikey" else row.auth_type
    last = max((group.last_used for group in groups), default=None)
    local = _sum(groups) | {"byModel": _by_model(groups), "lastUsed": last}
    return Reply(200, {"message": f"Usage not available for {kind} connections", "local": local})


def range_start(text: str, now: float) -> float | None:
    """Return the Unix time at which a range begins; None for ``all``.  Raises :class:`Invalid` for an unknown range.

    ``ytd`` begins on 1 January UTC; the other ranges are multiples of 24 hours.
    """
    if text == "all":
        return None
    if text == "ytd":
        return datetime(datetime.fromtimestamp(now, UTC).year, 1, 1, tzinfo=UTC).timestamp()
    if text not in _RANGES:
        raise Invalid(("range", "Invalid option: expected one of 1d|7d|30d|90d|ytd|all"))
    return now - _RANGES[text] * _DAY


def _counts(requests: int, prompt: int, completion: int, cost: float) -> dict[str, Any]:
    return dict(zip(_COUNTED, (requests, prompt, completion, round(cost, 10)), strict=True))


def _sum(groups: Iterable[UsageGroup]) -> dict[str, Any]:
    parts = [*groups]
    return _counts(
        sum(part.requests for part in parts),
        sum(part.prompt_tokens for part in parts),
        sum(part.completion_tokens for part in parts),
        sum(part.cost for part in parts),
    )


def _split(groups: Iterable[UsageGroup], key: Callable[[UsageGroup], K]) -> dict[K, list[UsageGroup]]:
    parts: dict[K, list[UsageGroup]] = {}
    for group in groups:
        parts.setdefault(key(group), []).append(group)
    return parts


def _by_model(groups: Iterable[UsageGroup]) -> dict[str, Any]:
    return {
        f"{model} ({provider})": _sum(part)
        | {"rawModel": model, "provider": provider, "lastUsed": max(group.last_used for group in part)}
        for (model, provider), part in _split(groups, lambda group: (group.model, group.provider)).items()
    }


def _by_account(groups: Iterable[UsageGroup], names: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for (model, provider, id_), part in _split(groups, lambda g: (g.model, g.provider, g.connection_id)).items():
        name = names.get(id_) or (f"Account {id_[:8]}…" if id_ else "-")
        extra = {"rawModel": model, "provider": provider, "connectionId": id_ or None, "accountName": name}
        label = f"{model} ({provider} - {name})"
        if label in found:  # two accounts may have the same name
            label = f"{model} ({provider} - {name} {id_[:8]})"
        found[label] = _sum(part) | extra | {"lastUsed": max(g.last_used for g in part)}
    return found


def _by_key(groups: Iterable[UsageGroup], rows: Iterable[KeyRow]) -> dict[str, Any]:
    with_key = [group for group in groups if group.api_key_id]
    names = key_names(rows, ((group.last_used, group.api_key_id, group.api_key_name) for group in with_key))
    return {
        f"{names[id_]} ({id_})": _sum(part)
        | {"apiKeyId": id_, "apiKeyName": names[id_], "lastUsed": max(group.last_used for group in part)}
        for id_, part in _split(with_key, lambda group: group.api_key_id).items()
    }


def key_names(rows: Iterable[KeyRow], used: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """Return the names of gateway keys by id: the current one, or the last one of a key that is gone.

    *used*: when a key was used (ISO), its id, and its name at that time.
    """
    last = {id_: name for _, id_, name in sorted(used)}
    return last | {row.id: row.name for row in rows}


def _pending(in_flight: Mapping[tuple[str, str, str], int]) -> dict[str, Any]:
    by_model: dict[str, int] = {}
    by_account: dict[str, dict[str, int]] = {}
    for (provider, model, id_), count in in_flight.items():
        name = f"{model} ({provider})"
        by_model[name] = by_model.get(name, 0) + count
        account = by_account.setdefault(id_, {})
        account[name] = account.get(name, 0) + count
    return {"byModel": by_model, "byAccount": by_account}
