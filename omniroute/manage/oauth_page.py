"""The small page at the end of a login: no script, nothing of the request in it but escaped text."""

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
    """The page, in UTF-8."""
    return _PAGE.format(title=escape(title), text=escape(text)).encode()


def page_headers() -> Headers:
    """The code in the page's own address must not travel on: no referrer, no cache, nothing loaded."""
    return [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
        (b"referrer-policy", b"no-referrer"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]


def query_of(text: str) -> dict[str, str]:
    """The parameters of a redirect; empty when one stands there twice (RFC 6749 section 3.1) or there are too many."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return {}
    query = dict(pairs)
    return query if len(query) == len(pairs) else {}
