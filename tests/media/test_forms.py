from __future__ import annotations

import pytest

from omniroute.errors import OmniError
from omniroute.media.forms import File, Form, write
from omniroute.proto.multipart import FormReader, Part

FILE = File("file", 'a "b"\r\n.wav', "audio/wav", 10, 3, b"abc")
FORM = Form((("model", ""), ("model", "m"), ("tag[]", "a"), ("tag", "b"), ("n", "2.5"), ("stream", "TRUE")), (FILE,))


def test_fields_are_found() -> None:
    assert (FORM.first("model"), FORM.first("none"), FORM.all("tag")) == ("m", None, ["a", "b"])
    assert (FORM.number("n"), FORM.number("none"), FORM.flag("stream"), FORM.flag("none")) == (2.5, None, True, False)
    assert (FORM.file("file"), FORM.file("mask")) == (FILE, None)
    with pytest.raises(OmniError, match="Invalid 'model': expected a number"):
        FORM.number("model")


@pytest.mark.parametrize("text", ["nan", "-inf", "1e999"])
def test_a_number_must_be_finite(text: str) -> None:
    with pytest.raises(OmniError, match="Invalid 'n': expected a number"):
        Form((("n", text),), ()).number("n")


def test_a_form_that_is_written_is_read_as_the_same() -> None:
    body = write([("model", "m ü"), ('q"', "x")], [("file", FILE), ("mask", FILE._replace(content_type="bad\n"))], "B")
    found: list[tuple[Part, bytearray]] = []
    reader = FormReader(body.content_type, lambda part: found.append((part, bytearray())), lambda d: found[-1][1].extend(d))
    for piece in body.pieces:
        reader.feed(b"abc" if isinstance(piece, File) else piece)
    reader.close()
    assert [(part.name, part.filename, part.content_type, bytes(content)) for part, content in found] == [
        ("model", None, "", "m ü".encode()),
        ("q%22", None, "", b"x"),
        ("file", "a %22b%22%0D%0A.wav", "audio/wav", b"abc"),
        ("mask", "a %22b%22%0D%0A.wav", "application/octet-stream", b"abc"),
    ]
