"""Parsing of the header fields in which responses report rate limits.  Pure.

OpenAI and compatible vendors: ``x-ratelimit-{limit,remaining,reset}-{requests,tokens}``, resets as ``1m30s`` or ``60``
(platform.openai.com, "Rate limits in headers").  Anthropic: ``anthropic-ratelimit-{requests,tokens,input-tokens,
output-tokens}-{limit,remaining,reset}``, resets in RFC 3339 (docs.anthropic.com, "Rate limits", "Response headers").
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ..clock import parse_iso
from ..proto.headers import Headers
from .retry import parse_span

_PARTS: Final = ("limit", "remaining", "reset")
# Kind of limit -> names of the fields limit, remaining, reset.  Requests come before tokens: remaining requests must not
# lift a limit that exhausted tokens have set.
_KINDS: Final[dict[str, tuple[bytes, ...]]] = {
    "all": tuple(f"x-ratelimit-{part}".encode() for part in _PARTS),
    **{kind: tuple(f"x-ratelimit-{part}-{kind}".encode() for part in _PARTS) for kind in ("requests", "tokens")},
    **{
        f"anthropic {kind}": tuple(f"anthropic-ratelimit-{kind}-{part}".encode() for part in _PARTS)
        for kind in ("requests", "tokens", "input-tokens", "output-tokens")
    },
}
OVER_LIMIT: Final = b"x-ratelimit-over-limit"
_NAMES: Final = frozenset((*(name for names in _KINDS.values() for name in names), OVER_LIMIT))
_UNIX: Final = 1e9  # larger numbers are Unix times, smaller ones seconds from now
_UNIX_MILLIS: Final = 1e12


class Quota(NamedTuple):
    """One limit, what remains of it, and ``reset``, the seconds until it is restored; None where not reported."""

    kind: str  # "requests", "tokens", "input-tokens", "output-tokens"
    limit: int | None
    remaining: int | None
    reset: float | None


def relevant(fields: Headers) -> Headers:
    """The *fields* about rate limits; usually none, and then nothing else is parsed."""
    names = _NAMES
    return [field for field in fields if field[0] in names]


def plenty(found: Headers) -> bool:
    """Whether more than half of every limit in *found* remains, so that calls need not be slowed down."""
    values = dict(found)
    if OVER_LIMIT in values:
        return False
    for limit, remaining, _ in _KINDS.values():
        left = values.get(remaining)
        if left is None:
            continue
        whole = values.get(limit)
        if whole is None or not left.isdigit() or not whole.isdigit() or int(left) * 2 <= int(whole):
            return False
    return True


def quotas(found: Headers, now: float) -> list[Quota]:
    """The limits reported in *found*; *now* in Unix seconds."""
    values = {name: value.decode("latin-1") for name, value in found}
    result = []
    for kind, (limit, remaining, reset) in _KINDS.items():
        if limit in values or remaining in values or reset in values:
            name = "requests" if kind == "all" else kind.rpartition(" ")[2]
            moment = reset_after(values[reset], now) if reset in values else None
            result.append(Quota(name, _count(values.get(limit)), _count(values.get(remaining)), moment))
    return result


def over_limit(found: Headers) -> bool:
    """Whether the vendor reports that its limit is exceeded (``x-ratelimit-over-limit``)."""
    return any(name == OVER_LIMIT and value.lower() in (b"yes", b"true", b"1") for name, value in found)


def reset_after(text: str, now: float) -> float | None:
    """Seconds from *now* (Unix) to a reset given as ``1m30s``, ``500ms``, ``60``, Unix time (s or ms) or ISO 8601."""
    text = text.strip()
    if "T" in text or text.count("-") == 2:
        try:
            return max(0.0, parse_iso(text) - now)
        except (ValueError, OverflowError):
            return None
    seconds = parse_span(text)
    if seconds is not None and seconds >= _UNIX:
        return max(0.0, (seconds / 1000 if seconds >= _UNIX_MILLIS else seconds) - now)
    return seconds


def reset_hint(fields: Headers, now: float) -> float | None:
    """Seconds until a refused call may be retried, for responses without ``Retry-After``; None when unknown.

    This is the latest reset among exhausted limits; if none is reported as exhausted, the earliest reset of all.
    """
    found = [quota for quota in quotas(relevant(fields), now) if quota.reset is not None]
    if used_up := [quota.reset for quota in found if quota.remaining == 0 and quota.reset is not None]:
        return max(used_up)
    return min((quota.reset for quota in found if quota.reset is not None), default=None)


def _count(text: str | None) -> int | None:
    try:
        return max(0, int(float(text))) if text is not None else None
    except (ValueError, OverflowError):
        return None
