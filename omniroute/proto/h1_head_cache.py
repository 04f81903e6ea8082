"""A cache of the last request head on a connection, to skip parsing when the client repeats it.

On a persistent connection most clients send the same head every time, except for the Content-Length.  A head that was
accepted once needs no second parse when it is byte for byte the same; a head that differs in any byte other than the digits
of its length is parsed in full.  The cached head may hold a key, so it belongs to one connection and ends with it.
"""

from __future__ import annotations

from typing import Final

from .exchange import Request

_LENGTH: Final = b"content-length"
PATIENCE: Final = 8  # heads in a row without a repetition after which the connection stops caching them


class LastHead:
    """One request head, split at the digits of its Content-Length."""

    __slots__ = ("_at", "_back", "_front", "_headers", "_known", "_line", "_origin", "_sizes", "keep_alive")

    def __init__(self, front: bytes, back: bytes, request: Request, keep_alive: bool) -> None:
        self._front = front
        self._back = back
        self._sizes = len(front), len(back)
        # Copies, not the request itself: the application changes that, and it will hold a body.
        self._line = request.method, request.path, request.query
        self._origin = request.peer, request.scheme, request.version
        self._headers = request.headers.copy()
        self._known = request.known
        self._at = [name for name, _ in request.headers].index(_LENGTH)
        self.keep_alive = keep_alive

    def length_in(self, block: bytes) -> bytes:
        """The Content-Length digits of *block* if it equals this head apart from them, else b""."""
        if block.startswith(self._front) and block.endswith(self._back):
            front, back = self._sizes
            length = block[front : len(block) - back]
            if length.isdigit():
                return length
        return b""

    def request(self, length: bytes) -> Request:
        """A new request with this head and the Content-Length *length*."""
        headers = self._headers.copy()
        headers[self._at] = (_LENGTH, length)
        method, path, query = self._line
        peer, scheme, version = self._origin
        return Request(
            method, path, query, headers, peer=peer, scheme=scheme, version=version, named=dict(headers), known=self._known
        )  # fmt: skip


def remember(block: bytes, lines: list[bytes], request: Request, *, keep_alive: bool) -> LastHead | None:
    """The cache entry for *request*, whose head is *block* with the field lines *lines*.

    None when the head has no Content-Length or repeats a field name.
    """
    named = request.named()
    length = named.get(_LENGTH)
    if length is None or len(named) != len(request.headers):
        return None
    end = len(block)
    for line in reversed(lines):
        end -= len(line)
        if line[: len(_LENGTH)].lower() == _LENGTH:
            break
        end -= 2
    start = block.index(length, end + len(_LENGTH))
    return LastHead(block[:start], block[start + len(length) :], request, keep_alive)
