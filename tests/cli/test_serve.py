from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result

from omniroute.app import App
from omniroute.cli import serve
from omniroute.settings import Settings

Command = Callable[..., Result]


@pytest.mark.parametrize(
    ("changes", "url", "admin"),
    [
        ({}, "http://127.0.0.1:8", "http://127.0.0.1:8/dashboard"),
        ({"host": "::1"}, "http://[::1]:8", "http://[::1]:8/dashboard"),
        ({"host": "0.0.0.0"}, "http://0.0.0.0:8", "http://127.0.0.1:8/dashboard"),
        ({"host": "::", "tls_cert": "c"}, "https://[::]:8", "https://[::1]:8/dashboard"),
    ],
)
def test_the_addresses_that_are_shown(changes: dict[str, Any], url: str, admin: str) -> None:
    assert serve.addresses(Settings(**changes), 8) == (url, admin)


@pytest.mark.parametrize(
    ("changes", "password", "words"),
    [
        ({}, False, "no password set: open to this machine only"),
        ({}, True, "password set"),
        ({"require_api_key": True}, True, "password set · gateway key required"),
        ({"host": "10.0.0.1"}, True, "password set · open to other machines: gateway key required"),
    ],
)
def test_the_protection_is_described(changes: dict[str, Any], password: bool, words: str) -> None:
    assert serve.guard(Settings(**changes), password) == words


@pytest.mark.usefixtures("ends_at_once")
class TestOneLife:
    def test_one_line_says_where(self, omniroute: Command, settings: Settings) -> None:
        result = omniroute("serve", "--port", "0", "--no-open")
        assert result.exit_code == 0
        assert len(result.stdout.splitlines()) == 1
        assert "/dashboard · no password set" in result.stdout
        assert not (settings.data_dir / "server.json").exists()

    def test_json_says_where_and_how_it_is_protected(self, omniroute: Command) -> None:
        facts = json.loads(omniroute("--port", "0", "--json", INITIAL_PASSWORD="a password").stdout)
        assert facts["url"] == f"http://127.0.0.1:{facts['port']}"
        assert (facts["passwordSet"], facts["keyRequired"]) == (True, False)

    def test_a_port_that_is_taken_is_an_error_with_a_remedy(self, omniroute: Command) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            result = omniroute("serve", "--port", str(port))
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: Cannot listen on 127.0.0.1:{port}: address already in use")
        assert "--port" in result.stderr

    def test_an_address_that_is_not_ours_is_an_error_with_a_remedy(self, omniroute: Command) -> None:
        result = omniroute("serve", "--host", "203.0.113.77", "--port", "0", INITIAL_PASSWORD="a password")
        assert result.exit_code == 1
        assert "check --host and --port" in result.stderr

    def test_an_open_address_needs_a_password(self, omniroute: Command) -> None:
        result = omniroute("serve", "--host", "0.0.0.0", "--port", "0")
        assert result.exit_code == 1
        assert "INITIAL_PASSWORD" in result.stderr
        assert result.stdout == ""

    def test_a_data_directory_that_cannot_be_used_is_an_error_with_a_remedy(
        self, omniroute: Command, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("")
        result = omniroute("serve", "--port", "0", "--data-dir", str(tmp_path / "file" / "data"))
        assert result.exit_code == 1
        assert "DATA_DIR" in result.stderr

    def test_a_log_file_that_cannot_be_written_is_an_error_with_a_remedy(self, omniroute: Command, tmp_path: Path) -> None:
        result = omniroute("serve", "--port", "0", LOG_FILE_PATH=str(tmp_path / "no" / "log.txt"))
        assert result.exit_code == 1
        assert "LOG_TO_FILE=false" in result.stderr

    def test_a_certificate_that_cannot_be_read_is_an_error(self, omniroute: Command) -> None:
        result = omniroute("serve", "--port", "0", "--tls-cert", "/nowhere.pem")
        assert result.exit_code == 1
        assert "TLS" in result.stderr

    def test_a_second_gateway_on_the_same_data_is_refused(
        self, omniroute: Command, make_gateway: Callable[..., Any]
    ) -> None:
        first = make_gateway()
        result = omniroute("serve", "--port", "0")
        assert result.exit_code == 1
        assert f"port {first.port}" in result.stderr

    def test_when_a_restart_was_asked_for_the_sockets_are_passed_on(
        self, omniroute: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        passed: list[list[int]] = []

        async def wait(app: App) -> None:
            app.stop(again=True)

        monkeypatch.setattr(App, "wait", wait)
        monkeypatch.setattr(serve, "restart_process", passed.append)
        assert omniroute("serve", "--port", "0").exit_code == 0
        (descriptors,) = passed
        for descriptor in descriptors:
            with socket.socket(fileno=descriptor) as kept:
                assert kept.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)

    @pytest.mark.parametrize(
        ("words", "environment", "opened"),
        [
            ((), {"DISPLAY": ":0"}, True),
            ((), {}, False),
            (("--no-open",), {"DISPLAY": ":0"}, False),
            (("--json",), {"DISPLAY": ":0"}, False),
            ((), {"DISPLAY": ":0", "INITIAL_PASSWORD": "a password"}, False),
        ],
    )
    @pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="always has a display")
    def test_the_admin_page_is_opened_on_a_desktop_until_something_is_set_up(
        self,
        omniroute: Command,
        monkeypatch: pytest.MonkeyPatch,
        words: tuple[str, ...],
        environment: dict[str, str],
        opened: bool,
    ) -> None:
        seen: list[str] = []
        monkeypatch.setattr(click, "launch", seen.append)
        monkeypatch.setattr(serve, "on_terminal", lambda: True)
        assert omniroute("serve", "--port", "0", *words, **environment).exit_code == 0
        assert [url.endswith("/dashboard") for url in seen] == [True] * opened


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_it_with_status_0_and_no_noise_also_while_it_starts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "omniroute", "serve", "--port", "0", "--data-dir", str(tmp_path)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    assert running.stdout.readline().startswith("OmniRoute")
    assert (tmp_path / "server.json").exists()
    running.send_signal(signal.SIGINT)
    _, noise = running.communicate(timeout=20)
    assert (running.returncode, noise) == (0, "")
    assert not (tmp_path / "server.json").exists()


def test_an_interrupt_before_the_signal_handlers_are_installed_ends_with_status_0(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    def interrupted(life: Any) -> None:
        life.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(serve, "run", interrupted)
    with pytest.raises(SystemExit) as caught:
        serve.start(settings, lambda *_: None)
    assert caught.value.code == 0
    assert os.environ.get("LISTEN_FDS") is None
