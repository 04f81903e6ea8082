from __future__ import annotations

import pytest

from omniroute.proto.transport import Origin, TransportError
from omniroute.upstream.request import request_pieces, template

MIB = 1024 * 1024


def test_small_request_is_one_piece() -> None:
    origin = Origin("https", "api.test", 443)
    headers = [(b"authorization", b"Bearer k"), (b"x-a", b"1")]
    assert request_pieces(template(origin, "POST", b"/v1?beta=true", headers), [], b"{}") == [
        b"POST /v1?beta=true HTTP/1.1\r\nhost: api.test\r\nauthorization: Bearer k\r\nx-a: 1\r\ncontent-length: 2\r\n\r\n{}"
    ]


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (Origin("http", "a.test", 80), b"a.test"),
        (Origin("http", "a.test", 443), b"a.test:443"),
        (Origin("https", "a.test", 8443), b"a.test:8443"),
        (Origin("http", "::1", 80), b"[::1]"),
        (Origin("http", "::1", 11434), b"[::1]:11434"),
        (Origin("http", "bücher.test", 80), b"xn--bcher-kva.test"),
    ],
)
def test_the_host_field_has_brackets_idna_and_any_unusual_port(origin: Origin, host: bytes) -> None:
    assert request_pieces(template(origin, "GET", b"/", []), [], b"") == [b"GET / HTTP/1.1\r\nhost: " + host + b"\r\n\r\n"]


def test_large_body_is_not_copied() -> None:
    body = [memoryview(bytes(MIB)), bytes(MIB)]
    head, *pieces = request_pieces(template(Origin("http", "a.test", 80), "POST", b"/", []), [], body)
    assert b"content-length: 2097152" in bytes(head)
    assert all(sent is given for sent, given in zip(pieces, body, strict=True))


def test_framing_fields_of_the_caller_are_replaced() -> None:
    headers = [
        (b"host", b"evil.test"),
        (b"content-length", b"9"),
        (b"transfer-encoding", b"chunked"),
        (b"connection", b"close"),
    ]
    (data,) = request_pieces(template(Origin("http", "a.test", 80), "POST", b"/", headers), [], b"")
    assert data == b"POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 0\r\n\r\n"


@pytest.mark.parametrize("value", [b"secret\r\nx: y", b"secret\n", b"secret\r", b"secret\0"])
def test_fields_cannot_smuggle_others(value: bytes) -> None:
    with pytest.raises(TransportError) as caught:
        template(Origin("http", "a.test", 80), "POST", b"/", [(b"authorization", value)])
    assert caught.value.reason == "protocol"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("path", [b"/a b", b"/a\r\nx: y", b"a", b"", b"/\xc3\xbc"])
def test_path_cannot_smuggle_anything(path: bytes) -> None:
    with pytest.raises(TransportError):
        template(Origin("http", "a.test", 80), "GET", path, [])
