"""Sections 9 and 10: backups and sync."""

from __future__ import annotations

import re
from typing import Final

from contract.row import SUCCESS, Ask, Form, error, exactly, invalid, row, starts
from contract.shape import ISO, NUMBER

_COUNTS: Final = {"connectionCount": 1, "nodeCount": 0, "comboCount": 0, "apiKeyCount": int}
_NAME: Final = re.compile(r"^db_\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z_manual\.sqlite$")
_ABSENT: Final = "db_2020-01-01T00-00-00-000Z_manual.sqlite"
_STAMP: Final = r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d[\w-]*"
_BAD_ID: Final = error("Invalid backup ID")
_TABLES: Final = "Invalid OmniRoute database. Missing tables: "

BACKUPS: Final = (
    row(
        "GET /api/db-backups", "M",
        Ask(200, {"backups": ({"id": _NAME, "filename": _NAME, "createdAt": ISO, "size": int, "reason": "manual",
                               "connectionCount": 1},)}),
        given="connection backup",
    ),
    row(
        "PUT /api/db-backups", "M",
        Ask(200, {"created": True, "filename": _NAME, "size": int}),
        Ask(200, {"message": "No changes since last backup (throttled)"}),
        given="connection",
    ),
    row(
        "POST /api/db-backups", "M",
        Ask(200, {"restored": True, "backupId": "{backup}", **_COUNTS}, {"backupId": "{backup}"}),
        Ask(200, {"backups": [dict]}, at="GET /api/db-backups"),
        Ask(400, invalid("backupId", "backupId is required"), {}),
        *(Ask(500, _BAD_ID, {"backupId": name}) for name in ("../x", "db_x/../y.sqlite", "x.sqlite")),
        Ask(500, error(f"Backup not found: {_ABSENT}"), {"backupId": _ABSENT}),
        Ask(500, error(re.compile("[Dd]atabase")), {"backupId": "{spoilt}"}),
        given="connection spoilt backup",
    ),
    row(
        "GET /api/db-backups/export", "M",
        Ask(200, starts("SQLite format 3"), gives={
            "content-type": "application/octet-stream",
            "content-disposition": re.compile(rf'^attachment; filename="omniroute-backup-{_STAMP}\.sqlite"$'),
        }),
        Ask(404, error("Database file not found"), patches={"pathlib.Path.is_file": lambda path: False}),
        given="connection",
    ),
    row(
        "POST /api/db-backups/import", "M",
        Ask(200, {"imported": True, "filename": "mine.sqlite", **_COUNTS}, Form("mine.sqlite", "{export}")),
        Ask(400, error(starts("No file provided. ")), {}),
        Ask(400, error(starts("No file provided. ")), Form("mine.sqlite", "{export}", "other")),
        Ask(400, error(starts("Invalid file type. ")), Form("mine.db", "{export}")),
        Ask(400, error(starts("File too large. ")), Form("mine.sqlite", "x" * 9000),
            patches={"omniroute.manage.backups.MOST": 8192}),
        Ask(400, error(starts("File too small ")), Form("mine.sqlite", "x" * 4095)),
        Ask(400, {"error": str}, Form("mine.sqlite", "x" * 5000)),
        Ask(400, error(re.compile(f"^{_TABLES}.*provider_nodes")), Form("mine.sqlite", "{other}")),
        Ask(400, error(starts("Database integrity check failed. ")), Form("mine.sqlite", "{damaged}")),
        given="connection export",
    ),
    row(
        "GET /api/db-backups/exportAll", "M",
        Ask(200, re.compile("^\x1f"), gives={
            "content-type": "application/gzip",
            "content-disposition": re.compile(rf'^attachment; filename="omniroute-full-backup-{_STAMP}\.tar\.gz"$'),
        }),
        given="connection",
    ),
    row(
        "GET /api/storage/health", "M",
        Ask(200, {"driver": "sqlite", "dbPath": str, "sizeBytes": int, "lastBackupAt": ISO, "backupCount": 1,
                  "retentionDays": NUMBER, "dataDir": "{folder}"}),
        given="connection backup",
    ),
)  # fmt: skip

_SYNCED: Final = {
    "success": True, "message": "Synced successfully", "changes": dict, "createdKey?": str, "verified?": bool,
    "verifyError?": str,
}  # fmt: skip
_TOKEN: Final = {"cloud_sync_token": "the token of both gateways"}
_ENABLE: Final = Ask(200, _SYNCED, {"action": "enable"}, at="POST /api/sync/cloud")
_ACCOUNT: Final = {
    "provider": "openai", "authType": "apikey", "hasApiKey": True, "hasAccessToken": False, "hasRefreshToken": False,
    "maskedApiKey": "****", "projectId": None, "expiresAt": None, "priority": 1, "globalPriority": None,
    "defaultModel": None, "isActive": True, "!apiKey": 0,
}  # fmt: skip
_UPDATE: Final = {"provider": "openai", "credentials": {"accessToken": "at-2", "refreshToken": "rt-2", "expiresIn": 60}}
_ALIAS: Final = {"model": "openai/gpt-4o", "alias": "fast"}

SYNC: Final = (
    row(
        "GET /api/sync/cloud", "M",
        Ask(200, {"enabled": False}),
        _ENABLE,
        Ask(200, {"enabled": True, "connected": True, "lastSync": ISO}),
        given="peer", settings=_TOKEN,
    ),
    row(
        "POST /api/sync/cloud", "M",
        Ask(200, _SYNCED, {"action": "enable"}),
        Ask(200, _SYNCED, {"action": "sync"}),
        Ask(200, {"success": True, "message": "Cloud disabled"}, {"action": "disable"}),
        Ask(400, error("Invalid action"), {"action": "zz"}),
        Ask(400, error("Invalid action"), {}),
        Ask(200, {"cloudUrl": str}, {"cloudUrl": "http://127.0.0.1:9"}, at="PUT /api/settings"),
        Ask(502, error(starts("Cloud sync ")), {"action": "sync"}),
        Ask(200, {"cloudUrl": ""}, {"cloudUrl": ""}, at="PUT /api/settings"),
        Ask(500, {"error": str}, {"action": "sync"}),
        given="peer", settings=_TOKEN,
    ),
    row(
        "POST /api/sync/initialize", "M",
        Ask(200, {"success": True, "message": str}),
        Ask(200, {"message": "Cloud sync already initialized"}),
    ),
    row(
        "GET /api/sync/initialize", "M",
        Ask(200, {"initialized": False, "message": str}),
        Ask(200, SUCCESS, at="POST /api/sync/initialize"),
        Ask(200, {"initialized": True, "message": str}),
    ),
    row(
        "POST /api/cloud/auth", "B",
        Ask(200, {"connections": (_ACCOUNT,), "modelAliases": {"fast": "openai/gpt-4o"}}, {}),
        given="connection alias",
    ),
    row(
        "PUT /api/cloud/credentials/update", "B",
        Ask(200, {"success": True, "message": str}, _UPDATE),
        Ask(400, {"error": str}, {"provider": "openai"}),
        Ask(400, {"error": str}, {}),
        Ask(404, error("No active connection found for provider: x"), {**_UPDATE, "provider": "x"}),
        given="login",
    ),
    row(
        "POST /api/cloud/model/resolve", "B",
        Ask(200, {"alias": "fast", "provider": "openai", "model": "gpt-4o"}, {"alias": "fast"}),
        Ask(400, error("Missing alias"), {}),
        Ask(404, error(exactly("Alias not found")), {"alias": "nope"}),
        given="alias",
    ),
    row("GET /api/cloud/models/alias", "B", Ask(200, {"aliases": {"fast": "openai/gpt-4o"}}), given="alias"),
    row(
        "PUT /api/cloud/models/alias", "B",
        Ask(200, {"success": True, **_ALIAS, "message": str}, _ALIAS),
        Ask(400, {"error": re.compile("in use")}, {**_ALIAS, "model": "openai/o1"}),
    ),
)  # fmt: skip
