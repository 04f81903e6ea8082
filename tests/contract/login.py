"""Section 2: authentication."""

from __future__ import annotations

import re
from typing import Final

from contract.row import SUCCESS, Ask, error, invalid, row

_WRONG: Final = error("Invalid password")
_COOKIE: Final = re.compile(r"^auth_token=[\w-]+\.[\w-]+\.[\w-]+; .*HttpOnly.*SameSite=Lax", re.I)
_SHORT: Final = "Password must be at least 4 characters"
_WRITES: Final = (
    Ask(200, SUCCESS, {"requireLogin": True}),
    Ask(200, SUCCESS, {"requireLogin": True, "password": "abcd"}, who="manage"),
    Ask(400, invalid("password", _SHORT), {"password": "abc"}, who="manage"),
    Ask(400, invalid("", "No valid fields to update"), {}, who="manage"),
    Ask(500, {"error": str}, {"requireLogin": True}, who="manage", breaks="store.config.set_many"),
)

ROWS: Final = (
    row(
        "POST /api/auth/login", "P",
        Ask(200, SUCCESS, {"password": "{password}"}, gives={"set-cookie": _COOKIE}),
        Ask(400, invalid("password"), {"password": ""}),
        Ask(400, invalid("password"), {"password": "x" * 201}),
        Ask(400, invalid("password"), {}),
        Ask(401, _WRONG, {"password": "wrong"}, times=5),
        Ask(429, error("Too many failed attempts. Try again later."), {"password": "wrong"},
            gives={"retry-after": re.compile(r"^\d+$")}),
    ),
    row(
        "POST /api/auth/login", "P",
        Ask(403, {"error": "No password configured. Complete onboarding first.", "needsSetup": True}, {"password": "x"}),
        settings={"initial_password": ""},
    ),
    row(
        "POST /api/auth/logout", "P",
        Ask(200, SUCCESS, gives={"set-cookie": re.compile(r"^auth_token=;.*(Max-Age=0|Expires=Thu, 01 Jan 1970)", re.I)}),
        Ask(200, SUCCESS, who="cookie"),
        Ask(200, {"authenticated": False}, at="GET /api/auth/status", who="cookie"),
    ),
    row(
        "GET /api/auth/status", "P",
        Ask(200, {"authenticated": False}),
        Ask(200, {"authenticated": True}, who="cookie"),
    ),
    row(
        "GET /api/settings/require-login", "P",
        Ask(200, {"requireLogin": True}),
        Ask(200, {"requireLogin": True}, breaks="store.config.get"),
    ),
    row("PUT POST /api/settings/require-login", "M", *_WRITES),
    row(
        "PUT POST /api/settings/require-login", "P",
        Ask(200, SUCCESS, {"password": "abcd"}),
        Ask(401, {"error": {"code": "AUTH_001"}}, {"password": "other"}),
        settings={"initial_password": ""},
    ),
)  # fmt: skip
