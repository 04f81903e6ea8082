"""What strict mode adds; that it behaves as the plain server does is test_h1_server.py's business."""

from __future__ import annotations

import h11
import pytest

from omniroute.proto.framing import ProtocolError
from omniroute.proto.h1_strict import StrictParser
from omniroute.settings import Limits

POST = b"POST /p HTTP/1.1\r\nHost: h\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


def read(data: bytes) -> bytes:
    parser = StrictParser(Limits())
    parser.feed(data)
    assert parser.head() is not None
    return parser.body()


@pytest.mark.parametrize("data", [POST, CHUNKED])
def test_where_both_parsers_agree_the_request_is_served(data: bytes) -> None:
    assert read(data) == b"hello"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (POST, h11.Request(method="POST", target="/q", headers=[("Host", "h"), ("X-A", "b"), ("Content-Length", "5")])),
        (POST, h11.Request(method="PUT", target="/p", headers=[("Host", "h"), ("X-A", "b"), ("Content-Length", "5")])),
        (POST, h11.Request(method="POST", target="/p", headers=[("Host", "h"), ("X-A", "c"), ("Content-Length", "5")])),
        (POST, h11.Request(method="POST", target="/p", headers=[("Host", "h"), ("Content-Length", "5")])),
        (POST, h11.Data(data=b"hell")),
        (POST, h11.Data(data=b"hullo")),
        (CHUNKED, h11.Data(data=b"hell")),
        (CHUNKED, h11.Data(data=b"helloo")),
    ],
)
def test_where_they_do_not_it_is_refused(monkeypatch: pytest.MonkeyPatch, data: bytes, told: object) -> None:
    true_event = h11.Connection.next_event

    def next_event(connection: h11.Connection) -> object:
        event = true_event(connection)
        return told if type(event) is type(told) else event

    monkeypatch.setattr(h11.Connection, "next_event", next_event)
    with pytest.raises(ProtocolError) as caught:
        read(data)
    assert caught.value.status == 400


def test_what_h11_refuses_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def next_event(connection: h11.Connection) -> object:
        raise h11.RemoteProtocolError("no")

    monkeypatch.setattr(h11.Connection, "next_event", next_event)
    with pytest.raises(ProtocolError) as caught:
        read(POST)
    assert caught.value.status == 400
