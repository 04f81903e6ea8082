"""The head that a connection sent last, for when it sends the same again.

A client keeps its connection and says the same on it each time, but for how long the body is.  Bytes that are equal mean
the same, so such a head need not be read again, and nothing is checked less: whatever differs in any other byte is read
in full.  What was said lives as long as the connection and is seen by no other: it may hold a key.
"""

from __future__ import annotations

from typing import Final

from .exchange import Request

_LENGTH: Final = b"content-length"
PATIENCE: Final = 8  # heads that did not come again before a connection is taken for one that never repeats itself


class LastHead:
    """One head, cut at the digits of its Content-Length."""

    __slots__ = ("_at", "_back", "_front", "_headers", "_known", "_line", "_origin", "_sizes", "keep_alive")

    def __init__(self, front: bytes, back: bytes, request: Request, keep_alive: bool) -> None:
        self._front = front
        self._back = back
        self._sizes = len(front), len(back)
        # Not the request itself: others change it, and it will hold a body.
        self._line = request.method, request.path, request.query
        self._origin = request.peer, request.scheme, request.version
        self._headers = request.headers.copy()
        self._known = request.known
        self._at = [name for name, _ in request.headers].index(_LENGTH)
        self.keep_alive = keep_alive

    def length_in(self, block: bytes) -> bytes:
        """The digits of the Content-Length when *block* is this head but for them, else b""."""
        if block.startswith(self._front) and block.endswith(self._back):
            front, back = self._sizes
            length = block[front : len(block) - back]
            if length.isdigit():
                return length
        return b""

    def request(self, length: bytes) -> Request:
        """The request that says this with another *length*."""
        headers = self._headers.copy()
        headers[self._at] = (_LENGTH, length)
        method, path, query = self._line
        peer, scheme, version = self._origin
        return Request(
            method, path, query, headers, peer=peer, scheme=scheme, version=version, named=dict(headers), known=self._known
        )  # fmt: skip


def remember(block: bytes, lines: list[bytes], request: Request, *, keep_alive: bool) -> LastHead | None:
    """What to compare the next head with; None when this one has no length or more than one field of a name.

    *lines* are the field lines of *block*.
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
