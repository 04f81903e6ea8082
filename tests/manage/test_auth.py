"""Login, logout and the switch of the login."""

from __future__ import annotations

import pytest
from fakes_manage import PASSWORD, Admin, fields_of

from omniroute.manage import gateway_login
from omniroute.manage.call import Call
from omniroute.store import passwords


def test_login_answers_success_and_a_session_cookie(guarded: Admin) -> None:
    answer = guarded.send("POST", "/api/auth/login", {"password": PASSWORD})
    assert (answer.status, answer.json) == (200, {"success": True})
    cookie = (answer.header(b"set-cookie") or b"").decode()
    assert cookie.startswith("auth_token=ey")
    for attribute in ("Path=/", "HttpOnly", "SameSite=Lax"):
        assert f"; {attribute}" in cookie
    assert "Secure" not in cookie
    assert guarded.send("GET", "/api/auth/status").json == {"authenticated": True}


@pytest.mark.parametrize(
    ("headers", "scheme"), [({"x-forwarded-proto": "https, http"}, "http"), ({}, "https")], ids=["proxy", "tls"]
)
def test_the_cookie_is_secure_under_https(guarded: Admin, headers: dict[str, str], scheme: str) -> None:
    answer = guarded.send("POST", "/api/auth/login", {"password": PASSWORD}, headers=headers, scheme=scheme)
    assert (answer.header(b"set-cookie") or b"").endswith(b"; Secure")


def test_login_with_a_wrong_password_is_401(guarded: Admin) -> None:
    answer = guarded.send("POST", "/api/auth/login", {"password": "wrong"})
    assert (answer.status, answer.json) == (401, {"error": "Invalid password"})
    assert answer.header(b"set-cookie") is None
    assert guarded.audit() == ["auth.login.failed"]


def test_login_without_a_configured_password_asks_for_setup(admin: Admin) -> None:
    answer = admin.send("POST", "/api/auth/login", {"password": "x"})
    assert answer.status == 403
    assert answer.json == {"error": "No password configured. Complete onboarding first.", "needsSetup": True}


def test_login_validates_its_body(guarded: Admin) -> None:
    assert fields_of(guarded.send("POST", "/api/auth/login", {})) == {"password": "Password is required"}
    assert fields_of(guarded.send("POST", "/api/auth/login", {"password": ""})) == {"password": "Password is required"}
    assert "password" in fields_of(guarded.send("POST", "/api/auth/login", {"password": "x" * 201}))
    number = guarded.send("POST", "/api/auth/login", {"password": 5})
    assert fields_of(number) == {"password": "Invalid input: expected string, received number"}
    assert fields_of(guarded.send("POST", "/api/auth/login", body=b'{"a":')) == {"body": "Invalid JSON body"}


def test_five_failures_lock_the_address_out_for_a_quarter_of_an_hour(guarded: Admin) -> None:
    for _ in range(5):
        assert guarded.send("POST", "/api/auth/login", {"password": "wrong"}).status == 401
    answer = guarded.send("POST", "/api/auth/login", {"password": PASSWORD})
    assert (answer.status, answer.json) == (429, {"error": "Too many failed attempts. Try again later."})
    assert answer.header(b"retry-after") == b"900"
    guarded.send("POST", "/api/auth/login", {"password": "wrong"})
    assert guarded.audit() == ["auth.login.failed"] * 5 + ["auth.login.locked"]
    guarded.advance(901)
    assert guarded.send("POST", "/api/auth/login", {"password": PASSWORD}).status == 200


def test_right_passwords_at_once_are_no_failures(guarded: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "verify", lambda text, stored: text == stored)
    guarded.run(guarded.store.config.set_many({gateway_login.PASSWORD: "right"}))
    answers = guarded.at_once(*[("POST", "/api/auth/login", {"password": "right"})] * 6)
    assert [answer.status for answer in answers] == [200] * 6
    wrong = guarded.at_once(*[("POST", "/api/auth/login", {"password": "wrong"})] * 6)
    assert [answer.status for answer in wrong] == [401] * 5 + [429]


def test_the_lock_follows_the_connection_and_not_what_a_header_claims(guarded: Admin) -> None:
    for number in range(6):
        headers = {"x-forwarded-for": f"10.0.0.{number}"}
        answer = guarded.send("POST", "/api/auth/login", {"password": "wrong"}, headers=headers, peer="192.0.2.1")
    assert answer.status == 429
    assert guarded.send("POST", "/api/auth/login", {"password": PASSWORD}, peer="192.0.2.2").status == 200


def test_logout_ends_the_session_on_the_server(guarded: Admin) -> None:
    guarded.login()
    token = guarded.cookie
    answer = guarded.send("POST", "/api/auth/logout")
    assert (answer.status, answer.json) == (200, {"success": True})
    assert (answer.header(b"set-cookie") or b"").startswith(b"auth_token=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
    guarded.cookie = token
    assert guarded.send("GET", "/api/auth/status").json == {"authenticated": False}
    assert guarded.send("GET", "/api/providers").status == 401


def test_logout_without_a_session_is_fine(guarded: Admin) -> None:
    assert guarded.send("POST", "/api/auth/logout").json == {"success": True}


def test_a_second_login_replaces_the_first_session(guarded: Admin) -> None:
    guarded.login()
    first = guarded.cookie
    guarded.login()
    assert guarded.cookie != first
    guarded.cookie = first
    assert guarded.send("GET", "/api/auth/status").json == {"authenticated": False}


def test_a_password_replaced_while_it_was_checked_begins_no_session(guarded: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    async def checked(call: Call, text: str) -> bool:
        await gateway_login.set_password(call.services, "another")
        return True

    monkeypatch.setattr(passwords, "hash", str)
    monkeypatch.setattr(gateway_login, "try_password", checked)
    guarded.login()
    assert guarded.send("GET", "/api/providers").status == 401


def test_status_is_false_for_a_stranger(guarded: Admin) -> None:
    assert guarded.send("GET", "/api/auth/status").json == {"authenticated": False}


def test_require_login_is_true_by_default_and_public(guarded: Admin, admin: Admin) -> None:
    assert guarded.send("GET", "/api/settings/require-login").json == {
        "requireLogin": True, "hasPassword": True, "setupComplete": True,
    }  # fmt: skip
    assert admin.send("GET", "/api/settings/require-login", peer="192.0.2.1").json["requireLogin"] is True


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_the_first_password_is_set_without_a_login(admin: Admin, method: str) -> None:
    answer = admin.send(method, "/api/settings/require-login", {"password": "abcd", "requireLogin": True})
    assert (answer.status, answer.json) == (200, {"success": True})
    assert admin.send("GET", "/api/providers").status == 401
    admin.login("abcd")
    assert admin.send("GET", "/api/providers").status == 200


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_require_login_is_guarded_once_there_is_a_password(guarded: Admin, method: str) -> None:
    answer = guarded.send(method, "/api/settings/require-login", {"password": "stolen"})
    assert answer.status == 401
    assert answer.json["error"]["code"] == "AUTH_001"
    guarded.login()
    assert guarded.send(method, "/api/settings/require-login", {"requireLogin": True}).status == 200


def test_the_first_password_is_not_for_strangers_on_the_network(admin: Admin) -> None:
    assert admin.send("PUT", "/api/settings/require-login", {"password": "mine"}, peer="192.0.2.9").status == 401


def test_with_the_login_off_a_stranger_cannot_replace_the_password(guarded: Admin) -> None:
    guarded.login()
    guarded.send("PUT", "/api/settings/require-login", {"requireLogin": False})
    stranger = guarded.send("PUT", "/api/settings/require-login", {"password": "stolen"}, anonymous=True)
    assert stranger.status == 401
    assert guarded.send("PUT", "/api/settings/require-login", {"requireLogin": True}, anonymous=True).status == 200


def test_require_login_names_what_is_wrong(admin: Admin) -> None:
    path = "/api/settings/require-login"
    assert fields_of(admin.send("PUT", path, {})) == {"": "No valid fields to update"}
    assert fields_of(admin.send("PUT", path, {"password": "abc"})) == {"password": "Password must be at least 4 characters"}


def test_a_new_password_ends_every_other_session(guarded: Admin) -> None:
    guarded.login()
    mine = guarded.cookie
    assert guarded.send("PUT", "/api/settings/require-login", {"password": "next one"}).status == 200
    assert guarded.cookie != mine
    assert guarded.send("GET", "/api/auth/status").json == {"authenticated": True}
    guarded.cookie = mine
    assert guarded.send("GET", "/api/auth/status").json == {"authenticated": False}
