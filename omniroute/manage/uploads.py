"""A file in a form (multipart/form-data, RFC 7578), written to disk as it arrives."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final, NamedTuple

from ..errors import OmniError
from ..proto.exchange import Exchange
from ..proto.multipart import FormError, FormReader, Part

_WRITE_BYTES: Final = 1024 * 1024  # gathered before a write, which then happens beside the event loop


class Upload(NamedTuple):
    """A received file; ``filename`` is the client's word, never a path to use."""

    path: Path
    filename: str
    size: int


async def receive(exchange: Exchange, field: str, path: Path) -> Upload | None:
    """The file of the form field *field*, written to *path*; None when the form has no such file.

    Raises ``OmniError`` 400 for what is no form, and what ``Exchange.chunks`` raises.
    """
    form = Form(exchange.request.header(b"content-type") or b"", field)
    size = 0
    with path.open("wb") as file:
        async for chunk in exchange.chunks():
            form.feed(chunk)
            if len(form.pending) >= _WRITE_BYTES:
                size += await asyncio.to_thread(file.write, form.take())
        form.close()
        size += await asyncio.to_thread(file.write, form.take())
    return Upload(path, form.filename, size) if form.found else None


class Form:
    """Keeps the bytes of one part, the first file under the wanted name."""

    def __init__(self, content_type: bytes, field: str) -> None:
        self.found = False
        self.filename = ""
        self.pending = bytearray()
        self._field = field
        self._inside = False  # the wanted part
        try:
            self._reader = FormReader(content_type, self._part, self._data)
        except FormError as error:
            message = "No file provided. Use multipart/form-data with the field 'file'."
            raise OmniError("invalid_request", message) from error

    def feed(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
        except FormError as error:
            raise OmniError("invalid_request", "Invalid multipart form data") from error

    def close(self) -> None:
        """The body has ended; raises when the form has not."""
        try:
            self._reader.close()
        except FormError as error:
            raise OmniError("invalid_request", "Invalid multipart form data") from error

    def take(self) -> bytes:
        """The bytes gathered so far, once."""
        data, self.pending = bytes(self.pending), bytearray()
        return data

    def _part(self, part: Part) -> None:
        self._inside = not self.found and part.name == self._field and part.filename is not None
        if self._inside:
            self.found, self.filename = True, part.filename or ""

    def _data(self, data: bytes) -> None:
        if self._inside:
            self.pending += data
