"""The full export: one archive with the database, and its content as readable JSON."""

from __future__ import annotations

import asyncio
import shutil
import tarfile
from pathlib import Path
from typing import Any, Final

import msgspec

from .. import __version__
from ..clock import iso
from .call import Call
from .connection_view import view
from .settings import safe_settings

FORMAT: Final = "omniroute-full-backup-v1"
_KEY_CHARS: Final = 8


async def archive(call: Call) -> Path:
    """Write a tar.gz with ``storage.sqlite`` and JSON files without credentials; return its path, in a new folder."""
    folder = (await call.store.backups.snapshot()).parent
    try:
        parts = await _parts(call)
        return await asyncio.to_thread(_pack, folder, parts)
    except BaseException:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        raise


async def _parts(call: Call) -> dict[str, Any]:
    health = call.live.health
    keys = await call.store.keys.list()
    parts: dict[str, Any] = {
        "settings.json": await safe_settings(call),
        "combos.json": await call.store.combos.documents(),
        "providers.json": {
            "connections": [view(row, health.view(row.id)) for row in await call.store.connections.list()],
            "nodes": await call.store.nodes.list(),
        },
        "api-keys.json": [{"id": key.id, "name": key.name, "key": key.masked[:_KEY_CHARS]} for key in keys],
    }
    about = {"exportedAt": iso(call.now), "version": __version__, "format": FORMAT}
    return {**parts, "metadata.json": {**about, "contents": ["storage.sqlite", *parts]}}


def _pack(folder: Path, parts: dict[str, Any]) -> Path:
    for name, value in parts.items():
        (folder / name).write_bytes(msgspec.json.format(msgspec.json.encode(value)))
    target = folder / "omniroute-full-backup.tar.gz"
    with tarfile.open(target, "w:gz", compresslevel=6) as tar:
        for name in ("storage.sqlite", *parts):
            tar.add(folder / name, name)
    return target
