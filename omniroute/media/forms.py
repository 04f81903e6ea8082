"""Forms (multipart/form-data, RFC 7578) as values: fields in order of arrival, and descriptions of files.

The content of a file stays in the gateway, in memory or on disk, and replaces the :class:`File` when a body is sent.
"""

from __future__ import annotations

from math import isfinite, nan
from typing import Final, NamedTuple

from ..errors import OmniError

HEAD_BYTES: Final = 4096
_QUOTE: Final = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})  # as browsers do (WHATWG HTML, multipart encoding)


class File(NamedTuple):
    """One uploaded file: its position in the spooled bytes, and its first bytes."""

    name: str  # of the field
    filename: str
    content_type: str
    offset: int
    size: int
    head: bytes  # HEAD_BYTES at most


class Form(NamedTuple):
    """A client's form."""

    fields: tuple[tuple[str, str], ...]
    files: tuple[File, ...]

    def first(self, name: str) -> str | None:
        """The first non-empty value of a field; forms also send fields that were left empty."""
        return next((value for key, value in self.fields if key == name and value), None)

    def all(self, *names: str) -> list[str]:
        """Every value of the fields *names*, which clients also write in the list form ``name[]``."""
        return [value for key, value in self.fields if key.removesuffix("[]") in names]

    def file(self, name: str) -> File | None:
        """The first file of a field."""
        return next((file for file in self.files if file.name == name), None)

    def number(self, name: str) -> float | None:
        """The finite number in a field, None when it is missing.  Raises ``OmniError("invalid_request")``."""
        text = self.first(name)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = nan
        if not isfinite(value):
            raise OmniError("invalid_request", f"Invalid '{name}': expected a number", param=name)
        return value

    def flag(self, name: str) -> bool:
        """Whether a field is ``true`` or ``1``."""
        return (self.first(name) or "").strip().lower() in ("true", "1")


Pieces = tuple[bytes | File, ...]


class Written(NamedTuple):
    """A body made of bytes and files."""

    content_type: bytes
    pieces: Pieces


def write(fields: list[tuple[str, str]], files: list[tuple[str, File]], boundary: str) -> Written:
    """Encode a form; each file is paired with the name of its field.  *boundary* must not occur in the content."""
    pieces: list[bytes | File] = []
    text = ""
    for name, value in fields:
        text += f'--{boundary}\r\nContent-Disposition: form-data; name="{name.translate(_QUOTE)}"\r\n\r\n{value}\r\n'
    for name, file in files:
        text += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name.translate(_QUOTE)}"; '
            f'filename="{file.filename.translate(_QUOTE)}"\r\nContent-Type: {media_type(file)}\r\n\r\n'
        )
        pieces += [text.encode("utf-8", "replace"), file]
        text = "\r\n"
    pieces.append(f"{text}--{boundary}--\r\n".encode("utf-8", "replace"))
    return Written(f"multipart/form-data; boundary={boundary}".encode("ascii"), tuple(pieces))


def media_type(file: File) -> str:
    """The file's declared media type if it is well-formed, else ``application/octet-stream``."""
    declared = file.content_type
    sound = "/" in declared and declared.isascii() and declared.isprintable()
    return declared if sound else "application/octet-stream"
