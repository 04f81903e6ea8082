"""The password and what becomes of the sessions."""

from __future__ import annotations

import pytest
from fakes_manage import PASSWORD, Admin

from omniroute.manage import gateway_login
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
