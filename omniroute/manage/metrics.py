"""``GET /metrics`` for Prometheus.  The writer of the text format is imported at the first scrape, off the event loop."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Final

from .call import Call, Reply

_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"


async def read(call: Call) -> Reply:
    """Return all metrics, counted since the start of the process."""
    exposition = await asyncio.to_thread(import_module, ".exposition", __package__)
    text: bytes = await exposition.text(call.services)
    return Reply(200, text, [(b"content-type", _TYPE)])
