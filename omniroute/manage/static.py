"""The admin pages: files read into memory once, so that a path can only name a file found then.

No file name from a request ever reaches the file system.  A strict CSP limits pages to their own scripts and forbids frames.
"""

from __future__ import annotations

import hashlib
import re
import sysconfig
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from ..proto.headers import get_all
from ..upstream.credentials import needs_secret
from ..upstream.providers import Provider
from .access import open_to
from .call import Call, Reply
from .gateway_login import begin_session
from .sessions import RENEW_BELOW

TYPES: Final = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".json": b"application/json",
    ".svg": b"image/svg+xml",
    ".png": b"image/png",
    ".ico": b"image/x-icon",
    ".webp": b"image/webp",
    ".woff2": b"font/woff2",
    ".txt": b"text/plain; charset=utf-8",
    ".webmanifest": b"application/manifest+json",
}
SECURITY: Final = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        b"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_NO_UI: Final = (
    b"<!doctype html><html lang=en><meta charset=utf-8><title>OmniRoute</title>"
    b"<h1>OmniRoute</h1><p>The gateway is running. The admin pages are not part of this installation; use <code>/api</code> "
    b"or the <code>omniroute</code> command.</html>"
)
_LARGEST: Final = 4 * 1024 * 1024
_CATALOG: Final = "catalog.json"
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")


class Asset(NamedTuple):
    content: bytes
    kind: bytes
    etag: bytes


def folders() -> list[Path]:
    """Return where the pages may be: beside the package (a checkout), inside it, or installed as data."""
    package = Path(__file__).parents[1]
    return [package.parent / "admin_ui", package / "admin_ui", Path(sysconfig.get_path("data")) / "share/omniroute/admin_ui"]


def read_assets(folder: Path) -> dict[str, Asset]:
    """Read the files below *folder* by relative path: known types only, no links out of it, no hidden files."""
    root = folder.resolve()
    found: dict[str, Asset] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        kind = TYPES.get(path.suffix)
        if kind is None or not path.is_file() or any(part.startswith(".") for part in name.parts):
            continue
        if path.resolve().is_relative_to(root) and path.stat().st_size <= _LARGEST:
            found[name.as_posix()] = _asset(path.read_bytes(), kind)
    return found


def _asset(content: bytes, kind: bytes) -> Asset:
    return Asset(content, kind, b'"' + hashlib.sha256(content).hexdigest()[:32].encode() + b'"')


@cache
def assets() -> Mapping[str, Asset]:
    """Return the pages of this installation; at least a plain ``index.html``."""
    for folder in folders():
        if (folder / "index.html").is_file():
            return read_assets(folder)
    return {"index.html": _asset(_NO_UI, TYPES[".html"])}


def _reply(call: Call, asset: Asset | None, extra: list[tuple[bytes, bytes]] | None = None) -> Reply:
    headers = [*SECURITY, (b"cache-control", b"no-cache"), *(extra or [])]
    if asset is None:
        return Reply(404, {"error": "Not found"}, headers)
    headers.append((b"etag", asset.etag))
    if _matches(get_all(call.request.headers, b"if-none-match"), asset.etag):
        return Reply(304, b"", headers)
    return Reply(200, asset.content, [(b"content-type", asset.kind), *headers])


def _matches(conditions: list[bytes], etag: bytes) -> bool:
    """Evaluate ``If-None-Match``, on one line or several, by weak comparison (RFC 9110 section 13.1.2)."""
    tags = [tag.strip().removeprefix(b"W/") for line in conditions for tag in line.split(b",")]
    return etag in tags or b"*" in tags


async def home(call: Call) -> Reply:
    """Redirect to the admin page."""
    return _redirect(b"/dashboard")


async def dashboard(call: Call) -> Reply:
    """Return the application, for every address below ``/dashboard``; redirect to the login page if a login is needed."""
    session = call.actor.session
    if not call.actor.known and not await open_to(call):
        return _redirect(b"/login")
    extra = []
    if session is not None and session.exp - call.now < RENEW_BELOW:
        extra.append(begin_session(call, session.epoch))
    return _reply(call, assets().get("index.html"), extra)


async def login_page(call: Call) -> Reply:
    """Send the login page."""
    return _reply(call, assets().get("login.html") or assets().get("index.html"))


async def docs(call: Call) -> Reply:
    """Return the page that shows ``/api/openapi.json``."""
    return _reply(call, assets().get("docs.html") or assets().get("index.html"))


async def asset_file(call: Call) -> Reply:
    """Return a file, or the built-in providers for the forms, so that the pages need no copy of the catalogue."""
    name = call.params["file"]
    if name == _CATALOG:
        shown = [_shown(provider) for provider in call.services.catalog.providers.values()]
        return Reply(200, {"providers": shown}, [*SECURITY, (b"cache-control", b"no-cache")])
    return _reply(call, assets().get(name) if not name.endswith(".html") else None)


def _shown(provider: Provider) -> dict[str, Any]:
    """Return a provider for the forms; ``fields`` are the ``providerSpecificData`` members that its base URL needs."""
    return {
        "id": provider.id,
        "name": provider.name,
        "alias": provider.alias,
        "baseUrl": provider.base_url,
        "needsKey": needs_secret(provider),
        "takesKey": provider.auth != "none",
        "local": provider.local,
        "fields": _PLACEHOLDER.findall(provider.base_url),
    }


async def icon(call: Call) -> Reply:
    """Send the icon that browsers ask for."""
    return _reply(call, assets().get("favicon.ico") or assets().get("icon.svg"))


def _redirect(place: bytes) -> Reply:
    return Reply(307, b"", [*SECURITY, (b"location", place), (b"cache-control", b"no-store")])
