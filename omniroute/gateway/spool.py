"""Storage for the uploaded files of one request, for all its attempts: memory while small, else an unnamed temporary file.

The file is in the system's directory for temporary files (``TMPDIR``) and disappears with the request, even if the process
is killed.  It is read and written in threads, one piece at a time.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, Callable
from typing import IO, Any, Final, TypeVar

from ..errors import OmniError
from ..media.forms import HEAD_BYTES, File, Form, Pieces
from ..proto.exchange import Exchange
from ..proto.multipart import FormError, FormReader, Part
from ..upstream.request import Source

T = TypeVar("T")
MEMORY_BYTES: Final = 512 * 1024
PIECE_BYTES: Final = 256 * 1024
_FIELD_BYTES: Final = 1024 * 1024  # of all plain fields together
_PARTS: Final = 128


class Spool:
    """Bytes in order of arrival.  A context manager: on exit the bytes are released."""

    def __init__(self, memory: int = MEMORY_BYTES) -> None:
        self.size = 0
        self._memory = memory
        self._pending = bytearray()  # not yet written to the file; all bytes while there is no file
        self._file: IO[bytes] | None = None
        self._busy: asyncio.Future[Any] | None = None

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        """Release the bytes; a file still in use by a thread is closed afterwards."""
        self._pending.clear()
        if self._busy is not None and not self._busy.done():
            self._busy.add_done_callback(self._close)
        else:
            self._close()

    def _open(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by _close

    def _close(self, _: object = None) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def put(self, data: bytes) -> None:
        """Append *data*; :meth:`settle` must follow soon."""
        self._pending += data
        self.size += len(data)

    async def settle(self) -> None:
        """Write to the file if too much is held in memory.  Raises ``OmniError`` (507) when that fails."""
        if len(self._pending) <= (self._memory if self._file is None else PIECE_BYTES):
            return
        try:
            await self._write_down()
        except OSError as error:
            message = f"The request's files cannot be stored ({error.strerror}): free space in the temporary directory"
            raise OmniError("internal", message, status=507) from None

    async def _write_down(self) -> None:
        if self._file is None:
            await self._beside(self._open)
            assert self._file is not None
        data, self._pending = self._pending, bytearray()
        await self._beside(_write_all, self._file, data)

    async def read(self, offset: int, size: int) -> bytes:
        """Up to *size* bytes from *offset* on; empty only at the end.

        Raises ``OSError`` when the file cannot be read.
        """
        written = self.size - len(self._pending)
        if offset >= written or self._file is None:
            return bytes(self._pending[offset - written : offset - written + size])
        found: bytes = await self._beside(os.pread, self._file.fileno(), min(size, written - offset), offset)
        if not found:
            raise OSError("a temporary file has become shorter")
        return found

    async def pieces(self, offset: int, size: int) -> AsyncGenerator[bytes, None]:
        """All *size* bytes from *offset* on, in pieces of at most :data:`PIECE_BYTES`."""
        end = offset + size
        while offset < end:
            piece = await self.read(offset, min(PIECE_BYTES, end - offset))
            offset += len(piece)
            yield piece

    def source(self, parts: Pieces) -> Source:
        """A request body made of *parts*: bytes, and files in this spool.  It can be sent any number of times."""

        async def produce() -> AsyncGenerator[bytes, None]:
            for part in parts:
                if isinstance(part, File):
                    async for piece in self.pieces(part.offset, part.size):
                        yield piece
                elif part:
                    yield part

        return Source(sum(part.size if isinstance(part, File) else len(part) for part in parts), produce)

    async def _beside(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run *work* in a thread.  It is tracked even when the caller is cancelled, see :meth:`__exit__`."""
        self._busy = busy = asyncio.get_running_loop().run_in_executor(None, work, *arguments)
        return await asyncio.shield(busy)


def _write_all(file: IO[bytes], data: bytearray) -> None:
    """Write all of *data*: a write to an unbuffered file may be partial, as when the disk is nearly full."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


async def receive(exchange: Exchange, spool: Spool) -> Form:
    """Receive the client's form; its files are put in *spool*.

    Raises ``OmniError`` 400 for an invalid form, and what ``Exchange.chunks`` raises.
    """
    taken = _Taken(spool)
    try:
        reader = FormReader(exchange.request.header(b"content-type") or b"", taken.part, taken.data)
        async for chunk in exchange.chunks():
            reader.feed(chunk)
            await spool.settle()
        reader.close()
    except FormError as error:
        raise OmniError("invalid_request", "Invalid multipart form data", param="body") from error
    return taken.form()


class _Taken:
    """Collects the parts of a form."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._parts: list[tuple[Part, int, bytearray]] = []  # (part, offset of a file, value of a field or head of a file)
        self._values = 0
        self._ends: list[int] = []

    def part(self, part: Part) -> None:
        if len(self._parts) >= _PARTS:
            raise FormError("too many parts")
        self._close()
        self._parts.append((part, self._spool.size, bytearray()))

    def data(self, data: bytes) -> None:
        part, _, kept = self._parts[-1]
        if part.filename is None:
            self._values += len(data)
            if self._values > _FIELD_BYTES:
                raise OmniError("too_large", "The fields of the form are too large")
            kept += data
            return
        self._spool.put(data)
        if len(kept) < HEAD_BYTES:
            kept += data[: HEAD_BYTES - len(kept)]

    def _close(self) -> None:
        if self._parts:
            self._ends.append(self._spool.size)

    def form(self) -> Form:
        self._close()
        fields: list[tuple[str, str]] = []
        files: list[File] = []
        for (part, start, kept), end in zip(self._parts, self._ends, strict=True):
            if part.filename is None:
                fields.append((part.name, kept.decode("utf-8", "replace")))
            else:
                files.append(File(part.name, part.filename, part.content_type, start, end - start, bytes(kept)))
        return Form(tuple(fields), tuple(files))
