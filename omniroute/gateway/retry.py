"""The consequences of a failure for its account and for the next attempt.  Pure: tables and parsing.

``docs/routing.md`` summarises the cooldowns.  The upstream's message is examined before its status, because vendors
report rate limits with 403 or 503 as often as with 429.  Of a 400 only the beginning counts: the rest may quote the client's
own text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import IntEnum
from math import ceil, isfinite
from typing import Final, Literal, NamedTuple

from ..proto.headers import Headers, get

Reason = Literal["auth_error", "quota_exhausted", "rate_limit_exceeded", "model_capacity", "server_error", "unknown"]
MAX_HINT: Final = 24 * 3600.0
_NOISE: Final = 0.001  # seconds; more than the rounding error of differences of Unix times


class Profile(NamedTuple):
    """The resilience profile of one kind of provider; times in seconds."""

    transient_cooldown: float
    rate_limit_cooldown: float
    max_backoff_level: int
    breaker_threshold: int
    breaker_reset: float


PROFILES: Final[dict[str, Profile]] = {
    "oauth": Profile(5.0, 60.0, 8, 3, 60.0),
    "apikey": Profile(3.0, 0.0, 5, 5, 30.0),
    "local": Profile(3.0, 0.0, 5, 2, 15.0),
}


def profile_of(stored: Mapping[str, Mapping[str, float]], name: str) -> Profile:
    """The profile *name*: the default with the values *stored* in the settings (by field of :class:`Profile`)."""
    values = stored.get(name)
    return PROFILES[name]._replace(**values) if values else PROFILES[name]  # type: ignore[arg-type]


class Rule(NamedTuple):
    """One class of failure.  With ``backoff`` the cooldown doubles per level up to ``cap``; ``base`` 0: the profile's."""

    base: float
    backoff: bool
    cap: float
    reason: Reason
    scope: Literal["account", "model"] = "account"


class Retry(IntEnum):
    """Where the next attempt must go."""

    NONE = 0  # nowhere: the same request fails everywhere
    NEXT_ACCOUNT = 1  # another account of the same provider may succeed


class Verdict(NamedTuple):
    """The consequences of one failure; ``rule`` None means that the account is not at fault."""

    retry: Retry
    rule: Rule | None


_RATE: Final = Rule(1.0, True, 120.0, "rate_limit_exceeded")
_CAPACITY: Final = Rule(1.0, True, 120.0, "model_capacity", "model")
_TRANSIENT: Final = Rule(0.0, True, 60.0, "server_error")
_OTHER: Final = Rule(5.0, False, 5.0, "unknown")
_AUTH: Final = Rule(120.0, False, 120.0, "auth_error")
_QUOTA: Final = Rule(120.0, False, 120.0, "quota_exhausted")
_BY_TEXT: Final[tuple[tuple[str, Rule], ...]] = (
    ("no credentials", _AUTH),
    ("request not allowed", Rule(5.0, False, 5.0, "rate_limit_exceeded")),
    ("quota exceeded", _RATE._replace(reason="quota_exhausted")),
    ("rate limit", _RATE),
    ("too many requests", _RATE),
    ("capacity", _CAPACITY),
    ("overloaded", _CAPACITY),
    ("resource exhausted", _CAPACITY),
)
_REASONS: Final[tuple[tuple[str, Reason], ...]] = (  # words are more reliable than statuses, which vendors choose freely
    ("quota", "quota_exhausted"),
    ("billing", "quota_exhausted"),
    ("rate limit", "rate_limit_exceeded"),
    ("too many requests", "rate_limit_exceeded"),
    ("unauthorized", "auth_error"),
    ("invalid api key", "auth_error"),
    ("server error", "server_error"),
)
_BY_STATUS: Final[dict[int, Rule]] = {
    401: _AUTH,
    402: _QUOTA,
    403: _QUOTA,
    404: Rule(120.0, False, 120.0, "unknown", "model"),
    429: _RATE,
    **dict.fromkeys((406, 408, 500, 502, 503, 504), _TRANSIENT),
    529: _CAPACITY,
}
# The request itself is at fault: every account would refuse it.
_REQUEST_SCOPED: Final = frozenset({400, 405, 411, 413, 414, 415, 422})
# What is not the request's fault, though vendors say it with 400: how messages begin, so that quoted text cannot match.
_BY_OPENING: Final[tuple[tuple[str, Rule], ...]] = (
    *_BY_TEXT,
    ("api key not valid", _AUTH),  # Google, like the next four
    ("api key not found", _AUTH),
    ("api key expired", _AUTH),
    ("user location is not supported", _QUOTA),  # the proxy's, which is the account's
    ("gemini api free tier is not available in your country", _QUOTA),
    ("incorrect api key provided", _AUTH),  # xAI
    ("your credit balance is too low", _QUOTA),  # Anthropic, like the next one
    ("you have reached your specified api usage limits", _QUOTA),
    ("billing hard limit has been reached", _QUOTA),  # OpenAI, for images
    ("access denied, please make sure your account is in good standing", _QUOTA),  # DashScope
)
_OPENING: Final = 100  # characters; more than the longest of them
_TEXTLESS: Final = frozenset({0, 404})  # statuses whose messages say no more: ours, and one that names the model
_NAME_CHARS: Final = 3  # shorter model names occur in any text
MODEL_LOCK_STEPS: Final = (60.0, 120.0, 300.0, 600.0, 1200.0)


def judge(status: int, message: str, model: str = "") -> Verdict:
    """The verdict on *status* (0: no response) with *message*.  A rate limit that names *model* affects only that model."""
    if status in _REQUEST_SCOPED:
        text = message[:_OPENING].lower() if status == 400 else ""
        meant = next((found for words, found in _BY_OPENING if text.startswith(words)), None)
        return Verdict(Retry.NEXT_ACCOUNT if meant is not None else Retry.NONE, meant)
    rule = _BY_STATUS.get(status, _OTHER)
    if status not in _TEXTLESS:
        text = message.lower()
        named = next((found for words, found in _BY_TEXT if words in text), None)
        rule = named or rule
        if named is None or named is _RATE:
            rule = rule._replace(reason=next((reason for words, reason in _REASONS if words in text), rule.reason))
        if status == 429 and rule.backoff and _names(text, model):
            rule = rule._replace(scope="model")
    return Verdict(Retry.NEXT_ACCOUNT, rule)


def _names(text: str, model: str) -> bool:
    if len(model) < _NAME_CHARS or model.lower() not in text:
        return False
    return re.search(rf"(?<![\w.-]){re.escape(model.lower())}(?![\w-])", text) is not None


def lock_time(rule: Rule, step: int, hint: float | None) -> float:
    """Seconds for which a model is locked on an account, after *step* earlier locks in a row."""
    if rule.backoff:
        seconds = min(rule.base * 2.0**step, rule.cap)
    else:
        seconds = MODEL_LOCK_STEPS[min(step, len(MODEL_LOCK_STEPS) - 1)]
    return max(seconds, min(hint or 0.0, MAX_HINT))


def cooldown(rule: Rule, level: int, hint: float | None, profile: Profile, status: int) -> tuple[float, int]:
    """(cooldown in seconds, new backoff level) after a failure of an account whose backoff level is *level*."""
    base = rule.base or profile.transient_cooldown
    top = 15 if rule.base else profile.max_backoff_level
    seconds = min(base * 2.0**level, rule.cap) if rule.backoff else base
    if status == 429 and hint is None:
        seconds = max(seconds, profile.rate_limit_cooldown)
    if hint is not None:
        seconds = max(seconds, min(hint, MAX_HINT))
    return seconds, min(level + 1, top) if rule.backoff else level


_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN: Final = re.compile(r"(?<!\d)(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)(?:ec(?:ond)?s?|in(?:ute)?s?|ours?|ays?)?", re.IGNORECASE)
_IN_TEXT: Final = re.compile(
    r"(?:retry(?:\s+again)?\s+after|resets?\s+(?:after|in)|try again in|retry in)\s+"
    r"((?:\d+(?:\.\d+)?\s*(?:ms|s|m|h|d)[a-z]*\s*)+)",
    re.IGNORECASE,
)


def parse_span(text: str) -> float | None:
    """The seconds in a text like ``33s``, ``1m30s``, ``500ms``, ``2h7m23s`` or ``60``; None for others and for infinity."""
    text = text.strip()
    try:
        seconds = float(text)
    except ValueError:
        spans = _SPAN.findall(text)
        if not spans:
            return None
        seconds = sum(float(n) * _UNITS[unit.lower()] for n, unit in spans)
    return max(0.0, seconds) if isfinite(seconds) else None


def retry_hint(headers: Headers, message: str, now: float) -> float | None:
    """The wait in seconds from ``retry-after-ms``, ``Retry-After`` (RFC 9110 section 10.2.3) or the message, or None."""
    if (value := get(headers, b"retry-after-ms")) is not None and (millis := parse_span(value.decode("latin-1"))):
        return millis / 1000
    if (value := get(headers, b"retry-after")) is not None:
        text = value.decode("latin-1").strip()
        if (seconds := parse_span(text) if not text[:1].isalpha() else None) is not None:
            return seconds
        try:
            date = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            date = None
        if date is not None:
            return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
    found = _IN_TEXT.search(message)
    return parse_span(found[1]) if found else None


def whole_seconds(seconds: float) -> int:
    """Seconds for ``Retry-After``: at least 1, and rounded up, because a client that retries too early is refused again."""
    return max(1, ceil(seconds - _NOISE))


def span_text(seconds: float) -> str:
    """A duration for messages, rounded as :func:`whole_seconds`: ``65`` gives ``1m 5s``."""
    hours, rest = divmod(whole_seconds(seconds), 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{n}{unit}" for n, unit in ((hours, "h"), (minutes, "m"), (left, "s")) if n]
    return " ".join(parts)
