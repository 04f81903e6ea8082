"""Secrets of every kind are planted; then no answer, log line, table, backup, export or error holds any of them.

What upstreams and clients do with secrets over the network is in ``tests/e2e/test_canary.py``.
"""

from __future__ import annotations

import base64
import gzip
import io
import logging
import re
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fakes_exchange import FakeExchange
from fakes_manage import Admin

from omniroute import log
from omniroute.manage.routes import MANAGE_ROUTES

# in nobody's manner, so that no pattern knows them
PLANTED = {
    "password": "Kanarie-password-19c4e7a2",
    "provider key": "Kanarie+provider/7f3a9c51d2",
    "node key": "Kanarie+node/51d2e8b604aa",
    "access token": "Kanarie.access.5d21e0c7bb31",
    "refresh token": "Kanarie.refresh.77b3c9e1d04f",
    "client secret": "Kanarie-client-0a4be1937c",
    "tried key": "Kanarie-unsupported-bad-33aa90",
}
Named = tuple[str, bytes]


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    root = logging.getLogger("omniroute")
    kept = root.handlers[:], root.level, root.propagate
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level, root.propagate = kept


class Watched:
    """A gateway with everything planted; all of its answers are kept."""

    def __init__(self, admin: Admin) -> None:
        self.admin = admin
        self.heard: list[Named] = []

    def ask(self, method: str, path: str, json: Any = None, **more: Any) -> FakeExchange:
        answer = self.admin.send(method, path, json, **more)
        head = b"\n".join(name + b": " + value for name, value in answer.headers)
        self.heard.append((f"{method} {path} {answer.status}", head + b"\n\n" + answer.text))
        return answer

    def plant(self) -> list[str]:
        """Everything that is given to a gateway to keep; returns the ids that were made."""
        ask = self.ask
        assert ask("POST", "/api/auth/login", {"password": PLANTED["password"]}).status == 200
        node = {
            "name": "n",
            "prefix": "n",
            "type": "openai-compatible",
            "apiType": "chat",
            "baseUrl": "http://127.0.0.1:9/v1",
        }
        made = ask("POST", "/api/provider-nodes", node).json["node"]["id"]
        first = ask("POST", "/api/providers", {"provider": "openai", "name": "a", "apiKey": PLANTED["provider key"]})
        second = ask("POST", "/api/providers", {"provider": made, "name": "b", "apiKey": PLANTED["node key"]})
        tokens = {"accessToken": PLANTED["access token"], "refreshToken": PLANTED["refresh token"]}
        third = ask("POST", "/api/oauth/openai/import", tokens)
        client = {
            "clientId": "id", "clientSecret": PLANTED["client secret"], "authorizeUrl": "https://a.example/x",
            "tokenUrl": "https://a.example/y",
        }  # fmt: skip
        assert ask("PUT", "/api/oauth/openai/client", client).status == 200
        assert (first.status, second.status, third.status) == (201, 201, 200), third.text
        return [made, *(answer.json["connection"]["id"] for answer in (first, second, third))]

    def provoke(self) -> None:
        """Errors about bodies and paths that hold secrets."""
        secret = PLANTED["provider key"]
        for body in ({"provider": secret, "apiKey": secret}, {"provider": "openai", "apiKey": [secret], "name": 5}):
            self.ask("POST", "/api/providers", body)
        self.ask("POST", "/api/providers", body=b'{"apiKey": "' + secret.encode())
        self.ask("POST", "/api/providers/validate", {"provider": "openai", "apiKey": PLANTED["tried key"]})
        self.ask("POST", "/api/auth/login", {"password": PLANTED["password"] + "x"})
        self.ask("POST", "/api/auth/login", {"pass": PLANTED["password"]})
        self.ask("POST", "/api/auth/login", body=b'{"password": "' + PLANTED["password"].encode())
        self.ask("POST", "/api/oauth/openai/import", {"accessToken": [PLANTED["access token"]]})

    def read_everything(self, ids: list[str]) -> None:
        for route in MANAGE_ROUTES:
            if route.method == "GET" and "start-callback" not in route.path:
                for id in ids if "{" in route.path else ids[:1]:
                    path = re.sub(r"\{provider\}", "openai", route.path)
                    self.ask("GET", re.sub(r"\{\w+\*?\}", id, path))


def members(name: str, data: bytes) -> list[Named]:
    """*data*, and what is inside when it is an archive."""
    found = [(name, data)]
    if data[:2] == b"\x1f\x8b":
        plain = gzip.decompress(data)
        with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
            for member in archive.getmembers():
                inner = archive.extractfile(member)
                found.append((f"{name}:{member.name}", inner.read() if inner is not None else b""))
    return found


def rows(path: Path) -> list[Named]:
    """Every value of every table."""
    found = []
    with closing(sqlite3.connect(path)) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            values = b"\n".join(str(value).encode() for row in db.execute(f"SELECT * FROM {table}") for value in row)
            found.append((f"table {table} of {path.name}", values))
    return found


def forms(secret: str) -> list[bytes]:
    plain = secret.encode()
    escaped = secret.replace("/", "\\/").encode()
    return [plain, quote(secret, safe="").encode(), escaped, base64.b64encode(plain), plain.hex().encode(), plain[:-6]]


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_planted_secret_is_found_anywhere(make_admin: Callable[..., Admin], form: str) -> None:
    admin = make_admin(initial_password=PLANTED["password"])
    log.set_up("debug", form, admin.settings.data_dir / "log.txt")
    gateway = Watched(admin)
    ids = gateway.plant()
    key = admin.send("POST", "/api/keys", {"name": "canary", "scopes": ["manage"]}).json["key"]  # the one place to see it
    gateway.ask("GET", f"/api/keys?key={key}", anonymous=True)
    gateway.provoke()
    assert gateway.ask("PUT", "/api/db-backups").status == 200
    gateway.read_everything(ids)
    admin.run(admin.store.usage.flush())
    folder = admin.settings.data_dir
    places = [part for name, data in gateway.heard for part in members(name, data)]
    files = [path for path in folder.rglob("*") if path.is_file()]
    places += [part for path in files for part in members(path.name, path.read_bytes())]
    for path in files:
        if path.suffix == ".sqlite":
            places += rows(path)
    names = {name.partition(":")[0] for name, _ in places}
    assert {"storage.sqlite", "log.txt"} <= names
    assert any("exportAll 200" in name for name in names)
    assert any(name.endswith(".sqlite") and name.startswith("db_") for name in names)
    leaks = [
        (what, where, data[max(0, data.find(text) - 60) :][:160])
        for what, secret in {**PLANTED, "gateway key": key}.items()
        for text in forms(secret)
        for where, data in places
        if text in data
    ]
    assert leaks == []
