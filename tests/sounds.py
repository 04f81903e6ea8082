"""Tiny sound files, one per format."""

from __future__ import annotations

import io
import math
import struct
import wave
from pathlib import Path


def wav(seconds: float = 0.5, rate: int = 8000) -> bytes:
    """Return a 440 Hz tone, 16 bits, mono."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        tone = (round(12_000 * math.sin(2 * math.pi * 440 * n / rate)) for n in range(round(seconds * rate)))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in tone))
    return out.getvalue()


FILES = Path(__file__).parent / "sound_files"  # half a second of a tone of 440 Hz, made with ffmpeg's sine source
SOUNDS = {  # format -> (file name, content)
    "wav": ("tone.wav", wav()),
    **{path.suffix[1:]: (path.name, path.read_bytes()) for path in sorted(FILES.iterdir())},
}
