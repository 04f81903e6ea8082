from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fakes_exchange import FakeExchange

from omniroute.errors import OmniError
from omniroute.manage.uploads import Upload, receive
from omniroute.proto.exchange import Request

KIND = b"multipart/form-data; boundary=X"
FORM = (
    b'--X\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
    b'--X\r\nContent-Disposition: form-data; name="file"; filename="a.sqlite"\r\nContent-Type: text/plain\r\n\r\n'
    b"one\r\n--Xtwo\r\n\r\n"
    b'\r\n--X\r\nContent-Disposition: form-data; name="file"; filename="b.sqlite"\r\n\r\nsecond\r\n--X--\r\n'
)
CONTENT = b"one\r\n--Xtwo\r\n\r\n"


def _receive(path: Path, *pieces: bytes, kind: bytes = KIND) -> Upload | None:
    request = Request("POST", "/", headers=[(b"content-type", kind)])
    return asyncio.run(receive(FakeExchange(request, [*pieces]), "file", path))


def test_the_first_file_of_the_field_is_written_as_it_came(tmp_path: Path) -> None:
    found = _receive(tmp_path / "f", FORM.replace(b"--Xtwo", b"-Xtwo"))
    content = CONTENT.replace(b"--Xtwo", b"-Xtwo")
    assert found == Upload(tmp_path / "f", "a.sqlite", len(content))
    assert (tmp_path / "f").read_bytes() == content


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_pieces_of_any_size_give_the_same(tmp_path: Path, size: int) -> None:
    form = FORM.replace(b"--Xtwo", b"--two")
    _receive(tmp_path / "f", *(form[at : at + size] for at in range(0, len(form), size)))
    assert (tmp_path / "f").read_bytes() == CONTENT.replace(b"--Xtwo", b"--two")


def test_a_large_file_is_written_whole(tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000
    head = b'--X\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body = head + content + b"\r\n--X--\r\n"
    found = _receive(tmp_path / "f", *(body[at : at + 65_536] for at in range(0, len(body), 65_536)))
    assert found is not None
    assert found.size == len(content)
    assert (tmp_path / "f").read_bytes() == content


def test_a_form_without_the_file_has_none(tmp_path: Path) -> None:
    assert _receive(tmp_path / "f", b'--X\r\nContent-Disposition: form-data; name="file"\r\n\r\ntext\r\n--X--\r\n') is None
    assert _receive(tmp_path / "f", b"--X--\r\n") is None


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"application/json", b"{}"), (b"", b""), (b"multipart/form-data", FORM), (KIND, b"no form at all"),
        (KIND, FORM[:150]), (b"multipart/form-data; boundary=" + b"x" * 100, FORM),
    ],
)  # fmt: skip
def test_what_is_no_whole_form_is_refused(tmp_path: Path, kind: bytes, body: bytes) -> None:
    with pytest.raises(OmniError) as caught:
        _receive(tmp_path / "f", body, kind=kind)
    assert caught.value.status == 400
