"""The files of the admin pages: nothing from elsewhere, nothing the policy would refuse, data never becomes markup."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from fakes_manage import Admin

from omniroute.manage import static
from omniroute.manage.routes import MANAGE_ROUTES
from omniroute.proto.routes import RouteTable

FOLDER = Path(__file__).parents[2] / "admin_ui"
FILES = sorted(path for path in FOLDER.rglob("*") if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
HARMLESS = ("http://www.w3.org/2000/svg", "http://localhost")  # a name that is never fetched; an example in a form
PAGES = {"index.html": "/dashboard", "docs.html": "/api/docs"}
LONGEST = 249  # lines
BANNED = [
    "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "DOMParser", "srcdoc",
    "createContextualFragment", ".style.", "localStorage", "sessionStorage", "document.cookie",
]  # fmt: skip


def _name(path: Path) -> str:
    return path.relative_to(FOLDER).as_posix()


@pytest.fixture(autouse=True)
def pages_of_the_checkout() -> None:
    static.assets.cache_clear()


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_nothing_is_loaded_from_elsewhere(path: Path) -> None:
    text = path.read_text("utf-8")
    for link in re.findall(r"(?:https?:)?//[\w.-]+[^\s\"'`)]*", re.sub(r"(?m)(^|\s)//\s.*$", "", text)):
        assert link.startswith(HARMLESS), link
    assert "@import" not in text
    assert not re.search(r"url\((?!data:)", text)


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix in (".html", ".svg")], ids=_name)
def test_markup_has_no_inline_code_or_style(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not re.search(r"\son\w+\s*=", text)
    assert not re.search(r"\sstyle\s*=|<style|javascript:", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)


@pytest.mark.parametrize("path", SCRIPTS, ids=_name)
def test_scripts_never_turn_data_into_markup_or_code(path: Path) -> None:
    text = path.read_text("utf-8")
    for banned in BANNED:
        assert banned not in text, banned
    assert not re.search(r"\bstyle:|setAttribute\(\"(on|style)", text)


@pytest.mark.parametrize("path", SCRIPTS, ids=_name)
def test_every_imported_file_and_name_exists(path: Path) -> None:
    text = path.read_text("utf-8")
    for names, where in re.findall(r"^import (.+?) from \"(.+?)\";$", text, re.MULTILINE):
        target = (path.parent / where).resolve()
        assert target.is_relative_to(FOLDER), where
        other = target.read_text("utf-8")
        for name in re.findall(r"\w+", names) if names.startswith("{") else ():
            assert re.search(rf"export (async )?(function|const|class) {name}\b", other), (where, name)
            assert len(re.findall(rf"\b{name}\b", text)) > 1, f"{name} is imported and not used"


def test_the_page_names_only_files_that_are_served(admin: Admin) -> None:
    page = admin.send("GET", "/dashboard").text.decode()
    places = re.findall(r"(?:src|href)=\"([^\"]+)\"", page)
    assert "/admin_ui/app.js" in places
    for place in places:
        assert admin.send("GET", place).status == 200, place
    assert admin.send("GET", "/favicon.ico").header(b"content-type") == b"image/svg+xml"


def test_every_file_is_served_under_the_strict_policy(admin: Admin) -> None:
    for path in FILES:
        where = PAGES.get(path.name, f"/admin_ui/{_name(path)}")
        answer = admin.send("GET", where)
        assert (answer.status, answer.text) == (200, path.read_bytes()), where
        policy = (answer.header(b"content-security-policy") or b"").decode()
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy


@pytest.mark.parametrize("path", SCRIPTS, ids=_name)
def test_scripts_call_only_what_the_gateway_has(path: Path) -> None:
    table = RouteTable(MANAGE_ROUTES)
    for place in re.findall(r"[\"`](/api/[\w/.-]+)", re.sub(r"\$\{\w+\}/", "any/", path.read_text("utf-8"))):
        assert table.find(place) is not None, place


def test_the_catalog_for_the_forms_is_the_built_in_one(admin: Admin) -> None:
    answer = admin.send("GET", "/admin_ui/catalog.json")
    shown = {row["id"]: row for row in answer.json["providers"]}
    assert set(shown) == set(admin.services.catalog.providers)
    assert shown["openai"]["needsKey"] is True
    assert shown["ollama"] | {"needsKey": False, "takesKey": False, "local": True} == shown["ollama"]
    assert shown["azure-openai"]["fields"] == ["resource"]


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST


def test_every_file_type_is_part_of_an_installation() -> None:
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text("utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["omniroute.admin_ui"]
    packed = {path for pattern in patterns for path in FOLDER.glob(pattern)}
    assert packed == set(FILES)
