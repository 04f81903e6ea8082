"""Outbound proxies and the handshakes that open a tunnel through one (HTTP CONNECT, SOCKS5).  No I/O.

A handshake is a generator.  It yields bytes to send (perhaps none) and receives the bytes that arrived.  It returns when
the tunnel to the target is open and raises :class:`ProxyRefused` when the proxy does not open one.  Host names are sent
unresolved; the proxy resolves them.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Generator
from ipaddress import ip_address
from typing import Final, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from ..settings import url_host

Scheme = Literal["http", "https", "socks5", "disabled"]
Handshake = Generator[bytes, bytes, None]

PORTS: Final[dict[str, int]] = {"http": 80, "https": 443, "socks5": 1080}
_SPELLINGS: Final[dict[str, Scheme]] = {
    "http": "http", "https": "https", "socks5": "socks5", "socks5h": "socks5", "socks": "socks5"
}  # fmt: skip
_LONGEST_HEAD: Final = 16 * 1024
_OCTET: Final = 255
_V4: Final = 4  # bytes of an address


class Proxy(NamedTuple):
    """A proxy, reached in plain text (``http``, ``socks5``) or over TLS (``https``).

    The scheme ``disabled`` marks a proxy that is configured but must not be used: calls fail instead of bypassing it.
    """

    scheme: Scheme
    host: str  # without brackets
    port: int
    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Proxy({self.url})"

    @property
    def url(self) -> str:
        """The proxy's address without credentials, e.g. ``http://10.0.0.1:3128``."""
        return f"{self.scheme}://{url_host(self.host)}:{self.port}"

    @property
    def authorization(self) -> bytes:
        """The value of ``Proxy-Authorization`` (RFC 7617), empty without credentials."""
        if not self.username and not self.password:
            return b""
        return b"Basic " + b64encode(f"{self.username}:{self.password}".encode())


def parse_proxy(text: str) -> Proxy:
    """Parse ``scheme://user:password@host:port``, as used in environment variables; the scheme defaults to ``http``.

    Raises ``ValueError``; its message does not repeat *text*, which may hold a password.
    """
    try:
        url = urlsplit(text.strip() if "://" in text else f"http://{text.strip()}")
        host, port = url.hostname, url.port
    except ValueError:  # its own message may repeat the text
        raise ValueError("the proxy's address has no usable host and port") from None
    scheme = _SPELLINGS.get(url.scheme.lower())
    if scheme is None:
        raise ValueError("the proxy's address must begin with http://, https:// or socks5://")
    if not host or port == 0:
        raise ValueError("the proxy's address has no usable host and port")
    return Proxy(scheme, host, port or PORTS[scheme], unquote(url.username or ""), unquote(url.password or ""))


class ProxyRefused(Exception):
    """The proxy did not open a tunnel; the message contains no credentials."""


def handshake(proxy: Proxy, host: str, port: int) -> Handshake:
    """The handshake for a tunnel to *host* (a name, or an IP address without brackets) through *proxy*."""
    return socks5(proxy, host, port) if proxy.scheme == "socks5" else connect(proxy, host, port)


def connect(proxy: Proxy, host: str, port: int) -> Handshake:
    """The HTTP CONNECT handshake (RFC 9110 section 9.3.6).

    Bytes after the proxy's response head are refused: in TLS and HTTP the client speaks first, so the target cannot have
    sent them.
    """
    address = _packed(host)
    place = b"%b:%d" % (f"[{host}]".encode() if address is not None and len(address) > _V4 else ascii_name(host), port)
    head = b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n" % (place, place)
    if proxy.authorization:
        head += b"proxy-authorization: %b\r\n" % proxy.authorization
    answer = yield head + b"\r\n"
    while b"\r\n\r\n" not in answer:
        if len(answer) > _LONGEST_HEAD:
            raise ProxyRefused("its answer is too long")
        answer += yield b""
    line, _, rest = answer.partition(b"\r\n")
    version, _, status = line.partition(b" ")
    if not version.startswith(b"HTTP/1.") or not status[:3].isdigit():
        raise ProxyRefused("it does not speak HTTP")
    if not 200 <= int(status[:3]) < 300:
        raise ProxyRefused(status[:3].decode())
    if rest.partition(b"\r\n\r\n")[2] or not answer.endswith(b"\r\n\r\n"):
        raise ProxyRefused("it sent more than its answer")


# RFC 1928 section 6
_REPLIES: Final = {
    1: "general failure", 2: "not allowed by its rules", 3: "network unreachable", 4: "host unreachable",
    5: "connection refused", 6: "time to live expired", 7: "command not supported", 8: "address type not supported",
}  # fmt: skip
_VERSION: Final = 5
_PLAIN, _PASSWORD = 0, 2  # authentication methods
_NAME: Final = 3  # address type
_LENGTHS: Final = {1: 4, 4: 16}  # address type -> bytes


def socks5(proxy: Proxy, host: str, port: int) -> Handshake:
    """The SOCKS5 handshake (RFC 1928), with user name and password if the proxy has them (RFC 1929)."""
    heard = bytearray()
    named = bool(proxy.username or proxy.password)
    version, method = yield from _turn(heard, bytes((5, 2, _PLAIN, _PASSWORD) if named else (5, 1, _PLAIN)), 2)
    if version != _VERSION:
        raise ProxyRefused("it does not speak SOCKS5")
    if method == _PASSWORD and named:
        proof = b"\x01" + _counted(proxy.username.encode()) + _counted(proxy.password.encode())
        _, verdict = yield from _turn(heard, proof, 2)
        if verdict != 0:
            raise ProxyRefused("user name or password not accepted")
    elif method != _PLAIN:
        raise ProxyRefused("it wants other credentials")
    head = yield from _turn(heard, b"\x05\x01\x00" + _address(host) + port.to_bytes(2, "big"), 5)
    if head[0] != _VERSION:
        raise ProxyRefused("it does not speak SOCKS5")
    if head[1] != 0:
        raise ProxyRefused(_REPLIES.get(head[1], f"reply {head[1]}"))
    length = head[4] + 1 if head[3] == _NAME else _LENGTHS.get(head[3])
    if length is None:
        raise ProxyRefused("its answer cannot be read")
    yield from _turn(heard, b"", length - 1 + 2)  # the bound address and port, which are not used
    if heard:
        raise ProxyRefused("it sent more than its answer")


def _turn(heard: bytearray, out: bytes, count: int) -> Generator[bytes, bytes, bytes]:
    """Send *out*, then wait for *count* bytes in the buffer *heard* and remove them from it."""
    while out or len(heard) < count:
        heard += yield out
        out = b""
    taken = bytes(heard[:count])
    del heard[:count]
    return taken


def _counted(text: bytes) -> bytes:
    if len(text) > _OCTET:
        raise ProxyRefused("user name, password and host may have 255 bytes each")
    return bytes((len(text),)) + text


def _address(host: str) -> bytes:
    packed = _packed(host)
    if packed is None:
        return bytes((_NAME,)) + _counted(ascii_name(host))
    return (b"\x01" if len(packed) == _V4 else b"\x04") + packed


def _packed(host: str) -> bytes | None:
    """The bytes of an IP address, None for a name."""
    try:
        return ip_address(host).packed
    except ValueError:
        return None


def ascii_name(host: str) -> bytes:
    """*host* encoded for a request (IDNA).  Raises :class:`ProxyRefused` for an invalid name."""
    try:
        name = host.encode("ascii" if host.isascii() else "idna")
    except UnicodeError:
        raise ProxyRefused("the target's name cannot be sent") from None
    if not name or any(byte <= 0x20 or byte == 0x7F for byte in name):
        raise ProxyRefused("the target's name cannot be sent")
    return name
