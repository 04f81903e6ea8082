from __future__ import annotations

import pytest

from omniroute.proto.framing import (
    CHUNKED,
    NO_BODY,
    UNTIL_CLOSE,
    Body,
    FramingError,
    content_length,
    require_chunked,
    response_body,
)
from omniroute.proto.headers import Headers

LENGTH = b"content-length"
CODING = b"transfer-encoding"


@pytest.mark.parametrize(("value", "length"), [(b"0", 0), (b"42", 42), (b"007", 7), (b"9" * 18, 10**18 - 1)])
def test_a_content_length_is_digits(value: bytes, length: int) -> None:
    assert content_length(value) == length


@pytest.mark.parametrize("value", [b"1, 1", b"", b"+1", b"1 ", b"1_0", "²".encode("latin-1"), b"1" * 19])
def test_any_other_content_length_is_refused(value: bytes) -> None:
    with pytest.raises(FramingError) as caught:
        content_length(value)
    assert caught.value.status == 400


@pytest.mark.parametrize("coding", [b"chunked", b"Chunked"])
def test_a_request_may_be_chunked(coding: bytes) -> None:
    require_chunked([(b"host", b"h"), (CODING, coding)], "1.1")


@pytest.mark.parametrize(
    ("headers", "version", "status"),
    [
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
def test_a_request_with_another_transfer_coding_is_refused(headers: Headers, version: str, status: int) -> None:
    with pytest.raises(FramingError) as caught:
        require_chunked(headers, version)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("method", "status", "headers", "framing"),
    [
        ("GET", 200, [(LENGTH, b"5")], Body.LENGTH),
        ("GET", 200, [(LENGTH, b"0")], NO_BODY),
        ("GET", 200, [(CODING, b"chunked")], CHUNKED),
        ("GET", 200, [], UNTIL_CLOSE),
        ("HEAD", 200, [(LENGTH, b"5")], NO_BODY),
        ("HEAD", 200, [(CODING, b"chunked")], NO_BODY),
        ("GET", 100, [], NO_BODY),
        ("GET", 204, [], NO_BODY),
        ("GET", 304, [(LENGTH, b"5")], NO_BODY),
        ("CONNECT", 200, [(LENGTH, b"5")], UNTIL_CLOSE),
        ("CONNECT", 407, [(LENGTH, b"5")], Body.LENGTH),
    ],
)
def test_method_status_and_fields_decide_the_framing_of_an_answer(
    method: str, status: int, headers: Headers, framing: Body
) -> None:
    assert response_body(method, status, headers) is framing


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
