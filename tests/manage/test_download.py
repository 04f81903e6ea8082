from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fakes_exchange import FakeExchange

from omniroute.manage.call import FileBody
from omniroute.manage.download import PIECE, send_file
from omniroute.proto.exchange import Request


class SlowExchange(FakeExchange):
    """Its client takes one piece at a time."""

    __slots__ = ("pauses",)

    def write(self, data: bytes | memoryview) -> None:
        super().write(data)
        assert self.on_pause is not None
        assert self.on_resume is not None
        self.on_pause()
        asyncio.get_running_loop().call_soon(self.on_resume)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    path = folder / "big"
    path.write_bytes(b"x" * (2 * PIECE + 10))
    return path


@pytest.mark.parametrize("kind", [FakeExchange, SlowExchange])
def test_a_file_is_sent_in_pieces_as_fast_as_the_client_takes_it(file: Path, kind: type[FakeExchange]) -> None:
    exchange = kind(Request("GET", "/"))
    asyncio.run(send_file(exchange, FileBody(file), [(b"content-type", b"a/b")]))
    assert [len(piece) for piece in exchange.pieces] == [PIECE, PIECE, 10]
    assert (exchange.status, exchange.finished, exchange.aborted) == (200, True, False)
    assert exchange.on_pause is None
    assert file.exists()


def test_a_fleeting_file_goes_with_its_folder(file: Path) -> None:
    asyncio.run(send_file(FakeExchange(Request("GET", "/")), FileBody(file, fleeting=True), []))
    assert not file.parent.exists()


def test_a_file_that_cannot_be_read_breaks_the_answer(file: Path) -> None:
    exchange = FakeExchange(Request("GET", "/"))
    with pytest.raises(FileNotFoundError):
        asyncio.run(send_file(exchange, FileBody(file.parent / "other", fleeting=True), []))
    assert exchange.aborted
    assert not file.parent.exists()
