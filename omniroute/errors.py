"""The kinds of failure, as a table.

Each kind of failure that the gateway raises (:class:`OmniError`) has one row: whose fault it is, the HTTP status for the
client, the log level, and where another attempt could succeed.  A second table gives each wire's error words per HTTP
status.  A provider's error response to a call is not an ``OmniError`` but a ``Failure``; ``gateway/retry.py`` classifies it
by status and text.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Literal, NamedTuple

Fault = Literal["client", "gateway", "provider", "account", "network"]
Level = Literal["debug", "info", "warning", "error"]


class Retry(IntEnum):
    """Where the next attempt must go."""

    NONE = 0  # nowhere: the same request fails everywhere
    NEXT_ACCOUNT = 1  # another account of the same provider may succeed
    NEXT_MODEL = 2  # the provider cannot help; another model or provider may


class Kind(NamedTuple):
    """One kind of failure.  ``status`` is the HTTP status when no upstream gave one."""

    fault: Fault
    status: int
    level: Level
    retry: Retry


KINDS: Final[dict[str, Kind]] = {
    # what the client sent
    "invalid_request": Kind("client", 400, "info", Retry.NONE),
    "unauthenticated": Kind("client", 401, "info", Retry.NONE),
    "forbidden": Kind("client", 403, "info", Retry.NONE),
    "not_found": Kind("client", 404, "info", Retry.NONE),
    "request_timeout": Kind("client", 408, "info", Retry.NONE),
    "too_large": Kind("client", 413, "info", Retry.NONE),
    "client_gone": Kind("client", 499, "info", Retry.NONE),
    "budget_exceeded": Kind("client", 429, "info", Retry.NONE),
    # what the gateway could not do
    "internal": Kind("gateway", 500, "error", Retry.NONE),
    "not_supported": Kind("gateway", 501, "info", Retry.NONE),
    "draining": Kind("gateway", 503, "info", Retry.NONE),
    "overloaded": Kind("gateway", 503, "warning", Retry.NONE),
    "unavailable": Kind("gateway", 503, "warning", Retry.NEXT_MODEL),
    # errors of an upstream in anything but a model call: listing its models, getting a token
    "upstream_auth": Kind("account", 401, "warning", Retry.NEXT_ACCOUNT),
    "upstream_quota": Kind("account", 402, "warning", Retry.NEXT_ACCOUNT),
    "upstream_not_found": Kind("account", 404, "warning", Retry.NEXT_ACCOUNT),
    "upstream_rate_limit": Kind("account", 429, "warning", Retry.NEXT_ACCOUNT),
    "upstream_server": Kind("provider", 502, "warning", Retry.NEXT_ACCOUNT),
    "upstream_answer": Kind("provider", 502, "warning", Retry.NEXT_ACCOUNT),
    "upstream_network": Kind("network", 502, "warning", Retry.NEXT_ACCOUNT),
    "upstream_timeout": Kind("network", 504, "warning", Retry.NEXT_ACCOUNT),
    "upstream_other": Kind("provider", 502, "warning", Retry.NEXT_ACCOUNT),
}


class WireWords(NamedTuple):
    """The wires' error words for one HTTP status (OpenAI type and code, Anthropic type, Google RPC status)."""

    openai_type: str
    openai_code: str
    anthropic_type: str
    gemini_status: str


_BAD = "invalid_request_error"
WIRE_WORDS: Final[dict[int, WireWords]] = {
    400: WireWords(_BAD, "bad_request", _BAD, "INVALID_ARGUMENT"),
    401: WireWords("authentication_error", "invalid_api_key", "authentication_error", "UNAUTHENTICATED"),
    402: WireWords(_BAD, "", "billing_error", "FAILED_PRECONDITION"),
    403: WireWords("permission_error", "insufficient_quota", "permission_error", "PERMISSION_DENIED"),
    404: WireWords(_BAD, "model_not_found", "not_found_error", "NOT_FOUND"),
    408: WireWords(_BAD, "", "timeout_error", "DEADLINE_EXCEEDED"),
    409: WireWords(_BAD, "", "conflict_error", "ABORTED"),
    413: WireWords("payload_too_large", "PAYLOAD_TOO_LARGE", "request_too_large", "INVALID_ARGUMENT"),
    422: WireWords(_BAD, "", _BAD, "INVALID_ARGUMENT"),
    429: WireWords("rate_limit_error", "rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED"),
    499: WireWords(_BAD, "", _BAD, "CANCELLED"),
    500: WireWords("server_error", "internal_server_error", "api_error", "INTERNAL"),
    501: WireWords("server_error", "internal_server_error", "api_error", "UNIMPLEMENTED"),
    502: WireWords("server_error", "bad_gateway", "api_error", "UNAVAILABLE"),
    503: WireWords("server_error", "service_unavailable", "api_error", "UNAVAILABLE"),
    504: WireWords("server_error", "gateway_timeout", "timeout_error", "DEADLINE_EXCEEDED"),
    529: WireWords("server_error", "internal_server_error", "overloaded_error", "UNAVAILABLE"),
}
_OTHER_4XX: Final = WireWords(_BAD, "", _BAD, "INVALID_ARGUMENT")
_OTHER_5XX: Final = WireWords("server_error", "internal_server_error", "api_error", "INTERNAL")


def wire_words(status: int) -> WireWords:
    """The error words for *status*; an unlisted status gets those of its class (4xx or 5xx)."""
    return WIRE_WORDS.get(status) or (_OTHER_4XX if 400 <= status < 500 else _OTHER_5XX)


class OmniError(Exception):
    """A failure to report to the client.

    ``kind`` is a key of :data:`KINDS`.  ``status`` overrides the row's.  ``param`` is the dotted path of the invalid field.
    ``code`` overrides the wire's own code.  ``retry_after`` is in seconds.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        status: int = 0,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status or KINDS[kind].status
        self.param = param
        self.code = code
        self.retry_after = retry_after
