"""Decides from an upstream's response whether a key works.  Pure; no text that leaves this module contains the key."""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

import orjson
from msgspec import Struct

from .endpoints import Endpoint

DiagnosisType = Literal[
    "ok",
    "auth_missing",
    "reauth_required",
    "token_expired",
    "token_refresh_failed",
    "upstream_auth_error",
    "upstream_rate_limited",
    "upstream_unavailable",
    "network_error",
    "runtime_error",
    "unsupported",
    "upstream_error",
]

_BAD_KEY: Final = (b"api key not valid", b"api_key_invalid", b"invalid api key", b"invalid_api_key", b"incorrect api key")
_NOT_JSON: Final = "The answer is not JSON. Check the base URL"


class Diagnosis(Struct, frozen=True):
    """The result of a key test, for people (``message``) and scripts (``type``, ``source``, ``code``)."""

    type: DiagnosisType
    source: Literal["local", "oauth", "upstream", "validation"]
    message: str
    code: str | None = None


class Question(NamedTuple):
    """One request that tests a key.  ``open``: if the response proves nothing, the next question is asked."""

    method: str
    place: Endpoint
    body: bytes = b""
    open: bool = False


class Reply(NamedTuple):
    """An upstream's response; ``data`` is the parsed body, None when it is not JSON."""

    status: int
    body: bytes
    data: Any


def read_reply(status: int, body: bytes) -> Reply:
    """Make a :class:`Reply`, parsing the body."""
    try:
        return Reply(status, body, orjson.loads(body))
    except orjson.JSONDecodeError:
        return Reply(status, body, None)


def judge(reply: Reply, question: Question, secret: str = "") -> Diagnosis | None:
    """The diagnosis that follows from *reply*; None when the question is open and the reply proves nothing."""
    code = str(reply.status)
    said = _said(reply, secret)
    if _refuses_key(reply):
        return Diagnosis("upstream_auth_error", "upstream", said or "The provider refused the key", code)
    if 200 <= reply.status < 300:
        if reply.data is not None:
            return Diagnosis("ok", "upstream", "The key works", code)
        return None if question.open else Diagnosis("upstream_error", "upstream", _NOT_JSON, code)
    if question.open:
        return None
    if reply.status == 429:
        return Diagnosis("upstream_rate_limited", "upstream", said or "The key is good, but its rate limit is reached", code)
    if reply.status >= 500:
        return Diagnosis("upstream_unavailable", "upstream", said or f"The provider is unavailable ({code})", code)
    if 300 <= reply.status < 400:
        return Diagnosis("upstream_error", "upstream", "The address redirects elsewhere. Check the base URL", code)
    if question.method == "POST" and _is_api_error(reply):
        return Diagnosis("ok", "upstream", said or "The key works", code)  # it checked the request after the key
    text = said if _is_api_error(reply) else f"There is no such API at this address ({code}). Check the base URL"
    return Diagnosis("upstream_error", "upstream", text or f"The provider answered {code}", code)


def _refuses_key(reply: Reply) -> bool:
    if reply.status in (401, 403):
        return True
    if reply.status == 400:  # some vendors refuse a key with 400
        body = reply.body[:4096].lower()
        return any(text in body for text in _BAD_KEY)
    # one vendor sends every error with status 200
    return reply.status == 200 and isinstance(reply.data, dict) and reply.data.get("code") in (401, 403)


def _is_api_error(reply: Reply) -> bool:
    """Whether the error comes from the API itself and not from a web server that does not know the path."""
    if not isinstance(reply.data, dict):
        return False
    return reply.status not in (404, 405) or reply.data.get("detail") not in ("Not Found", "Method Not Allowed")


def headline(diagnosis: Diagnosis) -> str:
    """The ``error`` text of a failed test."""
    return "Invalid API key" if diagnosis.type == "upstream_auth_error" else diagnosis.message


def _said(reply: Reply, secret: str) -> str:
    """The upstream's own words, short and without the key; empty when there are none."""
    data = reply.data
    if isinstance(data, list) and data:
        data = data[0]
    if not isinstance(data, dict):
        return ""
    error = data.get("error")
    inner = error.get("message") if isinstance(error, dict) else error
    for text in (inner, data.get("message"), data.get("detail"), data.get("err_msg"), data.get("msg")):
        if isinstance(text, str) and text.strip():
            return short(text, secret)
    return ""


def short(text: str, *secrets: str) -> str:
    """*text* on one line of at most 200 characters, with *secrets* of at least 4 characters replaced by ``[key]``."""
    for secret in secrets:
        if len(secret) >= 4:
            text = text.replace(secret, "[key]")
    text = " ".join(text.split())
    return text if len(text) <= 200 else text[:199] + "…"
