"""Safe by default: a gateway as it is installed, attacked over the network.  Routes are walked in ``test_route_walk.py``."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from processes import Process
from raw_http import connect, read_all
from real_gateway import JSON, behind
from scripted_upstream import Answer, ScriptedUpstream
from wires import CHAT

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"
LOGIN = "/api/auth/login"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A gateway with a password."""
    process = Process(tmp_path_factory.mktemp("guarded"), INITIAL_PASSWORD=PASSWORD).start()
    yield process
    assert process.stop() == 0


def cookie_of(headers: dict[str, str]) -> str:
    return f"auth_token={SimpleCookie(headers['set-cookie'])['auth_token'].value}"


def login(process: Process, password: str = PASSWORD, **headers: str) -> str:
    status, answered, body = process.request("POST", LOGIN, {"password": password}, **headers)
    assert status == 200, body
    return cookie_of(answered)


def known(process: Process, cookie: str) -> bool:
    return process.request("GET", "/api/keys", cookie=cookie)[0] == 200


# -- who can reach it


def serve(data: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """The end of a gateway that does not start."""
    process = Process(data, **environment)
    command = [sys.executable, "-m", "omniroute", "serve", "--port", "0", "--data-dir", str(data), *arguments]
    done = subprocess.run(command, env=process.environment, capture_output=True, text=True, timeout=20, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_an_open_address_without_a_password_is_refused(tmp_path: Path, host: str) -> None:
    status, said = serve(tmp_path / "data", "--host", host)
    assert status == 1
    assert "INITIAL_PASSWORD" in said


@pytest.mark.parametrize("word", ["CHANGEME", "123456", "password", "admin"])
def test_an_open_address_with_everybodys_password_is_refused(tmp_path: Path, word: str) -> None:
    status, said = serve(tmp_path / "data", "--host", "0.0.0.0", INITIAL_PASSWORD=word)
    assert status == 1
    assert "INITIAL_PASSWORD" in said
    assert word not in said


def test_an_open_address_demands_keys_and_says_so(tmp_path: Path) -> None:
    process = Process(tmp_path / "data", HOST="0.0.0.0", INITIAL_PASSWORD=PASSWORD).start()
    try:
        status, _, body = process.request("POST", CHAT.path, CHAT.ask("x/m"))
        assert (status, json.loads(body)["error"]["message"]) == (401, "Missing API key")
        assert process.request("GET", "/api/providers")[0] == 401
        assert process.request("GET", "/v1/models", host="evil.example")[0] == 403
        assert "gateway key required" in (tmp_path / "data" / "output.txt").read_text()
    finally:
        process.stop()


def test_by_default_only_loopback_is_bound(guarded: Process) -> None:
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    if not tables[0].exists():
        pytest.skip("needs /proc")
    rows = [line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]
    listening = [row[1].split(":")[0] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == guarded.port]
    assert set(listening) <= {"0100007F", "00000000000000000000000001000000"}
    assert listening


# -- browsers


def preflight(process: Process, path: str, origin: str, method: str = "POST") -> tuple[int, dict[str, str]]:
    return process.request("OPTIONS", path, None, origin=origin, access_control_request_method=method)[:2]


def test_no_origin_may_call_until_it_is_listed(make_gateway: Any) -> None:
    gateway = make_gateway(CORS_ORIGIN="https://app.example")
    for path in ("/v1/models", "/v1/chat/completions", "/v1/messages"):
        status, headers = preflight(gateway, path, "https://app.example")
        assert (status, headers["access-control-allow-origin"]) == (204, "https://app.example")
        assert headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in headers
        status, headers = preflight(gateway, path, "https://app.example.evil.example")
        assert status == 403
        assert "access-control-allow-origin" not in headers


def test_a_star_opens_the_data_plane_only(make_gateway: Any) -> None:
    gateway = make_gateway(CORS_ORIGIN="*")
    status, headers = preflight(gateway, "/v1/chat/completions", "https://any.example")
    assert (status, headers["access-control-allow-origin"]) == (204, "https://any.example")
    for method, path, body in (
        ("POST", "/api/keys", {"name": "stolen"}),
        ("GET", "/api/keys", None),
        ("POST", "/api/shutdown", None),
    ):
        status, headers, _ = gateway.request(method, path, body, origin="https://any.example")
        assert status == 403
        assert "access-control-allow-origin" not in headers
    assert preflight(gateway, "/api/keys", "https://any.example")[0] == 403
    assert gateway.api("GET", "/api/keys")["keys"] == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_form_cannot_change_anything(guarded: Process, kind: str) -> None:
    cookie = login(guarded)
    body = b'{"name": "forged"}'
    assert guarded.request("POST", "/api/keys", body, cookie=cookie, content_type=kind)[0] == 415
    assert guarded.request("POST", "/api/keys", body, cookie=cookie, content_type=kind, origin="null")[0] == 403


def test_pages_run_their_own_scripts_only_and_load_nothing_from_elsewhere(guarded: Process) -> None:
    _, headers, page = guarded.request("GET", "/login")
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert not re.findall(rb"""(?:src|href|action)\s*=\s*["']?(?:https?:)?//""", page)
    for file in (ROOT / "admin_ui").rglob("*.js"):
        text = file.read_text()
        assert not re.search(r"""(?:import|fetch)\s*\(?\s*["'`](?:https?:)?//""", text), file
        assert not re.search(r"\beval\(|new Function\(|document\.write\(", text), file


@pytest.mark.parametrize(
    "path",
    [
        "/admin_ui/../pyproject.toml",
        "/admin_ui/..%2fpyproject.toml",
        "/admin_ui/%2e%2e/pyproject.toml",
        "/admin_ui//etc/passwd",
        "/admin_ui/%2fetc%2fpasswd",
        "/admin_ui/..\\pyproject.toml",
        "/admin_ui/.git/config",
        "/admin_ui/app.js%00.css",
        "/admin_ui/index.html",
        "/admin_ui/" + "../" * 20 + "etc/passwd",
        "/admin_ui/....//pyproject.toml",
    ],
)
def test_no_file_but_the_pages_own_can_be_had(guarded: Process, path: str) -> None:
    status, _, body = guarded.request("GET", path)
    assert status == 404, body[:100]


# -- password and session


def test_there_is_no_default_password(make_gateway: Any) -> None:
    gateway = make_gateway()
    for word in ("CHANGEME", "123456", "admin", "password", "omniroute", " "):
        status, headers, body = gateway.request("POST", LOGIN, {"password": word})
        assert status == 403
        assert json.loads(body)["needsSetup"] is True
        assert "set-cookie" not in headers


def test_the_cookie_is_kept_from_scripts_and_other_sites(guarded: Process) -> None:
    _, headers, _ = guarded.request("POST", LOGIN, {"password": PASSWORD})
    flags = {part.strip().lower() for part in headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/"} <= flags
    assert not {flag for flag in flags if flag.startswith("domain")}
    _, headers, _ = guarded.request("POST", LOGIN, {"password": PASSWORD}, x_forwarded_proto="https")
    assert "Secure" in headers["set-cookie"].split("; ")


def test_a_login_gives_a_new_session_and_ends_the_old_one(guarded: Process) -> None:
    first = login(guarded)
    second = login(guarded, cookie=first)
    assert first != second
    assert not known(guarded, first)
    assert known(guarded, second)


def test_logging_out_ends_the_session_on_the_server(guarded: Process) -> None:
    mine, other = login(guarded), login(guarded)
    assert guarded.request("POST", "/api/auth/logout", cookie=mine)[0] == 200
    assert not known(guarded, mine)
    assert known(guarded, other)


def test_a_new_password_ends_every_session_but_the_one_that_set_it(make_gateway: Any) -> None:
    gateway = make_gateway(INITIAL_PASSWORD=PASSWORD)
    mine, other = login(gateway), login(gateway)
    status, headers, _ = gateway.request("PUT", "/api/settings/require-login", {"password": "another one"}, cookie=mine)
    assert status == 200
    assert not known(gateway, other)
    assert not known(gateway, mine)
    assert known(gateway, cookie_of(headers))
    assert gateway.request("POST", LOGIN, {"password": PASSWORD})[0] == 401
    stored = sqlite3.connect(gateway.data / "storage.sqlite").execute("SELECT value FROM key_value WHERE key = 'password'")
    assert "another one" not in stored.fetchone()[0]


def test_passwords_cannot_be_guessed_in_a_row_whatever_a_proxy_field_says(make_gateway: Any) -> None:
    gateway = make_gateway(INITIAL_PASSWORD=PASSWORD)
    seen = []
    for number in range(8):
        proxy = {
            "x_forwarded_for": f"192.0.2.{number}",
            "x_real_ip": f"192.0.2.{number}",
            "forwarded": f"for=192.0.2.{number}",
        }
        seen.append(gateway.request("POST", LOGIN, {"password": f"guess {number}"}, **proxy)[0])
    assert seen == [401] * 5 + [429] * 3
    status, headers, _ = gateway.request("POST", LOGIN, {"password": PASSWORD})
    assert status == 429
    assert int(headers["retry-after"]) > 60


CLAIMS = "eyJhdXRoZW50aWNhdGVkIjp0cnVlLCJleHAiOjk5OTk5OTk5OTksImp0aSI6IngifQ"
FORGED = {
    "no algorithm": f"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{CLAIMS}.",
    "another algorithm": f"eyJhbGciOiJIUzM4NCIsInR5cCI6IkpXVCJ9.{CLAIMS}.eA",
    "empty": "",
    "dots": "..",
    "long": "a" * 8000,
    "latin": "\xff.\xff.\xff",
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
def test_a_forged_session_is_none(guarded: Process, token: str) -> None:
    assert not known(guarded, f"auth_token={token}")


def test_a_session_with_one_letter_changed_is_none(guarded: Process) -> None:
    token = login(guarded)
    for at in (len("auth_token=") + 50, len(token) - 5):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        assert not known(guarded, changed)


# -- keys and credentials


def test_a_gateway_key_is_shown_once_and_kept_as_a_hash(guarded: Process) -> None:
    made = guarded.api("POST", "/api/keys", {"name": "once"})
    key, secret_part = made["key"], made["key"].rpartition("-")[2]
    for path in ("/api/keys", f"/api/keys/{made['id']}", "/api/settings"):
        assert key not in json.dumps(guarded.api("GET", path))
    for file in guarded.data.glob("storage.sqlite*"):
        assert key.encode() not in file.read_bytes()
        assert f"-{secret_part}".encode() not in file.read_bytes()
    assert guarded.request("GET", f"/api/keys?key={key}")[0] == 401


def test_a_provider_key_is_sealed_and_the_key_to_it_lies_elsewhere(guarded: Process) -> None:
    guarded.add_node("sealed", "http://127.0.0.1:9/v1", "openai-compatible", "sk-sealed-provider-secret-1234")
    for file in guarded.data.iterdir():
        if file.is_file():
            assert b"sk-sealed-provider-secret-1234" not in file.read_bytes(), file
            assert file.name == "output.txt" or file.stat().st_mode & 0o077 == 0, file
    database = (guarded.data / "storage.sqlite").read_bytes()
    for file in guarded.data.glob("*key*"):
        assert file.read_bytes().strip() not in database


async def test_a_masked_preview_is_never_saved_as_the_key(gateway: Process) -> None:
    key = "sk-real-provider-secret-1234"
    async with behind(gateway, CHAT, Answer(200, [CHAT.whole], JSON), keys=(key,)) as (model, upstream):
        shown = gateway.api("GET", "/api/providers")
        assert key not in json.dumps(shown)
        for row in shown["connections"]:
            for preview in ("sk-r****1234", "****", "********"):
                await asyncio.to_thread(
                    gateway.request,
                    "PUT",
                    f"/api/providers/{row['id']}",
                    {"apiKey": preview},
                    authorization=f"Bearer {gateway.token}",
                )
        await asyncio.to_thread(gateway.request, "POST", CHAT.path, CHAT.ask(model))
        assert upstream.requests[0].headers["authorization"] == f"Bearer {key}"


# -- where calls may go

METADATA = [
    "http://169.254.169.254/v1",
    "http://169.254.169.254./v1",
    "http://2852039166/v1",
    "http://0xa9fea9fe/v1",
    "http://0xA9.0xFE.43518/v1",
    "http://0251.0376.0251.0376/v1",
    "http://169.254.43518/v1",
    "http://169.16689662/v1",
    "http://[::ffff:169.254.169.254]/v1",
    "http://[::ffff:a9fe:a9fe]/v1",
    "http://[64:ff9b::a9fe:a9fe]/v1",
    "http://[2002:a9fe:a9fe::1]/v1",
    "http://[fe80::1]/v1",
    "http://[fd00:ec2::254]/v1",
    "http://100.100.100.200/v1",
    "http://metadata.google.internal/v1",
    "http://METADATA.google.internal./v1",
    "http://localhost@169.254.169.254/v1",
    "http://169.254.169.254#@localhost/v1",
    "http://169.254.169.254\\@localhost/v1",
    "http://localhost\t@169.254.169.254/v1",
    "http://１６９.254.169.254/v1",
    "file:///etc/passwd",
    "gopher://localhost/x",
    "//169.254.169.254/",
    "http://224.0.0.1/v1",
    "http:///v1",
    "http://169.254.169.254:80/v1?x=y",
]


@pytest.mark.parametrize("url", METADATA)
def test_no_base_url_leads_to_metadata_or_link_local_addresses(guarded: Process, url: str) -> None:
    node = {"name": "x", "prefix": "ssrf", "type": "openai-compatible", "apiType": "chat", "baseUrl": url}
    manager = f"Bearer {guarded.token}"
    for path, body in (
        ("/api/provider-nodes", node),
        ("/api/provider-nodes/validate", {**node, "apiKey": "k"}),
        ("/api/providers/validate", {"provider": "openai", "apiKey": "k", "baseUrl": url}),
        ("/api/providers", {"provider": "openai", "apiKey": "k", "name": "n", "providerSpecificData": {"baseUrl": url}}),
    ):
        status, _, answered = guarded.request("POST", path, body, authorization=manager)
        assert status == 400, (path, answered)
    assert "ssrf" not in json.dumps(guarded.api("GET", "/api/provider-nodes"))


async def test_no_redirect_is_followed_and_no_credential_leaves_with_one(gateway: Process) -> None:
    async with ScriptedUpstream(Answer(200, [CHAT.whole], JSON)) as trap:
        for status in (301, 302, 303, 307, 308):
            moved = Answer(status, [b"{}"], [*JSON, ("location", f"{trap.url}/v1/chat/completions")])
            async with behind(gateway, CHAT, moved, keys=("sk-not-for-others-0001",)) as (model, upstream):
                for stream in (False, True):
                    got, _, body = await asyncio.to_thread(
                        gateway.request, "POST", CHAT.path, CHAT.ask(model, stream=stream)
                    )
                    assert got == 502 or b"error" in body
                assert upstream.requests
        assert trap.requests == []


# -- limits


def test_limits_of_bodies_fields_and_depth(guarded: Process) -> None:
    manager = f"Bearer {guarded.token}"
    deep = b'{"name":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert guarded.request("POST", "/api/keys", deep, authorization=manager)[0] == 400
    assert guarded.request("POST", "/api/keys", b" " * (10 * 1024 * 1024 + 1), authorization=manager)[0] == 413
    assert guarded.request("GET", "/api/keys?" + "a=b&" * 200, authorization=manager)[0] == 400
    assert guarded.request("GET", "/api/keys?" + "a" * 9000, authorization=manager)[0] == 414
    assert guarded.request("GET", "/api/init", None, **{f"x-{n}": "a" for n in range(120)})[0] == 431
    assert guarded.request("GET", "/api/init", None, **{f"x-{n}": "a" * 8000 for n in range(9)})[0] == 431
    assert guarded.request("POST", "/api/show", json.dumps({"model": "m" + ":latest" * 5000}).encode())[0] == 404


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "x"])
def test_a_compressed_request_body_is_not_expanded(guarded: Process, coding: str) -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    status, _, body = guarded.request("POST", CHAT.path, bomb, content_encoding=coding)
    assert status in (400, 415), body


async def test_an_answer_that_expands_without_measure_is_refused(gateway: Process) -> None:
    bomb = gzip.compress(b'{"x": "' + b" " * 200_000_000 + b'"}', 9)
    answer = Answer(200, [bomb], [*JSON, ("content-encoding", "gzip")])
    async with behind(gateway, CHAT, answer) as (model, _):
        before = resident(gateway.pid)
        status, _, body = await asyncio.to_thread(gateway.request, "POST", CHAT.path, CHAT.ask(model))
        assert status == 502, body[:200]
        assert resident(gateway.pid) - before < 80 * 1024


def resident(pid: int) -> int:
    """KiB of memory in use."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


# -- ending the process


def test_only_a_manager_ends_the_process_and_never_a_page_of_another_site(guarded: Process) -> None:
    cookie = login(guarded)
    inference = guarded.api("POST", "/api/keys", {"name": "plain"})["key"]
    for word in ("restart", "shutdown"):
        path = f"/api/{word}"
        assert guarded.request("POST", path)[0] == 401
        assert guarded.request("POST", path, authorization=f"Bearer {inference}")[0] == 403
        assert guarded.request("GET", path, cookie=cookie)[0] == 405
        assert guarded.request("POST", path, cookie=cookie, origin="https://evil.example")[0] == 403
        assert guarded.request("POST", path, cookie=cookie, origin="http://localhost:3000")[0] == 403
        assert guarded.request("POST", path, cookie=cookie, sec_fetch_site="cross-site")[0] == 403
        assert guarded.request("POST", path, cookie=cookie, host="evil.example")[0] == 403
    assert guarded.alive
    assert guarded.request("GET", "/api/init")[0] == 200


def test_a_manager_ends_it_in_order(make_gateway: Any) -> None:
    gateway = make_gateway(INITIAL_PASSWORD=PASSWORD)
    assert gateway.request("POST", "/api/shutdown", cookie=login(gateway))[0] == 200
    assert gateway.wait() == 0


def test_a_thousand_idle_connections_hinder_nobody(guarded: Process) -> None:
    idle: list[socket.socket] = []
    try:
        idle.extend(connect(guarded.port) for _ in range(900))
        assert guarded.request("GET", "/api/init")[0] == 200
        for sock in idle[:100]:
            sock.sendall(b"GET /api/init HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        for sock in idle[:100]:
            assert read_all(sock).startswith(b"HTTP/1.1 200 ")
    finally:
        for sock in idle:
            sock.close()
    assert guarded.request("GET", "/api/init")[0] == 200
