"""``omniroute doctor``: checks of the installation."""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import click

from ..settings import Settings, is_loopback
from ..store.audit_chain import CHAINED, verify
from ..store.stage import reading
from . import backend
from .output import as_json, bad, good, progress, shared, warn
from .providers import label


class Finding(NamedTuple):
    """The outcome of one check; ``remedy`` is what the user can do about it."""

    check: str
    state: Literal["ok", "warning", "failed"]
    detail: str
    remedy: str = ""


_SAY: Final = {"ok": good, "warning": warn, "failed": bad}
_ADD_ONE: Final = "omniroute providers add openai"
_AGAIN: Final = "add the account again under the same name, with its key: omniroute providers add"


@click.command()
@click.option("--offline", is_flag=True, help="Do not call the providers.")
@shared
def doctor(settings: Settings, offline: bool, json_out: bool) -> None:
    """Check configuration, database, port and each provider."""
    findings = []
    for finding in checks(settings, offline):
        findings.append(finding)
        if not json_out:
            remedy = f"\n  → {finding.remedy}" if finding.remedy else ""
            _SAY[finding.state](f"{finding.check}: {finding.detail}{remedy}")
    if json_out:
        as_json([finding._asdict() for finding in findings])
    if any(finding.state == "failed" for finding in findings):
        raise SystemExit(1)


def checks(settings: Settings, offline: bool) -> Iterator[Finding]:
    """Run the checks in order and yield each finding.  Checks that depend on a failed one are skipped."""
    yield Finding("python", "ok", ".".join(map(str, sys.version_info[:3])))
    yield (folder := _data_dir(settings))
    yield (database := _database(settings))
    if database.state == "ok" and settings.database.exists():
        yield from _audit(settings)
    yield (gateway := _gateway(settings))
    if "failed" in (folder.state, database.state) or (gateway.check, gateway.state) == ("gateway", "failed"):
        return
    if not settings.database.exists():
        yield Finding("providers", "warning", "none configured", _ADD_ONE)
        return
    try:
        yield from _providers(settings, offline)
    except click.ClickException as error:
        yield Finding("providers", "failed", error.message)


def _providers(settings: Settings, offline: bool) -> Iterator[Finding]:
    with backend.connect(settings) as api:
        connections: list[dict[str, Any]] = api("GET", "/api/providers")["connections"]
        if not connections:
            yield Finding("providers", "warning", "none configured", _ADD_ONE)
        elif offline:
            yield from _uncalled(connections)
        for connection in [] if offline else connections:
            yield _provider(api, connection)


def _uncalled(connections: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    """What is known about the providers without calling them: which accounts have no key or token that can be decrypted."""
    keyless = [connection for connection in connections if connection.get("lastErrorType") == "auth_missing"]
    for connection in keyless:
        yield Finding(label(connection), "failed", connection["lastError"], _AGAIN)
    if rest := len(connections) - len(keyless):
        yield Finding("providers", "ok", f"{rest} configured, not called")


def _data_dir(settings: Settings) -> Finding:
    path = settings.data_dir
    name = "data directory"
    above = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        return Finding(name, "failed", f"{path} cannot be written", "give --data-dir or set DATA_DIR")
    if above != path:
        return Finding(name, "ok", f"{path} (created at the first start)")
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Finding(name, "warning", f"{path} is accessible to other users", f"chmod 700 {path}")
    return Finding(name, "ok", str(path))


def _database(settings: Settings) -> Finding:
    path = settings.database
    if not path.exists():
        return Finding("database", "ok", "created at the first start")
    restore = f"restore a copy from {settings.data_dir / 'db_backups'}"
    try:
        answer = _quick_check(path)
    except sqlite3.Error as error:
        return Finding("database", "failed", f"{path}: {error}", restore)
    if answer != "ok":
        return Finding("database", "failed", f"{path}: {answer}", restore)
    return Finding("database", "ok", f"{path} is sound")


def _quick_check(path: Path) -> str:
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        return str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
    finally:
        database.close()


def _audit(settings: Settings) -> Iterator[Finding]:
    """Verify the audit log's hash chain."""
    name = "audit log"
    try:
        with closing(reading(settings.database)) as database:
            if int(database.execute("PRAGMA user_version").fetchone()[0]) < CHAINED:
                yield Finding(name, "ok", "protected from the next start on")
                return
            found = verify(database)
    except sqlite3.Error as error:
        yield Finding(name, "failed", str(error))
        return
    if found.broken:
        yield Finding(name, "failed", found.broken, "someone had access to the database file; compare it with db_backups")
    else:
        rows = "1 row" if found.rows == 1 else f"{found.rows} rows"
        yield Finding(name, "ok", f"{rows}, whole" + (f"; newest: {found.head}" if found.head.id else ""))


def _gateway(settings: Settings) -> Finding:
    """The gateway that runs on this data directory; without one, whether its address can be bound."""
    try:
        running = backend.find_running(settings)
    except backend.Unanswering as error:
        return Finding("gateway", "failed", str(error))
    if running is not None:
        return Finding("gateway", "ok", f"running on {running.host}:{running.port} (pid {running.pid})")
    where = f"{settings.host}:{settings.port}"
    try:
        _try_address(settings.host, settings.port)
    except OSError as error:
        detail = f"{where} cannot be used: {error.strerror or error}"
        return Finding("port", "failed", detail, "set another PORT or HOST")
    if not is_loopback(settings.host):
        return Finding("port", "warning", f"{where} is free; other machines can reach it", "set a password first")
    return Finding("port", "ok", f"{where} is free")


def _try_address(host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    with socket.socket(family, kind, protocol) as probe:
        if os.name == "posix":  # on Windows the option allows binding a port in use
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


def _provider(api: backend.Api, connection: dict[str, Any]) -> Finding:
    name = label(connection)
    if not connection["isActive"]:
        return Finding(name, "ok", "switched off")
    with progress(f"Asking {name} …"):
        result = api("POST", f"/api/providers/{connection['id']}/test")
    if result["valid"]:
        return Finding(name, "ok", f"answers in {result['latencyMs']} ms")
    remedy = "check its key: remove the account and add it again"
    if result["diagnosis"]["type"] == "auth_missing":
        remedy = _AGAIN
    elif result.get("statusCode") is None:
        remedy = "check its address and your network"
    return Finding(name, "failed", str(result["error"]), remedy)
