"""Tiny sound files: a real WAV of a tone; of the other formats the first bytes, as their specifications have them."""

from __future__ import annotations

import io
import math
import struct
import wave


def wav(seconds: float = 0.5, rate: int = 8000) -> bytes:
    """A tone of 440 Hz, 16 bits, mono."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        tone = (round(12_000 * math.sin(2 * math.pi * 440 * n / rate)) for n in range(round(seconds * rate)))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in tone))
    return out.getvalue()


SOUNDS = {  # format -> (file name, content)
    "wav": ("tone.wav", wav()),
    "mp3": ("tone.mp3", b"ID3\x04\x00\x00\x00\x00\x00\x00" + b"\xff\xfb\x90\x64" + bytes(413)),  # a tag and one silent frame
    "m4a": ("tone.m4a", b"\x00\x00\x00\x20ftypM4A \x00\x00\x02\x00M4A mp42isom\x00\x00\x00\x00"),
    "flac": ("tone.flac", b"fLaC\x80\x00\x00\x22" + b"\x10\x00\x10\x00" + bytes(30)),
    "ogg": ("tone.ogg", b"OggS\x00\x02" + bytes(20) + b"\x01\x13OpusHead\x01\x01" + bytes(9)),
    "webm": ("tone.webm", b"\x1a\x45\xdf\xa3\x93\x42\x82\x84webm" + bytes(8)),
}
