from __future__ import annotations

import pytest

from omniroute.proto.proxy import Proxy, ProxyRefused, handshake, parse_proxy

PLAIN = Proxy("http", "p.test", 3128)
SECRET = Proxy("http", "p.test", 3128, "me", "s3cret")
SOCKS = Proxy("socks5", "p.test", 1080)
SOCKS_SECRET = SOCKS._replace(username="me", password="s3cret")


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://p.test:3128", PLAIN),
        ("p.test:3128", PLAIN),
        ("HTTP://me:s3cret@p.test:3128/", SECRET),
        ("http://a%40b:c%3Ad@p.test", Proxy("http", "p.test", 80, "a@b", "c:d")),
        ("https://p.test", Proxy("https", "p.test", 443)),
        ("socks5h://[::1]", Proxy("socks5", "::1", 1080)),
    ],
)
def test_a_proxys_address_is_parsed(text: str, proxy: Proxy) -> None:
    assert parse_proxy(text) == proxy


@pytest.mark.parametrize(
    "text",
    [
        "", "socks4://h:1", "ftp://me:s3cret@h", "http://me:s3cret@:80", "http://h:0", "http://h:x", "http://me:s3cret@[::1",
        "http://me:s3cret@h\u2100st",  # urllib's own error repeats this one
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_used_is_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="the proxy's address") as caught:
        parse_proxy(text)
    assert "s3cret" not in str(caught.value)


def test_credentials_are_not_shown() -> None:
    assert "s3cret" not in repr(SECRET) + SECRET.url + f"{SECRET}"
    assert Proxy("http", "::1", 1).url == "http://[::1]:1"


def hold(proxy: Proxy, *heard: bytes, host: str = "api.test", port: int = 443, bitwise: bool = False) -> list[bytes]:
    """What is said to a proxy that answers with *heard*; the way must be open after the last piece."""
    talk = handshake(proxy, host, port)
    said = [next(talk)]
    pieces = [bytes((byte,)) for piece in heard for byte in piece] if bitwise else list(heard)
    said.extend(talk.send(piece) for piece in pieces[:-1])
    with pytest.raises(StopIteration):
        talk.send(pieces[-1])
    return [part for part in said if part]


def refusal(proxy: Proxy, *heard: bytes, host: str = "api.test") -> str:
    talk = handshake(proxy, host, 443)
    with pytest.raises(ProxyRefused) as caught:  # noqa: PT012
        next(talk)
        for piece in heard:
            talk.send(piece)
    return str(caught.value)


@pytest.mark.parametrize("bitwise", [False, True])
def test_connect_names_the_target_and_sends_credentials(bitwise: bool) -> None:
    answer = b"HTTP/1.1 200 Connection established\r\nvia: x\r\n\r\n"
    assert hold(PLAIN, answer, bitwise=bitwise) == [b"CONNECT api.test:443 HTTP/1.1\r\nhost: api.test:443\r\n\r\n"]
    assert hold(SECRET, answer, host="::1") == [
        b"CONNECT [::1]:443 HTTP/1.1\r\nhost: [::1]:443\r\nproxy-authorization: Basic bWU6czNjcmV0\r\n\r\n"
    ]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"),
        (b"HTTP/1.0 502 Bad\r\nx: y\r\n\r\n<html>", "502"),
        (b"SSH-2.0-x\r\n\r\n", "it does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\nmore", "it sent more than its answer"),
        (b"x" * 20_000, "its answer is too long"),
    ],
)
def test_any_answer_to_connect_but_2xx_alone_is_a_refusal(answer: bytes, text: str) -> None:
    assert refusal(SECRET, answer, b"") == text


OPEN = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"


@pytest.mark.parametrize("bitwise", [False, True])
def test_socks5_sends_names_and_addresses_as_they_are(bitwise: bool) -> None:
    assert hold(SOCKS, b"\x05\x00", OPEN, bitwise=bitwise) == [b"\x05\x01\x00", b"\x05\x01\x00\x03\x08api.test\x01\xbb"]
    assert hold(SOCKS, b"\x05\x00", OPEN, host="1.2.3.4")[1] == b"\x05\x01\x00\x01\x01\x02\x03\x04\x01\xbb"
    assert hold(SOCKS, b"\x05\x00", OPEN, host="::1")[1] == b"\x05\x01\x00\x04" + bytes(15) + b"\x01\x01\xbb"
    named = b"\x05\x00\x00\x03\x02hi\x00\x50"
    assert len(hold(SOCKS, b"\x05\x00", named, bitwise=bitwise)) == 2
    assert len(hold(SOCKS, b"\x05\x00", b"\x05\x00\x00\x04" + bytes(18))) == 2


@pytest.mark.parametrize("bitwise", [False, True])
def test_socks5_sends_credentials_if_the_proxy_wants_them(bitwise: bool) -> None:
    said = hold(SOCKS_SECRET, b"\x05\x02", b"\x01\x00", OPEN, bitwise=bitwise)
    assert said[:2] == [b"\x05\x02\x00\x02", b"\x01\x02me\x06s3cret"]
    assert len(hold(SOCKS_SECRET, b"\x05\x00", OPEN)) == 2  # it wants none


@pytest.mark.parametrize(
    ("proxy", "heard", "text"),
    [
        (SOCKS, [b"\x05\xff"], "it wants other credentials"),
        (SOCKS, [b"\x05\x02"], "it wants other credentials"),
        (SOCKS, [b"HT"], "it does not speak SOCKS5"),
        (SOCKS_SECRET, [b"\x05\x02", b"\x01\x01"], "user name or password not accepted"),
        (SOCKS, [b"\x05\x00", b"\x05\x05\x00\x01\x00"], "connection refused"),
        (SOCKS, [b"\x05\x00", b"\x05\x63\x00\x01\x00"], "reply 99"),
        (SOCKS, [b"\x05\x00", b"\x04\x00\x00\x01\x00"], "it does not speak SOCKS5"),
        (SOCKS, [b"\x05\x00", b"\x05\x00\x00\x07\x00"], "its answer cannot be read"),
        (SOCKS, [b"\x05\x00", OPEN + b"x"], "it sent more than its answer"),
    ],
)
def test_any_answer_of_socks5_but_success_is_a_refusal(proxy: Proxy, heard: list[bytes], text: str) -> None:
    assert refusal(proxy, *heard) == text


@pytest.mark.parametrize("proxy", [PLAIN, SOCKS])
@pytest.mark.parametrize("host", ["a b", "a\r\nx: y", "ü" * 300, ""])
def test_a_name_that_could_be_read_as_more_is_not_sent(proxy: Proxy, host: str) -> None:
    assert refusal(proxy, b"\x05\x00", host=host) == "the target's name cannot be sent"
