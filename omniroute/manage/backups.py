"""Backups of the database: create, list, restore, export, import."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, ClassVar, Final, TypedDict

from msgspec import UNSET, Meta, Struct, UnsetType

from ..clock import iso
from ..errors import OmniError
from ..store.backups import BackupRow
from ..store.stage import Counts, Unfit
from . import gateway_login, memory
from .archive import archive
from .call import Call, FileBody, Reply, log
from .refusals import refused
from .uploads import receive

MOST: Final = 100 * 1024 * 1024
BODY_LIMIT: Final = MOST + 1024 * 1024  # the file and the form around it
_LEAST: Final = 4096
_FIELD: Final = "file"


class RestoreBody(Struct, rename="camel"):
    TEXTS: ClassVar = {"backupId": "backupId is required"}
    backup_id: Annotated[str, Meta(min_length=1)]


class BackupList(Struct):
    backups: list[BackupRow]


class BackupMade(Struct):
    """``message`` alone if nothing has changed since the last backup."""

    created: bool | UnsetType = UNSET
    filename: str | UnsetType = UNSET
    size: int | UnsetType = UNSET
    message: str | UnsetType = UNSET


class Counted(TypedDict):
    """The numbers of rows that the database now has."""

    connectionCount: int
    nodeCount: int
    comboCount: int
    apiKeyCount: int


class Restored(Counted):
    restored: bool
    backupId: str


class Imported(Counted):
    imported: bool
    filename: str


class Storage(Struct, rename="camel"):
    driver: str
    db_path: str
    size_bytes: int
    last_backup_at: str | None
    backup_count: int
    retention_days: int
    data_dir: str


async def list_backups(call: Call) -> Reply:
    """Return all backups, newest first; sizes in bytes."""
    return Reply(200, BackupList(await call.store.backups.list()))


async def create(call: Call) -> Reply:
    """Make a backup now, unless nothing has changed since the last one."""
    await call.store.usage.flush()
    made = await call.store.backups.create()
    if made is None:
        return Reply(200, BackupMade(message="No changes since last backup (throttled)"))
    await call.audit("backup.create", made.name)
    return Reply(200, BackupMade(True, made.name, made.stat().st_size))


async def restore(call: Call) -> Reply:
    """Restore a backup.  An unusable one is reported as a 500, which existing clients expect."""
    backup_id: str = call.body.backup_id
    try:
        counts = await _replace(call, call.store.backups.find(backup_id), "pre-restore")
    except Unfit as error:
        raise OmniError("invalid_request", str(error), status=500) from error
    await _tell(call, "backup.restore", backup_id, counts)
    return Reply(200, Restored(restored=True, backupId=backup_id, **_counts(counts)))


async def export(call: Call) -> Reply:
    """Send a consistent copy of the database as a download.  Its credentials stay encrypted.  404 without a file."""
    if not call.store.db.path.is_file():
        raise refused(404, "Database file not found")
    await call.store.usage.flush()
    path = await call.store.backups.snapshot()
    await call.audit("backup.export", path.name)
    return _download(call, path, "application/octet-stream", f"omniroute-backup-{_stamp(call)}.sqlite")


async def export_all(call: Call) -> Reply:
    """Export the database and, as JSON, its content without secrets."""
    await call.store.usage.flush()
    path = await archive(call)
    await call.audit("backup.export", path.name)
    return _download(call, path, "application/gzip", f"omniroute-full-backup-{_stamp(call)}.tar.gz")


async def import_file(call: Call) -> Reply:
    """Replace the database with an uploaded one, in our schema or in the compatible older one."""
    async with call.store.backups.workplace() as folder:
        upload = await receive(call.exchange, _FIELD, folder / "upload")
        if upload is None or not upload.filename:
            raise refused(400, "No file provided. Use multipart/form-data with the field 'file'.")
        if not upload.filename.lower().endswith(".sqlite"):
            raise refused(400, "Invalid file type. Only .sqlite files are accepted.")
        if upload.size > MOST:
            raise refused(400, f"File too large. Maximum size is {MOST // 1024 // 1024} MB.")
        if upload.size < _LEAST:
            raise refused(400, "File too small to be a valid SQLite database.")
        try:
            counts = await _replace(call, upload.path, "pre-import")
        except Unfit as error:
            raise refused(400, str(error)) from error
    name = upload.filename[-200:]
    await _tell(call, "backup.import", name, counts)
    return Reply(200, Imported(imported=True, filename=name, **_counts(counts)))


async def storage(call: Call) -> Reply:
    """``GET /api/storage/health``."""
    backups = await call.store.backups.list()
    settings = call.services.settings
    size = await asyncio.to_thread(lambda: call.store.db.path.stat().st_size)
    return Reply(200, Storage(
        driver="sqlite",
        db_path=str(call.store.db.path),
        size_bytes=size,
        last_backup_at=backups[0].created_at if backups else None,
        backup_count=len(backups),
        retention_days=await call.store.config.get("logRetentionDays", settings.log_retention_days),
        data_dir=str(settings.data_dir),
    ))  # fmt: skip


async def _replace(call: Call, source: Path, reason: str) -> Counts:
    """Replace the database, and reload what memory keeps of it.  Raises ``Unfit``."""
    services, before, logins = call.services, call.snapshot, await gateway_login.login_state(call.services)
    services.live.uses.save()

    async def then() -> None:
        await gateway_login.keep_ended(services, logins)
        await memory.reload(services.store, services.live, before)
        if services.peer is not None and await services.store.config.get("cloudEnabled"):
            services.peer.start()

    return await call.store.restore(source, reason, then)


async def _tell(call: Call, action: str, target: str, counts: Counts) -> None:
    await call.audit(action, target, _counts(counts))
    text = "%s: the database now has the content of %s; a backup of the previous content is in %s"
    log.warning(text, action, target, call.store.backups.folder.name, extra={"request_id": call.request_id})


def _counts(counts: Counts) -> Counted:
    return {
        "connectionCount": counts.connections,
        "nodeCount": counts.nodes,
        "comboCount": counts.combos,
        "apiKeyCount": counts.keys,
    }


def _download(call: Call, path: Path, kind: str, name: str) -> Reply:
    fields = [(b"content-type", kind.encode()), (b"content-disposition", f'attachment; filename="{name}"'.encode())]
    return Reply(200, FileBody(path, fleeting=True), fields)


def _stamp(call: Call) -> str:
    return iso(call.now).replace(":", "-").replace(".", "-")
