"""What a call cost, in US dollars.  An unknown price gives an unknown cost, never 0."""

from __future__ import annotations

from ..translate.events import Usage
from ..upstream.providers import Price, Provider
from .snapshot import Snapshot


def price_of(snapshot: Snapshot, provider: Provider, model: str) -> Price | None:
    """The owner's price for the model, else the catalogue's; the last ``/`` segment of the model is tried too."""
    for name in (model, model.rpartition("/")[2]):
        for key in (provider.id, provider.alias):
            if (price := snapshot.prices.get((key, name))) is not None:
                return price
        if (known := provider.models.get(name)) is not None and known.price is not None:
            return known.price
    return None


def cost(usage: Usage | None, price: Price | None) -> float | None:
    """Dollars for *usage*; None when price or counts are unknown.

    Cached tokens inside the prompt and thinking inside the output are priced once, at their own rate where there is one.
    """
    if usage is None or price is None or price.input is None or price.output is None:
        return None
    read, write = usage.cache_read or 0, usage.cache_write or 0
    fresh = max(0, (usage.input or 0) - read - write)
    thought = min(usage.reasoning or 0, usage.output or 0)
    said = (usage.output or 0) - thought
    total = (
        fresh * price.input
        + read * _or(price.cached, price.input)
        + write * _or(price.cache_creation, price.input)
        + said * price.output
        + thought * _or(price.reasoning, price.output)
    )
    return total / 1e6


def _or(own: float | None, other: float) -> float:
    return other if own is None else own
