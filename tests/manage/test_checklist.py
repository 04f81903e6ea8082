"""The thirteen points of "safe by default", each held by one test of its number.

What can be shown without a network is shown here; the same points over real connections are in ``tests/e2e``:
``test_security.py``, ``test_route_walk.py``, ``test_http_attacks.py`` and ``test_canary.py``.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import tomllib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from fakes_exchange import FakeExchange
from fakes_manage import PASSWORD, Admin

from omniroute.app import App
from omniroute.gateway.edge import Edge, Plane
from omniroute.gateway.routes import DATA_ROUTES
from omniroute.log import redact
from omniroute.manage.plane import ControlPlane
from omniroute.manage.routes import MANAGE_ROUTES
from omniroute.manage.static import SECURITY
from omniroute.proto.addresses import allowed
from omniroute.proto.exchange import Refusal, Request
from omniroute.proto.routes import RouteTable
from omniroute.settings import Limits, Settings, SettingsError

ROOT = Path(__file__).resolve().parents[2]
SECRET = "sk-proj-Kanarienvogel0123456789"
NODE = {"name": "x", "prefix": "x", "type": "openai-compatible", "apiType": "chat"}


def admitted(admin: Admin, method: str, path: str, *headers: tuple[bytes, bytes]) -> int:
    """200 where the edge lets the request in, else its refusal's status."""
    edge = Edge([Plane(MANAGE_ROUTES, ControlPlane(admin.services).handle, 1000, False)], admin.live)
    try:
        edge.admit(Request(method, path, "", [*headers]))
    except Refusal as refusal:
        return refusal.status
    return 200


def upload(admin: Admin, content: bytes) -> FakeExchange:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.sqlite"\r\n\r\n'
    fields = {"content-type": "multipart/form-data; boundary=x"}
    return admin.send("POST", "/api/db-backups/import", headers=fields, upload=[head + content + b"\r\n--x--\r\n"])


def test_point_01_only_loopback_is_bound_until_there_is_a_password(tmp_path: Path) -> None:
    assert Settings().host == "127.0.0.1"

    async def listen() -> None:
        app = await App.open(Settings(data_dir=tmp_path / "open", host="0.0.0.0", port=0))
        try:
            with pytest.raises(SettingsError, match="password is needed first"):
                await app.listen()
            assert app.settings.require_api_key
        finally:
            await app.close()

    asyncio.run(listen())


def test_point_02_host_and_origin_are_checked_on_every_route(admin: Admin) -> None:
    host = (b"host", b"127.0.0.1:20128")
    assert admitted(admin, "GET", "/api/keys", host) == 200
    assert admitted(admin, "GET", "/api/keys", (b"host", b"rebound.example")) == 403
    assert admitted(admin, "POST", "/api/keys", host, (b"origin", b"https://evil.example")) == 403
    assert admitted(admin, "POST", "/api/keys", host, (b"sec-fetch-site", b"cross-site")) == 403
    request = Request("GET", "/api/keys", "", [host])
    Edge([Plane(MANAGE_ROUTES, ControlPlane(admin.services).handle, 1000, False)], admin.live).admit(request)
    assert not any(name.startswith(b"access-control") for name, _ in request.reply_headers)


def test_point_03_cookies_are_guarded_and_sessions_end_on_the_server(guarded: Admin) -> None:
    answer = guarded.send("POST", "/api/auth/login", {"password": PASSWORD}, scheme="https")
    cookie = (answer.header(b"set-cookie") or b"").decode()
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Lax", "Secure"))
    first = guarded.cookie
    guarded.login()
    assert guarded.cookie != first
    assert guarded.send("GET", "/api/keys", headers={"cookie": f"auth_token={first}"}, anonymous=True).status == 401
    kept = guarded.cookie
    form = {"content-type": "text/plain", "cookie": f"auth_token={kept}"}
    assert guarded.send("POST", "/api/keys", body=b'{"name":"x"}', headers=form, anonymous=True).status == 415
    guarded.send("POST", "/api/auth/logout")
    assert guarded.send("GET", "/api/keys", headers={"cookie": f"auth_token={kept}"}, anonymous=True).status == 401
    guarded.login()
    kept = guarded.cookie
    guarded.send("PUT", "/api/settings/require-login", {"password": "another one"})
    assert guarded.send("GET", "/api/keys", headers={"cookie": f"auth_token={kept}"}, anonymous=True).status == 401


def test_point_04_there_is_no_default_password_and_guessing_is_throttled(admin: Admin, guarded: Admin) -> None:
    assert Settings().initial_password == ""
    assert admin.send("POST", "/api/auth/login", {"password": "123456"}).status == 403
    for number in range(5):
        headers = {"x-forwarded-for": f"192.0.2.{number}"}
        assert guarded.send("POST", "/api/auth/login", {"password": "wrong"}, headers=headers).status == 401
    assert guarded.send("POST", "/api/auth/login", {"password": PASSWORD}).status == 429
    admin.send("PUT", "/api/settings/require-login", {"password": PASSWORD})
    stored = admin.run(admin.store.config.get("password"))
    assert PASSWORD not in stored
    assert "scrypt" in stored


def test_point_05_a_path_is_matched_exactly_or_not_at_all() -> None:
    table = RouteTable((*MANAGE_ROUTES,))
    for path in ("/api/keys/", "//api/keys", "/API/keys", "/api%2fkeys", "/api/./keys", "/api/keys;x", "/api/keys%00"):
        found = table.find(path)
        assert found is None or "{" in next(iter(found[0].values())).path, path
    names = [(row.method, row.path) for row in (*MANAGE_ROUTES, *DATA_ROUTES)]
    assert len(names) == len(set(names))


def test_point_06_client_keys_are_random_hashed_and_never_in_urls(guarded: Admin) -> None:
    text = guarded.key("manage")
    assert re.fullmatch(r"sk-[0-9a-f]{16}-[a-z0-9]{6}-[0-9a-f]{8}", text)  # the form that clients know; its end is an HMAC
    assert guarded.key() != guarded.key()
    rows = guarded.run(guarded.store.db.fetch("SELECT * FROM api_keys"))
    assert not any(text in str(value) for row in rows for value in tuple(row))
    for field in ("authorization", "x-api-key"):
        value = f"Bearer {text}" if field == "authorization" else text
        assert guarded.send("GET", "/api/keys", headers={field: value}).status == 200
        assert guarded.send("GET", "/api/keys", headers={field: value[:-1] + "!"}).status == 401
    assert guarded.send("GET", f"/api/keys?key={text}").status == 401
    assert text not in guarded.send("GET", "/api/keys", headers={"x-api-key": text}).text.decode()


def test_point_07_provider_credentials_are_sealed_and_previews_are_never_saved_back(admin: Admin) -> None:
    made = admin.connection(apiKey=SECRET)
    [row] = admin.run(admin.store.db.fetch("SELECT api_key FROM provider_connections"))
    assert SECRET not in row[0]
    backup = admin.settings.data_dir / "db_backups" / admin.send("PUT", "/api/db-backups").json["filename"]
    assert SECRET.encode() not in backup.read_bytes()
    assert SECRET not in admin.send("GET", "/api/providers").text.decode()
    admin.send("PUT", f"/api/providers/{made['id']}", {"apiKey": "sk-p****6789"})
    [connection] = admin.store.snapshot.connections["openai"]
    assert connection.secret == SECRET


def test_point_08_secrets_are_taken_out_at_the_logging_boundary() -> None:
    for text in (
        f"Authorization: Bearer {SECRET}",
        f"GET /v1/models?key={SECRET}",
        f'{{"password": "{SECRET}"}}',
        f"Incorrect API key provided: {SECRET}",
        f"cookie: auth_token={SECRET}",
    ):
        assert SECRET not in redact(text), text


def test_point_09_no_base_url_leads_to_metadata_and_only_admins_set_one(admin: Admin, guarded: Admin) -> None:
    for host in ("169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "fd00:ec2::254"):
        assert not allowed(host, allow_private=True)
    assert not allowed("10.0.0.1", allow_private=False)
    assert allowed("127.0.0.1", allow_private=False)
    for url in ("http://169.254.169.254/v1", "http://[fe80::1]/v1", "file:///etc/passwd"):
        assert admin.send("POST", "/api/provider-nodes", {**NODE, "baseUrl": url}).status == 400
    assert guarded.send("POST", "/api/provider-nodes", {**NODE, "baseUrl": "http://127.0.0.1:1/v1"}).status == 401


def test_point_10_an_import_is_checked_on_a_copy_and_brings_nothing_that_runs(admin: Admin, tmp_path: Path) -> None:
    admin.connection()
    assert upload(admin, b"no database" * 1000).status == 400
    exported = tmp_path / "exported.sqlite"
    made = admin.send("PUT", "/api/db-backups").json["filename"]
    exported.write_bytes((admin.settings.data_dir / "db_backups" / made).read_bytes())
    with closing(sqlite3.connect(exported)) as db:
        db.executescript(
            "CREATE TRIGGER evil AFTER INSERT ON combos BEGIN DELETE FROM api_keys; END; CREATE VIEW v AS SELECT 1;"
        )
    assert upload(admin, exported.read_bytes()).status == 200
    rows = admin.run(admin.store.db.fetch("SELECT name FROM sqlite_master WHERE type IN ('trigger', 'view')"))
    assert {row[0] for row in rows} == {"audit_no_update", "audit_no_delete"}
    assert len(admin.send("GET", "/api/providers").json["connections"]) == 1


def test_point_11_ending_the_process_and_writing_files_are_for_managers_on_this_machine(
    make_admin: Callable[..., Admin], tmp_path: Path
) -> None:
    admin = make_admin(initial_password=PASSWORD, cli_home=tmp_path / "home")
    host, evil = (b"host", b"127.0.0.1:20128"), (b"origin", b"https://evil.example")
    body = {"env": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:1", "ANTHROPIC_AUTH_TOKEN": "sk-x"}}
    for path in ("/api/restart", "/api/shutdown", "/api/cli-tools/claude-settings"):
        assert admin.send("POST", path, body).status == 401
        assert admitted(admin, "POST", path, host, evil) == 403
    admin.login()
    admin.send("PUT", "/api/settings", {"requireLogin": False})
    for path in ("/api/cli-tools/claude-settings",):
        assert admin.send("POST", path, body, peer="192.0.2.1", anonymous=True).status == 403
    assert admin.events == []
    assert not (tmp_path / "home").exists()


def test_point_12_nothing_is_run_by_a_shell_and_nothing_is_loaded_from_elsewhere() -> None:
    sources = [(path, path.read_text("utf-8")) for path in sorted((ROOT / "omniroute").rglob("*.py"))]
    shells = re.compile(r"shell=True|os\.system\(|os\.popen\(|create_subprocess_shell")
    assert [path.name for path, text in sources if shells.search(text)] == []
    policy = dict(SECURITY)[b"content-security-policy"]
    assert policy.startswith(b"default-src 'none'; script-src 'self'; style-src 'self'")
    assert b"unsafe" not in policy
    pages = [path for kind in ("*.html", "*.js", "*.css") for path in (ROOT / "admin_ui").rglob(kind)]
    foreign = re.compile(r"""(?:src|href)=["']https?:|@import|import\(["']https?:|from ["']https?:""")
    assert [path.name for path in pages if foreign.search(path.read_text("utf-8"))] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert len(project["dependencies"]) <= 15
    assert not list(ROOT.glob("*.pth"))


def test_point_13_everything_has_a_limit(admin: Admin) -> None:
    limits = Limits()
    assert 0 < limits.gateway_body <= 64 * 1024 * 1024
    assert 0 < limits.manage_body <= limits.gateway_body
    assert 0 < limits.in_flight <= 100_000
    deep = b'{"name":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert admin.send("POST", "/api/keys", body=deep).status == 400
    assert admin.send("GET", "/api/keys?" + "&".join(f"a{n}=1" for n in range(1000))).status == 400
    assert admin.send("POST", "/api/keys", {"name": "x" * 1000}).status == 400
