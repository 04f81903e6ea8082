"""What a client of an authorization server sends, and what it makes of the answers."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from omniroute.upstream import oauth
from omniroute.upstream.catalog import load_catalog
from omniroute.upstream.oauth import ClientFields, OAuthClient, Refused, TokenRequest

CLIENT = OAuthClient(
    provider="p", client_id="id 1", authorize_url="https://a.test/auth?tenant=t", token_url="https://a.test/token",
    device_url="https://a.test/device", scopes=("one", "two"), extra={"prompt": "consent", "state": "theirs"},
)  # fmt: skip
REQUEST = TokenRequest("https://a.test/token", [], b"", ("s3cr3t-code",))
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


def _with(**changes: Any) -> OAuthClient:
    return msgspec.structs.replace(CLIENT, **changes)


def _form(request: TokenRequest) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.body.decode()).items()}


def _refusal(status: int, body: object, client: OAuthClient = CLIENT) -> Refused:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Refused) as caught:
        oauth.read_grant(client, REQUEST, status, data)
    return caught.value


def test_the_challenge_is_the_one_of_rfc_7636_appendix_b() -> None:
    assert oauth.challenge_of(VERIFIER) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_authorization_request_keeps_the_query_that_is_there() -> None:
    url = oauth.authorize_url(CLIENT, "http://localhost:1/cb?x=1", "st&te", VERIFIER)
    assert parse_qs(urlsplit(url).query) == {
        "tenant": ["t"], "response_type": ["code"], "client_id": ["id 1"], "redirect_uri": ["http://localhost:1/cb?x=1"],
        "state": ["st&te"], "scope": ["one two"], "code_challenge": [oauth.challenge_of(VERIFIER)],
        "code_challenge_method": ["S256"], "prompt": ["consent"],
    }  # fmt: skip


def test_without_pkce_no_challenge_is_sent() -> None:
    client = _with(pkce=False)
    assert "code_challenge" not in oauth.authorize_url(client, "http://x", "s", VERIFIER)
    assert "code_verifier" not in _form(oauth.code_request(client, "c", "http://x", VERIFIER))
    assert client.flow == "authorization_code"


def test_a_public_client_sends_its_id_alone() -> None:
    request = oauth.code_request(CLIENT, "c", "http://x/cb", VERIFIER)
    assert _form(request) == {
        "grant_type": "authorization_code", "code": "c", "redirect_uri": "http://x/cb", "code_verifier": VERIFIER,
        "client_id": "id 1",
    }  # fmt: skip
    assert (b"content-type", b"application/x-www-form-urlencoded") in request.headers


def test_a_secret_goes_into_the_body_or_the_header() -> None:
    post = oauth.refresh_request(_with(client_secret="a:b c", token_auth="post"), "rt")
    assert _form(post)["client_secret"] == "a:b c"
    assert _form(oauth.refresh_request(_with(client_secret="x"), "rt"))["client_secret"] == "x"
    basic = oauth.refresh_request(_with(client_secret="a:b c", token_auth="basic"), "rt")
    assert _form(basic) == {"grant_type": "refresh_token", "refresh_token": "rt"}
    value = dict(basic.headers)[b"authorization"].removeprefix(b"Basic ")
    assert base64.b64decode(value) == b"id+1:a%3Ab+c"  # RFC 6749 section 2.3.1
    none = oauth.refresh_request(_with(client_secret="x", token_auth="none"), "rt")
    assert "client_secret" not in _form(none)


def test_a_refresh_may_have_an_address_of_its_own() -> None:
    assert oauth.refresh_request(CLIENT, "rt").url == "https://a.test/token"
    assert oauth.refresh_request(_with(refresh_url="https://a.test/r"), "rt").url == "https://a.test/r"


def test_device_requests_carry_pkce_only_where_it_is_configured() -> None:
    assert _form(oauth.device_request(CLIENT, VERIFIER)) == {"client_id": "id 1", "scope": "one two"}
    assert _form(oauth.poll_request(CLIENT, "dc", VERIFIER)) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": "dc", "client_id": "id 1",
    }  # fmt: skip
    client = _with(device_pkce=True)
    assert _form(oauth.device_request(client, VERIFIER))["code_challenge"] == oauth.challenge_of(VERIFIER)
    assert _form(oauth.poll_request(client, "dc", VERIFIER))["code_verifier"] == VERIFIER


def test_a_vendor_without_client_ids_that_yields_a_key() -> None:
    client = oauth.load_profiles()["openrouter"]
    assert (client.missing, client.flow) == ([], "authorization_code_pkce")
    query = parse_qs(urlsplit(oauth.authorize_url(client, "http://localhost:1/cb", "st", VERIFIER)).query)
    assert query == {
        "callback_url": ["http://localhost:1/cb?state=st"], "code_challenge": [oauth.challenge_of(VERIFIER)],
        "code_challenge_method": ["S256"],
    }  # fmt: skip
    request = oauth.code_request(client, "c", "http://localhost:1/cb", VERIFIER)
    assert json.loads(request.body) == {"code": "c", "code_verifier": VERIFIER, "code_challenge_method": "S256"}
    grant = oauth.read_grant(client, request, 200, b'{"key":"sk-or-1","user_id":"user_2"}')
    assert (grant.api_key, grant.access_token, grant.name) == ("sk-or-1", "", "user_2")
    assert "sk-or-1" not in repr(grant)


def test_every_profile_is_of_a_known_provider_and_ships_no_client() -> None:
    profiles = oauth.load_profiles()
    assert set(profiles) <= set(load_catalog().providers)
    assert {client.client_id + client.client_secret for client in profiles.values()} == {""}
    assert {name: client.missing for name, client in profiles.items()} == {
        "openrouter": [], "gemini": ["clientId", "clientSecret"], "github-models": ["clientId"], "huggingface": ["clientId"],
    }  # fmt: skip
    assert profiles["github-models"].flow == "device_code"


def test_what_is_missing_is_named() -> None:
    assert OAuthClient(provider="p").missing == ["clientId", "authorizeUrl", "tokenUrl"]
    assert OAuthClient(provider="p").flow == "import_token"
    assert CLIENT.missing == []
    assert _with(token_auth="basic").missing == ["clientSecret"]


def test_fields_that_are_left_out_stay() -> None:
    client = oauth.merge(_with(client_secret="s"), ClientFields(client_id="new", scopes=["x"]))
    assert (client.client_id, client.client_secret, client.scopes) == ("new", "s", ("x",))
    assert "'s'" not in repr(client)


def test_tokens_are_read() -> None:
    claims = base64.urlsafe_b64encode(b'{"email":"a@b.test","name":"A"}').decode().rstrip("=")
    body = {"access_token": "at", "refresh_token": "rt", "id_token": f"x.{claims}.y", "token_type": "Bearer",
            "expires_in": "3600", "scope": "one"}  # fmt: skip
    grant = oauth.read_grant(CLIENT, REQUEST, 200, json.dumps(body).encode())
    assert (grant.access_token, grant.refresh_token, grant.token_type, grant.scope) == ("at", "rt", "Bearer", "one")
    assert (grant.expires_in, grant.email, grant.name) == (3600, "a@b.test", "A")
    assert "at" not in repr(grant).replace("Grant", "")


@pytest.mark.parametrize("said", [None, 0, -1, "", "soon", [1], float("1e300")])
def test_a_lifetime_that_makes_no_sense_is_unknown(said: object) -> None:
    body = json.dumps({"access_token": "at", "expires_in": said}).encode()
    assert oauth.read_grant(CLIENT, REQUEST, 200, body).expires_in is None


@pytest.mark.parametrize("id_token", ["x", "a.b.c", "a.W10.c", "a.\u00e4.c", "..", 5])
def test_an_id_token_that_cannot_be_read_names_nobody(id_token: object) -> None:
    grant = oauth.read_grant(CLIENT, REQUEST, 200, json.dumps({"access_token": "at", "id_token": id_token}).encode())
    assert (grant.email, grant.name) == ("", "")


@pytest.mark.parametrize("token", ["", None, "a\nb", "ä", 5])
def test_a_token_that_cannot_be_sent_is_no_token(token: object) -> None:
    assert _refusal(200, {"access_token": token}).error == "invalid_response"


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (400, {"error": "invalid_grant", "error_description": "gone"}, "invalid_grant", "gone"),
        (200, {"error": "bad_refresh_token", "error_description": "old"}, "bad_refresh_token", "old"),
        (400, {"error": {"code": "x", "message": "m"}}, "x", "m"),
        (403, {"message": "no"}, "invalid_request", "no"),
        (500, {}, "server_error", "The authorization server answered 500"),
        (502, b"<h1>", "server_error", "The authorization server answered 502 without a JSON object"),
        (200, b"[]", "invalid_response", "The authorization server answered 200 without a JSON object"),
    ],
)
def test_errors_are_read_with_any_status(status: int, body: object, error: str, text: str) -> None:
    refusal = _refusal(status, body)
    assert (refusal.error, refusal.description, refusal.pending) == (error, text, False)


@pytest.mark.parametrize(
    ("status", "body", "passing"),
    [
        (502, b"<h1>", True), (503, {}, True), (503, {"error": "temporarily_unavailable"}, True),
        (500, {"error": ["x"]}, True),
        (500, {"error": {"code": 500, "message": "m"}}, True), (429, b"", True), (429, {"message": "slower"}, True),
        (200, b"<html>", True), (200, b'{"access_tok', True), (400, {"error": "temporarily_unavailable"}, True),
        (500, {"error": "access_denied"}, False), (503, {"error": "expired_token"}, False), (400, {"error": "x"}, False),
        (404, b"<h1>", False), (403, {"message": "no"}, False), (200, {"error": "invalid_grant"}, False),
        (200, {"access_token": ""}, False),
    ],
)  # fmt: skip
def test_a_server_in_trouble_is_told_from_one_that_says_no(status: int, body: object, passing: bool) -> None:
    assert _refusal(status, body).passing is passing


def test_an_error_never_repeats_what_was_sent() -> None:
    refusal = _refusal(400, {"error": "s3cr3t-code", "error_description": "bad s3cr3t-code"})
    assert "s3cr3t-code" not in str(refusal)


def test_a_secret_where_a_long_error_is_cut_is_taken_out_before() -> None:
    client = _with(client_secret="s3cr3t-of-the-client")
    request = oauth.refresh_request(client, "s3cr3t-token")
    body = {"error": "x", "error_description": "a" * 190 + " s3cr3t-of-the-client"}
    with pytest.raises(Refused) as caught:
        oauth.read_grant(client, request, 400, json.dumps(body).encode())
    assert "s3cr3t" not in str(caught.value)


def test_waiting_is_told_from_failing() -> None:
    assert _refusal(400, {"error": "authorization_pending"}).pending
    assert _refusal(400, {"error": "slow_down"}).pending
    assert not _refusal(400, {"error": "expired_token"}).pending


def test_device_codes_are_read_in_both_spellings() -> None:
    body = {"device_code": "d", "user_code": "U", "verification_url": "https://v.test", "expires_in": 60}
    codes = oauth.read_device_codes(REQUEST, 200, json.dumps(body).encode())
    assert (codes.verification_uri, codes.expires_in, codes.interval) == ("https://v.test", 60, 5)


@pytest.mark.parametrize(
    ("said", "read"), [("60", 60), (60.0, 60), (59.9, 59), (None, 900), (-1, 900), ("soon", 900), ([], 900)]
)
def test_the_times_of_device_codes_are_read_as_leniently_as_those_of_tokens(said: object, read: int) -> None:
    body = {"device_code": "d", "user_code": "U", "verification_uri": "https://v.test", "expires_in": said, "interval": "9"}
    codes = oauth.read_device_codes(REQUEST, 200, json.dumps(body).encode())
    assert (codes.expires_in, codes.interval) == (read, 9)


@pytest.mark.parametrize("change", [{"user_code": None}, {"verification_uri": "javascript:alert(1)"}])
def test_device_codes_that_cannot_be_shown_are_refused(change: dict[str, Any]) -> None:
    body = {"device_code": "d", "user_code": "U", "verification_uri": "https://v.test", **change}
    with pytest.raises(Refused, match="invalid_response"):
        oauth.read_device_codes(REQUEST, 200, json.dumps(body).encode())
