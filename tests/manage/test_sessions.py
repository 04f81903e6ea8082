"""Tokens: one algorithm, one header, nothing negotiable."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.manage import sessions

SECRET = b"s" * 32
NOW = 1_750_000_000.0


def _token(header: bytes, claims: bytes, secret: bytes = SECRET) -> str:
    def b64(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    signed = b64(header) + b"." + b64(claims)
    return (signed + b"." + b64(hmac.digest(secret, signed, hashlib.sha256))).decode()


def test_a_token_opens_to_its_session() -> None:
    session = sessions.new(NOW, 3)
    assert sessions.decode(sessions.encode(session, SECRET), SECRET, NOW) == session
    assert session.exp == int(NOW) + 30 * 86400
    assert session.epoch == 3


def test_the_payload_says_authenticated() -> None:
    claims = sessions.encode(sessions.new(NOW, 0), SECRET).split(".")[1]
    assert b'"authenticated":true' in base64.urlsafe_b64decode(claims + "==")


def test_two_sessions_differ() -> None:
    assert sessions.new(NOW, 0).jti != sessions.new(NOW, 0).jti


def test_a_token_expires() -> None:
    token = sessions.encode(sessions.new(NOW, 0), SECRET)
    assert sessions.decode(token, SECRET, NOW + 30 * 86400 - 1) is not None
    assert sessions.decode(token, SECRET, NOW + 30 * 86400) is None


_CLAIMS = b'{"authenticated":true,"exp":9999999999,"jti":"x"}'


@pytest.mark.parametrize(
    "token",
    [
        _token(b'{"alg":"none","typ":"JWT"}', _CLAIMS),
        _token(b'{"alg":"HS512","typ":"JWT"}', _CLAIMS),
        _token(b'{"alg":"HS256","typ":"JWT","crit":["b64"],"b64":false}', _CLAIMS),
        _token(b"no json", _CLAIMS),
        _token(b'{"alg":"HS256","typ":"JWT"}', _CLAIMS, b"other"),
        _token(b'{"alg":"HS256","typ":"JWT"}', b'{"authenticated":false,"exp":9999999999,"jti":"x"}'),
        _token(b'{"alg":"HS256","typ":"JWT"}', b'{"authenticated":true,"jti":"x"}'),
        _token(b'{"alg":"HS256","typ":"JWT"}', b'{"authenticated":"yes","exp":9999999999,"jti":"x"}'),
        _token(b'{"alg":"HS256","typ":"JWT"}', b"no json"),
        _token(b'{"alg":"HS256","typ":"JWT"}', b'{"authenticated":true,"exp":1,"jti":"x"}'),
        "é.é.é",
        "a" * 5000,
    ],
)
def test_anything_else_is_no_session(token: str) -> None:
    assert sessions.decode(token, SECRET, NOW) is None


@pytest.mark.parametrize("header", [b'{"alg":"HS256","typ":"JWT"}', b'{"alg": "HS256", "typ": "JWT"}', b'{"alg":"HS256"}'])
@pytest.mark.parametrize("claims", [_CLAIMS, b'{"authenticated":true,"exp":9999999999.5}'])
def test_the_plain_form_is_accepted(header: bytes, claims: bytes) -> None:
    assert sessions.decode(_token(header, claims), SECRET, NOW) is not None


def test_tokens_without_an_id_are_told_apart() -> None:
    header = b'{"alg":"HS256","typ":"JWT"}'
    tokens = [_token(header, b'{"authenticated":true,"exp":%d}' % exp) for exp in (9999999998, 9999999999)]
    assert len({sessions.decode(token, SECRET, NOW).jti for token in tokens}) == 2


@given(st.text())
def test_no_text_breaks_the_decoder(text: str) -> None:
    assert sessions.decode(text, SECRET, NOW) is None


def test_the_cookie_is_found_among_others() -> None:
    assert sessions.tokens([b'a=1; auth_token="t1"; b=2', b"auth_token=t2"]) == ["t1", "t2"]
    assert sessions.tokens([b"xauth_token=t; auth_token="]) == []


def test_set_cookie_attributes() -> None:
    assert sessions.cookie("t", False) == b"auth_token=t; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"
    assert sessions.cookie("t", True).endswith(b"; Secure")
    assert b"Expires=Thu, 01 Jan 1970 00:00:00 GMT" in sessions.expired_cookie(False)
