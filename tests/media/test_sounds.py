from __future__ import annotations

import pytest
from sounds import SOUNDS, wav

from omniroute.errors import OmniError
from omniroute.media.forms import File
from omniroute.media.sounds import check, sound_format, wav_seconds


def file(content: bytes, name: str = "a", kind: str = "") -> File:
    return File("file", name, kind, 0, len(content), content[:4096])


@pytest.mark.parametrize("kind", SOUNDS)
def test_each_format_is_known_by_its_first_bytes(kind: str) -> None:
    assert sound_format(SOUNDS[kind][1]) == kind
    assert check(file(SOUNDS[kind][1], "misleading.txt")) == kind


def test_a_frame_of_mp3_without_a_tag_is_one() -> None:
    assert sound_format(b"\xff\xfb\x90\x64") == "mp3"
    assert sound_format(b"\xff\xf1\x50\x80") == ""  # AAC has layer 0
    assert sound_format(b"\xff") == ""


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [("a.OGA", "", "ogg"), ("a.mpga", "", "mp3"), ("a", "audio/x-m4a", "m4a"), ("a.bin", "audio/mpeg", "mp3")],
)
def test_else_the_name_or_the_declared_type_is_believed(name: str, kind: str, expected: str) -> None:
    assert check(file(b"??", name, kind)) == expected


@pytest.mark.parametrize(("content", "message"), [(b"", "file is empty"), (b"hello", "Invalid file format")])
def test_other_files_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(OmniError, match=message) as caught:
        check(file(content, "a.txt", "text/plain"))
    assert caught.value.param == "file"


def test_a_wav_file_tells_how_long_it_lasts() -> None:
    assert wav_seconds(file(wav(1.25))) == 1.25
    assert wav_seconds(file(wav(1.25)[:-8000])) == 0.75  # cut off
    assert wav_seconds(file(wav()[:30])) is None
    assert wav_seconds(file(b"ID3")) is None
    assert wav_seconds(file(b"RIFF\0\0\0\0WAVEdata\xff\xff\xff\xff")) is None
