"""An incremental reader for forms (multipart/form-data, RFC 7578).

It keeps nothing but the head of the part that is being read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartParser

_HEAD_BYTES: Final = 8 * 1024
_BOUNDARY_BYTES: Final = 70  # RFC 2046 section 5.1.1
_PADDING_BYTES: Final = 256  # spaces after the first delimiter
_QUOTED: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_EXTENDED: Final = re.compile(rb";[ \t]*filename\*[ \t]*=[ \t]*([^\s;]+)", re.IGNORECASE)


class FormError(ValueError):
    """The body is not a form, or a malformed one."""


class Part(NamedTuple):
    """The head of one part.

    ``filename`` is None for a plain field.  Otherwise it is as the client sent it, so never use it as a path.
    """

    name: str
    filename: str | None
    content_type: str


class FormReader:
    """Calls ``on_part`` for each part's head, then ``on_data`` for each piece of its content.

    Raises :class:`FormError` when *content_type* is not multipart/form-data with a valid boundary.
    """

    def __init__(self, content_type: bytes, on_part: Callable[[Part], None], on_data: Callable[[bytes], None]) -> None:
        self._on_part = on_part
        self._on_data = on_data
        self._ended = False
        self._head: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._begun = False
        self._before = b"\n"  # input that may contain the first delimiter, which begins a line
        self._delimiter, self._parser = self._make_parser(content_type)

    def _make_parser(self, content_type: bytes) -> tuple[bytes, MultipartParser]:
        from python_multipart.multipart import MultipartParser, parse_options_header

        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not 0 < len(boundary) <= _BOUNDARY_BYTES:
            raise FormError("not multipart/form-data")
        return b"--" + boundary, MultipartParser(boundary, {
            "on_part_begin": self._begin, "on_header_field": self._header_name, "on_header_value": self._header_value,
            "on_header_end": self._header_end, "on_headers_finished": self._headers_end, "on_part_data": self._data,
            "on_end": self._finish,
        })  # fmt: skip

    def feed(self, data: bytes) -> None:
        """Parse the next bytes of the body.  Raises :class:`FormError`, and whatever the callbacks raise."""
        from python_multipart.exceptions import FormParserError

        if not self._begun and not (data := self._past_preamble(data)):
            return
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise FormError("malformed form") from error

    def _past_preamble(self, data: bytes) -> bytes:
        """*data* from the first delimiter on; b"" until it has arrived.

        Text before the delimiter and spaces after it must be ignored (RFC 2046 section 5.1.1); the parser refuses both.
        """
        text, line = self._before + data, b"\n" + self._delimiter
        place = text.find(line)
        while place >= 0:
            end = place + len(line)
            after = text[end : end + _PADDING_BYTES]
            padding, line_end, _ = after.partition(b"\r\n")
            if after.startswith(b"--") or (line_end and not padding.strip(b" \t")):
                self._begun, self._before = True, b""
                return self._delimiter + text[end if after.startswith(b"--") else end + len(padding) :]
            if not line_end and len(after) < _PADDING_BYTES:
                self._before = text[place:]
                return b""
            place = text.find(line, place + 1)  # only a prefix of a longer line
        self._before = text[-len(self._delimiter) :]
        return b""

    def close(self) -> None:
        """Declare the end of the body.  Raises :class:`FormError` when the form is incomplete."""
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

        disposition = self._head.get(b"content-disposition", b"")
        _, options = parse_options_header(disposition)
        filename = options.get(b"filename")
        self._on_part(Part(
            options.get(b"name", b"").decode("utf-8", "replace"),
            filename.decode("utf-8", "replace") if filename is not None else _extended_name(disposition),
            self._head.get(b"content-type", b"").decode("latin-1").strip(),
        ))  # fmt: skip

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._on_data(data[start:end])

    def _finish(self) -> None:
        self._ended = True


def _extended_name(disposition: bytes) -> str | None:
    """The ``filename*`` (RFC 8187), which RFC 7578 forbids here and some clients send alone; None when there is none."""
    found = _EXTENDED.search(_QUOTED.sub(b"", disposition))
    if found is None:
        return None
    charset, _, rest = found[1].decode("latin-1").partition("'")
    encoded = rest.partition("'")[2]
    try:
        return unquote(encoded, charset, "replace")
    except (LookupError, ValueError):  # an unknown encoding, or not a text encoding
        return unquote(encoded)
