"""Errors of the OpenAI chat wire: read in every shape that its many vendors use, written in OpenAI's own.

OpenAI's shape is ``{"error": {"message", "type", "param", "code"}}``.  Others: a list around it (Google), ``error`` as a
bare string (xAI, Ollama, Venice), ``{"detail": …}`` (FastAPI servers), flat ``{"object": "error", "message", …}`` (Mistral),
``{"message", "type", "code"}`` (llama.cpp's streams), ``{"errors": […]}`` (Cloudflare), ``{"base_resp": {"status_code",
"status_msg"}}`` (MiniMax), SSE frames, HTML pages, plain text, nothing at all.
"""

from __future__ import annotations

import html
import re
from http import HTTPStatus
from typing import Any, Final

import msgspec

from ..errors import wire_words
from .events import Failure
from .jsonio import encode

WIRE: Final = "openai-chat"
OPENAI_WIRES: Final = frozenset((WIRE, "openai-responses"))
_LONGEST: Final = 2000  # characters of an error text that is not JSON
_DELAY: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}
# these patterns do not backtrack: a page may hold any number of unclosed tags
_TITLE: Final = re.compile(r"<title\b[^<>]*>([^<]*)</title", re.IGNORECASE)
_TAGS: Final = re.compile(r"<(script|style)\b.*?(?:</\1>|\Z)|<[^<>]*>", re.IGNORECASE | re.DOTALL)
# vendors' error types and codes -> the status that the same error has outside a stream
_STATUS: Final = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "insufficient_quota": 429,
    "tokens": 429,
    "requests": 429,
    "overloaded_error": 529,
    "overloaded": 529,
    "service_unavailable": 503,
    "service_unavailable_error": 503,
    "engine_overloaded": 503,
    "unavailable": 503,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "forbidden": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "context_length_exceeded": 400,
    "tool_use_failed": 400,
    "json_validate_failed": 400,
    "content_filter": 400,
    "content_policy_violation": 400,
    "moderation_blocked": 400,
    "image_generation_user_error": 400,
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "timeout": 504,
    "server_error": 500,
    "internal_server_error": 500,
    "internal_error": 500,
    "api_error": 500,
}
_ACTED_ON: Final = frozenset(("context_length_exceeded", "insufficient_quota"))  # codes that end an agent's attempts
_TOO_LONG: Final = re.compile(
    r"context.{0,10}(length|window|limit)|maximum.{0,20}context|prompt is too long|exceeds? the (maximum|limit).{0,30}token"
    r"|too many (input )?tokens|input is too long",
    re.IGNORECASE,
)
_MINIMAX: Final[dict[Any, int]] = {1002: 429, 1004: 401, 1008: 402, 1026: 400, 1039: 400, 2013: 400, 2049: 401}


def decode_error(status: int, body: bytes) -> Failure:
    """Read an HTTP error body of any shape; never raises.  ``status`` 0: derive the status from the error's words."""
    value = _json_of(body)
    if value is None:
        status = status or 502
        return Failure(status, _plain(body) or _phrase(status), wire=WIRE, raw=body or None)
    failure = error_in(value) or _failure(value if isinstance(value, dict) else {}, _any_text(value))
    failure.status = status or failure.status or 502
    failure.message = failure.message or _phrase(failure.status)
    failure.raw = body
    return failure


def error_in(value: Any) -> Failure | None:
    """Return the error that a JSON value reports, or None.  Its ``status`` is derived from its words, else 502."""
    if isinstance(value, list):
        return next((found for found in map(error_in, value) if found), None)
    if not isinstance(value, dict):
        return None
    inner = value.get("error")
    if isinstance(inner, dict):
        return _failure(inner, inner.get("message"))
    if isinstance(inner, str) and inner:
        return _failure(value, inner)
    if value.get("object") == "error" or value.get("type") == "error" or isinstance(value.get("errors"), list):
        return _failure(value, value.get("message") or value.get("errors"))
    if isinstance(inner := value.get("base_resp"), dict):
        code = inner.get("status_code")
        return _failure({"code": code, "status_code": _MINIMAX.get(code)}, inner.get("status_msg"))
    if value.get("detail") and not {"choices", "content"} & value.keys():
        return _failure(value, value["detail"])
    return None


def _failure(fields: dict[str, Any], message: Any) -> Failure:
    kind, code = _word(fields.get("type") or fields.get("status")), _word(fields.get("code"))
    param = fields.get("param")
    return Failure(
        _status(fields, kind, code),
        _any_text(message if message is not None else fields),
        type=kind,
        code=code,
        param=param if isinstance(param, str) else None,
        retry_after=_retry_after(fields),
        wire=WIRE,
    )


def _status(fields: dict[str, Any], kind: str, code: str) -> int:
    for number in (fields.get("status_code"), fields.get("raw_status_code"), fields.get("status"), fields.get("code")):
        if isinstance(number, str) and number.isascii() and number.isdigit() and len(number) == 3:
            number = int(number)
        if isinstance(number, int) and 400 <= number < 600:
            return number
    return _STATUS.get(code.lower()) or _STATUS.get(kind.lower()) or 502


def _word(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _any_text(value: Any) -> str:
    """Return the human-readable text in an error of unknown shape."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        for name in ("message", "msg", "err_msg", "error_description", "detail", "title"):
            if value.get(name):
                return _any_text(value[name])
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return "; ".join(map(_any_text, value))
    return "" if value in (None, {}, []) else encode(value).decode()[:_LONGEST]


def _retry_after(fields: dict[str, Any]) -> float | None:
    """Return seconds to wait, from ``details[].retryDelay`` (Google RPC) or a ``retry_after`` member."""
    details = fields.get("details")
    delays = [item.get("retryDelay") for item in details if isinstance(item, dict)] if isinstance(details, list) else []
    for delay in (*delays, fields.get("retry_after")):
        if isinstance(delay, (int, float)) and not isinstance(delay, bool) and 0 <= delay < 1e9:
            return float(delay)
        if isinstance(delay, str) and (parts := _DELAY.findall(delay)):
            return sum(float(number) * _SECONDS[unit or None] for number, unit in parts)
    return None


def _json_of(body: bytes) -> Any:
    """Return the JSON value in *body*, which may be an SSE frame; None if there is none."""
    text = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    whole = text[:1] in (b"{", b"[", b'"')
    lines = [text] if whole else [line[5:] for line in text.splitlines() if line.startswith(b"data:")]
    for line in lines:
        try:
            value = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            continue
        if value not in (None, ""):
            return value
    return None


def _plain(body: bytes) -> str:
    """Return the text of a body that is not JSON; of an HTML page the title or, without one, the visible text."""
    text = body.decode("utf-8", "replace").strip()
    if text.startswith("<"):
        title = _TITLE.search(text)
        text = html.unescape(title[1] if title else _TAGS.sub(" ", text))
    return " ".join(text.split())[:_LONGEST]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"HTTP status {status}"


def acted_on(failure: Failure) -> str:
    """Return the code on which agents do not retry an unchanged request, for a failure of any wire; ``""`` if none."""
    if failure.code in _ACTED_ON:
        return failure.code
    said = f"{failure.code} {failure.type} {failure.message}"
    too_long = 400 <= failure.status < 500 and failure.status != 429 and _TOO_LONG.search(said)
    return "context_length_exceeded" if too_long else ""


def error_object(failure: Failure) -> dict[str, Any]:
    """Return the ``error`` member.  Types and codes of another wire are replaced by OpenAI's for the status."""
    words = wire_words(failure.status)
    own = failure.wire in OPENAI_WIRES and bool(failure.type or failure.code)
    kind = failure.type if own and failure.type else words.openai_type
    code = (failure.code or None) if own else acted_on(failure) or words.openai_code
    return {"message": failure.message, "type": kind, "param": failure.param, "code": code}


def encode_error(failure: Failure) -> bytes:
    """Return the body of an HTTP error answer: the upstream's own if it has OpenAI's shape."""
    if failure.wire == WIRE and failure.raw and _well_formed(failure.raw):
        return failure.raw
    return encode({"error": error_object(failure)})


def encode_stream_error(failure: Failure) -> bytes:
    """Return the event that reports an error inside a stream and ends it.  The SDKs raise ``APIError`` on it."""
    if failure.wire == WIRE and failure.raw and _well_formed(failure.raw):
        return b"data: " + msgspec.json.format(failure.raw, indent=-1) + b"\n\n"
    return b"data: " + encode({"error": error_object(failure)}) + b"\n\n"


def _well_formed(raw: bytes) -> bool:
    value = _json_of(raw) if raw[:1] == b"{" else None
    inner = value.get("error") if isinstance(value, dict) and len(value) == 1 else None
    return isinstance(inner, dict) and isinstance(inner.get("message"), str)
