"""The operator's OAuth clients, by provider, merged from several sources.

From lowest to highest precedence: ``upstream/oauth.toml``, which ships with the vendors' endpoints;
``provider-credentials.json`` in the data directory; the environment; the setting ``oauthClients``, whose client secrets are
encrypted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson

from ..settings import Settings
from ..upstream.oauth import ClientFields, OAuthClient, load_profiles, merge
from . import config, keyvalue
from .db import Database
from .vault import Vault

_log = logging.getLogger("omniroute.store")
FILE: Final = "provider-credentials.json"
SETTING: Final = "oauthClients"
_SECRET: Final = "clientSecret"
_LARGEST: Final = 1024 * 1024


class OAuthClients:
    """Reads the merged clients; changes the setting ``oauthClients``."""

    def __init__(self, db: Database, settings: Settings, vault: Vault) -> None:
        self._db = db
        self._settings = settings
        self._vault = vault
        self._profiles = load_profiles()
        self._file = CredentialsFile(settings.data_dir / FILE)

    async def get(self, provider: str) -> OAuthClient:
        """The client merged from all sources; ``OAuthClient.missing`` names what no source gives.

        Raises OmniError when the client secret cannot be decrypted.
        """
        client = self._profiles.get(provider) or OAuthClient(provider=provider)
        for fields in self._given(provider, await self._stored()):
            client = merge(client, fields)
        return msgspec.structs.replace(client, client_secret=self._vault.open(client.client_secret))

    def _given(self, provider: str, stored: Mapping[str, Any]) -> Iterator[ClientFields]:
        """The fields from each source, in ascending precedence."""
        yield read_fields(self._file.read().get(provider), FILE, provider)
        pair = self._settings.oauth_clients.get(provider, ("", ""))
        names = ("clientId", _SECRET)
        yield msgspec.convert({name: text for name, text in zip(names, pair, strict=True) if text}, ClientFields)
        yield read_fields(stored.get(provider), SETTING, provider)

    async def change(self, provider: str, fields: ClientFields) -> None:
        """Set the given *fields* in the setting ``oauthClients``; its other fields stay."""
        given = msgspec.to_builtins(fields)
        if given.get(_SECRET):
            given[_SECRET] = self._vault.seal(given[_SECRET])
        async with self._db.change() as tx:
            stored = _objects(await keyvalue.get(tx, config.NAMESPACE, SETTING))
            await keyvalue.write(tx, config.NAMESPACE, SETTING, {**stored, provider: {**stored.get(provider, {}), **given}})

    async def remove(self, provider: str) -> bool:
        """Remove *provider* from the setting ``oauthClients``; returns whether it was there."""
        async with self._db.change() as tx:
            stored = _objects(await keyvalue.get(tx, config.NAMESPACE, SETTING))
            found = stored.pop(provider, None) is not None
            await keyvalue.write(tx, config.NAMESPACE, SETTING, stored or None)
        return found

    async def _stored(self) -> dict[str, dict[str, Any]]:
        return _objects(await keyvalue.get(self._db, config.NAMESPACE, SETTING))


class CredentialsFile:
    """A JSON file ``{provider: {clientId, clientSecret, tokenUrl, authUrl, refreshUrl, …}}``, reread when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._content: dict[str, dict[str, Any]] = {}

    def read(self) -> dict[str, dict[str, Any]]:
        """The file's content; empty when it is absent or unreadable, which is logged."""
        try:
            state = self._path.stat()
            now = (state.st_mtime_ns, state.st_size)
            if now != self._seen:
                self._seen = now
                self._content = {name: _renamed(row) for name, row in _objects(self._load(state.st_size)).items()}
        except FileNotFoundError:
            self._seen, self._content = None, {}
        except (OSError, ValueError) as error:
            self._content = {}
            reason = error if isinstance(error, OSError) else "it is not a JSON object"
            _log.warning("%s cannot be used: %s", self._path, reason)
        return self._content

    def _load(self, size: int) -> Any:
        if size > _LARGEST:
            raise ValueError("too large")
        value = orjson.loads(self._path.read_bytes())
        if not isinstance(value, dict):
            raise ValueError("not an object")
        return value


def read_fields(row: Mapping[str, Any] | None, place: str, provider: str) -> ClientFields:
    """Convert *row*.  A row with values of a wrong type counts as empty and is logged, without its content."""
    try:
        return msgspec.convert(row or {}, ClientFields)
    except msgspec.ValidationError:
        _log.warning("%s: the entry of %s has a value of the wrong type", place, provider)
        return ClientFields()


def _renamed(row: dict[str, Any]) -> dict[str, Any]:
    """``authUrl`` is the older name of ``authorizeUrl``."""
    return {"authorizeUrl" if name == "authUrl" else name: value for name, value in row.items() if value != ""}


def _objects(value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict):
        return {}
    return {name: row for name, row in value.items() if isinstance(row, dict)}
