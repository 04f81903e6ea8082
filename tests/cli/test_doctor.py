from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from omniroute.cli import backend, doctor
from omniroute.settings import Settings
from omniroute.upstream.probe import Prober, Validation
from omniroute.upstream.verdict import Diagnosis

Command = Callable[..., Result]
REFUSED = Diagnosis("upstream_auth_error", "upstream", "Invalid API key", "401")
UNREACHED = Diagnosis("network_error", "upstream", "Could not reach it")


@pytest.fixture(autouse=True)
def free_port(monkeypatch: pytest.MonkeyPatch) -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = int(sock.getsockname()[1])
    monkeypatch.setenv("PORT", str(port))
    return port


def states(result: Result) -> dict[str, str]:
    return {finding["check"]: finding["state"] for finding in json.loads(result.stdout)}


def test_before_the_first_start_all_is_well_and_nothing_is_created(omniroute: Command, settings: Settings) -> None:
    result = omniroute("doctor", "--json")
    assert result.exit_code == 0
    assert states(result) == {"python": "ok", "data directory": "ok", "database": "ok", "port": "ok", "providers": "warning"}
    assert not settings.data_dir.exists()


def test_on_a_terminal_remedies_are_shown(omniroute: Command) -> None:
    result = omniroute("doctor")
    assert "✓ python: 3." in result.stdout
    assert "! providers: none configured" in result.stderr
    assert "\n  → omniroute providers add" in result.stderr


def test_a_port_that_is_taken_fails(omniroute: Command, free_port: int) -> None:
    with socket.create_server(("127.0.0.1", free_port)):
        result = omniroute("doctor")
    assert result.exit_code == 1
    assert f"✗ port: 127.0.0.1:{free_port} cannot be used" in result.stderr


def test_an_address_that_does_not_exist_fails(omniroute: Command) -> None:
    assert states(omniroute("doctor", "--json", HOST="203.0.113.77"))["port"] == "failed"


def test_an_open_address_is_worth_a_warning(omniroute: Command) -> None:
    assert states(omniroute("doctor", "--json", HOST="0.0.0.0"))["port"] == "warning"


def test_a_damaged_database_fails_and_nothing_further_is_tried(omniroute: Command, settings: Settings) -> None:
    settings.data_dir.mkdir(mode=0o700)
    settings.database.write_bytes(b"this is no database" * 100)
    result = omniroute("doctor", "--json")
    assert result.exit_code == 1
    assert states(result) == {"python": "ok", "data directory": "ok", "database": "failed", "port": "ok"}
    assert "db_backups" in result.stdout


def test_a_data_directory_that_cannot_be_used_fails(omniroute: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = omniroute("doctor", "--json", DATA_DIR=str(tmp_path / "file" / "data"))
    assert (result.exit_code, states(result)["data directory"]) == (1, "failed")


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_a_data_directory_that_others_can_read_is_worth_a_warning(omniroute: Command, settings: Settings) -> None:
    settings.data_dir.mkdir()
    settings.data_dir.chmod(0o755)
    result = omniroute("doctor")
    assert (result.exit_code, f"chmod 700 {settings.data_dir}" in result.stderr) == (0, True)


def test_accounts_are_tested_and_a_bad_one_fails(omniroute: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    async def validate(self: Prober, provider: Any, secret: str, *_: Any, **__: Any) -> Validation:
        if secret == "bad":
            return Validation(False, "Invalid API key", 401, 7, REFUSED)
        if secret == "nowhere":
            return Validation(False, "Could not reach it", None, 7, UNREACHED)
        return Validation(True, None, 200, 12, Diagnosis("ok", "upstream", "The key works", "200"))

    monkeypatch.setattr(Prober, "validate", validate)
    for provider, key in (("openai", "good"), ("groq", "bad"), ("mistral", "nowhere")):
        omniroute("providers", "add", provider, "--key", key)
    offline = omniroute("doctor", "--offline", "--json")
    assert (offline.exit_code, states(offline)["providers"]) == (0, "ok")
    asked = omniroute("doctor", "--json")
    assert asked.exit_code == 1
    found = {finding["check"]: (finding["state"], finding["remedy"]) for finding in json.loads(asked.stdout)}
    assert found["openai/default"] == ("ok", "")
    assert found["groq/default"][0] == found["mistral/default"][0] == "failed"
    assert "key" in found["groq/default"][1]
    assert "network" in found["mistral/default"][1]


def test_an_account_whose_key_cannot_be_decrypted_fails_and_the_others_are_tested(
    omniroute: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def validate(self: Prober, *_: Any, **__: Any) -> Validation:
        return Validation(True, None, 200, 12, Diagnosis("ok", "upstream", "The key works", "200"))

    monkeypatch.setattr(Prober, "validate", validate)
    for provider, sealed_with in (("openai", "first"), ("groq", "other")):
        omniroute("providers", "add", provider, "--key", "k", STORAGE_ENCRYPTION_KEY=sealed_with)
    for options in (("--offline",), ()):
        asked = omniroute("doctor", "--json", *options, STORAGE_ENCRYPTION_KEY="other")
        found = {finding["check"]: finding for finding in json.loads(asked.stdout)}
        assert (asked.exit_code, found["openai/default"]["state"]) == (1, "failed")
        assert "STORAGE_ENCRYPTION_KEY" in found["openai/default"]["detail"]
        assert "providers add" in found["openai/default"]["remedy"]
        assert found["providers" if options else "groq/default"]["state"] == "ok"


def test_a_running_gateway_is_named_and_used(omniroute: Command, make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway()
    result = omniroute("doctor")
    assert f"✓ gateway: running on 127.0.0.1:{gateway.port} (pid {os.getpid()})" in result.stdout


def test_an_unresponsive_gateway_fails(omniroute: Command, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "_ANYONE_THERE", 0.05)
    settings.data_dir.mkdir(mode=0o700)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        backend.announce(settings, silent.getsockname()[1], "t")
        result = omniroute("doctor", "--json")
    assert (result.exit_code, states(result)["gateway"]) == (1, "failed")


def test_a_disabled_account_is_not_tested() -> None:
    def api(*_: Any) -> Any:
        raise AssertionError

    finding = doctor._provider(backend.Api(api), {"provider": "openai", "name": "x", "isActive": False, "id": "1"})
    assert (finding.state, finding.detail) == ("ok", "switched off")


def _with_audit_rows(omniroute: Command, settings: Settings) -> sqlite3.Connection:
    for name in ("a", "b", "c"):
        assert omniroute("keys", "create", name).exit_code == 0
    return sqlite3.connect(settings.database, isolation_level=None)


def test_an_intact_audit_log_is_reported_with_its_newest_row(omniroute: Command, settings: Settings) -> None:
    _with_audit_rows(omniroute, settings).close()
    result = omniroute("doctor", "--offline")
    assert re.search(r"✓ audit log: 3 rows, whole; newest: 3:[0-9a-f]{64}", result.stdout)


def test_the_first_altered_row_of_the_audit_log_is_named(omniroute: Command, settings: Settings) -> None:
    with closing(_with_audit_rows(omniroute, settings)) as database:
        database.execute("DROP TRIGGER audit_no_update")
        database.execute("UPDATE audit_log SET actor = 'nobody' WHERE id = 2")
    result = omniroute("doctor", "--offline")
    assert result.exit_code == 1
    assert re.search(r"✗ audit log: row 2 \(\S+ key.create\) was changed", result.stderr)


def test_a_database_from_before_the_chain_is_no_failure(omniroute: Command, settings: Settings) -> None:
    with closing(_with_audit_rows(omniroute, settings)) as database:
        database.execute("PRAGMA user_version = 2")
    (audit,) = [f for f in doctor.checks(settings, offline=True) if f.check == "audit log"]
    assert (audit.state, audit.detail) == ("ok", "protected from the next start on")
