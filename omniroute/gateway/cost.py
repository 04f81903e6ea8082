"""The cost of a call in US dollars.  An unknown price gives an unknown cost (None), never 0."""

from __future__ import annotations

from typing import Final

from ..media.codec import Units
from ..translate.events import Usage
from ..upstream.providers import Price, Provider
from .snapshot import Snapshot

_CHINA: Final = "-cn"


def price_of(snapshot: Snapshot, provider: Provider, model: str) -> Price | None:
    """The price that the owner has set for the model, else the catalogue's; None when unknown.

    Looks under the provider's id, its alias and its id without ``-cn`` (a vendor's Chinese service has the same prices),
    then does the same for the last ``/`` segment of the model.
    """
    twin = snapshot.providers.get(provider.id.removesuffix(_CHINA)) if provider.id.endswith(_CHINA) else None
    for name in dict.fromkeys((model, model.rpartition("/")[2])):
        for owner in (provider, twin):
            if owner is None:
                continue
            for key in (owner.id, owner.alias):
                if (price := snapshot.prices.get((key, name))) is not None:
                    return price
            if (known := owner.models.get(name)) is not None and known.price is not None:
                return known.price
    return None


_PIECES: Final = (  # field of Units, field of Price, number of units that the price is for
    ("images", "per_image", 1.0),
    ("seconds", "per_second", 1.0),
    ("characters", "per_million_characters", 1e6),
    ("searches", "per_search", 1.0),
)


def cost(usage: Usage | None, price: Price | None, units: Units | None = None) -> float | None:
    """The cost of *usage* and *units* in dollars; None when the price or the counts are unknown.

    If there is a price per unit, tokens are not charged as well, except those of an image's prompt.
    """
    if price is None:
        return None
    pieces = _pieces(price, units) if units is not None and any(units) else None
    if pieces is None:
        return _tokens(usage, price)
    prompt = (usage.input or 0) * (price.input or 0) / 1e6 if units is not None and units.images and usage is not None else 0
    return pieces + prompt


def _pieces(price: Price, units: Units) -> float | None:
    total = None
    for name, rate, of in _PIECES:
        if (count := getattr(units, name)) and (each := getattr(price, rate)) is not None:
            total = (total or 0.0) + count * each / of
    return total


def _tokens(usage: Usage | None, price: Price) -> float | None:
    """Cached tokens (part of the prompt) and reasoning tokens (part of the output) are charged once, at their own rate if
    there is one.
    """
    if usage is None or price.input is None:
        return None
    output = 0.0 if usage.output == 0 else price.output  # embeddings have no output price
    if output is None:
        return None
    read, write = usage.cache_read or 0, usage.cache_write or 0
    fresh = max(0, (usage.input or 0) - read - write)
    thought = min(usage.reasoning or 0, usage.output or 0)
    said = (usage.output or 0) - thought
    total = (
        fresh * price.input
        + read * _or(price.cached, price.input)
        + write * _or(price.cache_creation, price.input)
        + said * output
        + thought * _or(price.reasoning, output)
    )
    return total / 1e6


def _or(own: float | None, other: float) -> float:
    return other if own is None else own
