"""The table as a whole: deny by default, and every row guarded as it says."""

from __future__ import annotations

import pytest
from fakes_manage import Admin

from omniroute.manage.routes import MANAGE_ROUTES
from omniroute.proto.routes import RouteTable

# What anyone may call.  A new row here is a decision, not an accident.
PUBLIC = {
    ("POST", "/api/auth/login"),
    ("POST", "/api/auth/logout"),
    ("GET", "/api/auth/status"),
    ("GET", "/api/settings/require-login"),
    ("GET", "/api/monitoring/health"),
    ("GET", "/api/init"),
    ("GET", "/api/openapi.json"),
    ("GET", "/api/docs"),
    ("GET", "/api/oauth/{provider}/callback"),  # a redirect from elsewhere: its state has to be ours
    ("GET", "/"),
    ("GET", "/dashboard"),
    ("GET", "/dashboard/"),
    ("GET", "/dashboard/{page*}"),
    ("GET", "/login"),
    ("GET", "/admin_ui/{file*}"),
    ("GET", "/favicon.ico"),
}
GUARDED = [(route.method, route.path) for route in MANAGE_ROUTES if route.access != "P"]
ACCESS = {(route.method, route.path): route.access for route in MANAGE_ROUTES}
INFERENCE_KEY = {"M": 403, "L": 403, "S": 401}  # what it gets; for B it is the right one


def _path(pattern: str) -> str:
    return pattern.replace("{id}", "some-id").replace("{connectionId}", "some-id")


def test_the_public_routes_are_exactly_these() -> None:
    assert {(route.method, route.path) for route in MANAGE_ROUTES if route.access == "P"} == PUBLIC


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_a_guarded_route_refuses_everyone_without_the_right(guarded: Admin, method: str, path: str) -> None:
    body = b"{}" if method != "GET" else None
    key = guarded.key("inference")
    with_key = INFERENCE_KEY.get(ACCESS[method, path])
    for headers, status in [
        ({}, 401),
        ({"authorization": "Bearer sk-unknown"}, 401),
        ({"authorization": "Basic YWRtaW46YWRtaW4="}, 401),
        ({"cookie": "auth_token=forged"}, 401),
        ({"authorization": f"Bearer {key}"}, with_key),
        ({"x-api-key": key}, with_key),
        ({"authorization": f"bearer {key}"}, with_key),
    ]:
        if status is None:
            continue
        assert guarded.send(method, _path(path), body=body, headers=headers).status == status, headers


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_other_spellings_of_a_path_are_not_there(method: str, path: str) -> None:
    table = RouteTable(MANAGE_ROUTES)
    plain = _path(path)
    spellings = [
        plain.upper(),
        "/" + plain,
        plain.replace("/api/", "//api/"),
        plain.replace("/api/", "/api%2f"),
        plain + "%2f..",
        "/x/.." + plain,
    ]
    if "{" not in path.rpartition("/")[2]:
        spellings += [plain + "/", plain + "%00", plain + ";x"]
    for spelling in {*spellings} - {plain}:
        found = table.find(spelling)
        assert found is None or method not in found[0] or "{" in found[0][method].path, spelling


def test_every_row_says_what_it_is_for() -> None:
    assert all(route.summary for route in MANAGE_ROUTES)
