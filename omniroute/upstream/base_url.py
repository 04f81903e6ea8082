"""Base URLs of providers: which one a connection calls, and those that must never be called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from ..errors import OmniError
from ..proto.addresses import METADATA_NAMES, allowed, numeric
from ..proto.transport import PORTS
from .providers import Provider

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9])?")


def base_url_of(provider: Provider, override: str = "", data: Mapping[str, Any] | None = None) -> str:
    """The base URL of one connection: its own or else the provider's, with placeholders filled from the connection's *data*.

    It has no trailing slash, and is "" for a provider without a server.  Raises ``OmniError("invalid_request")`` naming the
    missing or unusable value.
    """
    data = data or {}
    url = (override or str(data.get("baseUrl") or "") or provider.base_url).strip().rstrip("/")

    def value(found: re.Match[str]) -> str:
        text = str(data.get(found[1]) or "").strip()
        param = f"providerSpecificData.{found[1]}"
        if not text:
            raise OmniError("invalid_request", f'{provider.name} needs "{found[1]}" in providerSpecificData', param=param)
        if not _NAME.fullmatch(text):
            raise OmniError("invalid_request", f'"{found[1]}" can only contain letters, digits, - and _', param=param)
        return text

    url = _PLACEHOLDER.sub(value, url)
    if url and not _is_web_address(url):  # values from a restored database are unchecked
        raise OmniError("invalid_request", f"The base URL of {provider.name} is not a web address", param="baseUrl")
    return url


@lru_cache(maxsize=1024)
def _is_web_address(url: str) -> bool:
    """Whether *url* is a usable http(s) URL; :func:`check_base_url` decides whether calling it is permitted."""
    try:
        parts = urlsplit(url)
        return parts.scheme in PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f\\]")


def check_base_url(url: str, allow_private: bool) -> None:
    """Refuse base URLs that must never be called.  Raises ``OmniError("invalid_request", param="baseUrl")``.

    Loopback is always permitted.  The addresses of a host name are checked when it is dialled.
    """
    problem = _url_problem(url, allow_private)
    if problem:
        raise OmniError("invalid_request", problem, param="baseUrl")


def _url_problem(url: str, allow_private: bool) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "Base URL is not a valid URL"
    checks = (
        (parts.scheme not in PORTS, "Base URL must start with http:// or https://"),
        (_UNSAFE.search(url) is not None or not url.isascii(), "Base URL contains characters that are not allowed"),
        (not host or port == 0, "Base URL needs a host"),
        ("@" in parts.netloc, "Base URL must not contain a user name or password"),
        ("#" in url or "?" in url, "Base URL must not contain a query or a fragment"),
        (any(part in (".", "..") for part in parts.path.split("/")), "Base URL must not contain dot segments"),
        (host.rstrip(".") in METADATA_NAMES, "Base URL points to a cloud metadata service"),
    )
    for wrong, problem in checks:
        if wrong:
            return problem
    address = numeric(host)
    if address is not None and not allowed(address, allow_private):
        return "Base URL points to an address that is not allowed"
    return ""
