from __future__ import annotations

from base64 import b64encode

import pytest

from omniroute.translate.media_type import media_type_of


@pytest.mark.parametrize(
    ("begin", "mime"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x24\x00\x00\x00WEBP", "image/webp"),
        (b"%PDF-1.7", "application/pdf"),
        (b"plain text", ""),
        (b"", ""),
    ],
)
def test_a_file_is_known_by_its_first_bytes(begin: bytes, mime: str) -> None:
    assert media_type_of(b64encode(begin + b"rest").decode()) == mime
