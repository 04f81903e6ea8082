"""The kinds of failure, as a table.

Each kind of failure that the gateway raises (:class:`OmniError`) has one row: the HTTP status for the client and the log
level.  A second table gives each wire's error words per HTTP status.  A provider's error response to a call is not an
``OmniError`` but a ``Failure``; ``gateway/retry.py`` classifies it by status and text.

An ``OmniError`` may cross every layer up to the client.  Each of the others is caught by those who call what raises it::

    Exception
    ├── OmniError              a failure to report to the client
    │   └── Invalid            invalid fields of a management request (manage/refusals.py)
    ├── TransportError         an upstream call without a complete response (proto/transport.py)
    ├── ProxyRefused           an outbound proxy did not open a tunnel (proto/proxy.py)
    ├── Refusal                the response to a request that is not admitted (proto/exchange.py)
    ├── Refused                an authorization server's error (upstream/oauth.py)
    ├── Refused                a vendor's error in a response with a success status (media/codec.py)
    ├── BadAnswer              an upstream's bytes that are not an answer (translate/format.py)
    ├── TooDeep                a body nested too deeply to be searched (translate/pii.py)
    ├── Late                   a model of a combo whose time is over (gateway/combo_run.py)
    ├── Unfit                  a file that cannot replace the database (store/stage.py)
    ├── Unanswering            a running gateway that does not respond to a command (cli/backend.py)
    └── ValueError
        ├── ProtocolError      an HTTP message that must not be read further (proto/framing.py)
        │   └── FramingError   the same, as its length is not certain (proto/framing.py)
        ├── DecodingError      a coded body that cannot be decoded (proto/decoding.py)
        ├── EventTooLarge      an event above its limit (proto/sse.py)
        ├── FormError          a form that cannot be read (proto/multipart.py)
        ├── SettingsError      an invalid environment variable (settings.py)
        ├── CatalogError       an invalid catalogue of providers (upstream/catalog.py)
        └── Malformed          a configuration file of a CLI tool that does not parse (manage/cli_text.py)
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal[
    "invalid_request", "unauthenticated", "forbidden", "not_found", "request_timeout", "too_large", "client_gone",
    "budget_exceeded", "internal", "not_supported", "draining", "overloaded", "unavailable", "upstream_auth",
    "upstream_quota", "upstream_not_found", "upstream_rate_limit", "upstream_server", "upstream_answer", "upstream_network",
    "upstream_timeout", "upstream_other",
]  # fmt: skip
Level = Literal["debug", "info", "warning", "error"]


class Report(NamedTuple):
    """How one kind of failure is reported.  ``status`` is the HTTP status when no upstream gave one."""

    status: int
    level: Level


KINDS: Final[dict[Kind, Report]] = {
    # what the client sent
    "invalid_request": Report(400, "info"),
    "unauthenticated": Report(401, "info"),
    "forbidden": Report(403, "info"),
    "not_found": Report(404, "info"),
    "request_timeout": Report(408, "info"),
    "too_large": Report(413, "info"),
    "client_gone": Report(499, "info"),
    "budget_exceeded": Report(429, "info"),
    # what the gateway could not do
    "internal": Report(500, "error"),
    "not_supported": Report(501, "info"),
    "draining": Report(503, "info"),
    "overloaded": Report(503, "warning"),
    "unavailable": Report(503, "warning"),
    # errors of an upstream in anything but a model call: listing its models, getting a token
    "upstream_auth": Report(401, "warning"),
    "upstream_quota": Report(402, "warning"),
    "upstream_not_found": Report(404, "warning"),
    "upstream_rate_limit": Report(429, "warning"),
    "upstream_server": Report(502, "warning"),
    "upstream_answer": Report(502, "warning"),
    "upstream_network": Report(502, "warning"),
    "upstream_timeout": Report(504, "warning"),
    "upstream_other": Report(502, "warning"),
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

    ``status`` overrides that of the kind's row.  ``param`` is the dotted path of the invalid field.  ``code`` overrides the
    wire's own code.  ``retry_after`` is in seconds.
    """

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        status: int = 0,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message
        self.status = status or KINDS[kind].status
        self.param = param
        self.code = code
        self.retry_after = retry_after
