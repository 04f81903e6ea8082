"""Every route of both tables, asked in every wrong way.  Rows that are added later are walked without a change here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import pytest
from processes import Line, Process

from omniroute.gateway.routes import DATA_ROUTES
from omniroute.manage.routes import MANAGE_ROUTES

PASSWORD = "correct horse battery"
ENDING = frozenset({"/api/restart", "/api/shutdown"})  # never asked with a key that may
UNDELIVERED = {(501, "/api/cli-tools/antigravity-mitm"), (501, "/api/cli-tools/antigravity-mitm/{rest*}")}
# Lists of models and the like, which clients read before they have a key; a setting closes them.
OPEN = re.compile(
    r"(/api|/v1|/openai)?/v1(beta)?(/models(/[^:]+)?)?|/models|(/v1|/api/v1|/v1/v1)?/api/(tags|version|ps|show)"
)


LISTS = re.compile(r"(/api|/v1|/openai)?/v1/(embeddings|images/generations)")  # of models, to GET


class Row(NamedTuple):
    method: str
    path: str
    access: str  # P, M, B, L, S; K: a gateway key

    @property
    def url(self) -> str:
        """The path with something in its variables."""
        return re.sub(r"\{\w+\*?\}", "x1", self.path)


def _is_open(method: str, path: str) -> bool:
    url = Row("", path, "").url
    return OPEN.fullmatch(url) is not None or (method == "GET" and LISTS.fullmatch(url) is not None)


def _rows() -> list[Row]:
    data = [Row(row.method, row.path, "P" if _is_open(row.method, row.path) else "K") for row in DATA_ROUTES]
    return data + [Row(row.method, row.path, row.access) for row in MANAGE_ROUTES]


ROWS = _rows()
PATHS = {row.path for row in ROWS}
WALK = pytest.mark.parametrize("row", ROWS, ids=[f"{row.method} {row.path}" for row in ROWS])


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A gateway that wants a key for everything and a password for the rest, with a key of each kind in ``keys``."""
    process = Process(tmp_path_factory.mktemp("closed"), REQUIRE_API_KEY="true", INITIAL_PASSWORD=PASSWORD).start()
    yield process
    assert process.alive, "an unauthenticated request ended the process"
    assert process.stop() == 0
    assert "Traceback" not in (process.data / "output.txt").read_text()


@pytest.fixture(scope="module")
def line(closed: Process) -> Iterator[Line]:
    with Line(closed.port) as made:
        yield made


@pytest.fixture(scope="module")
def keys(closed: Process) -> dict[str, str]:
    return {
        scope: closed.api("POST", "/api/keys", {"name": scope, "scopes": [scope]})["key"]
        for scope in ("inference", "manage")
    }


def ask(line: Line, row: Row, path: str = "", key: str = "", field: str = "authorization") -> tuple[int, bytes]:
    headers = {field: f"Bearer {key}" if field == "authorization" else key} if key else {}
    status, _, body = line.request(row.method, path or row.url, None, **headers)
    return status, body


def test_both_tables_are_walked_and_most_rows_are_closed() -> None:
    assert len(ROWS) == len(DATA_ROUTES) + len(MANAGE_ROUTES)
    assert {row.path for row in ROWS if row.access == "P" and row.method != "GET"} <= {
        "/api/auth/login", "/api/auth/logout", "/api/show",
    }  # fmt: skip


@WALK
def test_without_a_key_or_with_a_wrong_one(line: Line, row: Row) -> None:
    wrong = ("sk-0000000000000000000000000000000000000000", "x", "Bearer", "null", "undefined", "' OR 1=1 --")
    for field in ("authorization", "x-api-key", "x-goog-api-key"):
        for key in ("", *wrong) if field == "authorization" else wrong[:1]:
            status, body = ask(line, row, key=key, field=field)
            if row.access == "P":
                assert status < 500, body
            else:
                assert status == 401, (key, field, body)
            assert b"Traceback" not in body


@WALK
def test_an_inference_key_opens_the_data_plane_and_nothing_else(line: Line, keys: dict[str, str], row: Row) -> None:
    for field in ("authorization", "x-api-key"):
        status, body = ask(line, row, key=keys["inference"], field=field)
        if row.access in "ML":
            assert status == 403, body
            assert b"Invalid management token" in body
        elif row.access == "S":
            assert status == 401, body
        else:
            assert status not in (401, 403) or row.path == "/api/auth/login", body


@WALK
def test_a_manage_key_opens_management_and_nothing_else(line: Line, keys: dict[str, str], row: Row) -> None:
    if row.path in ENDING or (row.access == "M" and row.method not in ("GET", "DELETE")):
        return  # what a right key may change is the business of other tests
    status, body = ask(line, row, key=keys["manage"])
    if row.access == "K":
        assert status == 403, body
    elif row.access == "S":
        assert status == 401, body
    elif row.path.startswith("/api/keys/"):
        assert status == 404
    else:
        assert status not in (401, 500), body


def spellings(path: str) -> dict[str, str]:
    """Other ways to write *path* that a careless router takes for it."""
    first, last = path[: path.find("/", 1)] if path.count("/") > 1 else path, path.rpartition("/")[2]
    return {
        "upper case": path.upper(),
        "first segment in upper case": path.replace(first, first.upper(), 1),
        "trailing slash": path + "/",
        "two trailing slashes": path + "//",
        "double slash": "/" + path,
        "double slash inside": path.replace("/", "//").replace("//", "/", 1),
        "encoded slash": path[0] + path[1:].replace("/", "%2F"),
        "encoded letter": path[:-1] + f"%{ord(path[-1]):02x}",
        "double encoded": path[:-1] + f"%25{ord(path[-1]):02x}",
        "dot segment": "/." + path,
        "parent segment": "/x/.." + path,
        "encoded parent": "/x/%2e%2e" + path,
        "semicolon": path + ";a=b",
        "backslash": path.replace("/", "\\", 2).replace("\\", "/", 1),
        "NUL": path + "%00",
        "space": path + "%20",
        "dot at the end": path + ".",
        "json": path + ".json",
        "doubled last segment": f"{path}/{last}",
    }


@WALK
def test_another_spelling_is_another_path_and_never_opens_more(line: Line, keys: dict[str, str], row: Row) -> None:
    """404, or, where a variable takes the odd text, exactly the refusal of the row that has the variable."""
    if row.path == "/":
        return
    for name, path in spellings(row.url).items():
        if path in PATHS:
            continue
        for key in ("", keys["inference"]):
            status, body = ask(line, row, path, key)
            if status == 404:
                continue
            caught = [other for other in ROWS if "{" in other.path and pattern(other).fullmatch(path)]
            assert caught, (name, path, status, body)
            if row.access != "P" and not key:
                assert status in (401, 405, 307) or all(other.access == "P" for other in caught), (name, path, status)
            if row.access in "ML" and key:
                allowed = {403, 405, 307, 400}
                assert status in allowed or all(other.access in "PK" for other in caught), (name, path, status)


@cache
def pattern(row: Row) -> re.Pattern[str]:
    """What the paths of *row* look like."""
    parts = re.split(r"\{(\w+\*?)\}", row.path)
    return re.compile(
        "".join((".+" if part.endswith("*") else "[^/]+") if n % 2 else re.escape(part) for n, part in enumerate(parts))
    )


@WALK
def test_head_and_options_tell_no_more_than_the_method_itself(line: Line, row: Row) -> None:
    status, headers, body = line.request("OPTIONS", row.url)
    assert (status, body) == (204, b"")
    assert row.method in headers["allow"].split(", ")
    assert not any(name.startswith("access-control") for name in headers)
    status, headers, body = line.request("HEAD", row.url)
    assert body == b""
    if row.method == "GET":
        assert status == line.request("GET", row.url)[0]
    else:
        assert status in (401, 404, 405) or any(r.url == row.url and r.method == "GET" for r in ROWS)
    for method in ("TRACE", "PROPFIND", "get", "LOCK"):
        assert line.request(method, row.url)[0] == 405


@WALK
def test_the_method_cannot_be_overridden(line: Line, row: Row) -> None:
    plain = line.request("GET", row.url)[0]
    for name in ("x-http-method-override", "x-http-method", "x-method-override"):
        for method in ("DELETE", "POST", "PUT"):
            assert line.request("GET", row.url, None, **{name: method})[0] == plain


@WALK
def test_host_and_origin_are_checked_on_every_route(closed: Process, line: Line, keys: dict[str, str], row: Row) -> None:
    key = "" if row.path in ENDING else f"Bearer {keys['manage']}"
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "[::2]", "169.254.169.254"):
        status, headers, body = line.request(row.method, row.url, None, host=host, authorization=key)
        assert (status, code(body)) == (403, "host_not_allowed")
        assert "access-control-allow-origin" not in headers
    for origin in ("https://evil.example", "null", f"http://localhost:{closed.port + 1}", "http://127.0.0.1.evil.example"):
        status, headers, body = line.request(row.method, row.url, None, origin=origin, authorization=key)
        assert (status, code(body)) == (403, "origin_not_allowed")
        assert not any(name.startswith("access-control") for name in headers)
    for site in ("cross-site", "same-site"):
        fields = {"sec_fetch_site": site, "sec_fetch_mode": "no-cors", "authorization": key}
        status, _, body = line.request(row.method, row.url, None, **fields)
        assert (status, code(body)) == (403, "origin_not_allowed")


def code(body: bytes) -> str:
    error: Any = json.loads(body)["error"]
    words = {"Host not allowed": "host_not_allowed", "Origin not allowed": "origin_not_allowed"}
    text = error if isinstance(error, str) else error["message"]
    return next((word for start, word in words.items() if text.startswith(start)), text)


GARBAGE = [
    b"", b"null", b"[]", b"{}", b"5", b"true", b'"x"', b"{", b"nonsense", b"\xff\xfe", b'{"a":' * 5000, b"[" * 100_000,
    b'{"name": null, "id": null, "provider": null, "apiKey": null, "password": null, "model": null, "messages": null}',
    b'{"name": [], "id": {}, "provider": 5, "apiKey": true, "password": [], "model": {}, "messages": 5, "baseUrl": 1e999}',
    b'{"name": "\\ud800", "provider": "\\u0000", "apiKey": "\\r\\n", "model": "\\ud800/x", "messages": [{}]}',
    b'{"name": "%b", "provider": "../../x", "prefix": "%%00", "model": "a/b", "messages": [[]]}' % (b"n" * 100_000),
    b'{"__proto__": 1, "constructor": {}, "$where": "1", "name": {"$gt": ""}, "model": "x OR 1=1 --", "limit": -1}',
    b'{"expiresAt": "never", "scopes": "*", "allowedModels": [1], "priority": 99999999999999999999, "isActive": "yes"}',
]  # fmt: skip
QUERIES = [
    "limit=-1",
    "limit=99999999999999999999",
    "offset=x",
    "id=%00",
    "a=%ff",
    "period='",
    "startDate=9999999",
    "%",
    "&&=&",
    "format=json",
]


@WALK
def test_garbage_is_refused_and_never_breaks_anything(line: Line, keys: dict[str, str], row: Row) -> None:
    if row.path in ENDING:
        return
    scope = "inference" if row.access == "K" else "manage"
    odd = [
        row.url.replace("x1", text) for text in ("%00", "%ff", "..%2f..", "'", "%f0%9f%90%a6", "x" * 3000) if "x1" in row.url
    ]
    for path in (row.url, *odd):
        for body in GARBAGE if row.method != "GET" and path == row.url else [None, b"{}"]:
            status, _, raw = line.request(row.method, path, body, authorization=f"Bearer {keys[scope]}")
            assert status < 500 or (status, row.path) in UNDELIVERED, (path, body and body[:60], raw[:300])
    for query in QUERIES:
        status, _, raw = line.request(row.method, f"{row.url}?{query}", b"{", authorization=f"Bearer {keys[scope]}")
        assert status < 500 or (status, row.path) in UNDELIVERED, (query, raw[:300])
