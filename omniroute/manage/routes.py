"""Every management route.  What is not in this table does not exist."""

from __future__ import annotations

from typing import Final

from . import auth, keys, monitoring, nodes, provider_tests, providers, settings, static, system, usage
from .call import Route
from .connection_view import ConnectionList, OneConnection, Validity

_LOGIN: Final = "/api/settings/require-login"
_PROVIDERS: Final = "/api/providers"
_NODES: Final = "/api/provider-nodes"

# method, path, handler, access, request type, reply type, summary, text of an unexpected failure
MANAGE_ROUTES: Final[tuple[Route, ...]] = (
    Route("POST", "/api/auth/login", auth.login, "P", auth.LoginBody, auth.Success, "Log in with the password"),
    Route("POST", "/api/auth/logout", auth.logout, "P", None, auth.Success, "End the session"),
    Route("GET", "/api/auth/status", auth.status, "P", None, auth.LoginStatus, "Whether the caller is logged in"),
    Route("GET", _LOGIN, auth.read_require_login, "P", None, auth.LoginNeeded, "Whether management needs a login"),
    Route("PUT", _LOGIN, auth.write_require_login, "M", auth.RequireLoginBody, auth.Success, "Login on or off, password"),
    Route("POST", _LOGIN, auth.write_require_login, "M", auth.RequireLoginBody, auth.Success, "Same as PUT"),
    Route("GET", _PROVIDERS, providers.list_connections, "M", None, ConnectionList, "All", "Failed to fetch providers"),
    Route("POST", _PROVIDERS, providers.create, "M", providers.ConnectionBody, OneConnection, "Add a connection"),
    Route("GET", _PROVIDERS + "/client", providers.list_connections, "M", None, ConnectionList, "Same, masked too"),
    Route("POST", _PROVIDERS + "/validate", provider_tests.validate, "M", provider_tests.ValidateBody,
          Validity, "Try a key that is not stored", "Validation failed"),
    Route("POST", _PROVIDERS + "/test-batch", provider_tests.test_batch, "M", provider_tests.BatchBody,
          provider_tests.Batch, "Test several connections", "Test failed"),
    Route("GET", _PROVIDERS + "/{id}", providers.read, "M", None, OneConnection, "One connection"),
    Route("PUT", _PROVIDERS + "/{id}", providers.change, "M", providers.ConnectionChange, OneConnection, "Change one"),
    Route("PATCH", _PROVIDERS + "/{id}", providers.change, "M", providers.ConnectionChange, OneConnection, "Same as PUT"),
    Route("DELETE", _PROVIDERS + "/{id}", providers.delete, "M", None, providers.Message, "Remove a connection"),
    Route("POST", _PROVIDERS + "/{id}/test", provider_tests.test_one, "M", None, provider_tests.TestResult,
          "Test a connection", "Test failed"),
    Route("GET", _PROVIDERS + "/{id}/models", provider_tests.models, "M", None, None,
          "The models that the provider lists", "Failed to fetch models"),
    Route("GET", _NODES, nodes.list_nodes, "M", None, nodes.NodeList, "Custom endpoints"),
    Route("POST", _NODES, nodes.create, "M", nodes.NodeBody, nodes.OneNode, "Add a custom endpoint"),
    Route("POST", _NODES + "/validate", nodes.validate, "M", nodes.NodeCheck, Validity,
          "Try a key at an endpoint", "Validation failed"),
    Route("PUT", _NODES + "/{id}", nodes.change, "M", nodes.NodeChange, nodes.OneNode, "Change a custom endpoint"),
    Route("PATCH", _NODES + "/{id}", nodes.change, "M", nodes.NodePatch, nodes.OneNode, "Change parts of one"),
    Route("DELETE", _NODES + "/{id}", nodes.delete, "M", None, nodes.Deleted, "Remove one with its connections"),
    Route("GET", "/api/keys", keys.list_keys, "M", None, keys.KeyList, "Gateway keys, masked"),
    Route("POST", "/api/keys", keys.create, "M", keys.KeyBody, keys.NewKey, "Make a key; its text is shown this once"),
    Route("GET", "/api/keys/{id}", keys.read, "M", None, keys.KeyView, "One gateway key, masked"),
    Route("PATCH", "/api/keys/{id}", keys.change, "M", keys.KeyChange, None, "Change what a key may do"),
    Route("PUT", "/api/keys/{id}", keys.change, "M", keys.KeyChange, None, "Same as PATCH"),
    Route("DELETE", "/api/keys/{id}", keys.delete, "M", None, None, "Revoke a key"),
    Route("GET", "/api/settings", settings.read, "M", None, None, "All settings, stored over defaults"),
    Route("PUT", "/api/settings", settings.write, "M", settings.SettingsBody, None, "Change settings"),
    Route("PATCH", "/api/settings", settings.write, "M", settings.SettingsBody, None, "Same as PUT"),
    Route("GET", "/api/usage/history", usage.history, "M", None, None, "Requests, tokens and cost, by what caused them"),
    Route("GET", "/api/usage/logs", usage.logs, "M", None, None, "The newest calls, one line each"),
    Route("GET", "/api/usage/request-logs", usage.request_logs, "M", None, None, "Same, or ?format=json"),
    Route("GET", "/api/usage/{connectionId}", usage.connection, "M", None, None, "Quota and use of one connection"),
    Route("GET", "/api/monitoring/health", monitoring.health, "P", None, None, "Whether the gateway lives, and how"),
    Route("DELETE", "/api/monitoring/health", monitoring.reset, "M", None, None, "Lift every cooldown and lock"),
    Route("GET", "/api/init", system.init, "P", None, None, "Answers once the gateway is up"),
    Route("POST", "/api/restart", system.restart, "M", None, None, "Drain, then start again"),
    Route("POST", "/api/shutdown", system.shutdown, "M", None, None, "Drain, then end"),
    Route("GET", "/", static.home, "P", None, None, "To the dashboard"),
    Route("GET", "/dashboard", static.dashboard, "P", None, None, "The admin pages"),
    Route("GET", "/dashboard/{page*}", static.dashboard, "P", None, None, "The admin pages"),
    Route("GET", "/login", static.login_page, "P", None, None, "The login page"),
    Route("GET", "/admin_ui/{file*}", static.asset_file, "P", None, None, "A file of the admin pages"),
    Route("GET", "/favicon.ico", static.icon, "P", None, None, "The icon"),
)  # fmt: skip
