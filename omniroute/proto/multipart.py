"""A form (multipart/form-data, RFC 7578), read as it arrives: bytes in, the beginnings and contents of its parts out.

Nothing is kept here but the head of the part that is being read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartParser

_HEAD_BYTES: Final = 8 * 1024
_BOUNDARY_BYTES: Final = 70  # RFC 2046 section 5.1.1


class FormError(ValueError):
    """The body is no form, or a broken one."""


class Part(NamedTuple):
    """The head of one part; ``filename`` None for a plain field, else the client's word, never a path to use."""

    name: str
    filename: str | None
    content_type: str


class FormReader:
    """``on_part`` is called for each part's head, ``on_data`` for each piece of its content; pieces are copies."""

    def __init__(self, content_type: bytes, on_part: Callable[[Part], None], on_data: Callable[[bytes], None]) -> None:
        self._on_part = on_part
        self._on_data = on_data
        self._ended = False
        self._head: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._parser = self._make_parser(content_type)

    def _make_parser(self, content_type: bytes) -> MultipartParser:
        from python_multipart.multipart import MultipartParser, parse_options_header

        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not 0 < len(boundary) <= _BOUNDARY_BYTES:
            raise FormError("not multipart/form-data")
        return MultipartParser(boundary, {
            "on_part_begin": self._begin, "on_header_field": self._header_name, "on_header_value": self._header_value,
            "on_header_end": self._header_end, "on_headers_finished": self._headers_end, "on_part_data": self._data,
            "on_end": self._finish,
        })  # fmt: skip

    def feed(self, data: bytes) -> None:
        """The next bytes of the body.  Raises :class:`FormError`, and what the callbacks raise."""
        from python_multipart.exceptions import FormParserError

        try:
            self._parser.write(data)
        except FormParserError as error:
            raise FormError("malformed form") from error

    def close(self) -> None:
        """The body has ended.  Raises :class:`FormError` when the form has not."""
        from python_multipart.exceptions import FormParserError

        try:
            self._parser.finalize()
        except FormParserError as error:
            raise FormError("malformed form") from error
        if not self._ended:
            raise FormError("the form has no end")

    def _begin(self) -> None:
        self._head = {}
        self._name = self._value = b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]
        self._check()

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._check()

    def _check(self) -> None:
        if len(self._name) + len(self._value) > _HEAD_BYTES:
            raise FormError("a part's head is too large")

    def _header_end(self) -> None:
        if len(self._head) < 16:
            self._head[self._name.lower()] = self._value
        self._name = self._value = b""

    def _headers_end(self) -> None:
        from python_multipart.multipart import parse_options_header

        _, options = parse_options_header(self._head.get(b"content-disposition"))
        filename = options.get(b"filename")
        self._on_part(Part(
            options.get(b"name", b"").decode("utf-8", "replace"),
            filename.decode("utf-8", "replace") if filename is not None else None,
            self._head.get(b"content-type", b"").decode("latin-1").strip(),
        ))  # fmt: skip

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._on_data(data[start:end])

    def _finish(self) -> None:
        self._ended = True
