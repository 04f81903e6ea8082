"""Forms (multipart/form-data, RFC 7578) as values: the fields in the order they came, the files where they lie.

A file's content is not here: the gateway keeps it, in memory or on disk, and puts it where a body holds a :class:`File`.
"""

from __future__ import annotations

from math import isfinite, nan
from typing import Final, NamedTuple

from ..errors import OmniError

HEAD_BYTES: Final = 4096
_QUOTE: Final = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})  # as browsers do (WHATWG HTML, multipart encoding)


class File(NamedTuple):
    """One received file: its place among the kept bytes, and its first bytes."""

    name: str  # of the field
    filename: str
    content_type: str
    offset: int
    size: int
    head: bytes  # HEAD_BYTES at most


class Form(NamedTuple):
    """What a client sent."""

    fields: tuple[tuple[str, str], ...]
    files: tuple[File, ...]

    def first(self, name: str) -> str | None:
        """The first value of a field; an empty one counts as missing, because forms send empty fields."""
        return next((value for key, value in self.fields if key == name and value), None)

    def all(self, *names: str) -> list[str]:
        """Every value of the fields *names*, of which clients also write the list form ``name[]``."""
        return [value for key, value in self.fields if key.removesuffix("[]") in names]

    def file(self, name: str) -> File | None:
        """The first file of a field."""
        return next((file for file in self.files if file.name == name), None)

    def number(self, name: str) -> float | None:
        """A numeric field.  Raises ``OmniError("invalid_request")``."""
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
        """A truth value; missing is false."""
        return (self.first(name) or "").strip().lower() in ("true", "1")


Pieces = tuple[bytes | File, ...]


class Written(NamedTuple):
    """A body made of bytes and files."""

    content_type: bytes
    pieces: Pieces


def write(fields: list[tuple[str, str]], files: list[tuple[str, File]], boundary: str) -> Written:
    """A form again; each file under the name given with it.  *boundary* must not occur in the content."""
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
    """The file's declared type if it is one, else that of unknown bytes."""
    declared = file.content_type
    sound = "/" in declared and declared.isascii() and declared.isprintable()
    return declared if sound else "application/octet-stream"
