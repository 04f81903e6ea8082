"""The small page at the end of a login: without scripts, and with request data only as escaped text."""

from __future__ import annotations

from html import escape
from typing import Final
from urllib.parse import parse_qsl

from ..proto.headers import Headers

_MOST_FIELDS: Final = 100
_PAGE: Final = (
    "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    "<title>OmniRoute: {title}</title><h1>{title}</h1><p>{text}</p></html>"
)


def page(title: str, text: str) -> bytes:
    """Return the page in UTF-8."""
    return _PAGE.format(title=escape(title), text=escape(text)).encode()


def page_headers() -> Headers:
    """Return headers that keep the code in the page's URL from leaking: no referrer, no cache, no subresources."""
    return [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
        (b"referrer-policy", b"no-referrer"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]


def query_of(text: str) -> dict[str, str]:
    """Return the parameters of a redirect; empty if one is repeated (RFC 6749 section 3.1) or there are too many."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return {}
    query = dict(pairs)
    return query if len(query) == len(pairs) else {}
