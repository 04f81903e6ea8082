from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fakes import FakeClock

from omniroute.errors import OmniError
from omniroute.store import migrate
from omniroute.store.migrate import Migration, apply, migrations, statements

TABLES = {
    "db_meta", "provider_connections", "provider_nodes", "key_value", "combos", "api_keys", "usage_history", "call_logs",
    "proxy_logs", "domain_fallback_chains", "domain_budgets", "domain_cost_history", "domain_lockout_state",
    "domain_circuit_breakers", "semantic_cache", "audit_log", "usage_daily",
}  # fmt: skip


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "storage.sqlite", isolation_level=None)) as connection:
        yield connection


def names(connection: sqlite3.Connection, kind: str = "table") -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = ? AND name NOT LIKE 'sqlite_%'", (kind,))
    return {row[0] for row in rows}


def columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_the_files_are_numbered_without_gaps_and_the_last_number_is_known() -> None:
    assert [migration.number for migration in migrations()] == list(range(1, migrate._LAST + 1))


def test_a_new_database_gets_every_table_and_no_backup(connection: sqlite3.Connection, tmp_path: Path) -> None:
    assert apply(connection, tmp_path / "storage.sqlite", FakeClock())
    assert names(connection) == TABLES
    assert version(connection) == migrate._LAST
    assert not (tmp_path / "db_backups").exists()


def test_a_second_time_there_is_nothing_to_do(connection: sqlite3.Connection, tmp_path: Path) -> None:
    apply(connection, tmp_path / "storage.sqlite", FakeClock())
    assert not apply(connection, tmp_path / "storage.sqlite", FakeClock())


def test_columns_of_earlier_installations_are_all_there(connection: sqlite3.Connection, tmp_path: Path) -> None:
    apply(connection, tmp_path / "storage.sqlite", FakeClock())
    expected = {
        "provider_connections": "id provider auth_type name email priority is_active access_token refresh_token expires_at"
        " token_expires_at scope project_id test_status error_code last_error last_error_at last_error_type"
        " last_error_source backoff_level rate_limited_until health_check_interval last_health_check_at last_tested"
        " api_key id_token"
        " provider_specific_data expires_in display_name global_priority default_model token_type consecutive_use_count"
        " rate_limit_protection created_at updated_at last_used_at",
        "provider_nodes": "id type name prefix api_type base_url created_at updated_at",
        "api_keys": "id name key machine_id allowed_models created_at",
        "usage_history": "id provider model connection_id api_key_id api_key_name tokens_input tokens_output"
        " tokens_cache_read tokens_cache_creation tokens_reasoning status timestamp",
        "call_logs": "id timestamp method path status model provider account connection_id duration tokens_in tokens_out"
        " source_format target_format api_key_id api_key_name combo_name request_body response_body error",
        "audit_log": "id timestamp action actor target details ip_address",
        "semantic_cache": "id signature model prompt_hash response tokens_saved hit_count created_at expires_at",
    }
    for table, text in expected.items():
        assert set(text.split()) <= set(columns(connection, table)), table


def test_a_database_of_an_earlier_installation_is_copied_and_then_adopted(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    connection.executescript("""
        CREATE TABLE provider_connections (id TEXT PRIMARY KEY, provider TEXT NOT NULL, priority INTEGER, extra TEXT);
        INSERT INTO provider_connections VALUES ('c1', 'openai', 1, 'kept');
        CREATE TABLE usage_history (id INTEGER PRIMARY KEY AUTOINCREMENT, provider TEXT, timestamp TEXT NOT NULL);
        CREATE TABLE unknown (a TEXT);
    """)
    apply(connection, tmp_path / "storage.sqlite", FakeClock())
    assert names(connection) == TABLES | {"unknown"}
    row = connection.execute("SELECT extra, is_active, test_status, api_key FROM provider_connections").fetchone()
    assert row == ("kept", 1, "unknown", None)
    [copy] = (tmp_path / "db_backups").iterdir()
    assert copy.name == "db_2025-06-15T15-06-40-000Z_pre-migration.sqlite"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as old:
        assert columns(old, "provider_connections") == ["id", "provider", "priority", "extra"]


def test_adopted_rows_hold_what_ours_would(connection: sqlite3.Connection, tmp_path: Path) -> None:
    connection.executescript("""
        CREATE TABLE provider_connections (id TEXT PRIMARY KEY, provider TEXT, auth_type TEXT, priority INTEGER, is_active,
          last_tested TEXT, rate_limited_until TEXT, error_code, api_key BLOB);
        INSERT INTO provider_connections VALUES
          ('c1', 'openai', NULL, NULL, NULL, '2026-02-26 14:03:11', '', 429, 'k'),
          ('c2', 'openai', 'oauth', '3.9', '0', NULL, '2026-02-26T14:03:11Z', NULL, x'ff'),
          ('c3', 'x', '', 'high', 'yes', '2026-99-99 99:99', NULL, 1.5, NULL);
        CREATE TABLE domain_budgets (api_key_id TEXT PRIMARY KEY, daily_limit_usd REAL NOT NULL, warning_threshold);
        INSERT INTO domain_budgets VALUES ('k1', 5, '0.5'), ('k2', 'much', x'00');
        CREATE TABLE usage_history (id INTEGER PRIMARY KEY, tokens_input INTEGER, timestamp TEXT NOT NULL);
        INSERT INTO usage_history VALUES (1, 12.5, ''), (2, 9e19, ''), (3, NULL, x'00');
        CREATE TABLE audit_log (id INTEGER PRIMARY KEY, timestamp TEXT DEFAULT (datetime('now')), action TEXT);
        INSERT INTO audit_log VALUES (1, '2026-02-26 14:03:11', 'a');
    """)
    apply(connection, tmp_path / "storage.sqlite", FakeClock())

    def rows(names: str, table: str) -> list[tuple[object, ...]]:
        return connection.execute(f"SELECT {names} FROM {table}").fetchall()

    assert rows(
        "auth_type, priority, is_active, last_tested, rate_limited_until, error_code, api_key", "provider_connections"
    ) == [
        ("apikey", 1, 1, "2026-02-26T14:03:11.000Z", "", "429", "k"),
        ("oauth", 3, 0, None, "2026-02-26T14:03:11Z", None, None),
        ("", 1, 1, "2026-99-99 99:99", None, "1.5", None),
    ]
    assert rows("daily_limit_usd, warning_threshold", "domain_budgets") == [(5.0, 0.5), (0.0, 0.8)]
    assert rows("tokens_input, timestamp", "usage_history") == [(12, ""), (0, ""), (None, "")]
    assert rows("timestamp", "audit_log") == [("2026-02-26T14:03:11.000Z",)]


def test_use_from_before_the_daily_sums_is_in_them(connection: sqlite3.Connection, tmp_path: Path) -> None:
    connection.executescript("""
        CREATE TABLE usage_history (id INTEGER PRIMARY KEY, provider TEXT, model TEXT, tokens_input INTEGER, status TEXT,
          timestamp TEXT NOT NULL);
        INSERT INTO usage_history (provider, model, tokens_input, status, timestamp) VALUES
          ('openai', 'a', 1, '200', '2025-01-01T10:00:00.000Z'), ('openai', 'a', NULL, '429', '2025-01-01T11:00:00.000Z'),
          ('openai', NULL, 4, NULL, '2025-01-02T10:00:00.000Z');
    """)
    apply(connection, tmp_path / "storage.sqlite", FakeClock())
    sums = "SELECT day, provider, model, requests, successes, tokens_input, last_used FROM usage_daily"
    assert connection.execute(sums).fetchall() == [
        ("2025-01-01", "openai", "a", 2, 1, 1, "2025-01-01T11:00:00.000Z"),
        ("2025-01-02", "openai", "", 1, 1, 4, "2025-01-02T10:00:00.000Z"),
    ]


def test_a_failing_migration_leaves_the_database_as_it_was(
    connection: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(connection, tmp_path / "storage.sqlite", FakeClock())
    bad = Migration(migrate._LAST + 1, "bad", "CREATE TABLE half (a);\nCREATE TABLE half (a);\n")
    everything = [*migrations(), bad]
    monkeypatch.setattr(migrate, "_LAST", bad.number)
    monkeypatch.setattr(migrate, "migrations", lambda: everything)
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        apply(connection, tmp_path / "storage.sqlite", FakeClock())
    assert names(connection) == TABLES
    assert version(connection) == bad.number - 1
    assert not connection.in_transaction


def test_a_database_of_a_newer_version_is_refused(connection: sqlite3.Connection, tmp_path: Path) -> None:
    connection.execute("PRAGMA user_version = 999")
    with pytest.raises(OmniError, match="newer version"):
        apply(connection, tmp_path / "storage.sqlite", FakeClock())


def test_statements_are_split_at_their_end_only() -> None:
    sql = "CREATE TABLE a (x TEXT DEFAULT ';');\nCREATE TRIGGER t AFTER INSERT ON a BEGIN\n  DELETE FROM a;\nEND;\n"
    assert [part.split()[1] for part in statements(sql)] == ["TABLE", "TRIGGER"]


def test_queries_by_time_are_served_by_an_index(connection: sqlite3.Connection, tmp_path: Path) -> None:
    apply(connection, tmp_path / "storage.sqlite", FakeClock())
    for table in ("usage_history", "audit_log"):
        plan = connection.execute(f"EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE timestamp >= '2026'").fetchall()
        assert "USING INDEX" in plan[0][3], table
