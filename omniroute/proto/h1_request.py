"""HTTP/1.1 requests from bytes: no I/O, no time, and no guess (RFC 9112; every refusal is a :class:`ProtocolError`).

The head is taken whole, up to the first CRLF CRLF, and then every byte of it is accounted for:

- no control character but TAB survives, and each CR and LF is part of a CRLF that ends a line (one ``translate`` and one
  comparison of lengths say so for the whole head);
- what stands before a line's first colon is a token, which folding (a line that starts with a space), a space before the
  colon, an empty name and a missing colon are not.

So what a more lenient parser would let pass is never formed, and checking and splitting are one pass: a checker in front
of a second parser would cost more, and what the two read differently would be a hole of its own.
"""

from __future__ import annotations

import re
from typing import Final

from ..settings import Limits
from .chunked import ChunkDecoder
from .exchange import Request
from .framing import ProtocolError, content_length, request_body
from .h1_again import PATIENCE, LastHead, remember
from .headers import Headers, get_all

_HEAD_END: Final = b"\r\n\r\n"
_CONTROLS: Final = bytes(byte for byte in (*range(32), 127) if byte != 9)
_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET: Final = re.compile(rb"[\x21\x22\x24-\x7e]+")  # visible ASCII without "#"
_VERSION: Final = re.compile(rb"HTTP/[0-9](?:\.[0-9])?")
_BROKEN: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r[^\n]")
# RFC 9112 section 3.2 with RFC 3986 section 3.2.2: a name, an IPv4 or a bracketed IPv6 address; the port may be empty.
_HOST: Final = re.compile(rb"(?:(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_ABSOLUTE: Final = re.compile(r"https?://([^/?]*)(.*)", re.IGNORECASE)
_VERSIONS: Final = {b"HTTP/1.1": "1.1", b"HTTP/1.0": "1.0"}
_SINGLE: Final = (b"host", b"content-length", b"transfer-encoding", b"expect")
_MAX_EMPTY_LINES: Final = 4  # before a request line (RFC 9112 section 2.2)

# What was read once is looked up afterwards.  Clients repeat themselves: of twenty lines they send, eighteen are the same
# in every request.  The tables are bounded, hold short lines and nothing that may be a secret; a full one is left as it is.
_MAX_ENTRIES: Final = 1024
_MAX_ENTRY: Final = 128
_SDK_FIELDS: Final = b"x-stainless-"  # generated SDKs describe themselves in half a dozen of these
_REPEATED: Final = frozenset(
    b"accept accept-encoding accept-language connection content-type host user-agent".split()
    + b"anthropic-beta anthropic-version".split()
)
_request_lines: Final[dict[bytes, tuple[str, str, str]]] = {}
_field_lines: Final[dict[bytes, tuple[bytes, bytes]]] = {}
_names: Final[dict[bytes, bytes]] = {}  # as sent -> lower-case
_hosts: Final[set[bytes]] = set()


def _request_line(line: bytes) -> tuple[str, str, str]:
    """Method, target and version of *line* (RFC 9112 section 3)."""
    parts = line.split(b" ")
    if len(parts) != 3:
        raise ProtocolError(400, "invalid request line")
    method, target, raw_version = parts
    version = _VERSIONS.get(raw_version)
    if version is None:
        raise ProtocolError(505 if _VERSION.fullmatch(raw_version) else 400, "HTTP version not supported")
    if not _TOKEN.fullmatch(method):
        raise ProtocolError(400, "invalid method")
    if not _TARGET.fullmatch(target):
        raise ProtocolError(400, "invalid request target")
    read = method.decode("ascii"), target.decode("ascii"), version
    if len(_request_lines) < _MAX_ENTRIES and len(line) <= _MAX_ENTRY and b"?" not in target:
        _request_lines[line] = read
    return read


def _origin_form(method: str, target: str) -> tuple[str, bytes]:
    """Path with query, and the authority when the target names one (RFC 9112 section 3.2)."""
    if method == "CONNECT":
        raise ProtocolError(501, "CONNECT is not supported")
    if target == "*":
        if method != "OPTIONS":
            raise ProtocolError(400, "invalid request target")
        return target, b""
    found = _ABSOLUTE.fullmatch(target)
    if found is None or not found[1]:
        raise ProtocolError(400, "invalid request target")
    rest = found[2]
    if not rest and method == "OPTIONS":
        rest = "*"  # section 3.2.4
    return (rest if rest[:1] in ("/", "*") else "/" + rest), found[1].encode()


def _field(line: bytes) -> tuple[bytes, bytes]:
    """Lower-case name and value of one *line* (RFC 9112 section 5)."""
    raw, colon, value = line.partition(b":")
    if not colon:
        raise ProtocolError(400, "header line without a colon")
    name = _names.get(raw)
    if name is None:
        if not _TOKEN.fullmatch(raw):
            raise ProtocolError(400, "invalid header name")
        name = raw.lower()
        if len(_names) < _MAX_ENTRIES and len(raw) <= _MAX_ENTRY:
            _names[raw] = name
    field = (name, value.strip())
    if len(_field_lines) < _MAX_ENTRIES and len(line) <= _MAX_ENTRY and (name in _REPEATED or name.startswith(_SDK_FIELDS)):
        _field_lines[line] = field
    return field


def _join_repeated(headers: Headers, by_name: dict[bytes, bytes]) -> None:
    """Make *by_name* say what repeated fields say together, or refuse the repetition."""
    for name in _SINGLE:
        if name in by_name and len(get_all(headers, name)) > 1:
            raise ProtocolError(400, f"repeated {name.decode()}")
    if b"connection" in by_name:
        by_name[b"connection"] = b",".join(get_all(headers, b"connection"))


def _check_host(host: bytes | None, version: str) -> None:
    if host is None:
        if version == "1.1":
            raise ProtocolError(400, "missing Host")
    elif not _HOST.fullmatch(host):
        raise ProtocolError(400, "invalid Host")
    elif len(_hosts) < _MAX_ENTRIES and len(host) <= _MAX_ENTRY:
        _hosts.add(host)


class RequestParser:
    """The requests of one connection, one after the other.

    ``feed`` bytes; ``head`` gives the next request or None; then ``body`` gives what has arrived of its body until
    ``complete``; then ``head`` again.  The attributes describe the request that ``head`` gave last.
    """

    __slots__ = ("_buffer", "_chunks", "_empty_lines", "_last", "_left", "_limits", "_patience", "_peer", "_scanned",
                 "_scheme", "complete", "expects_continue", "keep_alive")  # fmt: skip

    def __init__(self, limits: Limits, peer: str = "", scheme: str = "http") -> None:
        self._limits = limits
        self._peer = peer
        self._scheme = scheme
        self._buffer = b""
        self._scanned = 0  # the buffer up to here has no end of a head
        self._empty_lines = 0
        self._left = 0  # bytes of a fixed body still to come
        self._chunks: ChunkDecoder | None = None
        self._last: LastHead | None = None
        self._patience = PATIENCE + 1  # many connections carry one request: the first is not remembered
        self.complete = True
        self.keep_alive = True
        self.expects_continue = False

    @property
    def pending(self) -> int:
        """Bytes fed but not yet read."""
        return len(self._buffer)

    @property
    def announced(self) -> int:
        """Bytes of the body that are still to come, as far as said: all of a fixed body, the open chunk of a chunked one."""
        return self._chunks.announced if self._chunks is not None else self._left

    def feed(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data

    # -- the head ----------------------------------------------------------------------------------------------------

    def head(self) -> Request | None:
        """The next request, its body unread, or None while its head is incomplete.  Raises :class:`ProtocolError`."""
        buffer = self._buffer
        end = buffer.find(_HEAD_END, self._scanned)
        if buffer[:1] in (b"\r", b"\n"):
            return self._skip_empty_line()
        if end < 0:
            if buffer:
                self._check_partial(buffer)
            return None
        if end > self._limits.head_bytes:
            self._check_line(buffer)
            raise ProtocolError(431, "request head too large")
        self._buffer = buffer[end + 4 :]
        self._scanned = self._empty_lines = 0
        return self._parse(buffer[:end])

    def _skip_empty_line(self) -> Request | None:
        self._scanned = 0
        if self._buffer == b"\r":
            return None
        self._empty_lines += 1
        if self._buffer[:2] != b"\r\n" or self._empty_lines > _MAX_EMPTY_LINES:
            raise ProtocolError(400, "invalid request line")
        self._buffer = self._buffer[2:]
        return self.head()

    def _check_partial(self, buffer: bytes) -> None:
        """Refuse early what can only end badly: too long, or with a byte that no head has."""
        self._check_line(buffer)
        if len(buffer) > self._limits.head_bytes + 3:
            raise ProtocolError(431, "request head too large")
        if _BROKEN.search(buffer, max(0, self._scanned - 1)):
            raise ProtocolError(400, "control character in the request head")
        self._scanned = max(0, len(buffer) - 3)

    def _check_line(self, buffer: bytes) -> None:
        if len(buffer) > self._limits.line_bytes and buffer.find(b"\r\n", 0, self._limits.line_bytes + 2) < 0:
            raise ProtocolError(414, "request line too long")

    def _parse(self, block: bytes) -> Request:
        last = self._last
        if last is not None and (length := last.length_in(block)):
            return self._again(last, length)
        lines = block.split(b"\r\n")
        limits = self._limits
        if len(lines[0]) > limits.line_bytes:
            raise ProtocolError(414, "request line too long")
        if len(lines) > limits.header_fields + 1:
            raise ProtocolError(431, "too many header fields")
        if len(block.translate(None, _CONTROLS)) != len(block) - 2 * (len(lines) - 1):
            raise ProtocolError(400, "control character in the request head")
        line = lines.pop(0)
        method, target, version = _request_lines.get(line) or _request_line(line)
        known = _field_lines
        headers = [known.get(line) or _field(line) for line in lines]
        by_name = dict(headers)
        if len(by_name) != len(headers):
            _join_repeated(headers, by_name)
        request = self._request(method, target, version, headers, by_name)
        if self._patience and self._left and not self.expects_continue:
            if self._patience <= PATIENCE:
                self._last = remember(block, lines, request, keep_alive=self.keep_alive)
            self._patience -= 1
        return request

    def _again(self, last: LastHead, length: bytes) -> Request:
        self._patience = PATIENCE
        self.keep_alive = last.keep_alive
        self.expects_continue = False
        self._chunks = None
        self._left = content_length(length)
        self.complete = not self._left
        return last.request(length)

    def _request(self, method: str, target: str, version: str, headers: Headers, by_name: dict[bytes, bytes]) -> Request:
        """What the fields mean; *by_name* holds the ones looked at here without repetition."""
        self.keep_alive = version == "1.1"
        self.expects_continue = False
        if b"connection" in by_name or b"expect" in by_name:
            self._connection(by_name)
        authority = b""
        if target[0] != "/" or method == "CONNECT":
            if target[:6].lower() == "https:" and self._scheme != "https":  # RFC 9110 section 7.4
                raise ProtocolError(421, "https was asked for on a connection that is not encrypted")
            target, authority = _origin_form(method, target)
        if (host := by_name.get(b"host")) not in _hosts:
            _check_host(host, version)
        if authority:  # RFC 9112 section 3.2.2: it replaces the field
            _check_host(authority, version)
            headers = [(b"host", authority), *(field for field in headers if field[0] != b"host")]
        if b"transfer-encoding" in by_name:
            request_body(headers, version)  # chunked or refused
            self._chunks = ChunkDecoder()
            self.complete = False
        else:
            self._chunks = None
            length = by_name.get(b"content-length")
            self._left = content_length(length) if length is not None else 0
            self.complete = not self._left
        path, _, query = target.partition("?")
        named = by_name if len(by_name) == len(headers) and not authority else None
        return Request(
            method, path, query, headers, peer=self._peer, scheme=self._scheme, version=version, named=named
        )  # fmt: skip

    def _connection(self, by_name: dict[bytes, bytes]) -> None:
        """Persistence (RFC 9112 section 9.3) and expectations (RFC 9110 section 10.1.1)."""
        one_point_one = self.keep_alive
        if (value := by_name.get(b"connection")) is not None:
            options = [option.strip() for option in value.lower().split(b",")]
            self.keep_alive = (one_point_one or b"keep-alive" in options) and b"close" not in options
        if (value := by_name.get(b"expect")) is not None and one_point_one:  # a 1.0 client's must be ignored
            if value.lower() != b"100-continue":
                raise ProtocolError(417, "expectation not supported")
            self.expects_continue = True

    # -- the body ----------------------------------------------------------------------------------------------------

    def body(self) -> bytes:
        """What has arrived of the body since the last call; ``complete`` says whether that was all.

        Of a chunked body it may be a part: what is ``pending`` then is for the next call.
        """
        data = self._buffer
        if self._chunks is not None:
            piece = self._chunks.feed(data)
            self.complete = self._chunks.complete
            self._buffer = self._chunks.rest
            return piece
        if len(data) <= self._left:
            self._buffer = b""
            self._left -= len(data)
        else:
            self._buffer = data[self._left :]
            data = data[: self._left]
            self._left = 0
        self.complete = not self._left
        return data
