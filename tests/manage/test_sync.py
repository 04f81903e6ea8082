"""Switching sync on and off, and the side that the other gateway calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fakes_manage import PASSWORD, Admin, fields_of
from fakes_sync import TOKEN, Pair, a_pair

ROOT = "/api/sync/cloud"
BEARER = {"authorization": f"Bearer {TOKEN}"}
MACHINE = "0123456789abcdef"


@pytest.fixture
def pair(make_admin: Callable[..., Admin]) -> Iterator[Pair]:
    made = a_pair(make_admin)
    yield made
    made.near.run(made.peer.stop())


def act(pair: Pair, action: str) -> Any:
    return pair.near.send("POST", ROOT, {"action": action})


def test_it_is_off_until_it_is_switched_on(pair: Pair) -> None:
    assert pair.near.send("GET", ROOT).json == {"enabled": False}
    pair.near.connection()
    answer = act(pair, "enable")
    changes = {"sent": 1, "received": 0, "deleted": 0}
    done = {"success": True, "message": "Synced successfully", "changes": changes, "verified": True}
    assert (answer.status, answer.json) == (200, done)
    assert pair.near.send("GET", ROOT).json == {"enabled": True, "connected": True, "lastSync": "2025-06-15T15:06:40.000Z"}
    assert pair.near.audit()[-1] == "sync.enable"
    assert pair.far.audit() == ["sync.meet"]


def test_a_peer_that_is_gone_is_not_connected(pair: Pair) -> None:
    act(pair, "enable")
    pair.wire.answer = (503, b"")
    assert pair.near.send("GET", ROOT).json["connected"] is False


def test_verification_that_fails_is_said(pair: Pair) -> None:
    async def forgetful(machine: str) -> None: ...

    assert pair.far.services.peer is not None
    pair.far.services.peer.known = forgetful  # type: ignore[method-assign]
    found = act(pair, "sync").json
    assert (found["success"], found["verified"]) == (True, False)
    assert found["verifyError"] == "Cloud sync failed: the peer answered 404"


def test_a_failed_switching_on_leaves_it_off(pair: Pair) -> None:
    pair.wire.answer = (500, b"")
    answer = act(pair, "enable")
    assert (answer.status, answer.json) == (502, {"error": "Cloud sync failed: the peer answered 500"})
    assert pair.near.send("GET", ROOT).json == {"enabled": False}


def test_switched_off_the_peer_forgets_what_came_from_here(pair: Pair) -> None:
    pair.near.connection()
    act(pair, "enable")
    assert len(pair.far.store.snapshot.connections) == 1
    assert act(pair, "disable").json == {"success": True, "message": "Cloud disabled"}
    assert len(pair.far.store.snapshot.connections) == 0
    assert pair.near.send("GET", ROOT).json == {"enabled": False}
    assert act(pair, "disable").json == {"success": True, "message": "Cloud disabled"}
    assert pair.far.audit() == ["sync.meet", "sync.part"]


def test_it_is_switched_off_even_when_the_peer_is_gone(pair: Pair) -> None:
    act(pair, "enable")
    pair.wire.answer = (500, b"")
    found = act(pair, "disable").json
    assert found["success"] is True
    assert found["warning"].startswith("What came from here is still there: Cloud sync failed")
    assert pair.near.send("GET", ROOT).json == {"enabled": False}


@pytest.mark.parametrize("action", ["zz", ""])
def test_another_action_is_400(pair: Pair, action: str) -> None:
    answer = act(pair, action)
    assert (answer.status, answer.json) == (400, {"error": "Invalid action"})


def test_without_an_address_it_is_500(make_admin: Callable[..., Admin]) -> None:
    pair = a_pair(make_admin, near={"cloud_url": ""})
    answer = act(pair, "enable")
    assert (answer.status, answer.json) == (500, {"error": "Cloud sync failed: CLOUD_URL is not configured"})


def test_it_is_initialized_once(pair: Pair) -> None:
    path = "/api/sync/initialize"
    assert pair.near.send("GET", path).json == {"initialized": False, "message": "Cloud sync is not initialized"}
    assert pair.near.send("POST", path).json == {"success": True, "message": "Cloud sync initialized successfully"}
    assert pair.near.send("POST", path, {}).json == {"message": "Cloud sync already initialized"}
    assert pair.near.send("GET", path).json == {"initialized": True, "message": "Cloud sync is initialized"}


# -- what the other gateway calls


@pytest.mark.parametrize(
    ("method", "path"), [("POST", f"/sync/{MACHINE}"), ("DELETE", f"/sync/{MACHINE}"), ("GET", f"/{MACHINE}/v1/verify")]
)
def test_the_peers_side_takes_the_sync_token_and_nothing_else(
    make_admin: Callable[..., Admin], method: str, path: str
) -> None:
    far = a_pair(make_admin, far={"initial_password": PASSWORD}).far
    far.login()
    wrong = [{}, {"authorization": "Bearer " + far.key("inference", "manage")}, {"authorization": f"Bearer {TOKEN}x"}]
    for headers in wrong:
        answer = far.send(method, path, body=b"{}", headers=headers)
        assert (answer.status, answer.json) == (401, {"error": "Invalid sync token"})
    assert far.send(method, path, body=b"{}", headers=BEARER, peer="192.0.2.1", anonymous=True).status in (200, 404)


def test_the_sync_token_manages_nothing_else(make_admin: Callable[..., Admin]) -> None:
    far = a_pair(make_admin, far={"initial_password": PASSWORD}).far
    assert far.send("GET", "/api/providers", headers=BEARER).status == 401
    assert far.send("GET", "/api/cloud/models/alias", headers=BEARER).status == 401


def test_without_a_token_no_gateway_is_let_in(make_admin: Callable[..., Admin]) -> None:
    far = a_pair(make_admin, far={"cloud_sync_token": ""}).far
    for headers in ({}, {"authorization": "Bearer "}, {"authorization": "Bearer x"}):
        assert far.send("POST", f"/sync/{MACHINE}", body=b"{}", headers=headers).status == 401


def test_a_machine_is_known_once_it_was_here(pair: Pair) -> None:
    verify = f"/{MACHINE}/v1/verify"
    assert pair.far.send("GET", verify, headers=BEARER).status == 404
    assert pair.far.send("POST", f"/sync/{MACHINE}", {}, headers=BEARER).json["success"] is True
    assert pair.far.send("GET", verify, headers=BEARER).json == {"valid": True, "lastSync": "2025-06-15T15:06:40.000Z"}
    assert pair.far.send("DELETE", f"/sync/{MACHINE}", headers=BEARER).json == {"success": True, "deleted": 0}
    assert pair.far.send("GET", verify, headers=BEARER).status == 404


@pytest.mark.parametrize("machine", ["x", "0123456789ABCDEF", "0123456789abcdef0", "..%2f..%2fetc"])
def test_what_is_no_machine_is_404(pair: Pair, machine: str) -> None:
    for method, path in (("POST", f"/sync/{machine}"), ("DELETE", f"/sync/{machine}"), ("GET", f"/{machine}/v1/verify")):
        assert pair.far.send(method, path, body=b"{}", headers=BEARER).status == 404


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"providers":1}', b'{"providers":[{"id":1}]}', b'{"combos":[null]}'])
def test_records_that_do_not_fit_are_400(pair: Pair, body: bytes) -> None:
    assert list(fields_of(pair.far.send("POST", f"/sync/{MACHINE}", body=body, headers=BEARER))) == ["body"]
