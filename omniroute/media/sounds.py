"""Audio files: the accepted formats, detection by content and name, and the duration of WAV files."""

from __future__ import annotations

import struct
from typing import Final

from ..errors import OmniError
from .forms import File, media_type

TYPES: Final = {  # format -> media type; also the output formats of speech
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "m4a": "audio/mp4",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "webm": "audio/webm",
}
_SAME: Final = {
    "mpeg": "mp3",
    "mpga": "mp3",
    "mp4": "m4a",
    "oga": "ogg",
    "opus": "ogg",
    "wave": "wav",
    "x-wav": "wav",
    "x-m4a": "m4a",
}
_MAGIC: Final = (  # offset, bytes, format
    (0, b"ID3", "mp3"),
    (8, b"WAVE", "wav"),
    (4, b"ftyp", "m4a"),
    (0, b"fLaC", "flac"),
    (0, b"OggS", "ogg"),
    (0, b"\x1a\x45\xdf\xa3", "webm"),  # EBML
)
_MPEG_SYNC: Final = 0xFFE0


def sound_format(head: bytes) -> str:
    """The format recognised from a file's first bytes; "" when none is."""
    for offset, magic, name in _MAGIC:
        if head.startswith(magic, offset):
            return name
    if len(head) >= 2 and int.from_bytes(head[:2], "big") & _MPEG_SYNC == _MPEG_SYNC and head[1] & 6:
        return "mp3"  # an MPEG audio frame header: sync bits, and a layer other than the reserved 0
    return ""


def check(file: File) -> str:
    """The format of *file*, a key of :data:`TYPES`: by its content, else by its file name, else by its declared type.

    Raises ``OmniError("invalid_request", param="file")``.
    """
    if not file.size:
        raise OmniError("invalid_request", "file is empty", param="file")
    if found := sound_format(file.head):
        return found
    for word in (file.filename.rpartition(".")[2].lower(), media_type(file).rpartition("/")[2].lower()):
        name = _SAME.get(word, word)
        if name in TYPES:
            return name
    message = f"Invalid file format. Supported formats: {', '.join(TYPES)}"
    raise OmniError("invalid_request", message, param="file")


def wav_seconds(file: File) -> float | None:
    """The duration of a WAV file (RIFF with a constant byte rate); None for other files or when the head is too short."""
    head = file.head
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    at, rate = 12, 0
    while at + 8 <= len(head):
        name, size = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        if name == b"fmt " and at + 20 <= len(head):
            (rate,) = struct.unpack_from("<I", head, at + 16)  # bytes per second
        elif name == b"data":
            return min(size, file.size - at - 8) / rate if rate else None
        at += 8 + size + size % 2
    return None
