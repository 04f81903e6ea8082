"""Requests made to be misread, sent to a listening gateway as raw bytes: nothing is guessed, nothing slips through."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from h1_attacks import ATTACKS, Attack
from h1_wire import read_answers
from processes import Process
from raw_http import check, connect, error_text, read_until, talk

PATH = b"/v1/chat/completions"
GET = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module", params=["default", "strict"])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    strict = "true" if request.param == "strict" else "false"
    data = tmp_path_factory.mktemp(request.param)
    process = Process(
        data, STRICT_HTTP=strict, MAX_BODY_SIZE_BYTES="1048576", BODY_TIMEOUT_MS="1000", HEAD_TIMEOUT_MS="1000"
    ).start()
    yield process
    assert process.stop() == 0
    assert "Traceback" not in (data / "output.txt").read_text()


def aimed(attack: Attack) -> bytes:
    """The attack, at a path that takes a body."""
    data = attack.data.replace(b"POST /p HTTP", b"POST " + PATH + b" HTTP", 1)
    return data.replace(b"Host: h\r\n", b"Host: localhost\r\n", 1)


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
def test_an_ambiguous_request_is_refused_once_and_the_connection_ends(target: Process, attack: Attack) -> None:
    (answer,) = talk(target.port, aimed(attack) + GET, shut=attack.data.startswith(b"\x16"))
    assert (answer.status, answer.headers[b"connection"]) == (attack.status, b"close")
    assert answer.headers[b"content-type"] == b"application/json"


def smuggled(framing: bytes, body: bytes) -> bytes:
    return b"POST " + PATH + b" HTTP/1.1\r\nHost: localhost\r\n" + framing + b"\r\n\r\n" + body


INNER = b"GET /api/keys HTTP/1.1\r\nHost: localhost\r\n\r\n"
SMUGGLING = {
    "CL.TE": smuggled(b"Content-Length: 6\r\nTransfer-Encoding: chunked", b"0\r\n\r\n" + INNER),
    "TE.CL": smuggled(b"Transfer-Encoding: chunked\r\nContent-Length: 4", b"2c\r\n" + INNER + b"\r\n0\r\n\r\n"),
    "TE.TE, one unknown": smuggled(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x", b"0\r\n\r\n" + INNER),
    "TE.TE, one upper case": smuggled(b"Transfer-Encoding: chunked\r\nTRANSFER-ENCODING: chunked", b"0\r\n\r\n" + INNER),
    "TE with a space before the colon": smuggled(b"Transfer-Encoding : chunked", b"0\r\n\r\n" + INNER),
    "TE with a form feed": smuggled(b"Transfer-Encoding:\x0cchunked", b"0\r\n\r\n" + INNER),
    "TE with a comma": smuggled(b"Transfer-Encoding: chunked,", b"0\r\n\r\n" + INNER),
    "TE with a parameter": smuggled(b"Transfer-Encoding: chunked;a=b", b"0\r\n\r\n" + INNER),
    "TE folded": smuggled(b"Transfer-Encoding:\r\n chunked", b"0\r\n\r\n" + INNER),
    "TE behind a bare CR": smuggled(b"X: y\rTransfer-Encoding: chunked", b"0\r\n\r\n" + INNER),
    "TE behind a bare LF": smuggled(b"X: y\nTransfer-Encoding: chunked", b"0\r\n\r\n" + INNER),
    "CL in a list": smuggled(b"Content-Length: 0, 5", INNER),
    "CL signed": smuggled(b"Content-Length: +5", INNER),
    "CL with a thin space": smuggled("Content-Length: 5\u2009".encode(), INNER),
    "CL octal by another's reading": smuggled(b"Content-Length: 0o5", INNER),
    "chunk ended by LF": smuggled(b"Transfer-Encoding: chunked", b"1\r\nx\n0\r\n\r\n" + INNER),
    "size line ended by LF in an extension": smuggled(b"Transfer-Encoding: chunked", b"2;\nxx\r\n0\r\n\r\n" + INNER),
    "chunk size that overflows": smuggled(b"Transfer-Encoding: chunked", b"10000000000000000\r\n" + INNER),
}


@pytest.mark.parametrize("case", SMUGGLING)
def test_no_request_is_smuggled_behind_another(target: Process, case: str) -> None:
    answers = talk(target.port, SMUGGLING[case] + INNER)
    assert [answer.status for answer in answers] in ([400], [501], [413])
    assert answers[0].headers[b"connection"] == b"close"


@pytest.mark.parametrize("size", [1, 7, 61])
def test_what_is_refused_does_not_depend_on_how_the_bytes_arrive(target: Process, size: int) -> None:
    data = smuggled(b"Content-Length: 3, 3", b"abc")
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert [answer.status for answer in talk(target.port, *pieces)] == [400]
    pieces = [LAST[at : at + size] for at in range(0, len(LAST), size)]
    assert [answer.status for answer in talk(target.port, *pieces, methods=("GET",))] == [200]


LEGAL = {
    "leading zeros in a length": smuggled(b"Content-Length: 0002", b"{}"),
    "spaces around a value": smuggled(b"Content-Length: \t 2 ", b"{}"),
    "chunk extensions": smuggled(b"Transfer-Encoding: chunked", b'2;a=b;c="d e"\r\n{}\r\n0;x\r\n\r\n'),
    "leading zeros in a chunk size": smuggled(b"Transfer-Encoding: chunked", b"0002\r\n{}\r\n000\r\n\r\n"),
    "trailers": smuggled(b"Transfer-Encoding: chunked", b"2\r\n{}\r\n0\r\nX-Trailer: a\r\nHost: evil\r\n\r\n"),
    "upper-case coding": smuggled(b"Transfer-Encoding: CHUNKED", b"2\r\n{}\r\n0\r\n\r\n"),
    "names in any case": smuggled(b"cOnTeNt-LeNgTh: 2", b"{}"),
    "empty lines before": b"\r\n\r\n" + smuggled(b"Content-Length: 2", b"{}"),
    "empty values": smuggled(b"X-Empty:\r\nContent-Length: 2", b"{}"),
    "bytes beyond ASCII in a value": smuggled(b"X-Name: J\xfcrg\r\nContent-Length: 2", b"{}"),
}


@pytest.mark.parametrize("case", LEGAL)
def test_what_is_legal_is_read_to_its_end_and_the_next_request_is_answered(target: Process, case: str) -> None:
    answers = talk(target.port, LEGAL[case] + LAST, methods=("POST", "GET"))
    assert [answer.status for answer in answers] == [400, 200]  # 400: '{}' names no model
    assert "model" in error_text(answers[0])


def test_an_absolute_target_counts_more_than_the_host_field(target: Process) -> None:
    head = b"GET http://%b/v1/models HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n"
    assert [a.status for a in talk(target.port, head % (b"localhost", b"evil.example"), methods=("GET",))] == [200]
    assert [a.status for a in talk(target.port, head % (b"evil.example", b"localhost"), methods=("GET",))] == [403]


def test_pipelined_requests_are_answered_in_order_whatever_each_of_them_is(target: Process) -> None:
    missing = GET.replace(b"/v1/models", b"/nowhere")
    wrong = GET.replace(b"GET", b"DELETE", 1)
    empty = smuggled(b"Content-Length: 2", b"{}")
    foreign = GET.replace(b"localhost", b"evil.example")
    sent = [GET, missing, empty, wrong, foreign, GET.replace(b"GET", b"HEAD", 1), LAST]
    methods = ("GET", "GET", "POST", "DELETE", "GET", "HEAD", "GET")
    answers = talk(target.port, b"".join(sent), methods=methods)
    assert [answer.status for answer in answers] == [200, 404, 400, 405, 403, 200, 200]
    assert answers[5].headers[b"content-length"] != b"0"
    assert answers[-1].headers[b"connection"] == b"close"


def test_a_broken_request_in_the_middle_ends_the_pipeline(target: Process) -> None:
    answers = talk(target.port, GET + GET.replace(b"Host:", b"Host :") + GET, methods=("GET", "GET"))
    assert [answer.status for answer in answers] == [200, 400]


def test_five_hundred_pipelined_requests(target: Process) -> None:
    small = GET.replace(b"/v1/models", b"/api/init")
    answers = talk(target.port, small * 500 + LAST, methods=("GET",) * 501)
    assert [answer.status for answer in answers] == [200] * 501


def test_expect_continue(target: Process) -> None:
    head = smuggled(b"Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close", b"")
    with connect(target.port) as sock:
        sock.sendall(head)
        assert read_until(sock, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"{}")
        (answer,) = read_answers(read_until(sock, b"}}"), ["POST"], closed=True)
        assert check(answer).status == 400
    refused = head.replace(PATH, b"/nowhere", 1)
    assert [a.status for a in talk(target.port, refused)] == [404]  # and no 100 before it
    too_large = head.replace(b"Content-Length: 2", b"Content-Length: 20000000")
    assert [a.status for a in talk(target.port, too_large)] == [413]
    assert [a.status for a in talk(target.port, head.replace(b"100-continue", b"magic"))] == [417]


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("HEAD", b"/v1/models", 200, None),
        ("HEAD", PATH, 405, b"OPTIONS, POST"),
        ("HEAD", b"/nowhere", 404, None),
        ("OPTIONS", PATH, 204, b"OPTIONS, POST"),
        ("OPTIONS", b"/v1/models", 204, b"GET, HEAD, OPTIONS"),
        ("OPTIONS", b"*", 204, b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
        ("TRACE", b"/v1/models", 405, b"GET, HEAD, OPTIONS"),
        ("PROPFIND", b"/v1/models", 405, b"GET, HEAD, OPTIONS"),
        ("get", b"/v1/models", 405, b"GET, HEAD, OPTIONS"),
        ("CONNECT", b"localhost:80", 501, None),
    ],
)
def test_methods(target: Process, method: str, path: bytes, status: int, allow: bytes | None) -> None:
    data = method.encode() + b" " + path + b" HTTP/1.1\r\nHost: localhost\r\nCookie: a=secret\r\nConnection: close\r\n\r\n"
    (answer,) = talk(target.port, data, methods=(method,) if method != "CONNECT" else ("GET",))
    assert (answer.status, answer.headers.get(b"allow")) == (status, allow)
    assert b"secret" not in answer.body
    if method == "HEAD":
        assert answer.body == b""


def test_http_1_0(target: Process) -> None:
    head = b"GET /api/init HTTP/1.0\r\nHost: localhost\r\n"
    (answer,) = talk(target.port, head + b"\r\n", methods=("GET",))
    assert (answer.status, answer.headers[b"connection"]) == (200, b"close")
    kept = head + b"Connection: keep-alive\r\n\r\n"
    answers = talk(target.port, kept + head + b"\r\n", methods=("GET", "GET"))
    assert [answer.headers[b"connection"] for answer in answers] == [b"keep-alive", b"close"]
    assert [a.status for a in talk(target.port, b"GET /api/init HTTP/1.0\r\n\r\n", methods=("GET",))] == [200]


DIALECTS = {
    b"/v1/chat/completions": lambda error: error["error"]["type"] and "code" in error["error"],
    b"/v1/messages": lambda error: error["type"] == "error" and error["error"]["type"],
    b"/v1beta/models/x:generateContent": lambda error: error["error"]["status"] and error["error"]["code"] > 399,
    b"/api/chat": lambda error: isinstance(error["error"], str),
}


@pytest.mark.parametrize("path", DIALECTS)
def test_the_servers_own_refusals_speak_the_dialect_of_the_path(target: Process, path: bytes) -> None:
    large = b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n"
    foreign = b"POST " + path + b" HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    broken = b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    for data, status in ((large, 413), (foreign, 403), (broken, 400)):
        (answer,) = talk(target.port, data)
        assert answer.status == status
        assert DIALECTS[path](json.loads(answer.body)), answer.body


def test_chunk_extensions_cannot_be_sent_without_end(target: Process) -> None:
    piece = b"1;" + b"a" * 1000 + b"\r\n \r\n"
    (answer,) = talk(target.port, smuggled(b"Transfer-Encoding: chunked", piece * 40))
    assert (answer.status, error_text(answer)) == (400, "chunk extensions too large")


def test_single_byte_chunks_are_fine(target: Process) -> None:
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in b'{"model":' + b" " * 3000 + b'""}')
    (answer,) = talk(target.port, smuggled(b"Transfer-Encoding: chunked\r\nConnection: close", body + b"0\r\n\r\n"))
    assert answer.status == 400
    assert "model" in error_text(answer)
