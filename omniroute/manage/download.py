"""Files as response bodies: read in a thread, sent as fast as the client accepts them."""

from __future__ import annotations

import asyncio
import shutil
from typing import Final

from ..proto.exchange import Exchange
from ..proto.headers import Headers
from .call import FileBody

PIECE: Final = 256 * 1024


async def send_file(exchange: Exchange, body: FileBody, headers: Headers) -> None:
    """Stream *body*.  If reading fails, abort the connection, so that the client does not take a part for the whole file."""
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
