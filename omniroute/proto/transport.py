"""Where a call goes, and how it fails to get there or back: origins and transport errors."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from .proxy import Proxy

PORTS: Final = {"http": 80, "https": 443}
"""The URL schemes that calls may use, and their default ports (RFC 9110 section 4.2)."""

Reason = Literal[
    "refused", "dns", "tls", "connect_timeout", "reset", "closed", "truncated", "protocol", "timeout", "too_large",
    "blocked_address", "cancelled", "proxy",
]  # fmt: skip


class Origin(NamedTuple):
    """An origin (RFC 6454) and the proxy to it; calls with equal values may share a connection.

    ``host`` is a name, or an IP address without brackets.
    """

    scheme: str
    host: str
    port: int
    via: Proxy | None = None


def forwards(origin: Origin) -> bool:
    """Whether requests go to a proxy in absolute-form (RFC 9112 section 3.2.2) instead of through a tunnel."""
    return origin.via is not None and origin.scheme == "http" and origin.via.scheme in ("http", "https")


class TransportError(Exception):
    """A call without a complete response.

    ``reason``: ``dns``, ``blocked_address``, ``refused``, ``proxy``, ``tls`` and ``connect_timeout`` mean that no connection
    was made.  On a connection: ``timeout``, nothing arrived in time; ``closed``, closed before the response began, by either
    side; ``truncated``, closed within it; ``reset``, broken; ``protocol``, invalid HTTP, received or about to be sent;
    ``too_large``, a limit was exceeded; ``cancelled``, the caller gave up.

    ``reused``: a connection that had served before ended soon after the request and before any byte of a response.  Most
    likely the server had closed it while it was idle, so one retry on a fresh connection is worthwhile.

    The message holds no header or body content.
    """

    def __init__(self, reason: Reason, message: str = "", *, reused: bool = False) -> None:
        super().__init__(message or reason)
        self.reason: Reason = reason
        self.reused = reused
