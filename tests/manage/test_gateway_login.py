"""The password and what becomes of the sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any

import pytest
from fakes_manage import PASSWORD, Admin

from omniroute.manage import gateway_login, sessions
from omniroute.store import passwords


def test_the_stored_hash_wins_over_the_initial_password(guarded: Admin) -> None:
    guarded.run(gateway_login.set_password(guarded.services, "stored"))
    assert guarded.run(gateway_login.check_password(guarded.services, "stored"))
    assert not guarded.run(gateway_login.check_password(guarded.services, PASSWORD))


def test_the_password_is_stored_as_a_hash_only(guarded: Admin) -> None:
    guarded.run(gateway_login.set_password(guarded.services, "stored secret"))
    stored = guarded.run(guarded.store.config.get(gateway_login.PASSWORD))
    assert stored.startswith("scrypt:")
    assert "stored secret" not in stored


def test_no_password_at_all_matches_nothing(admin: Admin) -> None:
    assert not admin.run(gateway_login.has_password(admin.services))
    assert not admin.run(gateway_login.check_password(admin.services, ""))


def test_an_imported_hash_is_replaced_once_it_has_proven_right(guarded: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    guarded.run(guarded.store.config.set_many({gateway_login.PASSWORD: "$2b$imported"}))
    monkeypatch.setattr(passwords, "_verify_bcrypt", lambda text, stored: text == "old one")
    assert not guarded.run(gateway_login.check_password(guarded.services, "wrong"))
    assert guarded.run(gateway_login.check_password(guarded.services, "old one"))
    assert guarded.run(guarded.store.config.get(gateway_login.PASSWORD)).startswith("scrypt:")
    assert guarded.run(gateway_login.check_password(guarded.services, "old one"))


def test_an_imported_hash_does_not_come_back_over_a_new_password(guarded: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    config = guarded.store.config
    guarded.run(config.set_many({gateway_login.PASSWORD: "$2b$imported"}))
    monkeypatch.setattr(passwords, "_verify_bcrypt", lambda text, stored: True)
    monkeypatch.setattr(passwords, "hash", lambda text: f"scrypt:{text}")
    guarded.run(
        _both(gateway_login.set_password(guarded.services, "new"), gateway_login.check_password(guarded.services, "x"))
    )
    assert guarded.run(config.get(gateway_login.PASSWORD)) == "scrypt:new"


async def _both(first: Awaitable[None], second: Awaitable[None]) -> None:
    await asyncio.gather(first, second)


def test_of_two_logouts_at_once_both_end_their_sessions(guarded: Admin) -> None:
    call: Any = SimpleNamespace(services=guarded.services, store=guarded.store, now=guarded.clock.time())
    guarded.run(_both(*(gateway_login.revoke(call, sessions.new(call.now, 0)) for _ in "ab")))
    assert len(guarded.run(guarded.store.config.get(gateway_login.REVOKED))) == 2


def test_of_two_new_passwords_at_once_both_end_the_sessions(guarded: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "hash", str)
    guarded.run(_both(*(gateway_login.set_password(guarded.services, text) for text in ("one", "two"))))
    assert guarded.run(guarded.store.config.get(gateway_login.EPOCH)) == 2


def test_expired_revocations_are_forgotten(guarded: Admin) -> None:
    guarded.login()
    guarded.send("POST", "/api/auth/logout")
    guarded.advance(31 * 86400)
    guarded.login()
    guarded.send("POST", "/api/auth/logout")
    assert len(guarded.run(guarded.store.config.get(gateway_login.REVOKED))) == 1


def test_sessions_survive_a_restart_and_revocations_too(guarded: Admin) -> None:
    guarded.login()
    secret = guarded.store.jwt_secret
    assert (guarded.settings.data_dir / "jwt.key").read_text().strip().encode() == secret
