"""The access matrix: every management route with each kind of caller gives the expected status.

A new route fails here until it is listed below under its access class: who may call it is a decision, not an accident.
Handlers are replaced by one that answers 204, so that what is tested is who gets as far as that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from fakes_exchange import FakeExchange
from fakes_manage import PASSWORD, Admin

from omniroute.gateway.edge import Edge, Plane
from omniroute.manage.call import Call, Reply
from omniroute.manage.plane import ControlPlane
from omniroute.manage.routes import MANAGE_ROUTES
from omniroute.proto.exchange import Refusal, Request

# P public, M management, L a login or manage key even when management is open, B a gateway key, S a sync token.
LISTED: Final = {
    "P": """
        POST /api/auth/login
        POST /api/auth/logout
        GET /api/auth/status
        GET /api/settings/require-login
        GET /api/monitoring/health
        GET /api/oauth/{provider}/callback
        GET /api/init
        GET /api/openapi.json
        GET /api/docs
        GET /
        GET /dashboard
        GET /dashboard/
        GET /dashboard/{page*}
        GET /login
        GET /admin_ui/{file*}
        GET /favicon.ico
    """,
    "M": """
        PUT POST /api/settings/require-login
        GET POST /api/providers
        GET /api/providers/client
        POST /api/providers/validate
        POST /api/providers/test-batch
        GET PUT PATCH DELETE /api/providers/{id}
        POST /api/providers/{id}/test
        GET /api/providers/{id}/models
        GET POST /api/provider-nodes
        POST /api/provider-nodes/validate
        PUT PATCH DELETE /api/provider-nodes/{id}
        GET PUT /api/models
        GET /api/models/catalog
        GET POST /api/models/availability
        GET POST /api/combos
        GET DELETE /api/combos/metrics
        POST /api/combos/test
        GET PUT PATCH DELETE /api/combos/{id}
        GET PATCH PUT /api/settings/combo-defaults
        GET POST DELETE /api/fallback/chains
        GET POST DELETE /api/policies
        GET POST DELETE /api/usage/budget
        GET PATCH PUT POST DELETE /api/pricing
        GET /api/pricing/defaults
        GET /api/pricing/models
        GET POST /api/keys
        GET PATCH PUT DELETE /api/keys/{id}
        GET PUT PATCH /api/settings
        GET PUT PATCH /api/settings/thinking-budget
        GET PUT PATCH /api/settings/system-prompt
        GET PUT PATCH /api/settings/ip-filter
        GET PUT PATCH DELETE /api/settings/proxy
        POST /api/settings/proxy/test
        GET DELETE /api/usage/proxy-logs
        GET /api/usage/history
        GET /api/usage/logs
        GET /api/usage/request-logs
        GET /api/usage/analytics
        GET /api/usage/call-logs
        GET /api/usage/call-logs/{id}
        GET /api/usage/{connectionId}
        POST /api/explain
        GET /api/sessions
        DELETE /api/monitoring/health
        GET DELETE /api/cache
        GET DELETE /api/cache/stats
        GET /api/telemetry/summary
        GET /api/provider-metrics
        GET POST /api/rate-limits
        GET POST /api/rate-limit
        GET PUT PATCH /api/resilience
        POST /api/resilience/reset
        GET POST /api/evals
        GET DELETE /api/evals/runs/{runId}
        GET /api/evals/runs
        GET /api/evals/{suiteId}
        GET /api/compliance/audit-log
        GET /api/storage/health
        GET PUT POST /api/db-backups
        GET /api/db-backups/export
        GET /api/db-backups/exportAll
        POST /api/db-backups/import
        GET POST /api/sync/cloud
        GET POST /api/sync/initialize
        GET /api/cli-tools/status
        GET /api/cli-tools/runtime/{toolId}
        GET POST DELETE /api/cli-tools/{toolId}-settings
        POST DELETE /api/cli-tools/guide-settings/{toolId}
        GET POST DELETE /api/cli-tools/backups
        GET POST PUT PATCH DELETE /api/cli-tools/antigravity-mitm
        GET POST PUT PATCH DELETE /api/cli-tools/antigravity-mitm/{rest*}
        GET /api/oauth/{provider}/authorize
        POST /api/oauth/{provider}/exchange
        GET /api/oauth/{provider}/device-code
        POST /api/oauth/{provider}/poll
        GET /api/oauth/{provider}/start-callback-server
        POST /api/oauth/{provider}/poll-callback
        POST /api/oauth/{provider}/refresh
        GET /api/oauth/{provider}/status
        POST /api/oauth/{provider}/import
        GET PUT PATCH DELETE /api/oauth/{provider}/client
        GET POST /api/oauth/{provider}/{action}
        GET /api/token-health
        POST /api/restart
        POST /api/shutdown
        GET /metrics
        GET /api/metrics
    """,
    "L": """
        GET POST DELETE /api/provider-models
        GET PUT POST DELETE /api/models/alias
    """,
    "B": """
        POST /api/cloud/auth
        PUT /api/cloud/credentials/update
        POST /api/cloud/model/resolve
        GET PUT /api/cloud/models/alias
    """,
    "S": """
        POST DELETE /sync/{machineId}
        GET /{machineId}/v1/verify
    """,
}
REACHED: Final = 204
# caller -> status by access class; HOST and ORIGIN are refused before anyone asks who it is
EXPECTED: Final[dict[str, dict[str, int]]] = {
    "no credentials": {"P": REACHED, "M": 401, "L": 401, "B": 401, "S": 401},
    "wrong cookie": {"P": REACHED, "M": 401, "L": 401, "B": 401, "S": 401},
    "expired cookie": {"P": REACHED, "M": 401, "L": 401, "B": 401, "S": 401},
    "inference key": {"P": REACHED, "M": 403, "L": 403, "B": REACHED, "S": 401},
    "manage key": {"P": REACHED, "M": REACHED, "L": REACHED, "B": REACHED, "S": 401},
    "cookie": {"P": REACHED, "M": REACHED, "L": REACHED, "B": 401, "S": 401},
    "cookie with a foreign Origin": dict.fromkeys("PMLBS", 403),
    "cookie from another site": dict.fromkeys("PMLBS", 403),
    "cookie with a foreign Host": dict.fromkeys("PMLBS", 403),
}
ROUTES: Final = [(f"{route.method} {route.path}", route) for route in MANAGE_ROUTES]


def listed() -> dict[str, str]:
    """``METHOD path`` -> access class."""
    found: dict[str, str] = {}
    for access, text in LISTED.items():
        for line in text.split("\n"):
            *methods, path = line.split() or [""]
            found |= {f"{method} {path}": access for method in methods}
    return found


class Matrix:
    """A gateway's edge and control plane, with a caller of each kind."""

    def __init__(self, admin: Admin) -> None:
        async def reached(call: Call) -> Reply:
            return Reply(REACHED)

        self.admin = admin
        rows = [route._replace(handler=reached, request=None) for route in MANAGE_ROUTES]
        self.edge = Edge([Plane(rows, ControlPlane(admin.services).handle, 1000, False)], admin.live)
        admin.login()
        old = admin.cookie
        admin.advance(40 * 86400)
        admin.cookie = ""
        admin.login()
        cookie = {"cookie": f"auth_token={admin.cookie}"}
        self.callers: dict[str, dict[str, str]] = {
            "no credentials": {},
            "wrong cookie": {"cookie": f"auth_token={admin.cookie[:-4]}AAAA"},
            "expired cookie": {"cookie": f"auth_token={old}"},
            "inference key": {"authorization": f"Bearer {admin.key('inference')}"},
            "manage key": {"authorization": f"Bearer {admin.key('inference', 'manage')}"},
            "cookie": cookie,
            "cookie with a foreign Origin": {**cookie, "origin": "https://evil.example"},
            "cookie from another site": {**cookie, "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"},
            "cookie with a foreign Host": {**cookie, "host": "evil.example"},
        }

    def ask(self, method: str, path: str, caller: str) -> int:
        """The status for *caller*."""
        fields = {"host": "127.0.0.1:20128", **self.callers[caller]}
        request = Request(method, path, "", [(name.encode(), value.encode()) for name, value in fields.items()])
        try:
            self.edge.admit(request)
        except Refusal as refusal:
            return refusal.status
        exchange = FakeExchange(request)
        self.admin.run(self.edge.handle(exchange))
        return exchange.status


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    admin = Admin(tmp_path_factory.mktemp("matrix"), initial_password=PASSWORD)
    yield Matrix(admin)
    admin.close()


def test_every_route_is_listed_with_its_access_class() -> None:
    assert {name: route.access for name, route in ROUTES} == listed()


@pytest.mark.parametrize("name", [name for name, _ in ROUTES])
def test_who_gets_as_far_as_the_handler(matrix: Matrix, name: str) -> None:
    method, _, path = name.partition(" ")
    access = listed()[name]
    found = {caller: matrix.ask(method, re.sub(r"\{\w+\*?\}", "x1", path), caller) for caller in EXPECTED}
    assert found == {caller: statuses[access] for caller, statuses in EXPECTED.items()}


def test_before_there_is_a_password_only_this_machine_manages(make_admin: Callable[..., Admin]) -> None:
    admin = make_admin()
    for name, route in ROUTES:
        method, _, path = name.partition(" ")
        if route.access == "M" and method == "GET" and "{" not in path:
            assert admin.send(method, path, peer="192.0.2.1").status == 401, name
