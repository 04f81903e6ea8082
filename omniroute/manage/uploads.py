"""A file in a form (multipart/form-data, RFC 7578), written to disk as it arrives."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from ..errors import OmniError
from ..proto.exchange import Exchange

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartParser

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
    """Feeds the parser and keeps the bytes of one part, the first file under the wanted name."""

    def __init__(self, content_type: bytes, field: str) -> None:
        self.found = False
        self.filename = ""
        self.pending = bytearray()
        self._field = field.encode()
        self._inside = False  # the wanted part
        self._open = False  # a part has begun and the form has not ended
        self._header = (b"", b"")
        self._disposition = b""
        self._parser = self._make_parser(content_type)

    def _make_parser(self, content_type: bytes) -> MultipartParser:
        from python_multipart.multipart import MultipartParser, parse_options_header

        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not 0 < len(boundary) <= 70:
            raise OmniError("invalid_request", "No file provided. Use multipart/form-data with the field 'file'.")
        return MultipartParser(boundary, {
            "on_part_begin": self._begin, "on_header_field": self._name, "on_header_value": self._value,
            "on_header_end": self._header_end, "on_headers_finished": self._headers_end, "on_part_data": self._data,
            "on_part_end": self._end, "on_end": self._finish,
        })  # fmt: skip

    def feed(self, data: bytes) -> None:
        from python_multipart.exceptions import FormParserError

        try:
            self._parser.write(data)
        except FormParserError as error:
            raise OmniError("invalid_request", "Invalid multipart form data") from error

    def close(self) -> None:
        """The body has ended; raises when the form has not."""
        self._parser.finalize()
        if self._open:
            raise OmniError("invalid_request", "Invalid multipart form data")

    def take(self) -> bytes:
        """The bytes gathered so far, once."""
        data, self.pending = bytes(self.pending), bytearray()
        return data

    def _begin(self) -> None:
        self._open = True
        self._disposition = b""
        self._header = (b"", b"")

    def _name(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0] + data[start:end], self._header[1])

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0], self._header[1] + data[start:end])

    def _header_end(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            self._disposition = value
        self._header = (b"", b"")

    def _headers_end(self) -> None:
        from python_multipart.multipart import parse_options_header

        _, options = parse_options_header(self._disposition)
        self._inside = not self.found and options.get(b"name") == self._field and b"filename" in options
        if self._inside:
            self.found, self.filename = True, options[b"filename"].decode("utf-8", "replace")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._inside:
            self.pending += data[start:end]

    def _end(self) -> None:
        self._inside = False

    def _finish(self) -> None:
        self._open = False
