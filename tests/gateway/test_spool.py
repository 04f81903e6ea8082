from __future__ import annotations

import asyncio
import errno
import io
from contextlib import suppress
from typing import Any

import pytest
from fakes_exchange import FakeExchange

from omniroute.errors import OmniError
from omniroute.gateway import spool as spool_module
from omniroute.gateway.spool import Spool, receive
from omniroute.media.forms import File
from omniroute.proto.exchange import Request

KIND = b"multipart/form-data; boundary=X"


async def kept(spool: Spool, offset: int, size: int) -> bytes:
    return b"".join([piece async for piece in spool.pieces(offset, size)])


@pytest.mark.parametrize("memory", [0, 10, 1_000_000])
async def test_bytes_are_the_same_wherever_they_lie(memory: int) -> None:
    content = bytes(range(256)) * 4000
    with Spool(memory) as spool:
        for at in range(0, len(content), 100_000):
            spool.put(content[at : at + 100_000])
            await spool.settle()
        assert spool.size == len(content)
        assert await kept(spool, 0, len(content)) == content
        assert await kept(spool, 999_990, 20) == content[999_990:1_000_010]
        source = spool.source((b"<", File("f", "a", "", 5, 300_000, b""), b">"))
        assert source.size == 300_002
        assert b"".join([piece async for piece in source.pieces()]) == b"<" + content[5:300_005] + b">"


async def test_a_reader_that_is_cancelled_leaves_no_file_open(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    begun, release = asyncio.Event(), asyncio.Event()

    def slow(*arguments: Any) -> bytes:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(5)
        return b"x"

    spool = Spool(0)
    spool.put(b"x" * 10)
    await spool.settle()
    file = spool._file
    assert file is not None
    monkeypatch.setattr(spool_module.os, "pread", slow)
    with spool:
        reading = asyncio.ensure_future(spool.read(0, 5))
        await begun.wait()
        reading.cancel()
        await asyncio.wait([reading])
    assert not file.closed  # a thread still reads it
    release.set()
    async with asyncio.timeout(5):
        while not file.closed:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def taken(body: bytes, kind: bytes = KIND) -> Any:
    request = Request("POST", "/", headers=[(b"content-type", kind)])
    with Spool() as spool:
        form = await receive(FakeExchange(request, [body[at : at + 7] for at in range(0, len(body), 7)]), spool)
        return form, [await kept(spool, file.offset, file.size) for file in form.files]


async def test_a_form_is_taken_apart() -> None:
    parts = [
        ("model", "", "m"),
        ("file", '; filename="a.wav"', "one"),
        ("empty", '; filename=""', ""),
        ("b", '; filename="b"', "two"),
    ]
    body = "".join(f'--X\r\nContent-Disposition: form-data; name="{n}"{f}\r\n\r\n{c}\r\n' for n, f, c in parts) + "--X--\r\n"
    form, contents = await taken(body.encode())
    assert form.fields == (("model", "m"),)
    assert [(file.name, file.filename, file.size, file.head) for file in form.files] == [
        ("file", "a.wav", 3, b"one"), ("empty", "", 0, b""), ("b", "b", 3, b"two"),
    ]  # fmt: skip
    assert contents == [b"one", b"", b"two"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", b"application/json", 400),
        (b"", KIND, 400),
        (b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\nb', KIND, 400),
        (b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 200 + b"--X--\r\n", KIND, 400),
        (b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"x" * 1_100_000, KIND, 413),
    ],
)
async def test_what_is_no_form_is_refused(body: bytes, kind: bytes, status: int) -> None:
    with pytest.raises(OmniError) as caught:
        await taken(body, kind)
    assert caught.value.status == status


async def test_a_call_that_is_cancelled_while_the_file_is_made_leaves_none_open(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    begun, release = asyncio.Event(), asyncio.Event()
    made: list[Any] = []
    make = spool_module.tempfile.TemporaryFile

    def slow(**options: Any) -> Any:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(5)
        made.append(make(**options))
        return made[0]

    monkeypatch.setattr(spool_module.tempfile, "TemporaryFile", slow)
    with Spool(0) as spool:
        spool.put(b"x")
        settling = asyncio.ensure_future(spool.settle())
        await begun.wait()
        settling.cancel()
        await asyncio.wait([settling])
    release.set()
    with suppress(TimeoutError):
        async with asyncio.timeout(5):
            while not (made and made[0].closed):  # noqa: ASYNC110
                await asyncio.sleep(0)
    assert [file.closed for file in made] == [True]


def test_a_file_that_takes_a_part_only_is_given_the_rest() -> None:
    class Slow(io.BytesIO):
        def write(self, data: Any) -> int:
            return super().write(bytes(data[:3]))

    file = Slow()
    spool_module._write_all(file, bytearray(b"abcdefgh"))
    assert file.getvalue() == b"abcdefgh"


async def test_a_full_disk_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spool_module, "_write_all", full)
    with Spool(0) as spool:
        spool.put(b"x")
        with pytest.raises(OmniError) as refusal:
            await spool.settle()
    assert refusal.value.status == 507
    assert "No space left" in refusal.value.message
