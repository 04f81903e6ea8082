"""The process itself: init, restart, shutdown."""

from __future__ import annotations

import pytest
from fakes_manage import Admin


def test_init_is_public_text(guarded: Admin) -> None:
    answer = guarded.send("GET", "/api/init")
    assert (answer.status, answer.text) == (200, b"Initialized")
    assert (answer.header(b"content-type") or b"").startswith(b"text/plain")


@pytest.mark.parametrize(
    ("word", "reply"),
    [("restart", {"status": "restarting"}), ("shutdown", {"success": True, "message": "Shutting down..."})],
)
def test_restart_and_shutdown_answer_and_then_begin(admin: Admin, word: str, reply: dict[str, object]) -> None:
    answer = admin.send("POST", f"/api/{word}")
    assert (answer.status, answer.json) == (200, reply)
    assert admin.events == [word]
    assert admin.audit() == [f"system.{word}"]


@pytest.mark.parametrize("word", ["restart", "shutdown"])
def test_they_are_for_managers_only(guarded: Admin, word: str) -> None:
    assert guarded.send("POST", f"/api/{word}").status == 401
    assert guarded.send("POST", f"/api/{word}", headers={"authorization": f"Bearer {guarded.key()}"}).status == 403
    assert guarded.events == []


@pytest.mark.parametrize("word", ["restart", "shutdown"])
def test_with_the_login_off_a_stranger_from_elsewhere_cannot_end_the_process(guarded: Admin, word: str) -> None:
    guarded.login()
    guarded.send("PUT", "/api/settings", {"requireLogin": False})
    assert guarded.send("POST", f"/api/{word}", anonymous=True, peer="192.0.2.1").status == 401
    assert guarded.send("POST", f"/api/{word}", anonymous=True, headers={"x-forwarded-for": "192.0.2.1"}).status == 401
    assert guarded.events == []
    assert guarded.send("POST", f"/api/{word}", peer="192.0.2.1").status == 200
    assert guarded.send("POST", f"/api/{word}", anonymous=True).status == 200
