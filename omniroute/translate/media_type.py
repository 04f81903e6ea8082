"""The media type of data that came without one."""

from __future__ import annotations

from typing import Final

_HEADS: Final = (
    ("/9j/", "image/jpeg"),
    ("iVBOR", "image/png"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi", "application/pdf"),
)


def media_type_of(data: str) -> str:
    """Return the type of the files that begin like this base64 data; ``""`` if it begins like none of the usual ones."""
    return next((mime for head, mime in _HEADS if data.startswith(head)), "")
