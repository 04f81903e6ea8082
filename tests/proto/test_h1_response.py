from __future__ import annotations

import pytest
from fakes import FakeClock

from omniroute.proto.h1_response import STATUS_LINES, DateField, fields, status_line, stream_head, whole_head
from omniroute.proto.headers import Headers


def test_the_date_changes_with_the_second_and_follows_a_clock_set_back() -> None:
    clock = FakeClock(784_111_777.5)  # the example of RFC 9110 section 5.6.7
    date = DateField(clock)  # type: ignore[arg-type]
    assert date.line() == b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    clock.advance(0.4)
    assert date.line() is date.line()
    clock.advance(0.2)
    assert date.line() == b"date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"
    clock.now = 784_111_777.0
    assert date.line() == b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (200, b"HTTP/1.1 200 OK\r\n"),
        (413, b"HTTP/1.1 413 Content Too Large\r\n"),
        (529, b"HTTP/1.1 529 Overloaded\r\n"),
        (599, b"HTTP/1.1 599 \r\n"),
    ],
)
def test_a_status_line_has_the_reason_of_its_status_or_none(status: int, line: bytes) -> None:
    assert status_line(status) == line


def test_every_status_line_is_one_line() -> None:
    assert all(line.count(b"\r\n") == 1 and line.endswith(b"\r\n") for line in STATUS_LINES.values())


def test_a_head_has_its_fields_in_order_and_its_framing_last() -> None:
    headers: Headers = [(b"x-a", b"b"), (b"date", b"the handler's")]
    assert whole_head(200, headers, b"date: d\r\n", b"connection: close\r\n", 3) == (
        b"HTTP/1.1 200 OK\r\ndate: d\r\nx-a: b\r\nconnection: close\r\ncontent-length: 3\r\n\r\n"
    )
    assert whole_head(204, [], b"date: d\r\n", b"", 0) == b"HTTP/1.1 204 No Content\r\ndate: d\r\n\r\n"
    assert stream_head(200, headers, b"date: d\r\n", b"", b"transfer-encoding: chunked\r\n") == (
        b"HTTP/1.1 200 OK\r\ndate: d\r\nx-a: b\r\ntransfer-encoding: chunked\r\n\r\n"
    )


def test_fields_keep_order_and_repetition() -> None:
    headers = [(b"set-cookie", b"a"), (b"x", b""), (b"set-cookie", b"b\xe9")]
    assert fields(headers) == b"set-cookie: a\r\nx: \r\nset-cookie: b\xe9\r\n"
    assert fields([]) == b""


@pytest.mark.parametrize("name", [b"content-length", b"Content-Length", b"transfer-encoding", b"connection", b"keep-alive"])
def test_framing_fields_are_left_out(name: bytes) -> None:
    assert fields([(name, b"1"), (b"x", b"y")]) == b"x: y\r\n"


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb", b"a\rb", b"\0", b"\r\n"])
def test_a_value_cannot_end_its_line(value: bytes) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="control character"):
            fields([(b"x", value)])


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\nb", b"\xe9"])
def test_a_name_is_a_token(name: bytes) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="header"):
            fields([(name, b"x")])
