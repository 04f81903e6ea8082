from __future__ import annotations

import pytest

from omniroute.proto.framing import CHUNKED, NO_BODY, UNTIL_CLOSE, Body, Framing, FramingError, request_body, response_body
from omniroute.proto.headers import Headers

LENGTH = b"content-length"
CODING = b"transfer-encoding"


@pytest.mark.parametrize(
    ("headers", "framing"),
    [
        ([], NO_BODY),
        ([(LENGTH, b"0")], NO_BODY),
        ([(LENGTH, b"42")], Framing(Body.LENGTH, 42)),
        ([(LENGTH, b"007")], Framing(Body.LENGTH, 7)),
        ([(CODING, b"chunked")], CHUNKED),
        ([(CODING, b"Chunked")], CHUNKED),
    ],
)
def test_the_body_of_a_request(headers: Headers, framing: Framing) -> None:
    assert request_body([(b"host", b"h"), *headers]) == framing


@pytest.mark.parametrize(
    ("headers", "version", "status"),
    [
        ([(LENGTH, b"1"), (LENGTH, b"1")], "1.1", 400),
        ([(LENGTH, b"1, 1")], "1.1", 400),
        ([(LENGTH, b"")], "1.1", 400),
        ([(LENGTH, b"+1")], "1.1", 400),
        ([(LENGTH, b"1 ")], "1.1", 400),
        ([(LENGTH, "²".encode("latin-1"))], "1.1", 400),
        ([(LENGTH, b"1" * 19)], "1.1", 400),
        ([(LENGTH, b"1"), (CODING, b"chunked")], "1.1", 400),
        ([(CODING, b"chunked"), (CODING, b"chunked")], "1.1", 400),
        ([(CODING, b"chunked")], "1.0", 400),
        ([(CODING, b"chunked, gzip")], "1.1", 400),
        ([(CODING, b"chunked, chunked")], "1.1", 400),
        ([(CODING, b"gzip, chunked, chunked")], "1.1", 400),
        ([(CODING, b"chunked\x0b")], "1.1", 400),
        ([(CODING, b"")], "1.1", 400),
        ([(CODING, b"gzip")], "1.1", 501),
        ([(CODING, b"gzip ,\tchunked")], "1.1", 501),
    ],
)
def test_a_request_whose_length_is_not_certain_is_refused(headers: Headers, version: str, status: int) -> None:
    with pytest.raises(FramingError) as caught:
        request_body(headers, version)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("method", "status", "headers", "framing"),
    [
        ("GET", 200, [(LENGTH, b"5")], Framing(Body.LENGTH, 5)),
        ("GET", 200, [(CODING, b"chunked")], CHUNKED),
        ("GET", 200, [], UNTIL_CLOSE),
        ("HEAD", 200, [(LENGTH, b"5")], NO_BODY),
        ("HEAD", 200, [(CODING, b"chunked")], NO_BODY),
        ("GET", 100, [], NO_BODY),
        ("GET", 204, [], NO_BODY),
        ("GET", 304, [(LENGTH, b"5")], NO_BODY),
        ("CONNECT", 200, [(LENGTH, b"5")], UNTIL_CLOSE),
        ("CONNECT", 407, [(LENGTH, b"5")], Framing(Body.LENGTH, 5)),
    ],
)
def test_the_body_of_an_answer(method: str, status: int, headers: Headers, framing: Framing) -> None:
    assert response_body(method, status, headers) == framing


@pytest.mark.parametrize(
    "headers",
    [
        [(LENGTH, b"5"), (LENGTH, b"6")],
        [(LENGTH, b"5"), (LENGTH, b"5")],
        [(LENGTH, b"5"), (CODING, b"chunked")],
        [(CODING, b"gzip")],
        [(CODING, b"gzip, chunked")],
        [(LENGTH, b"five")],
    ],
)
def test_an_answer_whose_length_is_not_certain_is_refused(headers: Headers) -> None:
    with pytest.raises(FramingError):
        response_body("GET", 200, headers)
