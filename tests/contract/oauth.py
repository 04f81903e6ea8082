"""Section 4: OAuth."""

from __future__ import annotations

import re
from typing import Final

from contract.row import Ask, error, row
from contract.shape import UUID, either

_AT: Final = "/api/oauth/openai"
_MADE: Final = {
    "success": True,
    "connection": {"id": UUID, "provider": "openai", "email": str | None, "displayName": str | None},
}
_DONE: Final = {"success": True, "connection": {"id": UUID, "provider": "openai"}}
_CODE: Final = {"code": "c-1", "redirectUri": "{redirect}", "codeVerifier": "{verifier}"}
_FLOW: Final = re.compile("^(authorization_code_pkce|authorization_code|device_code|import_token)$")
_ME: Final = {"provider": "openai"}
_START: Final = {
    "authUrl": re.compile(r"^http.*[?&]client_id=app-1"), "state": str, "codeVerifier": str, "codeChallenge": str,
    "redirectUri": "http://localhost:8080/callback", "flowType": _FLOW, "fixedPort?": int, "callbackPath": "/callback",
}  # fmt: skip
_KEEP: Final = {"state": "state", "verifier": "codeVerifier", "redirect": "redirectUri"}


def _unconfigured(method: str, action: str) -> tuple[Ask, ...]:
    """The responses of every action without a configured client, and for an unknown provider."""
    body = {} if method == "POST" else None
    lacks = {"error": "OAuth client not configured for deepseek", "missing": ("clientId", "authorizeUrl", "tokenUrl")}
    return (
        Ask(400, lacks, body, at=f"{method} /api/oauth/deepseek/{action}"),
        Ask(404, error("Unknown provider: zzz"), body, at=f"{method} /api/oauth/zzz/{action}"),
        Ask(400, error("Unknown action"), body, at=f"{method} {_AT}/zzz"),
    )


def _asks(*asks: Ask) -> tuple[Ask, ...]:
    """*asks* for the provider that has a client."""
    return tuple(Ask(**{**ask.__dict__, "ids": _ME}) for ask in asks)


_PENDING: Final = {
    "success": False, "error": re.compile("^(authorization_pending|slow_down)$"), "errorDescription": str, "pending": True,
}  # fmt: skip

ROWS: Final = (
    row(
        "GET /api/oauth/{provider}/authorize", "M",
        *_asks(
            Ask(200, _START),
            Ask(200, {**_START, "redirectUri": "http://127.0.0.1/back"}, at="?redirect_uri=http%3A%2F%2F127.0.0.1%2Fback"),
        ),
        Ask(200, {"client": dict}, {"clientId": "app-2"}, at="PUT /api/oauth/github-models/client"),
        Ask(200, {"authUrl": None, "flowType": "device_code"}, at="GET /api/oauth/github-models/authorize"),
        *_unconfigured("GET", "authorize"),
        given="client",
    ),
    row(
        "POST /api/oauth/{provider}/exchange", "M",
        *_asks(
            Ask(200, _START, at=f"GET {_AT}/authorize", keep=_KEEP),
            Ask(200, _MADE, {**_CODE, "state": "{state}"}),
            Ask(200, _START, at=f"GET {_AT}/authorize", keep=_KEEP),
            Ask(200, _MADE, _CODE),
            *(Ask(400, error("Missing required fields"), {**_CODE, name: ""}) for name in _CODE),
            Ask(500, error(re.compile("access_denied")), {**_CODE, "code": "denied-1"}),
        ),
        *_unconfigured("POST", "exchange"),
        given="client",
    ),
    row(
        "GET /api/oauth/{provider}/device-code", "M",
        *_asks(Ask(200, {
            "device_code": "d-1", "user_code": "ABCD", "verification_uri": str, "verification_uri_complete?": str,
            "expires_in": 600, "interval": int, "codeVerifier": str,
        })),
        Ask(200, {"client": dict}, {"deviceAuthorizationUrl": ""}, at=f"PUT {_AT}/client"),
        *_asks(Ask(400, error("Provider does not support device code flow"))),
        *_unconfigured("GET", "device-code"),
        given="client",
    ),
    row(
        "POST /api/oauth/{provider}/poll", "M",
        *_asks(
            Ask(200, _DONE, {"deviceCode": "d-1"}),
            Ask(200, _DONE, {"deviceCode": "d-1", "codeVerifier": "v" * 43, "extraData": {"a": 1}}),
            Ask(200, _PENDING, {"deviceCode": "wait-1"}),
            Ask(200, {"success": False, "error": "access_denied", "errorDescription": str, "pending": False},
                {"deviceCode": "denied-1"}),
            Ask(400, error("Missing device code"), {}),
        ),
        *_unconfigured("POST", "poll"),
        given="client",
    ),
    row(
        "GET /api/oauth/{provider}/start-callback-server", "M",
        *_asks(Ask(200, {"authUrl": re.compile("^http"), "codeVerifier": str, "serverPort": int,
                         "redirectUri": re.compile(r"^http://(127\.0\.0\.1|localhost):\d+/callback$")})),
        *_unconfigured("GET", "start-callback-server"),
        given="client",
    ),
    row(
        "POST /api/oauth/{provider}/poll-callback", "M",
        *_asks(
            Ask(200, {"success": False, "error": "no_server"}),
            Ask(200, {"serverPort": int}, at=f"GET {_AT}/start-callback-server"),
            Ask(200, {"success": False, "pending": True}),
        ),
        *_unconfigured("POST", "poll-callback"),
        given="client",
    ),
    row(
        "GET /api/oauth/{provider}/callback", "P",
        Ask(200, {"state": str}, at=f"GET {_AT}/authorize", who="cookie", keep=_KEEP),
        *_asks(
            Ask(200, re.compile("(?s)<html.*logged in|<!doctype html", re.I), at="?code=c-1&state={state}",
                gives={"content-type": re.compile("^text/html")}),
            Ask(400, re.compile("<!doctype html|<html", re.I), at="?code=c-1&state=zzz"),
        ),
        Ask(200, {"connections": [{"provider": "openai", "authType": "oauth"}]}, at="GET /api/providers", who="cookie"),
        given="client",
    ),
    row(
        "POST /api/oauth/{provider}/refresh", "M",
        *_asks(
            Ask(200, {"success": True, "expiresAt": str}, {"connectionId": "{login}"}),
            Ask(404, error("Connection not found"), {"connectionId": "nope"}),
        ),
        *_unconfigured("POST", "refresh"),
        given="login",
    ),
    row(
        "GET /api/oauth/{provider}/status", "M",
        *_asks(Ask(200, {"configured": True, "connections": 1, "missing": []})),
        Ask(200, {"configured": False, "connections": 0, "missing": ("clientId", "authorizeUrl", "tokenUrl")},
            ids={"provider": "deepseek"}),
        Ask(404, error("Unknown provider: zzz"), ids={"provider": "zzz"}),
        given="login",
    ),
    row(
        "POST /api/oauth/{provider}/import", "M",
        *_asks(
            Ask(200, _DONE, {"accessToken": "at-9"}),
            Ask(200, _DONE, {"accessToken": "at-9", "refreshToken": "rt-9", "expiresAt": "2030-01-01T00:00:00.000Z"}),
            Ask(400, either({"error": str}, {"error": {"message": str}}), {}),
        ),
        given="client",
    ),
    *(
        row(f"{method} /api/oauth/{{provider}}/{action}", "M", Ask(400, error("Unknown action"), body,
            ids={"provider": name}))
        for method, name, action, body in (
            ("POST", "cursor", "auto-import", {}), ("GET", "kiro", "auto-import", None), ("GET", "kiro", "social-login",
                None),
        )
    ),
)  # fmt: skip
