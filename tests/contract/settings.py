"""Section 7: settings, outbound proxies, address filter, thinking, system prompt."""

from __future__ import annotations

import re
from typing import Any, Final

from contract.row import Ask, error, fact, invalid, row, typed
from contract.shape import ISO, NUMBER

_SAFE: Final = {
    "cloudEnabled": bool, "stickyRoundRobinLimit": int, "requireLogin": bool, "enableRequestLogs": bool, "hasPassword": True,
    "!password": 0,
}  # fmt: skip
_PUT: Final = "PUT /api/settings"


def _key(name: str, good: tuple[Any, ...], bad: tuple[Any, ...]) -> tuple[Ask, ...]:
    return (
        *(Ask(200, {**_SAFE, name: tuple(value) if isinstance(value, list) else value}, {name: value}, at=_PUT)
          for value in good),
        *(Ask(400, invalid(re.compile(f"^{name}")), {name: value}, at=_PUT) for value in bad),
    )  # fmt: skip


def _texts(**longest: int) -> tuple[Ask, ...]:
    return tuple(ask for name, n in longest.items() for ask in _key(name, ("x" * n,), ("x" * (n + 1), 5)))


_FLAGS: Final = ("requireLogin", "enableRequestLogs", "enableSocks5Proxy", "setupComplete", "requireAuthForModels",
                 "hideHealthCheckLogs")  # fmt: skip
_STRATEGIES: Final = ("fill-first", "round-robin", "p2c", "random", "least-used", "cost-optimized")

KEYS: Final = (
    fact(
        "newPassword 1..200 with currentPassword",
        Ask(400, error("Current password required"), {"newPassword": "new"}, at=_PUT),
        Ask(401, error("Invalid current password"), {"newPassword": "new", "currentPassword": "wrong"}, at=_PUT),
        Ask(400, invalid("newPassword"), {"newPassword": "x" * 201, "currentPassword": "{password}"}, at=_PUT),
        Ask(200, _SAFE, {"newPassword": "n", "currentPassword": "{password}"}, at=_PUT),
        Ask(200, {"success": True}, {"password": "n"}, at="POST /api/auth/login"),
    ),
    fact("newPassword (first)", Ask(200, _SAFE, {"newPassword": "new"}, at=_PUT, who="nobody"), initial_password=""),
    fact("theme ≤50, language ≤10, instanceName ≤100, corsOrigins ≤500, cloudUrl ≤500, baseUrl ≤500",
         *_texts(theme=50, language=10, instanceName=100), *_key("corsOrigins", ("https://a.test",), ("x" * 501, 5)),
         *(ask for name in ("cloudUrl", "baseUrl") for ask in _key(name, ("http://127.0.0.1:1",), ("x" * 501, 5)))),
    fact("requireLogin, enableRequestLogs, enableSocks5Proxy, setupComplete, requireAuthForModels, hideHealthCheckLogs",
         *(ask for name in _FLAGS for ask in _key(name, (True, False), ("yes",)) if name != "requireLogin"),
         *_key("requireLogin", (True,), ("yes",))),
    fact("logRetentionDays", *_key("logRetentionDays", (1, 365), (0, 366, "x"))),
    fact("blockedProviders", *_key("blockedProviders", ([], ["openai"]), ("openai", [5]))),
    fact("fallbackStrategy", *_key("fallbackStrategy", _STRATEGIES, ("zz",))),
    fact("stickyRoundRobinLimit", *_key("stickyRoundRobinLimit", (0, 1000), (-1, 1001))),
    fact("wildcardAliases", *_key("wildcardAliases", ([{"pattern": "a*", "target": "openai/gpt-4o"}],), ([{"pattern": "a*"}],
        ))),
    fact(
        "written by other routes",
        Ask(200, {"!comboDefaults": 0, "!ipFilter": 0, "!oauthClients": 0, "!systemPrompt": 0},
            {"comboDefaults": {"maxRetries": 9}, "ipFilter": {"enabled": True}, "oauthClients": {}, "systemPrompt": {}},
                at=_PUT),
        Ask(200, {"enabled": True}, {"enabled": True, "prompt": "x"}, at="PUT /api/settings/system-prompt"),
        Ask(200, {"systemPrompt": {"enabled": True, "prompt": "x"}}, at="GET /api/settings"),
    ),
)  # fmt: skip

_FILTER: Final[dict[str, Any]] = {"enabled": False, "mode": "blacklist", "blacklist": (), "whitelist": (), "tempBans": ()}
_LISTED: Final = (
    "10.0.0.1",
    "10.0.0.0/8",
    "10.0.*.*",
    "2001:db8::/32",
)
_THINKING: Final = {"mode": "passthrough", "customBudget": 10240, "effortLevel": "medium"}
_PROMPT: Final = {"enabled": False, "prompt": ""}
_MODE: Final = error("Invalid mode. Must be one of: auto, passthrough, custom, adaptive")

SETTINGS: Final = (
    row("GET /api/settings", "M", Ask(200, {**_SAFE, "cloudEnabled": False, "stickyRoundRobinLimit": 3,
        "requireLogin": True})),
    row(
        "PUT PATCH /api/settings", "M",
        Ask(200, {**_SAFE, "instanceName": "demo", "!zz": 0}, {"instanceName": "demo", "zz": 1}),
        Ask(200, {**_SAFE, "instanceName": "demo", "theme": "dark"}, {"theme": "dark"}),
        Ask(400, invalid("logRetentionDays"), {"logRetentionDays": 0}),
    ),
    row("GET /api/settings/ip-filter", "M", Ask(200, _FILTER)),
    row(
        "PUT /api/settings/ip-filter", "M",
        *(Ask(200, {**_FILTER, "blacklist": (entry,)}, {"blacklist": [entry]}) for entry in _LISTED),
        Ask(200, {**_FILTER, "blacklist": ("10.0.0.1",)}, {"blacklist": ["::ffff:10.0.0.1"]}),
        Ask(200, {"blacklist": ("10.0.0.1", "10.0.0.2")}, {"addBlacklist": "10.0.0.2"}),
        Ask(200, {"blacklist": ("10.0.0.1",)}, {"removeBlacklist": "10.0.0.2"}),
        Ask(200, {"whitelist": ("127.0.0.1",)}, {"addWhitelist": "127.0.0.1"}),
        Ask(200, {"whitelist": ()}, {"removeWhitelist": "127.0.0.1"}),
        Ask(200, {"whitelist": ("127.0.0.1",), "mode": "whitelist"}, {"whitelist": ["127.0.0.1"], "mode": "whitelist"}),
        Ask(200, {"mode": "whitelist-priority"}, {"mode": "whitelist-priority"}),
        Ask(200, {"tempBans": ({"ip": "10.0.0.9", "until": ISO, "reason": "Manual ban", "remainingMs": NUMBER},)},
            {"tempBan": {"ip": "10.0.0.9"}}),
        Ask(200, {"tempBans": ({"ip": "10.0.0.9", "reason": "noise"},)},
            {"tempBan": {"ip": "10.0.0.9", "durationMs": 60000, "reason": "noise"}}),
        Ask(200, {"tempBans": ()}, {"removeBan": "10.0.0.9"}),
        Ask(200, {"enabled": True, "mode": "blacklist"}, {"enabled": True, "mode": "blacklist",
            "blacklist": ["10.0.0.0/8"]}),
        Ask(403, error("IP blacklisted"), at="GET /api/settings/ip-filter", sends={"peer": "10.1.2.3"}),
        Ask(200, {"tempBans": ({"ip": "192.0.2.1"},)}, {"tempBan": {"ip": "192.0.2.1", "reason": "noise"}}),
        Ask(403, error(re.compile("^Temporarily banned: ")), at="GET /v1/models", sends={"peer": "192.0.2.1"}),
        Ask(200, {"mode": "whitelist"}, {"mode": "whitelist"}),
        Ask(403, error("IP not in whitelist"), at="GET /v1/models", sends={"peer": "192.0.2.2"}),
        Ask(400, {"error": str}, {"mode": "blacklist", "addBlacklist": "127.0.0.1"}),
        Ask(400, invalid("mode"), {"mode": "zz"}),
    ),
    row("GET /api/settings/thinking-budget", "M", Ask(200, _THINKING)),
    row(
        "PUT /api/settings/thinking-budget", "M",
        *(Ask(200, {**_THINKING, "mode": mode}, {"mode": mode}) for mode in ("auto", "passthrough", "custom", "adaptive")),
        *(Ask(200, {**_THINKING, "customBudget": n}, {"customBudget": n}) for n in (0, 131072)),
        *(Ask(200, {**_THINKING, "effortLevel": level}, {"effortLevel": level}) for level in ("none", "low", "medium",
            "high")),
        Ask(200, _THINKING, {}),
        Ask(400, _MODE, {"mode": "zz"}),
        Ask(400, error("customBudget must be between 0 and 131072"), {"customBudget": 131073}),
        Ask(400, error(re.compile("^Invalid effortLevel. ")), {"effortLevel": "zz"}),
    ),
    row("GET /api/settings/system-prompt", "M", Ask(200, _PROMPT)),
    row(
        "PUT /api/settings/system-prompt", "M",
        Ask(200, {"enabled": True, "prompt": "x"}, {"prompt": "x", "enabled": True}),
        Ask(200, {"enabled": False, "prompt": "x"}, {"enabled": False}),
        Ask(400, error("prompt must be a string"), {"prompt": 5}),
    ),
)  # fmt: skip

_PROXY: Final = {"type": "http", "host": "127.0.0.1", "port": 9}
_WITH_PASSWORD: Final = {**_PROXY, "username": "u", "password": "p-1"}
_SHOWN: Final = {**_PROXY, "username": "u", "password": "****"}
_NONE: Final = {"global": None, "providers": {}, "combos": {}, "keys": {}}
_DENIED: Final = typed("Authentication required", "invalid_api_key")
_SOCKS: Final = {"type": "socks5", "host": "h", "port": 1}
_HERE: Final = {"type": "http", "host": "127.0.0.1", "port": "{port}"}
_URL: Final = re.compile(r"^http://127\.0\.0\.1:\d+$")
_NEEDED: Final = "proxy.host and proxy.port are required"


def _sets(level: str, where: dict[str, Any], id: str | None = None) -> Ask:
    return Ask(200, where, {"level": level, **({"id": id} if id else {}), "proxy": _PROXY}, at="PUT /api/settings/proxy")


_PROVIDER: Final = _sets("provider", {"providers": {"openai": _PROXY}}, "openai")

PROXY: Final = (
    row(
        "GET /api/settings/proxy", "M",
        Ask(200, _NONE),
        Ask(200, {"proxy": None, "level": "direct", "levelId": None}, at="?resolve={connection}"),
        Ask(200, {"global": _SHOWN}, {"level": "global", "proxy": _WITH_PASSWORD}, at="PUT /api/settings/proxy"),
        Ask(200, {"level": "global", "id": None, "proxy": _SHOWN}, at="?level=global"),
        Ask(200, {"proxy": _SHOWN, "level": "global", "levelId": None}, at="?resolve={connection}"),
        _PROVIDER,
        Ask(200, {"level": "provider", "id": "openai", "proxy": _PROXY}, at="?level=provider&id=openai"),
        Ask(200, {"level": "provider", "levelId": "openai"}, at="?resolve={connection}"),
        _sets("key", {"keys": {"{connection}": _PROXY}}, "{connection}"),
        Ask(200, {"level": "key", "levelId": "{connection}"}, at="?resolve={connection}"),
        given="connection", denied=_DENIED,
    ),
    row(
        "PUT /api/settings/proxy", "M",
        Ask(200, {"global": _SHOWN}, {"level": "global", "proxy": _WITH_PASSWORD}),
        Ask(200, {"global": _SHOWN}, {"level": "global", "proxy": _SHOWN}),
        Ask(200, {"global": None, "providers": {"openai": _PROXY}}, {"global": None, "providers": {"openai": _PROXY}}),
        Ask(200, {"providers": {}, "combos": {"{combo}": _PROXY}, "keys": {"{account}": _PROXY}},
            {"providers": {"openai": None}, "combos": {"{combo}": _PROXY}, "keys": {"{account}": _PROXY}}),
        Ask(200, {"combos": {}}, {"level": "combo", "id": "{combo}", "proxy": None}),
        Ask(400, typed("level is required"), {"proxy": _PROXY}),
        Ask(400, typed("proxy.type must be http or https"), {"level": "global", "proxy": {**_PROXY, "type": "zz"}}),
        Ask(400, typed("SOCKS5 proxy is disabled (set ENABLE_SOCKS5_PROXY=true to enable)"),
            {"level": "global", "proxy": _SOCKS}),
        Ask(400, typed("proxy must be an object"), {"level": "global", "proxy": "http://h:1"}),
        Ask(200, {"enableSocks5Proxy": True}, {"enableSocks5Proxy": True}, at="PUT /api/settings"),
        Ask(200, {"global": _SOCKS}, {"level": "global", "proxy": _SOCKS}),
        Ask(400, typed("proxy.type must be http, https, or socks5"), {"level": "global", "proxy": {**_PROXY, "type": "zz"}}),
        given="account combo", denied=_DENIED,
    ),
    row(
        "DELETE /api/settings/proxy", "M",
        _PROVIDER,
        Ask(200, _NONE, at="?level=provider&id=openai"),
        Ask(400, typed("level is required")),
        denied=_DENIED,
    ),
    row(
        "POST /api/settings/proxy/test", "M",
        Ask(200, {"success": True, "publicIp": "203.0.113.9", "latencyMs": int, "proxyUrl": _URL}, {"proxy": _HERE}),
        Ask(200, {"success": False, "error": str, "latencyMs": int, "proxyUrl": _URL}, {"proxy": _PROXY}),
        Ask(400, typed(_NEEDED), {"proxy": {}}),
        Ask(400, typed(_NEEDED), {"proxy": {"type": "http", "host": "h"}}),
        denied=_DENIED, settings={"proxy_test_url": "http://ip.test/ip"},
    ),
)  # fmt: skip
