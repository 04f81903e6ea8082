"""Requests that must be refused, as data: name, bytes, status.  The connection is closed after each."""

from __future__ import annotations

from typing import NamedTuple


class Attack(NamedTuple):
    name: str
    data: bytes
    status: int
    after_head: bool = False  # only reading the body reveals it


def _head(*lines: bytes, line: bytes = b"POST /p HTTP/1.1", host: bytes = b"Host: h\r\n") -> bytes:
    return line + b"\r\n" + host + b"".join(part + b"\r\n" for part in lines) + b"\r\n"


def _line(line: bytes) -> bytes:
    return line + b"\r\nHost: h\r\n\r\n"


_CHUNKED = b"Transfer-Encoding: chunked"


def _chunks(body: bytes) -> bytes:
    return _head(_CHUNKED) + body


HEADS = [
    Attack("two lengths", _head(b"Content-Length: 3", b"Content-Length: 4") + b"abcd", 400),
    Attack("the same length twice", _head(b"Content-Length: 3", b"Content-Length: 3") + b"abc", 400),
    Attack("a list of lengths", _head(b"Content-Length: 3, 3") + b"abc", 400),
    Attack("length with a plus", _head(b"Content-Length: +3") + b"abc", 400),
    Attack("length with a minus", _head(b"Content-Length: -3") + b"abc", 400),
    Attack("hexadecimal length", _head(b"Content-Length: 0x3") + b"abc", 400),
    Attack("length with an underscore", _head(b"Content-Length: 1_0") + b"0123456789", 400),
    Attack("length with a fraction", _head(b"Content-Length: 3.0") + b"abc", 400),
    Attack("empty length", _head(b"Content-Length:") + b"abc", 400),
    Attack("length with Arabic digits", _head("Content-Length: ٣".encode()) + b"abc", 400),
    Attack("endless length", _head(b"Content-Length: " + b"9" * 40), 400),
    Attack("length and chunked", _head(b"Content-Length: 3", _CHUNKED) + b"0\r\n\r\n", 400),
    Attack("chunked and length", _head(_CHUNKED, b"Content-Length: 3") + b"0\r\n\r\n", 400),
    Attack("unknown coding", _head(b"Transfer-Encoding: gzip"), 501),
    Attack("coding before chunked", _head(b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n", 501),
    Attack("identity", _head(b"Transfer-Encoding: identity"), 501),
    Attack("chunked not last", _head(b"Transfer-Encoding: chunked, gzip"), 400),
    Attack("chunked twice", _head(b"Transfer-Encoding: chunked, chunked"), 400),
    Attack("chunked in two fields", _head(_CHUNKED, _CHUNKED), 400),
    Attack("chunked in disguise", _head(b"Transfer-Encoding: xchunked;q=1"), 400),
    Attack("quoted chunked", _head(b'Transfer-Encoding: "chunked"'), 400),
    Attack("chunked with an empty element", _head(b"Transfer-Encoding: ,chunked"), 400),
    Attack("chunked with a vertical tab", _head(b"Transfer-Encoding: \x0bchunked"), 400),
    Attack("empty coding", _head(b"Transfer-Encoding:"), 400),
    Attack("space before the colon", _head(b"Transfer-Encoding : chunked"), 400),
    Attack("tab before the colon", _head(b"Content-Length\t: 3"), 400),
    Attack("chunked to HTTP/1.0", _head(_CHUNKED, line=b"POST /p HTTP/1.0") + b"0\r\n\r\n", 400),
    Attack("folded field", _head(b"X-A: one", b" two"), 400),
    Attack("folded with a tab", _head(b"X-A: one", b"\ttwo"), 400),
    Attack("folded first field", _head(b"X-A: one", host=b" Host: h\r\n"), 400),
    Attack("bare LF ends a field", b"POST /p HTTP/1.1\r\nHost: h\nX-A: b\r\n\r\n", 400),
    Attack("bare LF ends the request line", b"POST /p HTTP/1.1\nHost: h\r\n\r\n", 400),
    Attack("bare LF ends the head", b"POST /p HTTP/1.1\r\nHost: h\r\n\n", 400),
    Attack("only LF", b"POST /p HTTP/1.1\nHost: h\n\n", 400),
    Attack("LF CR", b"POST /p HTTP/1.1\r\nHost: h\n\r\r\n\r\n", 400),
    Attack("bare CR in a value", _head(b"X-A: one\rtwo"), 400),
    Attack("bare CR ends a field", b"POST /p HTTP/1.1\r\nHost: h\rX-A: b\r\n\r\n", 400),
    Attack("double CR", b"POST /p HTTP/1.1\r\nHost: h\r\r\n\r\n", 400),
    Attack("NUL in a value", _head(b"X-A: one\0two"), 400),
    Attack("NUL in a name", _head(b"X-\0A: one"), 400),
    Attack("DEL in a value", _head(b"X-A: one\x7ftwo"), 400),
    Attack("escape in a value", _head(b"X-A: \x1b[31m"), 400),
    Attack("empty name", _head(b": x"), 400),
    Attack("no colon", _head(b"X-A"), 400),
    Attack("known name without a colon", _head(b"Host"), 400),
    Attack("space in a name", _head(b"X A: b"), 400),
    Attack("name with a slash", _head(b"X/A: b"), 400),
    Attack("name with brackets", _head(b"X[A]: b"), 400),
    Attack("name beyond ASCII", _head("X-é: b".encode()), 400),
    Attack("quoted name", _head(b'"Host": b'), 400),
    Attack("no Host", _head(host=b""), 400),
    Attack("two Hosts", _head(b"Host: h"), 400),
    Attack("two Hosts that differ", _head(b"host: evil"), 400),
    Attack("empty Host", _head(host=b"Host: \r\n"), 400),
    Attack("Host with a path", _head(host=b"Host: h/p\r\n"), 400),
    Attack("Host with a user", _head(host=b"Host: u@h\r\n"), 400),
    Attack("Host with a space", _head(host=b"Host: a b\r\n"), 400),
    Attack("Host with a list", _head(host=b"Host: a, b\r\n"), 400),
    Attack("Host with a word for a port", _head(host=b"Host: h:http\r\n"), 400),
    Attack("Host with an open bracket", _head(host=b"Host: [::1\r\n"), 400),
    Attack("two Hosts to HTTP/1.0", _head(b"Host: b", line=b"GET / HTTP/1.0"), 400),
    Attack("target with a space", _line(b"GET /a b HTTP/1.1"), 400),
    Attack("target with a tab", _line(b"GET /a\tb HTTP/1.1"), 400),
    Attack("target beyond ASCII", _line("GET /é HTTP/1.1".encode()), 400),
    Attack("target with NUL", _line(b"GET /\0 HTTP/1.1"), 400),
    Attack("target with a fragment", _line(b"GET /a#b HTTP/1.1"), 400),
    Attack("no target", _line(b"GET  HTTP/1.1"), 400),
    Attack("relative target", _line(b"GET a/b HTTP/1.1"), 400),
    Attack("target of another scheme", _line(b"GET ftp://h/ HTTP/1.1"), 400),
    Attack("absolute target with a user", _line(b"GET http://u:p@h/ HTTP/1.1"), 400),
    Attack("absolute target without a host", _line(b"GET http:///p HTTP/1.1"), 400),
    Attack("absolute target with a bad host", _line(b"GET http://a,b{}/p HTTP/1.1"), 400),
    Attack("absolute target without Host", _head(line=b"GET http://h/ HTTP/1.1", host=b""), 400),
    Attack("https target on a connection without TLS", _line(b"GET https://h/p HTTP/1.1"), 421),
    Attack("HTTPS target on a connection without TLS", _line(b"OPTIONS HTTPS://h HTTP/1.1"), 421),
    Attack("asterisk for GET", _line(b"GET * HTTP/1.1"), 400),
    Attack("authority for GET", _line(b"GET h:80 HTTP/1.1"), 400),
    Attack("CONNECT", _line(b"CONNECT h:80 HTTP/1.1"), 501),
    Attack("CONNECT with a path", _line(b"CONNECT / HTTP/1.1"), 501),
    Attack("two spaces", _line(b"GET  / HTTP/1.1"), 400),
    Attack("tab between", _line(b"GET\t/ HTTP/1.1"), 400),
    Attack("space before the method", _line(b" GET / HTTP/1.1"), 400),
    Attack("space after the version", _line(b"GET / HTTP/1.1 "), 400),
    Attack("four words", _line(b"GET / / HTTP/1.1"), 400),
    Attack("HTTP/0.9", b"GET /\r\n\r\n", 400),
    Attack("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    Attack("HTTP/1.2", _line(b"GET / HTTP/1.2"), 505),
    Attack("HTTP/3", _line(b"GET / HTTP/3"), 505),
    Attack("HTTP/1", _line(b"GET / HTTP/1"), 400),
    Attack("lower-case protocol", _line(b"GET / http/1.1"), 400),
    Attack("HTTP/1.10", _line(b"GET / HTTP/1.10"), 400),
    Attack("HTTP/01.1", _line(b"GET / HTTP/01.1"), 400),
    Attack("another protocol", _line(b"GET / RTSP/1.0"), 400),
    Attack("method that is no token", _line(b"G(ET / HTTP/1.1"), 400),
    Attack("method beyond ASCII", _line("GÉT / HTTP/1.1".encode()), 400),
    Attack("TLS to a plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    Attack("garbage", bytes(range(256)), 400),
    Attack("LF first", b"\n\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    Attack("many empty lines", b"\r\n" * 9 + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    Attack("unknown expectation", _head(b"Expect: 200-ok", b"Content-Length: 3") + b"abc", 417),
    Attack("unknown expectation in a list", _head(b"Expect: 100-continue, x", b"Content-Length: 3") + b"abc", 417),
    Attack("two expectations", _head(b"Expect: 100-continue", b"Expect: 100-continue", b"Content-Length: 1"), 400),
    Attack("long target", _line(b"GET /" + b"a" * 8192 + b" HTTP/1.1"), 414),
    Attack("endless target", b"GET /" + b"a" * 70_000, 414),
    Attack("long head", _head(*(b"X-%d: " % n + b"a" * 1000 for n in range(70))), 431),
    Attack("endless head", _head()[:-2] + b"X-A: " + b"a" * 70_000, 431),
    Attack("101 fields", _head(*(b"X-%d: a" % n for n in range(100))), 431),
    Attack("length beyond the limit", _head(b"Content-Length: 1048577"), 413),
    Attack("length beyond the limit, with Expect", _head(b"Content-Length: 1048577", b"Expect: 100-continue"), 413),
]

BODIES = [
    Attack("chunk size with a plus", _chunks(b"+3\r\nabc\r\n0\r\n\r\n"), 400),
    Attack("chunk size with a minus", _chunks(b"-3\r\nabc\r\n0\r\n\r\n"), 400),
    Attack("chunk size with 0x", _chunks(b"0x3\r\nabc\r\n0\r\n\r\n"), 400),
    Attack("chunk size with an underscore", _chunks(b"0_3\r\nabc\r\n0\r\n\r\n"), 400),
    Attack("chunk size of 17 digits", _chunks(b"00000000000000003\r\nabc\r\n0\r\n\r\n"), 400),
    Attack("empty chunk size", _chunks(b"\r\nabc\r\n0\r\n\r\n"), 400),
    Attack("chunk size is no number", _chunks(b"g\r\nabc\r\n0\r\n\r\n"), 400),
    Attack("space before a chunk size", _chunks(b" 3\r\nabc\r\n0\r\n\r\n"), 400),
    Attack("space after a chunk size", _chunks(b"3 \r\nabc\r\n0\r\n\r\n"), 400),
    Attack("tab after a chunk size", _chunks(b"3\t\r\nabc\r\n0\r\n\r\n"), 400),
    Attack("space before a chunk extension", _chunks(b"3 ;a=b\r\nabc\r\n0\r\n\r\n"), 400),
    Attack("chunk extension without a name", _chunks(b"3;\r\nabc\r\n0\r\n\r\n"), 400),
    Attack("chunk extension with an open quote", _chunks(b'3;a="b\r\nabc\r\n0\r\n\r\n'), 400),
    Attack("LF in a chunk extension", _chunks(b"3;a\nb\r\nabc\r\n0\r\n\r\n"), 400),
    Attack("CR in a chunk extension", _chunks(b"3;a\rb\r\nabc\r\n0\r\n\r\n"), 400),
    Attack("endless chunk extension", _chunks(b"3;" + b"a" * 5000), 400),
    Attack("bare LF after a chunk size", _chunks(b"3\nabc\r\n0\r\n\r\n"), 400),
    Attack("bare CR after a chunk size", _chunks(b"3\rabc\r\n0\r\n\r\n"), 400),
    Attack("bare LF after a chunk", _chunks(b"3\r\nabc\n0\r\n\r\n"), 400),
    Attack("nothing after a chunk", _chunks(b"3\r\nabc0\r\n\r\n"), 400),
    Attack("chunk longer than its size", _chunks(b"3\r\nabcd\r\n0\r\n\r\n"), 400),
    Attack("chunk longer than its size by CR", _chunks(b"3\r\nabc\r\r\n0\r\n\r\n"), 400),
    Attack("bare LF ends the trailers", _chunks(b"0\r\n\n"), 400),
    Attack("bare LF in a trailer", _chunks(b"0\r\nX: a\nY: b\r\n\r\n"), 400),
    Attack("trailer that is no field", _chunks(b"0\r\nGET / HTTP/1.1\r\n\r\n"), 400),
    Attack("folded trailer", _chunks(b"0\r\nX: a\r\n b\r\n\r\n"), 400),
    Attack("NUL in a trailer", _chunks(b"0\r\nX: a\0\r\n\r\n"), 400),
    Attack("endless trailers", _chunks(b"0\r\n" + b"X: aaaaaaaaaaaaaaaaaa\r\n" * 500), 431),
    Attack("chunk beyond the limit", _chunks(b"100001\r\n"), 413),
    Attack("chunk of all the memory", _chunks(b"ffffffffffffffff\r\n"), 413),
    Attack("chunks beyond the limit", _chunks(b"80000\r\n" + b"a" * 0x80000 + b"\r\n80001\r\n"), 413),
]
ATTACKS = HEADS + [attack._replace(after_head=True) for attack in BODIES]
