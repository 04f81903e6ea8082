"""File uploads in forms (multipart/form-data, RFC 7578), written to disk as they arrive."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final, NamedTuple

from ..errors import OmniError
from ..proto.exchange import Exchange
from ..proto.multipart import FormError, FormReader, Part

_WRITE_BYTES: Final = 1024 * 1024  # bytes collected before each write, which runs in a thread


class Upload(NamedTuple):
    """A received file.  ``filename`` comes from the client: never use it as a path."""

    path: Path
    filename: str
    size: int


async def receive(exchange: Exchange, field: str, path: Path) -> Upload | None:
    """Write the file in form field *field* to *path*; return None if the form has no such file.

    Raises ``OmniError`` 400 for a malformed form, and whatever ``Exchange.chunks`` raises.
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
    """Collects the content of the first file in the wanted field."""

    def __init__(self, content_type: bytes, field: str) -> None:
        self.found = False
        self.filename = ""
        self.pending = bytearray()
        self._field = field
        self._inside = False  # whether the current part is the wanted one
        try:
            self._reader = FormReader(content_type, self._part, self._data)
        except FormError as error:
            message = "No file provided. Use multipart/form-data with the field 'file'."
            raise OmniError("invalid_request", message) from error

    def feed(self, data: bytes) -> None:
        """Take the next piece of the body.  Raises OmniError ``invalid_request`` when it is malformed."""
        try:
            self._reader.feed(data)
        except FormError as error:
            raise OmniError("invalid_request", "Invalid multipart form data") from error

    def close(self) -> None:
        """End of the body.  Raises ``OmniError`` 400 if the form is incomplete."""
        try:
            self._reader.close()
        except FormError as error:
            raise OmniError("invalid_request", "Invalid multipart form data") from error

    def take(self) -> bytes:
        """Return and clear the bytes collected so far."""
        data, self.pending = bytes(self.pending), bytearray()
        return data

    def _part(self, part: Part) -> None:
        self._inside = not self.found and part.name == self._field and part.filename is not None
        if self._inside:
            self.found, self.filename = True, part.filename or ""

    def _data(self, data: bytes) -> None:
        if self._inside:
            self.pending += data
