from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from fakes_manage import Admin
from fakes_store import a_call

from omniroute import __version__
from omniroute.manage.archive import FORMAT, archive
from omniroute.manage.call import Call


def _archive(admin: Admin) -> Path:
    exchange = admin.send("GET", "/api/init")
    return admin.run(archive(Call(exchange, admin.services, {})))


def _read(path: Path) -> dict[str, Any]:
    with tarfile.open(path) as tar:
        files = {name: tar.extractfile(name) for name in tar.getnames() if name.endswith(".json")}
        return {name: orjson.loads(file.read()) for name, file in files.items() if file is not None}


def test_what_is_kept_can_be_read_without_the_database(admin: Admin) -> None:
    admin.connection(name="work")
    admin.node("mine")
    key = admin.key("inference")
    admin.send("PATCH", "/api/settings", {"theme": "dark"})
    admin.store.usage.put(a_call())
    path = _archive(admin)
    parts = _read(path)
    assert parts["settings.json"]["theme"] == "dark"
    assert parts["providers.json"]["connections"][0]["name"] == "work"
    assert parts["providers.json"]["nodes"][0]["prefix"] == "mine"
    assert parts["api-keys.json"][0]["key"] == key[:8]
    assert parts["combos.json"] == []
    about = parts["metadata.json"]
    assert (about["version"], about["format"]) == (__version__, FORMAT)
    assert about["contents"] == ["storage.sqlite", "settings.json", "combos.json", "providers.json", "api-keys.json"]
    shutil.rmtree(path.parent)


def test_an_archive_that_fails_leaves_nothing_behind(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("omniroute.manage.archive._pack", full)
    with pytest.raises(OSError, match="No space"):
        _archive(admin)
    assert [*admin.settings.data_dir.glob(".work-*")] == []
