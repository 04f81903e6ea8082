"""Incremental decoding of response content codings: gzip, x-gzip and deflate (RFC 9110 section 8.4.1).

Requests never ask for a coding, but some servers and intermediaries apply one anyway.  Expansion is limited both in ratio
and in total, so that a small response cannot fill the memory.
"""

from __future__ import annotations

import zlib
from typing import Final, Literal

from .headers import Headers, get_all

Cause = Literal["protocol", "too_large", "truncated"]

_PIECE: Final = 256 * 1024
_FREE: Final = 1024 * 1024  # decoded bytes up to which the ratio is not checked
_RATIO: Final = 100  # decoded bytes per coded byte; text reaches 10 to 30
_EITHER: Final = 0  # deflate, with or without the zlib wrapper
_GZIP: Final = 16 + zlib.MAX_WBITS
_WINDOWS: Final = {b"gzip": _GZIP, b"x-gzip": _GZIP, b"deflate": _EITHER}
_MEMBER: Final = b"\x1f"  # the first byte of each member of a gzip body (RFC 1952 section 2.2)


class DecodingError(ValueError):
    """The coded body cannot be decoded; ``reason`` says why."""

    def __init__(self, reason: Cause, message: str) -> None:
        super().__init__(message)
        self.reason: Cause = reason


def decoder_for(headers: Headers, total: int) -> Decoder | None:
    """The decoder for the Content-Encoding in *headers*, with a limit of *total* decoded bytes.

    None when there is no coding, or one that is not supported: such a body is passed on as it is.
    """
    codings = get_all(headers, b"content-encoding")
    window = _WINDOWS.get(codings[0].strip().lower()) if len(codings) == 1 else None
    return None if window is None else Decoder(window, total)


class Decoder:
    """Decodes one body.  More than ``total`` decoded bytes are an error."""

    __slots__ = ("_gzip", "_inflate", "_pending", "_read", "_total", "_written")

    def __init__(self, window: int, total: int) -> None:
        self._gzip = window == _GZIP
        self._inflate = None if window == _EITHER else zlib.decompressobj(window)
        self._pending = b""  # the first byte of a deflate body, until the second arrives
        self._total = total
        self._read = 0
        self._written = 0

    def feed(self, data: bytes) -> bytes:
        """All that can be decoded so far.  Raises :class:`DecodingError`."""
        self._read += len(data)
        if self._inflate is None:
            data = self._pending + data
            if len(data) < 2:
                self._pending = data
                return b""
            # "deflate" means the zlib format, but many servers send raw deflate; the header of RFC 1950 section 2.2 decides.
            wrapped = data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
        return self._decode(self._inflate, data)

    def finish(self) -> None:
        """Declare the end of the coded body.  Raises :class:`DecodingError` ``truncated`` if the coding is incomplete."""
        if self._read and (self._inflate is None or not self._inflate.eof):
            raise DecodingError("truncated", "the compressed body ends too early")

    def _decode(self, inflate: zlib._Decompress, data: bytes) -> bytes:
        pieces: list[bytes] = []
        full = True
        while full or data:
            if inflate.eof and data:
                inflate = self._inflate = self._next_member(data)
            try:
                piece = inflate.decompress(data, _PIECE)
            except zlib.error:
                raise DecodingError("protocol", "the compressed body is damaged") from None
            pieces.append(piece)
            self._written += len(piece)
            if self._written > min(self._total, max(_FREE, _RATIO * self._read)):
                raise DecodingError("too_large", "the compressed body expands too far")
            full = len(piece) == _PIECE  # zlib may hold more output even when it has taken all input
            data = inflate.unused_data or inflate.unconsumed_tail
        return b"".join(pieces)

    def _next_member(self, data: bytes) -> zlib._Decompress:
        """A decompressor for the bytes after a member's end: gzip allows a series of members, deflate only one."""
        if not (self._gzip and data.startswith(_MEMBER)):
            raise DecodingError("protocol", "bytes after the end of the compressed body")
        return zlib.decompressobj(_GZIP)
