"""Where an OAuth client may come from, and which place goes first."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from fakes_store import a_store

from omniroute.store.oauth_clients import FILE, CredentialsFile
from omniroute.upstream.oauth import ClientFields


def _write(path: Path, content: object, stamp: int = 0) -> None:
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    os.utime(path, ns=(stamp, stamp))


async def _precedence(folder: Path) -> None:
    clients = {"openrouter": ("env-id", ""), "openai": ("", "env-secret")}
    async with a_store(folder, oauth_clients=clients) as store:
        get = store.oauth_clients.get
        client = await get("openrouter")
        assert (client.client_id, client.token_url) == ("env-id", "https://openrouter.ai/api/v1/auth/keys")
        assert (await get("openai")).client_secret == "env-secret"
        _write(folder / FILE, {"openai": {"clientId": "file", "clientSecret": "f", "authUrl": "https://f.test/a"}})
        client = await get("openai")
        assert (client.client_id, client.client_secret, client.authorize_url) == ("file", "env-secret", "https://f.test/a")
        await store.oauth_clients.change("openai", ClientFields(client_id="mine", client_secret="s3cret"))
        client = await get("openai")
        assert (client.client_id, client.client_secret, client.authorize_url) == ("mine", "s3cret", "https://f.test/a")
        await store.oauth_clients.change("openai", ClientFields(scopes=["a"]))
        assert (await get("openai")).client_secret == "s3cret"
        assert await store.oauth_clients.remove("openai")
        assert not await store.oauth_clients.remove("openai")
        assert (await get("openai")).client_id == "file"
        assert (await get("nobody")).missing == ["clientId", "authorizeUrl", "tokenUrl"]


async def test_the_setting_goes_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    await _precedence(tmp_path)


async def test_the_secret_is_sealed_in_the_setting(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await store.oauth_clients.change("openai", ClientFields(client_id="id", client_secret="s3cret"))
        (row,) = await store.db.fetch("SELECT value FROM key_value WHERE key = 'oauthClients'")
        assert "s3cret" not in row["value"]
        assert json.loads(row["value"])["openai"]["clientId"] == "id"


async def test_a_setting_of_the_wrong_shape_counts_as_absent(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        for value in ("text", {"openai": 5}, {"openai": {"clientId": 5}}):
            await store.config.set_many({"oauthClients": value})
            assert (await store.oauth_clients.get("openai")).client_id == ""


def test_the_file_is_read_again_when_it_changed(tmp_path: Path) -> None:
    file = CredentialsFile(tmp_path / FILE)
    assert file.read() == {}
    _write(tmp_path / FILE, {"p": {"clientId": "1", "clientSecret": ""}}, 10)
    assert file.read() == {"p": {"clientId": "1"}}
    _write(tmp_path / FILE, {"p": {"clientId": "2"}}, 20)
    assert file.read() == {"p": {"clientId": "2"}}
    (tmp_path / FILE).unlink()
    assert file.read() == {}


@pytest.mark.parametrize("content", ["{", "[]", '"s3cret"'])
def test_a_file_that_cannot_be_used_is_reported_once_and_without_its_content(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    _write(tmp_path / FILE, content)
    file = CredentialsFile(tmp_path / FILE)
    assert file.read() == {}
    assert file.read() == {}
    assert len(caplog.records) == 1
    assert "s3cret" not in caplog.text
