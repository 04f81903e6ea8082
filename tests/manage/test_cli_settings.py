"""The endpoints that configure command line tools."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes_manage import PASSWORD, Admin, fields_of

ROOT = "/api/cli-tools"
URL = "http://127.0.0.1:20128"
MODEL = {"baseUrl": URL, "apiKey": "sk-planted-123", "model": "openai/gpt-4o"}
CLAUDE = {"env": {"ANTHROPIC_BASE_URL": URL, "ANTHROPIC_AUTH_TOKEN": "sk-planted-123"}}
BODIES: dict[str, dict[str, Any]] = {"claude": CLAUDE, "codex": MODEL, "droid": MODEL, "openclaw": MODEL}
FILES = {
    "claude": ".claude/settings.json",
    "codex": ".codex/config.toml",
    "droid": ".factory/settings.json",
    "openclaw": ".openclaw/openclaw.json",
}
NOT_HERE = {"installed": False, "runnable": False, "commandPath": None, "runtimeMode": "auto", "reason": "not_found"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def admin(make_admin: Callable[..., Admin], home: Path) -> Admin:
    return make_admin(cli_home=home)


@pytest.fixture
def equipped(make_admin: Callable[..., Admin], home: Path, tmp_path: Path) -> Admin:
    """All four tools are here."""
    for name in BODIES:
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\nexit 0\n")
        path.chmod(0o755)
    return make_admin(cli_home=home, search_path=(str(tmp_path / "bin"),))


def test_runtime_of_a_tool_that_is_not_here(admin: Admin, home: Path) -> None:
    answer = admin.send("GET", f"{ROOT}/runtime/claude")
    assert answer.status == 200
    assert answer.json == NOT_HERE | {
        "command": "claude",
        "requiresBinary": True,
        "toolId": "claude",
        "configPath": str(home / ".claude/settings.json"),
        "message": "CLI not detected",
    }
    assert admin.send("GET", f"{ROOT}/runtime/continue").json["reason"] == "not_required"


@pytest.mark.parametrize("path", ["runtime/zzz", "zzz-settings", "cline-settings", "backups?tool=zzz"])
def test_an_unknown_tool_is_404(admin: Admin, path: str) -> None:
    answer = admin.send("GET", f"{ROOT}/{path}")
    assert (answer.status, answer.json) == (404, {"error": "Unsupported CLI tool"})


def test_settings_of_a_tool_that_is_not_here(admin: Admin) -> None:
    found = admin.send("GET", f"{ROOT}/claude-settings").json
    assert found == NOT_HERE | {"command": "claude", "settings": None, "message": "Claude CLI is not installed"}
    found = admin.send("GET", f"{ROOT}/codex-settings").json
    assert found == NOT_HERE | {"command": "codex", "config": None, "message": "Codex CLI is not installed"}


@pytest.mark.parametrize("tool", BODIES)
def test_a_tool_is_set_up_shown_and_taken_back(equipped: Admin, home: Path, tool: str) -> None:
    path, where = home / FILES[tool], "configPath" if tool == "codex" else "settingsPath"
    before = equipped.send("GET", f"{ROOT}/{tool}-settings").json
    assert (before["hasOmniRoute"], before[where]) == (False, str(path))
    written = equipped.send("POST", f"{ROOT}/{tool}-settings", BODIES[tool])
    assert written.status == 200, written.text
    assert (written.json["success"], written.json[where]) == (True, str(path))
    assert "planted" in "".join(file.read_text() for file in path.parent.iterdir())
    shown = equipped.send("GET", f"{ROOT}/{tool}-settings")
    assert (shown.json["hasOmniRoute"], shown.json["runnable"]) == (True, True)
    assert f"{URL}/v1" in json.dumps(shown.json["config" if tool == "codex" else "settings"])
    for answer in (written, shown):
        assert b"planted" not in answer.text
    status = equipped.send("GET", f"{ROOT}/status").json[tool]
    assert (status["configStatus"], status["lastConfiguredAt"]) == ("configured", "2025-06-15T15:06:40.000Z")
    assert equipped.send("DELETE", f"{ROOT}/{tool}-settings").json["success"] is True
    assert equipped.send("GET", f"{ROOT}/{tool}-settings").json["hasOmniRoute"] is False
    assert equipped.audit() == ["cli.configure", "cli.reset"]


def test_status_names_every_tool(equipped: Admin) -> None:
    found = equipped.send("GET", f"{ROOT}/status").json
    assert set(found) == {"claude", "codex", "droid", "openclaw", "cursor", "cline", "kilo", "continue"}
    assert set(found["claude"]) == {"installed", "runnable", "command", "commandPath", "reason", "configStatus"}
    states = {tool: state["configStatus"] for tool, state in found.items()}
    assert (states["claude"], states["cline"], states["continue"]) == ("not_configured", "not_installed", "not_configured")


def test_a_file_that_cannot_be_read_is_said_and_never_overwritten(equipped: Admin, home: Path) -> None:
    path = home / FILES["claude"]
    path.parent.mkdir(parents=True)
    path.write_text("{broken")
    found = equipped.send("GET", f"{ROOT}/claude-settings").json
    assert found["settings"] is None
    assert "not valid JSON" in found["message"]
    assert equipped.send("GET", f"{ROOT}/status").json["claude"]["configStatus"] == "unknown"
    for method, body in (("POST", CLAUDE), ("DELETE", None)):
        answer = equipped.send(method, f"{ROOT}/claude-settings", body)
        assert answer.status == 409
        assert str(path) in answer.json["error"]
    assert path.read_text() == "{broken"
    assert equipped.audit() == []


@pytest.mark.parametrize(
    ("tool", "body", "fields"),
    [
        ("claude", {}, ["env"]),
        ("claude", {"env": {"NODE_OPTIONS": "--require /tmp/x"}}, ["env.NODE_OPTIONS"]),
        ("claude", {"env": {"ANTHROPIC_BASE_URL": " "}}, ["env.ANTHROPIC_BASE_URL"]),
        ("claude", {"env": {"ANTHROPIC_BASE_URL": "http://169.254.169.254"}}, ["baseUrl"]),
        ("claude", {"env": {"API_TIMEOUT_MS": "1\n2"}}, ["env.API_TIMEOUT_MS"]),
        ("claude", {"env": {"API_TIMEOUT_MS": 5}}, ["env.API_TIMEOUT_MS"]),
        ("codex", {}, ["baseUrl", "apiKey", "model"]),
        ("codex", {**MODEL, "apiKey": ""}, ["apiKey"]),
        ("droid", {"apiKey": "k"}, ["baseUrl", "model"]),
        ("openclaw", {**MODEL, "baseUrl": "file:///etc/passwd"}, ["baseUrl"]),
        ("openclaw", {**MODEL, "apiKey": "a\nb"}, ["apiKey"]),
        ("droid", {**MODEL, "model": "a\nb"}, ["model"]),
    ],
)
def test_what_is_missing_or_wrong_is_named(
    admin: Admin, home: Path, tool: str, body: dict[str, Any], fields: list[str]
) -> None:
    assert list(fields_of(admin.send("POST", f"{ROOT}/{tool}-settings", body))) == fields
    assert not home.exists()


def test_a_key_may_be_left_out_where_the_tool_needs_none(admin: Admin, home: Path) -> None:
    body = {"baseUrl": URL, "model": "m"}
    assert admin.send("POST", f"{ROOT}/droid-settings", body).status == 200
    assert json.loads((home / FILES["droid"]).read_text())["customModels"][0]["apiKey"]


def test_continue_is_set_up_as_the_guide_says(admin: Admin, home: Path) -> None:
    assert admin.send("POST", f"{ROOT}/guide-settings/continue", MODEL).json["success"] is True
    (model,) = json.loads((home / ".continue/config.json").read_text())["models"]
    assert (model["apiBase"], model["provider"], model["model"]) == (f"{URL}/v1", "openai", "openai/gpt-4o")
    assert admin.send("GET", f"{ROOT}/status").json["continue"]["configStatus"] == "configured"
    assert admin.send("POST", f"{ROOT}/guide-settings/cursor", MODEL).status == 404
    assert admin.send("DELETE", f"{ROOT}/guide-settings/continue").json["success"] is True
    assert json.loads((home / ".continue/config.json").read_text()) == {"models": []}


def test_writing_can_be_switched_off(make_admin: Callable[..., Admin], home: Path) -> None:
    admin = make_admin(cli_home=home, cli_writes=False)
    refusal = {"error": "CLI config writes are disabled (CLI_ALLOW_CONFIG_WRITES=false)"}
    for method, path, body in (
        ("POST", "claude-settings", CLAUDE),
        ("DELETE", "claude-settings", None),
        ("POST", "guide-settings/continue", MODEL),
        ("POST", "backups", {"tool": "claude", "backupId": "x"}),
        ("POST", "backups?preview=true", {"tool": "claude", "backupId": "x"}),  # nothing can only be shown here
        ("DELETE", "backups?tool=claude&backupId=x", None),
        ("DELETE", "backups?tool=claude&backupId=x&preview=true", None),
    ):
        answer = admin.send(method, f"{ROOT}/{path}", body)
        assert (answer.status, answer.json) == (403, refusal), path
    assert admin.send("POST", f"{ROOT}/claude-settings?preview=true", CLAUDE).status == 200
    assert not home.exists()


def test_a_stranger_elsewhere_writes_nothing_even_where_no_login_is_needed(
    make_admin: Callable[..., Admin], home: Path
) -> None:
    admin = make_admin(cli_home=home, initial_password=PASSWORD)
    admin.login()
    admin.send("PUT", "/api/settings", {"requireLogin": False})
    path = f"{ROOT}/claude-settings"
    assert admin.send("POST", path, CLAUDE, peer="192.0.2.1", anonymous=True).status == 403
    assert admin.send("POST", path, CLAUDE, headers={"x-forwarded-for": "192.0.2.1"}, anonymous=True).status == 403
    assert not home.exists()
    assert admin.send("POST", path, CLAUDE, peer="192.0.2.1").status == 200
    assert admin.send("POST", path, CLAUDE, anonymous=True).status == 200


def test_a_preview_says_what_would_change(admin: Admin, home: Path) -> None:
    answer = admin.send("POST", f"{ROOT}/claude-settings?preview=true", CLAUDE).json
    assert answer["message"] == "Claude settings would be updated"
    assert f'+    "ANTHROPIC_BASE_URL": "{URL}/v1"' in answer["diff"]
    assert not home.exists()
    assert admin.audit() == []


def test_copies_are_listed_put_back_and_deleted(admin: Admin, home: Path) -> None:
    path = home / FILES["claude"]
    path.parent.mkdir(parents=True)
    path.write_text('{"mine": 1}')
    admin.send("POST", f"{ROOT}/claude-settings", CLAUDE)
    found = admin.send("GET", f"{ROOT}/backups?tool=claude").json
    (row,) = found["backups"]
    assert found["tool"] == "claude"
    assert row == {
        "id": row["id"],
        "toolId": "claude",
        "originalPath": str(path),
        "createdAt": "2025-06-15T15:06:40.000Z",
        "size": 11,
    }
    assert admin.send("GET", f"{ROOT}/backups").json == {"tool": None, "backups": [row]}
    body = {"tool": "claude", "backupId": row["id"]}
    assert admin.send("POST", f"{ROOT}/backups", body).json["success"] is True
    assert path.read_text() == '{"mine": 1}'
    assert admin.send("DELETE", f"{ROOT}/backups", body).json == {"success": True, "message": "Backup deleted"}
    answer = admin.send("DELETE", f"{ROOT}/backups?tool=claude&backupId={row['id']}")
    assert (answer.status, answer.json) == (404, {"error": "Backup not found"})
    assert list(fields_of(admin.send("POST", f"{ROOT}/backups", {}))) == ["tool", "backupId"]
    assert admin.audit() == ["cli.configure", "cli.restore", "cli.backup_delete"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["antigravity-mitm", "antigravity-mitm/alias"])
def test_interception_is_not_delivered(admin: Admin, method: str, path: str) -> None:
    answer = admin.send(method, f"{ROOT}/{path}")
    assert (answer.status, answer.json) == (501, {"error": "Not supported"})
