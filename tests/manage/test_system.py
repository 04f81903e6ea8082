"""Contract section 13: the process itself."""

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
