"""Who may call a route of which class."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fakes_exchange import FakeExchange
from fakes_manage import PASSWORD, Admin
from fakes_sync import TOKEN, a_pair

from omniroute.errors import OmniError
from omniroute.manage.access import authorize, is_local, unauthenticated
from omniroute.manage.call import Call
from omniroute.manage.plane import render_error
from omniroute.proto.exchange import Request

_NOT_AUTHENTICATED = {"error": {"code": "AUTH_001", "message": "Authentication required", "correlation_id": "req-1"}}


def _call(admin: Admin, *headers: tuple[bytes, bytes], peer: str = "127.0.0.1") -> Call:
    return Call(FakeExchange(Request("GET", "/x", headers=[*headers], peer=peer)), admin.services, {})


def test_without_a_login_management_is_401_with_auth_001(guarded: Admin) -> None:
    answer = guarded.send("GET", "/api/providers")
    assert (answer.status, answer.json) == (401, _NOT_AUTHENTICATED)


def test_the_401_of_a_route_with_typed_errors_says_both() -> None:
    error = render_error(unauthenticated(), "req-1", "typed", coded=True).body
    assert error == {"error": {**_NOT_AUTHENTICATED["error"], "type": "invalid_api_key"}}


def test_a_session_cookie_manages(guarded: Admin) -> None:
    guarded.login()
    assert guarded.send("GET", "/api/providers").status == 200


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_a_key_with_the_manage_scope_manages(guarded: Admin, header: str) -> None:
    text = guarded.key("inference", "manage")
    value = f"Bearer {text}" if header == "authorization" else text
    assert guarded.send("GET", "/api/providers", headers={header: value}).status == 200


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_a_key_without_the_scope_is_403(guarded: Admin, header: str) -> None:
    text = guarded.key("inference")
    value = f"Bearer {text}" if header == "authorization" else text
    answer = guarded.send("GET", "/api/providers", headers={header: value})
    assert (answer.status, answer.json) == (403, {"error": "Invalid management token"})


def test_an_unknown_key_is_401(guarded: Admin) -> None:
    answer = guarded.send("GET", "/api/providers", headers={"authorization": "Bearer sk-none"})
    assert (answer.status, answer.json) == (401, _NOT_AUTHENTICATED)


def test_an_expired_key_is_401(guarded: Admin) -> None:
    _, text = guarded.run(guarded.store.keys.create("k", scopes=["manage"], expires_at="2020-01-01T00:00:00.000Z"))
    assert guarded.send("GET", "/api/providers", headers={"authorization": f"Bearer {text}"}).status == 401


def test_a_key_in_the_url_is_not_looked_at(guarded: Admin) -> None:
    assert guarded.send("GET", f"/api/providers?key={guarded.key('manage')}").status == 401


def test_a_deleted_key_stops_managing_at_once(guarded: Admin) -> None:
    row, text = guarded.run(guarded.store.keys.create("k", scopes=["manage"]))
    guarded.run(guarded.store.keys.delete(row.id))
    assert guarded.send("GET", "/api/providers", headers={"authorization": f"Bearer {text}"}).status == 401


def test_with_the_login_switched_off_anyone_manages(guarded: Admin) -> None:
    guarded.login()
    guarded.send("PUT", "/api/settings", {"requireLogin": False})
    assert guarded.send("GET", "/api/providers", anonymous=True).status == 200


def test_first_run_is_open_to_this_machine_only(admin: Admin) -> None:
    assert admin.send("GET", "/api/providers").status == 200
    assert admin.send("GET", "/api/providers", peer="::1").status == 200
    assert admin.send("GET", "/api/providers", peer="::ffff:127.0.0.1").status == 200
    assert admin.send("GET", "/api/providers", peer="192.0.2.1").status == 401


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip"])
def test_first_run_is_not_open_through_a_reverse_proxy(admin: Admin, header: str) -> None:
    assert admin.send("GET", "/api/providers", headers={header: "127.0.0.1"}).status == 401


def test_is_local_is_false_for_what_is_no_address(admin: Admin) -> None:
    assert not is_local(_call(admin, peer="unix:"))


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        "eyJhbGciOiJub25lIn0.eyJhdXRoZW50aWNhdGVkIjp0cnVlLCJleHAiOjk5OTk5OTk5OTksImp0aSI6IngifQ.",
    ],
)
def test_a_forged_cookie_is_no_login(guarded: Admin, token: str) -> None:
    assert guarded.send("GET", "/api/providers", headers={"cookie": f"auth_token={token}"}).status == 401


def test_a_cookie_signed_with_another_secret_is_no_login(guarded: Admin, make_admin: Callable[..., Admin]) -> None:
    other = make_admin(initial_password=PASSWORD)
    other.login()
    guarded.cookie = other.cookie
    assert guarded.send("GET", "/api/providers").status == 401


def test_class_b_always_needs_a_key(admin: Admin) -> None:
    def refusal(*headers: tuple[bytes, bytes]) -> tuple[int, str]:
        with pytest.raises(OmniError) as caught:
            admin.run(authorize(_call(admin, *headers), "B"))
        return caught.value.status, caught.value.message

    assert refusal() == (401, "Missing API key")
    assert refusal((b"authorization", b"Bearer nope")) == (401, "Invalid API key")
    text = admin.key("inference").encode()
    actor = admin.run(authorize(_call(admin, (b"authorization", b"Bearer " + text)), "B"))
    assert actor.name.startswith("apikey:")


def test_class_l_needs_a_login_even_when_management_is_open(admin: Admin) -> None:
    with pytest.raises(OmniError) as caught:
        admin.run(authorize(_call(admin), "L"))
    assert caught.value.code == "AUTH_001"


def test_audit_rows_name_the_key_that_acted(guarded: Admin) -> None:
    row, text = guarded.run(guarded.store.keys.create("k", scopes=["manage"]))
    guarded.send("POST", "/api/restart", headers={"authorization": f"Bearer {text}"})
    assert [entry.actor for entry in guarded.run(guarded.store.audit.list(1))] == [f"apikey:{row.id}"]


def test_the_command_lines_own_token_works_on_this_machine_only(guarded: Admin) -> None:
    guarded.services.local_token = "t" * 43
    headers = {"authorization": "Bearer " + "t" * 43}
    assert guarded.send("GET", "/api/providers", headers=headers).status == 200
    assert guarded.send("GET", "/api/providers", headers=headers, peer="192.0.2.1").status == 401
    assert guarded.send("GET", "/api/providers", headers={**headers, "x-forwarded-for": "127.0.0.1"}).status == 401
    guarded.services.local_token = ""
    assert guarded.send("GET", "/api/providers", headers={"authorization": "Bearer "}).status == 401


def test_class_s_takes_the_token_of_another_gateway_and_no_key(make_admin: Callable[..., Admin]) -> None:
    far = a_pair(make_admin).far

    def status(text: str) -> int:
        try:
            actor = far.run(authorize(_call(far, (b"authorization", b"Bearer " + text.encode())), "S"))
        except OmniError as error:
            return error.status
        assert actor.name == "peer"
        return 200

    assert [status(text) for text in (TOKEN, TOKEN[:-1], far.key("manage"), "")] == [200, 401, 401, 401]
