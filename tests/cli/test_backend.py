from __future__ import annotations

import json
import os
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from selfsigned import pem

from omniroute.cli import backend
from omniroute.cli.backend import Running, announce, connect, find_running, message_of, withdraw
from omniroute.settings import Settings

Make = Callable[..., Any]


def tokens(api: backend.Api) -> Any:
    return api("GET", "/api/keys")["keys"]


def test_server_json_is_readable_by_its_owner_only_and_removed_at_the_end(settings: Settings) -> None:
    settings.data_dir.mkdir()
    announce(settings, 4321, "secret")
    announce(settings, 4322, "secret")  # after a death without farewell
    path = settings.data_dir / "server.json"
    assert json.loads(path.read_text()) == {
        "host": "127.0.0.1", "port": 4322, "pid": os.getpid(), "token": "secret", "cert": ""
    }  # fmt: skip
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    withdraw(settings)
    withdraw(settings)
    assert list(settings.data_dir.iterdir()) == []


def test_the_server_json_of_another_process_is_not_removed(settings: Settings) -> None:
    settings.data_dir.mkdir()
    path = settings.data_dir / "server.json"
    path.write_text('{"host":"127.0.0.1","port":1,"pid":1,"token":"t"}')
    withdraw(settings)
    assert path.exists()


@pytest.mark.parametrize("password", ["", "a password"])
def test_a_running_gateway_is_found_and_changes_take_effect_in_it(
    settings: Settings, make_gateway: Make, password: str
) -> None:
    gateway = make_gateway(initial_password=password)
    found = find_running(settings)
    assert found is not None
    assert (found.port, found.pid) == (gateway.port, os.getpid())
    with connect(settings) as api:
        made = api("POST", "/api/keys", {"name": "laptop"})
    assert made["id"] in {key.id for key in gateway.app.live.snapshot.keys.values()}


def test_a_draining_gateway_still_counts_as_running(settings: Settings, make_gateway: Make) -> None:
    make_gateway().app.live.draining = True
    assert find_running(settings) is not None
    with pytest.raises(click.ClickException, match="shutting down"), connect(settings) as api:
        tokens(api)


def test_https_trusts_the_gateways_own_certificate_alone(settings: Settings, make_gateway: Make, tmp_path: Path) -> None:
    certificate, key = pem("gate.example")
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    make_gateway(tls_cert=str(tmp_path / "cert.pem"), tls_key=str(tmp_path / "key.pem"))
    with connect(settings) as api:
        assert tokens(api) == []
    other, _ = pem("other.example")
    (tmp_path / "cert.pem").write_bytes(other)
    assert find_running(settings) is None  # whoever answers there is not who left word


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "localhost"])
def test_a_gateway_is_reached_whatever_address_it_is_bound_to(settings: Settings, make_gateway: Make, host: str) -> None:
    if ":" in host and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    make_gateway(host=host, initial_password="a password")
    with connect(settings) as api:
        assert tokens(api) == []


@pytest.mark.parametrize("word", ["", "{}", "[1]", '{"host":"127.0.0.1","port":"x","pid":1,"token":"t"}'])
def test_a_damaged_server_json_is_ignored(settings: Settings, word: str) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / "server.json").write_text(word)
    assert find_running(settings) is None


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def leave_word(settings: Settings, port: int, token: str = "t") -> None:
    settings.data_dir.mkdir(exist_ok=True)
    announce(settings, port, token)


def test_a_gateway_that_died_is_not_running(settings: Settings) -> None:
    leave_word(settings, closed_port())
    assert find_running(settings) is None
    with connect(settings) as api:
        assert tokens(api) == []  # in process


def test_another_gateway_on_that_port_is_not_ours(settings: Settings, make_gateway: Make, tmp_path: Path) -> None:
    stranger = make_gateway(data_dir=tmp_path / "stranger")
    leave_word(settings, stranger.port)
    assert find_running(settings) is None


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"])
def test_something_else_on_that_port_is_not_ours(settings: Settings, answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        leave_word(settings, server.getsockname()[1])
        assert find_running(settings) is None
        thread.join()


def test_a_gateway_that_does_not_answer_is_an_error(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "_ANYONE_THERE", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        leave_word(settings, silent.getsockname()[1])
        with pytest.raises(click.ClickException, match="does not answer"), connect(settings):
            pass
        monkeypatch.setattr(backend, "_alive", lambda pid: False)
        assert find_running(settings) is None


def test_a_broken_connection_is_reported(settings: Settings, make_gateway: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    make_gateway()

    def reset(*_: Any) -> Any:
        raise ConnectionResetError("reset by peer")

    with connect(settings) as api:
        monkeypatch.setattr(backend, "over_http", reset)
        with pytest.raises(click.ClickException, match="broke off: reset by peer"):
            tokens(api)


def test_a_process_is_alive_unless_it_is_gone() -> None:
    assert backend._alive(os.getpid())
    assert not backend._alive(2**22 + 1)  # beyond what Linux hands out


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"error": "Invalid provider"}, "Invalid provider"),
        ({"error": {"code": "AUTH_001", "message": "Authentication required"}}, "Authentication required"),
        ({"error": {"message": "Invalid request", "details": [{"field": "name", "message": "too long"}]}}, "name: too long"),
        ({"error": {"message": "Invalid request", "details": [{"field": "", "message": "no fields"}]}}, "no fields"),
        ({}, ""),
        ("<html>", "<html>"),
    ],
)
def test_every_shape_of_error_has_its_text(answer: Any, text: str) -> None:
    assert message_of(answer) == text


@pytest.mark.parametrize(
    ("bound", "host", "near"),
    [
        ("127.0.0.1", "127.0.0.1", None),
        ("0.0.0.0", "127.0.0.1", None),
        ("::", "::1", None),
        ("10.1.2.3", "10.1.2.3", ("127.0.0.1", 0)),  # the token counts from loopback alone
        ("fd00::7", "fd00::7", ("::1", 0)),
    ],
)
def test_calls_come_from_loopback_whatever_the_address(bound: str, host: str, near: Any) -> None:
    connection: Any = backend._connection(Running(bound, 1, 2, "t"), 1.0)
    assert (connection.host, connection.source_address) == (host, near)
