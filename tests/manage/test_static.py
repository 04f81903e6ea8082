"""The admin pages: exact files, strict headers, no way out of the folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes_manage import Admin

from omniroute.manage import static


@pytest.fixture(autouse=True)
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "ui"
    (folder / "pages").mkdir(parents=True)
    (folder / "index.html").write_text("<h1>dashboard</h1>")
    (folder / "login.html").write_text("<h1>login</h1>")
    (folder / "app.js").write_text("1")
    (folder / "pages" / "keys.js").write_text("2")
    (folder / ".secret.txt").write_text("hidden")
    (folder / "notes.bin").write_text("unknown type")
    (tmp_path / "outside.js").write_text("outside")
    (folder / "link.js").symlink_to(tmp_path / "outside.js")
    monkeypatch.setattr(static, "folders", lambda: [folder])
    static.assets.cache_clear()
    yield folder
    static.assets.cache_clear()


@pytest.mark.parametrize("path", ["/", "/dashboard/"])
def test_home_leads_to_the_dashboard(admin: Admin, path: str) -> None:
    answer = admin.send("GET", path)
    assert (answer.status, answer.header(b"location")) == (307, b"/dashboard")


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/providers", "/dashboard/a/b"])
def test_the_dashboard_is_served_below_its_path(admin: Admin, path: str) -> None:
    answer = admin.send("GET", path)
    assert (answer.status, answer.text) == (200, b"<h1>dashboard</h1>")
    assert answer.header(b"content-type") == b"text/html; charset=utf-8"


def test_the_dashboard_sends_strangers_to_the_login(guarded: Admin) -> None:
    answer = guarded.send("GET", "/dashboard/keys")
    assert (answer.status, answer.header(b"location")) == (307, b"/login")
    assert guarded.send("GET", "/login").text == b"<h1>login</h1>"
    guarded.login()
    assert guarded.send("GET", "/dashboard/keys").status == 200


def test_a_session_near_its_end_is_renewed_by_the_dashboard(guarded: Admin) -> None:
    guarded.login()
    guarded.advance(22 * 86400)
    assert guarded.send("GET", "/dashboard").header(b"set-cookie") is None
    guarded.advance(86400 + 1)
    answer = guarded.send("GET", "/dashboard")
    assert (answer.header(b"set-cookie") or b"").startswith(b"auth_token=ey")
    guarded.advance(20 * 86400)
    assert guarded.send("GET", "/api/auth/status").json == {"authenticated": True}


@pytest.mark.parametrize(
    ("name", "kind"), [("app.js", b"text/javascript; charset=utf-8"), ("pages/keys.js", b"text/javascript; charset=utf-8")]
)
def test_files_have_their_type_and_a_tag(admin: Admin, name: str, kind: bytes) -> None:
    answer = admin.send("GET", f"/admin_ui/{name}")
    assert (answer.status, answer.header(b"content-type")) == (200, kind)
    assert answer.header(b"cache-control") == b"no-cache"
    tag = (answer.header(b"etag") or b"").decode()
    again = admin.send("GET", f"/admin_ui/{name}", headers={"if-none-match": f'"x", W/{tag}'})
    assert (again.status, again.text) == (304, b"")
    lines = {"If-None-Match": '"x"', "if-none-match": tag}  # one list on two lines
    assert admin.send("GET", f"/admin_ui/{name}", headers=lines).status == 304
    assert admin.send("GET", f"/admin_ui/{name}", headers={"if-none-match": '"x"'}).status == 200


@pytest.mark.parametrize(
    "name",
    [
        "nope.js", "../outside.js", "%2e%2e/outside.js", "pages/../../outside.js", "..%2foutside.js", "link.js",
        ".secret.txt",
        "notes.bin", "index.html", "login.html", "/etc/passwd", "pages", "app.js%00.png", "APP.JS",
    ],
)  # fmt: skip
def test_nothing_else_can_be_read(admin: Admin, name: str) -> None:
    assert admin.send("GET", f"/admin_ui/{name}").status == 404


def test_every_page_has_the_strict_headers(admin: Admin) -> None:
    for path in ("/", "/dashboard", "/login", "/admin_ui/app.js", "/admin_ui/nope"):
        answer = admin.send("GET", path)
        policy = (answer.header(b"content-security-policy") or b"").decode()
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.header(b"x-content-type-options") == b"nosniff"
        assert len(answer.header_list(b"x-content-type-options")) == 1


def test_without_pages_the_gateway_says_so(admin: Admin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(static, "folders", lambda: [tmp_path / "none"])
    static.assets.cache_clear()
    answer = admin.send("GET", "/dashboard")
    assert answer.status == 200
    assert b"OmniRoute" in answer.text
    assert admin.send("GET", "/favicon.ico").status == 404
