"""The notes name what is there."""

from __future__ import annotations

from omniroute.gateway.routes import DATA_ROUTES
from omniroute.manage.openapi_notes import ERRORS, MEDIA, QUERY, REPLIES, REQUESTS, WIRES
from omniroute.manage.routes import MANAGE_ROUTES


def test_every_note_is_about_a_route() -> None:
    names = {f"{route.method} {route.path}" for route in MANAGE_ROUTES}
    assert (set(QUERY) | set(MEDIA) | set(REQUESTS) | set(REPLIES)) - names == set()


def test_every_wire_has_a_request_type() -> None:
    assert {row.wire for row in DATA_ROUTES} <= set(WIRES)


def test_errors_have_the_forms_that_the_plane_renders() -> None:
    assert all("error" in example for example in ERRORS.values())
