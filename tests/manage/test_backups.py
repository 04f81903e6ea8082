"""Backups: made, listed, restored, exported, imported."""

from __future__ import annotations

import gzip
import io
import logging
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fakes_exchange import FakeExchange
from fakes_manage import Admin, fields_of
from fakes_store import a_call

from omniroute.manage import gateway_login
from omniroute.store.migrate import migrations

PATH = "/api/db-backups"
BOUNDARY = "----form"


def _backup(admin: Admin) -> str:
    answer = admin.send("PUT", PATH)
    assert answer.json["created"] is True
    return str(answer.json["filename"])


def _import(admin: Admin, content: bytes, name: str = "mine.sqlite", field: str = "file") -> FakeExchange:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    body = head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    pieces = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    return admin.send("POST", f"{PATH}/import", headers=headers, upload=pieces)


def _names(admin: Admin) -> list[str]:
    return [row["name"] for row in admin.send("GET", "/api/providers").json["connections"]]


def _leftovers(admin: Admin) -> list[Path]:
    return [*admin.settings.data_dir.glob(".work-*")]


def test_a_backup_is_listed_with_what_is_in_it(admin: Admin) -> None:
    assert admin.send("GET", PATH).json == {"backups": []}
    admin.connection()
    answer = admin.send("PUT", PATH)
    name = answer.json["filename"]
    assert answer.json == {"created": True, "filename": name, "size": answer.json["size"]}
    [row] = admin.send("GET", PATH).json["backups"]
    assert row == {
        "id": name, "filename": name, "createdAt": row["createdAt"], "size": answer.json["size"], "reason": "manual",
        "connectionCount": 1,
    }  # fmt: skip
    assert row["createdAt"].endswith("Z")
    assert admin.audit()[-1] == "backup.create"


def test_a_second_backup_without_a_change_is_throttled(admin: Admin) -> None:
    admin.connection()
    _backup(admin)
    assert admin.send("PUT", PATH).json == {"message": "No changes since last backup (throttled)"}
    admin.advance(1)
    admin.store.usage.put(a_call())
    _backup(admin)


def test_a_restore_is_in_force_at_once_and_can_itself_be_undone(admin: Admin) -> None:
    admin.connection(name="kept")
    name = _backup(admin)
    admin.connection("deepseek", name="later")
    admin.store.usage.put(a_call())
    admin.advance(1)
    answer = admin.send("POST", PATH, {"backupId": name})
    counts = {"connectionCount": 1, "nodeCount": 0, "comboCount": 0, "apiKeyCount": 0}
    assert (answer.status, answer.json) == (200, {"restored": True, "backupId": name, **counts})
    assert _names(admin) == ["kept"]
    assert set(admin.store.snapshot.connections) == {"openai"}
    assert admin.store.snapshot.connections["openai"][0].secret == "sk-good-1"
    [before, _] = admin.send("GET", PATH).json["backups"]
    assert (before["reason"], before["connectionCount"]) == ("pre-restore", 2)
    admin.advance(1)
    assert admin.send("POST", PATH, {"backupId": before["id"]}).status == 200
    assert sorted(_names(admin)) == ["kept", "later"]
    assert admin.audit()[-1] == "backup.restore"
    assert _leftovers(admin) == []


def test_a_restore_revives_no_session(guarded: Admin) -> None:
    def ended(cookie: str) -> bool:
        current, guarded.cookie = guarded.cookie, cookie
        status = guarded.send("GET", PATH).status
        guarded.cookie = current
        return status == 401

    guarded.login()
    first = guarded.cookie
    guarded.connection()
    name = _backup(guarded)
    guarded.send("POST", "/api/auth/logout")
    guarded.login()
    assert guarded.send("POST", PATH, {"backupId": name}).status == 200
    assert (ended(first), ended(guarded.cookie)) == (True, False)
    guarded.run(gateway_login.set_password(guarded.services, "second"))
    guarded.login("second")
    second = guarded.cookie
    guarded.advance(1)
    assert guarded.send("POST", PATH, {"backupId": name}).status == 200
    assert ended(second)  # the password is the one of the backup
    guarded.login()
    guarded.run(gateway_login.set_password(guarded.services, "third"))
    assert all(map(ended, (first, second)))


def test_calls_that_end_during_a_restore_are_not_lost(admin: Admin) -> None:
    name = _backup(admin)
    admin.send("POST", PATH, {"backupId": name})
    admin.store.usage.put(a_call())
    assert admin.send("GET", "/api/usage/history").json["totalRequests"] == 1


@pytest.mark.parametrize(
    "backup_id", ["../x", "x.sqlite", "db_x.txt", "db_a/b.sqlite", "db_2020-01-01T00-00-00-000Z_a.sqlite/.."]
)
def test_an_id_that_is_no_name_of_a_backup_is_refused(
    admin: Admin, backup_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = admin.send("POST", PATH, {"backupId": backup_id})
    assert (answer.status, answer.json) == (500, {"error": "Invalid backup ID"})
    assert caplog.records == []  # the caller's mistake


def test_a_backup_that_is_not_there_or_damaged_changes_nothing(admin: Admin) -> None:
    admin.connection()
    for absent in ("db_2020-01-01T00-00-00-000Z_manual.sqlite", "db_x.sqlite"):
        answer = admin.send("POST", PATH, {"backupId": absent})
        assert (answer.status, answer.json) == (500, {"error": f"Backup not found: {absent}"})
    name = _backup(admin)
    path = admin.settings.data_dir / "db_backups" / name
    path.write_bytes(path.read_bytes()[:5000] + b"\xff" * 20_000)
    answer = admin.send("POST", PATH, {"backupId": name})
    assert answer.status == 500
    assert "database" in answer.json["error"].lower()
    assert _names(admin) == ["main"]
    assert len(admin.send("GET", PATH).json["backups"]) == 1
    for body in ({}, {"backupId": ""}):
        assert fields_of(admin.send("POST", PATH, body)) == {"backupId": "backupId is required"}


def test_an_export_is_a_whole_database(admin: Admin, tmp_path: Path) -> None:
    admin.connection()
    answer = admin.send("GET", f"{PATH}/export")
    assert answer.header(b"content-type") == b"application/octet-stream"
    assert (answer.header(b"content-disposition") or b"").startswith(b'attachment; filename="omniroute-backup-2025-')
    assert answer.header(b"cache-control") == b"no-store"
    copy = tmp_path / "copy.sqlite"
    copy.write_bytes(answer.text)
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("SELECT name FROM provider_connections").fetchall() == [("main",)]
    assert _leftovers(admin) == []
    assert admin.audit()[-1] == "backup.export"


def test_everything_at_once_holds_no_credential(admin: Admin) -> None:
    admin.connection()
    admin.node()
    text = admin.send("POST", "/api/keys", {"name": "k"}).json["key"]
    answer = admin.send("GET", f"{PATH}/exportAll")
    assert answer.header(b"content-type") == b"application/gzip"
    with tarfile.open(fileobj=io.BytesIO(answer.text)) as tar:
        names = tar.getnames()
    assert names == ["storage.sqlite", "settings.json", "combos.json", "providers.json", "api-keys.json", "metadata.json"]
    unpacked = gzip.decompress(answer.text)
    assert text.encode() not in unpacked
    assert b"sk-good-1" not in unpacked
    assert text[:8].encode() in unpacked
    assert b"omniroute-full-backup-v1" in unpacked
    assert _leftovers(admin) == []


def test_an_export_of_this_gateway_can_be_imported(admin: Admin) -> None:
    admin.connection(name="kept")
    content = admin.send("GET", f"{PATH}/export").text
    admin.connection("deepseek", name="later")
    answer = _import(admin, content)
    counts = {"connectionCount": 1, "nodeCount": 0, "comboCount": 0, "apiKeyCount": 0}
    assert (answer.status, answer.json) == (200, {"imported": True, "filename": "mine.sqlite", **counts})
    assert _names(admin) == ["kept"]
    assert admin.send("GET", PATH).json["backups"][0]["reason"] == "pre-import"
    assert admin.audit()[-1] == "backup.import"
    assert _leftovers(admin) == []


def _reference(path: Path, *statements: str) -> bytes:
    """A database as an earlier installation left it: other columns, keys and secrets in clear."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript("""
            PRAGMA page_size = 8192; VACUUM;
            CREATE TABLE provider_connections (id TEXT PRIMARY KEY, provider TEXT NOT NULL, auth_type TEXT, name TEXT,
              priority INTEGER DEFAULT 0, is_active INTEGER DEFAULT 1, api_key TEXT, test_status TEXT, extra TEXT,
              created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
            CREATE TABLE provider_nodes (id TEXT PRIMARY KEY, type TEXT, name TEXT, prefix TEXT, api_type TEXT,
              base_url TEXT, created_at TEXT, updated_at TEXT);
            CREATE TABLE combos (id TEXT PRIMARY KEY, name TEXT UNIQUE, data TEXT, created_at TEXT, updated_at TEXT);
            CREATE TABLE api_keys (id TEXT PRIMARY KEY, name TEXT, key TEXT UNIQUE, machine_id TEXT,
              allowed_models TEXT DEFAULT '[]', created_at TEXT);
            CREATE TABLE usage_history (id INTEGER PRIMARY KEY, provider TEXT, model TEXT, connection_id TEXT,
              api_key_id TEXT, api_key_name TEXT, tokens_input INTEGER, tokens_output INTEGER, tokens_cache_read INTEGER,
              tokens_cache_creation INTEGER, tokens_reasoning INTEGER, status TEXT, timestamp TEXT);
            INSERT INTO provider_connections VALUES ('c1', 'openai', 'apikey', 'old', 1, 1, 'sk-clear-text', 'active', 'x',
              '2024-01-01', '2024-01-01');
            INSERT INTO api_keys VALUES ('k1', 'laptop', 'sk-old-key-of-the-reference', 'm', '[]', '2024-01-01');
            INSERT INTO usage_history (provider, model, tokens_input, tokens_output, status, timestamp)
              VALUES ('openai', 'gpt-4o', 5, 6, '200', '2025-06-01T00:00:00.000Z');
        """)
        for statement in statements:
            db.executescript(statement)
    return path.read_bytes()


def test_a_database_of_the_reference_can_be_imported(admin: Admin, tmp_path: Path) -> None:
    answer = _import(admin, _reference(tmp_path / "old.sqlite"), "storage.sqlite")
    assert answer.status == 200, answer.text
    assert (answer.json["connectionCount"], answer.json["apiKeyCount"]) == (1, 1)
    assert admin.store.snapshot.connections["openai"][0].secret == "sk-clear-text"
    assert [key.name for key in admin.store.snapshot.keys.values()] == ["laptop"]
    history = admin.send("GET", "/api/usage/history").json
    assert (history["totalPromptTokens"], history["totalCost"]) == (5, pytest.approx((5 * 2.5 + 6 * 10) / 1e6))
    with closing(sqlite3.connect(admin.settings.database)) as db:
        [(sealed, extra)] = db.execute("SELECT api_key, extra FROM provider_connections").fetchall()
        assert "clear" not in sealed
        assert extra == "x"
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    stored = b"".join(path.read_bytes() for path in admin.settings.data_dir.rglob("*") if path.is_file())
    assert b"sk-clear-text" not in stored
    assert b"sk-old-key-of-the-reference" not in stored
    made = admin.connection("deepseek")
    assert admin.send("GET", f"/api/providers/{made['id']}").status == 200


def test_an_uploaded_trigger_is_dropped(admin: Admin, tmp_path: Path) -> None:
    trigger = "CREATE TRIGGER t AFTER INSERT ON api_keys BEGIN DELETE FROM provider_connections; END;"
    assert _import(admin, _reference(tmp_path / "old.sqlite", trigger)).status == 200
    admin.key("inference")
    assert _names(admin) == ["old"]


@pytest.mark.parametrize(
    ("content", "name", "field", "text"),
    [
        (b"", "", "file", "No file provided."),
        (b"x" * 5000, "a.sqlite", "other", "No file provided."),
        (b"x" * 5000, "a.db", "file", "Invalid file type. Only .sqlite files are accepted."),
        (b"x" * 100, "a.sqlite", "file", "File too small"),
        (b"x" * 5000, "a.sqlite", "file", "Invalid database file: file is not a database"),
    ],
)
def test_what_is_no_database_is_refused(admin: Admin, content: bytes, name: str, field: str, text: str) -> None:
    admin.connection()
    answer = _import(admin, content, name, field)
    assert answer.status == 400
    assert answer.json["error"].startswith(text)
    assert _names(admin) == ["main"]
    assert _leftovers(admin) == []


def test_a_database_of_something_else_is_refused(admin: Admin, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as db:
        db.executescript("CREATE TABLE combos (a); CREATE TABLE api_keys (a);")
    answer = _import(admin, other.read_bytes())
    text = "Invalid OmniRoute database. Missing tables: provider_connections, provider_nodes"
    assert (answer.status, answer.json) == (400, {"error": text})


def test_a_database_of_a_newer_version_is_refused(admin: Admin, tmp_path: Path) -> None:
    answer = _import(admin, _reference(tmp_path / "new.sqlite", "PRAGMA user_version = 999;"))
    assert answer.status == 400
    assert "newer version" in answer.json["error"]


@pytest.mark.parametrize(
    ("own", "statement", "text"),
    [
        (False, f"PRAGMA user_version = {len(migrations())};", "Invalid OmniRoute database. Missing columns: "),
        (True, "UPDATE provider_connections SET backoff_level = 'x';",
         "Invalid database file: what it holds cannot be used (TypeError: "),
    ],
)  # fmt: skip
def test_a_database_that_cannot_be_used_changes_nothing(
    admin: Admin, tmp_path: Path, own: bool, statement: str, text: str
) -> None:
    """Found out before it is put in force, or after: a gateway that went on with it would not start again."""
    admin.connection(name="kept")
    odd = tmp_path / "odd.sqlite"
    if own:  # values of an older database would be replaced
        odd.write_bytes(admin.send("GET", f"{PATH}/export").text)
        with closing(sqlite3.connect(odd)) as db:
            db.executescript(statement)
    answer = _import(admin, odd.read_bytes() if own else _reference(odd, statement))
    assert answer.status == 400
    assert answer.json["error"].startswith(text)
    assert _names(admin) == ["kept"]
    assert admin.send("PUT", "/api/settings", {"theme": "dark"}).status == 200
    assert set(admin.store.snapshot.connections) == {"openai"}
    assert _leftovers(admin) == []


def test_an_upload_that_is_no_form_is_refused(admin: Admin) -> None:
    answer = admin.send("POST", f"{PATH}/import", headers={"content-type": "application/json"}, upload=[b"{}"])
    assert answer.status == 400
    assert answer.json["error"].startswith("No file provided.")


def test_an_upload_over_the_limit_is_refused(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omniroute.manage.backups.MOST", 10_000)
    answer = _import(admin, b"x" * 20_000)
    assert answer.status == 400
    assert answer.json["error"].startswith("File too large.")


def test_nobody_uploads_without_the_right(guarded: Admin) -> None:
    assert _import(guarded, b"x" * 5000).status == 401


def test_storage_health(make_admin: Callable[..., Admin]) -> None:
    admin = make_admin()
    found: dict[str, Any] = admin.send("GET", "/api/storage/health").json
    assert found.pop("sizeBytes") > 4096
    assert found == {
        "driver": "sqlite", "dbPath": str(admin.settings.database), "lastBackupAt": None, "backupCount": 0,
        "retentionDays": 90, "dataDir": str(admin.settings.data_dir),
    }  # fmt: skip
    _backup(admin)
    found = admin.send("GET", "/api/storage/health").json
    assert (found["backupCount"], found["lastBackupAt"]) == (1, admin.send("GET", PATH).json["backups"][0]["createdAt"])
