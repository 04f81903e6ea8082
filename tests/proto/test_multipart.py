from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniroute.proto.multipart import FormError, FormReader, Part

KIND = b'multipart/form-data; boundary="X y"'
FORM = (
    b'--X y\r\nContent-Disposition: form-data; name="model"\r\n\r\nopenai/whisper-1\r\n'
    b'--X y\r\nContent-Disposition: form-data; name="file"; filename="a \xc3\xa4.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    b"RIFF\r\n--X\r\n\x00\xff\r\n"
    b'--X y\r\ncontent-disposition: form-data; name="empty"; filename=""\r\n\r\n\r\n--X y--\r\n'
)
PIECES = [
    b"--X y\r\n", b"--X y--\r\n", b"\r\n", b"\r\n\r\n", b"Content-Disposition: form-data; ", b'name="', b"name*=utf-8''%ff",
    b'"', b"filename=", b"Content-Type: ", b"\r\n--X y", b":", b";", b"\xff\x00",
]  # fmt: skip


class Taken:
    def __init__(self, kind: bytes = KIND) -> None:
        self.parts: list[tuple[Part, bytearray]] = []
        self.reader = FormReader(kind, lambda part: self.parts.append((part, bytearray())), self.data)

    def data(self, piece: bytes) -> None:
        self.parts[-1][1].extend(piece)


def read(*pieces: bytes, kind: bytes = KIND) -> Taken:
    taken = Taken(kind)
    for piece in pieces:
        taken.reader.feed(piece)
    taken.reader.close()
    return taken


@pytest.mark.parametrize("size", [1, 3, 64, 10_000])
def test_pieces_of_any_size_give_the_same_parts(size: int) -> None:
    taken = read(*(FORM[at : at + size] for at in range(0, len(FORM), size)))
    assert taken.parts == [
        (Part("model", None, ""), b"openai/whisper-1"),
        (Part("file", "a ä.wav", "audio/wav"), b"RIFF\r\n--X\r\n\x00\xff"),
        (Part("empty", "", ""), b""),
    ]


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    "before",
    [b"A form follows.\r\n", b"\r\n", b"\n", b"a-b\r\n--\r\n", b"--X yz\r\n", b"--X y z\r\n", b" --X y\r\n",
     b"--X y" + b" " * 300 + b"\r\n"],
)  # fmt: skip
def test_what_stands_before_the_first_delimiter_is_ignored(before: bytes, size: int) -> None:
    form = before + FORM
    assert read(*(form[at : at + size] for at in range(0, len(form), size))).parts == read(FORM).parts


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_spaces_after_a_delimiter_are_ignored(size: int) -> None:
    form = FORM.replace(b"--X y\r\n", b"--X y \t\r\n").replace(b"--X y--", b"--X y-- ")
    assert read(*(form[at : at + size] for at in range(0, len(form), size))).parts == read(FORM).parts


@pytest.mark.parametrize(
    ("given", "filename"),
    [
        ("filename*=UTF-8''n%C3%A4.wav", "nä.wav"), ("FILENAME*=iso-8859-1'de'n%E4.wav", "nä.wav"),
        ("filename*=nobody's'n%C3%A4.wav", "nä.wav"), ("filename*=odd", ""), ("filename*=\0'x'n", "n"),
        ("filename*=utf-8''%ff", "\ufffd"),
        ("filename=a.wav; filename*=UTF-8''b.wav", "a.wav"), ("x=\"; filename*=utf-8''b\"", None),
    ],
)  # fmt: skip
def test_a_name_in_the_extended_notation_makes_a_file(given: str, filename: str | None) -> None:
    taken = read(f'--X y\r\nContent-Disposition: form-data; name="file"; {given}\r\n\r\n1\r\n--X y--\r\n'.encode())
    assert taken.parts == [(Part("file", filename, ""), b"1")]


@pytest.mark.parametrize(
    "kind",
    [b"", b"application/json", b"multipart/form-data", b"multipart/mixed; boundary=X",
     b"multipart/form-data; boundary=" + b"x" * 71],
)  # fmt: skip
def test_a_content_type_that_is_no_form_or_has_no_boundary_is_refused(kind: bytes) -> None:
    with pytest.raises(FormError):
        Taken(kind)


@pytest.mark.parametrize("cut", [0, 10, 70, 150, len(FORM) - 6])
def test_a_form_without_its_end_is_broken(cut: int) -> None:
    with pytest.raises(FormError):
        read(FORM[:cut])


def test_what_is_no_form_is_refused() -> None:
    with pytest.raises(FormError):
        read(b'{"model": "x"}')


def test_a_part_with_an_endless_head_is_refused() -> None:
    with pytest.raises(FormError):
        read(b"--X y\r\nContent-Disposition: ", *[b"a" * 1000] * 100)


@settings(max_examples=150)
@given(st.lists(st.one_of(st.binary(max_size=12), st.sampled_from(PIECES)), max_size=12), st.binary(max_size=30))
def test_any_bytes_are_a_form_or_refused(pieces: list[bytes], option: bytes) -> None:
    for kind in (KIND, b"multipart/form-data; boundary=" + option):
        try:
            taken = read(*pieces, kind=kind)
        except FormError:
            continue
        assert all(isinstance(part.name, str) for part, _ in taken.parts)
