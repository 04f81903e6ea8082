"""``omniroute doctor``: is everything in order?"""

from __future__ import annotations

import socket
import sqlite3
import stat
import sys
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import click

from ..settings import Settings
from . import backend
from .output import as_json, bad, console, errors, good, json_option


class Finding(NamedTuple):
    """One check's outcome; ``remedy`` says what to do about it."""

    check: str
    state: Literal["ok", "warning", "failed"]
    detail: str
    remedy: str = ""


@click.command()
@click.option("--offline", is_flag=True, help="Do not ask the providers.")
@json_option
@click.pass_obj
def doctor(settings: Settings, offline: bool, json_out: bool) -> None:
    """Check configuration, database, port and the reach of each provider."""
    findings = []
    for finding in _checks(settings, offline):
        findings.append(finding)
        if not json_out:
            _show(finding)
    if json_out:
        as_json([finding._asdict() for finding in findings])
    if any(finding.state == "failed" for finding in findings):
        raise SystemExit(1)


def _show(finding: Finding) -> None:
    line = f"{finding.check}: {finding.detail}"
    if finding.state == "ok":
        good(line)
    elif finding.state == "warning":
        errors.print(f"[yellow]![/yellow] {line}")
    else:
        bad(line)
    if finding.remedy:
        errors.print(f"  → {finding.remedy}")


def _checks(settings: Settings, offline: bool) -> Iterator[Finding]:
    yield _python()
    yield _data_dir(settings)
    yield _database(settings)
    yield _port(settings)
    connections: list[dict[str, Any]] = backend.call(settings, "GET", "/api/providers")["connections"]
    if not connections:
        yield Finding("providers", "warning", "none configured", "omniroute providers add openai --key <key>")
    for connection in [] if offline else connections:
        yield _provider(settings, connection)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", "ok", version)


def _data_dir(settings: Settings) -> Finding:
    path = settings.data_dir
    if not path.exists():
        return Finding("data directory", "ok", f"{path} (made at first start)")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Finding("data directory", "warning", f"{path} can be read by others", f"chmod 700 {path}")
    return Finding("data directory", "ok", str(path))


def _database(settings: Settings) -> Finding:
    path = settings.database
    if not path.exists():
        return Finding("database", "ok", "made at first start")
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            answer = database.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.Error as error:
        return Finding("database", "failed", str(error), f"restore a copy from {settings.data_dir / 'db_backups'}")
    if answer != "ok":
        return Finding("database", "failed", str(answer), f"restore a copy from {settings.data_dir / 'db_backups'}")
    return Finding("database", "ok", f"{path} is sound")


def _port(settings: Settings) -> Finding:
    running = backend.find_running(settings)
    if running is not None:
        return Finding("gateway", "ok", f"running on {running.host}:{running.port} (pid {running.pid})")
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            detail = f"{settings.host}:{settings.port} cannot be used: {error.strerror}"
            return Finding("port", "failed", detail, "another program uses it: set PORT to another number")
    return Finding("port", "ok", f"{settings.host}:{settings.port} is free")


def _provider(settings: Settings, connection: dict[str, Any]) -> Finding:
    label = f"{connection['provider']}/{connection['name']}"
    with console.status(f"Asking {label} …"):
        result = backend.call(settings, "POST", f"/api/providers/{connection['id']}/test")
    if result["valid"]:
        return Finding(label, "ok", f"answers in {result['latencyMs']} ms")
    return Finding(label, "failed", str(result["error"]), "check the key, or remove it: omniroute providers remove")
