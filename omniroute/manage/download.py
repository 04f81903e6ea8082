"""A file as an answer: read beside the event loop, sent as fast as the client takes it."""

from __future__ import annotations

import asyncio
import shutil
from typing import Final

from ..proto.exchange import Exchange
from ..proto.headers import Headers
from .call import FileBody

PIECE: Final = 256 * 1024


async def send_file(exchange: Exchange, body: FileBody, headers: Headers) -> None:
    """Stream *body*.  A file that cannot be read to its end breaks the connection, so that nobody keeps half of it."""
    free = asyncio.Event()
    free.set()
    exchange.on_pause, exchange.on_resume = free.clear, free.set
    try:
        file = await asyncio.to_thread(body.path.open, "rb")
        with file:
            exchange.start(200, headers)
            while piece := await asyncio.to_thread(file.read, PIECE):
                exchange.write(piece)
                await free.wait()
        exchange.end()
    except OSError:
        exchange.abort()
        raise
    finally:
        exchange.on_pause = exchange.on_resume = None
        if body.fleeting:
            await asyncio.to_thread(shutil.rmtree, body.path.parent, ignore_errors=True)
