"""The store: one object with all repositories and the current snapshot."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..clock import Clock
from ..errors import OmniError
from ..gateway.snapshot import Snapshot
from ..settings import Settings
from ..tasks import cancel, spawn
from ..upstream.providers import Catalog
from .adopted import price_usage
from .aliases import Aliases
from .analytics import Analytics
from .audit import Audit
from .backups import Backups
from .batch import Batch
from .budgets import Budgets
from .chains import Chains
from .cli_state import CliState
from .combos import Combos
from .config import Config, sound
from .connections import Connections
from .custom_models import CustomModels
from .db import Database, Transaction
from .keys import Keys
from .nodes import Nodes
from .oauth_clients import OAuthClients
from .policies import Policies
from .pricing import Pricing
from .proxies import Proxies
from .proxy_logs import ProxyLogs
from .publish import Publisher
from .semantic_cache import SemanticCache
from .stage import Counts, Unfit
from .sync import Sync
from .trouble import Trouble
from .usage import Usage
from .vault import Vault, kept_secret, make_vault, prepare_folder

_log = logging.getLogger("omniroute.store")
_HOST_IDS: Final = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_HOUSEKEEPING_SECONDS: Final = 3600.0
_SEEDED: Final = "seeded:"  # db_meta: providers seeded once, so that a deleted connection is not created again


class Store:
    """All persistent data.  Each configuration change sets a new :attr:`snapshot` and passes it to :attr:`on_publish`."""

    def __init__(self, settings: Settings, clock: Clock, catalog: Catalog, db: Database, vault: Vault) -> None:
        folder = settings.data_dir
        key_secret = (settings.api_key_secret or kept_secret(folder, "api-key")).encode()
        self.settings = settings
        self.clock = clock
        self.catalog = catalog
        self.db = db
        self.vault = vault
        self.jwt_secret = (settings.jwt_secret or kept_secret(folder, "jwt")).encode()
        self.snapshot = Snapshot()
        self.on_publish: Callable[[Snapshot], object] | None = None
        self._batch = Batch(db, clock)
        self._publisher = Publisher(catalog, vault, settings, key_secret)
        self._housekeeping: asyncio.Task[None] | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self.connections = Connections(db, vault, self._batch, clock)
        self.nodes = Nodes(db, clock)
        self.keys = Keys(db, clock, key_secret, machine_id(folder, settings.machine_id_salt))
        self.config = Config(db)
        self.oauth_clients = OAuthClients(db, settings, vault)
        self.aliases = Aliases(db)
        self.combos = Combos(db, clock)
        self.chains = Chains(db)
        self.budgets = Budgets(db, clock)
        self.policies = Policies(db)
        self.custom_models = CustomModels(db)
        self.pricing = Pricing(db, catalog)
        self.proxies = Proxies(db, vault)
        self.proxy_logs = ProxyLogs(db, self._batch)
        self.usage = Usage(db, self._batch, clock)
        self.analytics = Analytics(db)
        self.trouble = Trouble(db, self._batch)
        self.audit = Audit(db, clock)
        self.semantic_cache = SemanticCache(db, clock)
        self.backups = Backups(db, clock)
        self.cli_state = CliState(db, vault)
        self.sync = Sync(db, vault, key_secret, bool(settings.storage_encryption_key))
        db.prepare = self._prepare

    @classmethod
    async def open(cls, settings: Settings, clock: Clock, catalog: Catalog, *, owner: bool = True) -> Store:
        """Open the data directory and create what is missing.  Raises OmniError ``internal`` that names a remedy.

        ``owner=False`` is for the command line next to a running server: nothing is seeded, no housekeeping runs.
        """
        prepare_folder(settings.data_dir)
        vault = make_vault(settings.data_dir, settings.storage_encryption_key)
        db, _ = await asyncio.gather(Database.open(settings.database, clock, owner=owner), asyncio.to_thread(vault.prepare))
        store: Store | None = None
        try:
            store = cls(settings, clock, catalog, db, vault)
            await store._begin(owner)
        except BaseException:  # the threads of an open database would keep the process from exiting
            await (db if store is None else store).close()
            raise
        return store

    async def _begin(self, owner: bool) -> None:
        await self._protect()
        if owner:
            await asyncio.to_thread(self.backups.sweep)  # not later: a restore may have begun, in such a folder
            await self._seed()
            self._housekeeping = spawn(self._keep_house(), "housekeeping")
            self._sweeping = spawn(self.semantic_cache.keep_house(), "cache sweep")
        await self.publish()
        await price_usage(self.db, self.snapshot)

    async def publish(self) -> None:
        """Rebuild and publish the snapshot."""
        async with self.db.change():
            pass

    async def restore(
        self, source: Path, reason: str = "pre-restore", then: Callable[[], Awaitable[None]] | None = None
    ) -> Counts:
        """Replace all data by the content of the database file *source*; returns its row counts.

        The next request uses it.  *then* is awaited once it is published.  Raises ``stage.Unfit`` when the file is unusable;
        the data before it is then in force again.
        """
        whole = spawn(self._restore(source, reason, then), "restore")  # completes even if the caller is cancelled
        found = await asyncio.shield(whole)
        if isinstance(found, Unfit):
            raise found
        assert isinstance(found, Counts)
        return found

    async def _restore(self, source: Path, reason: str, then: Callable[[], Awaitable[None]] | None) -> Counts | Unfit:
        await self.usage.flush()
        await self.semantic_cache.flush()
        try:
            restored = await self.backups.restore(source, reason)
        except Unfit as error:
            return error
        try:
            await self._take_up(then)
        except Exception as error:  # noqa: BLE001 - with an unusable database the gateway could not start again
            _log.exception("the restored database cannot be used: the previous content is put back")
            await self.backups.undo(restored)
            await self._take_up(then)
            return Unfit(f"Invalid database file: what it holds cannot be used ({type(error).__name__}: {error})")
        return restored.counts

    async def _take_up(self, then: Callable[[], Awaitable[None]] | None) -> None:
        """Continue with the current content of the database: protect secrets, publish, price usage, await *then*."""
        await self._protect()
        await self.publish()
        await price_usage(self.db, self.snapshot)
        if then is not None:
            await then()

    async def _protect(self) -> None:
        """Hash or encrypt the secrets that a database from elsewhere may hold in clear text."""
        before = self.db.changes
        await self.keys.hash_clear_texts()
        await self.connections.seal_clear_texts()
        await self.proxies.seal_clear_texts()
        if self.db.changes != before:
            await self.db.checkpoint()  # the main file or the write-ahead log holds the pages with the clear text

    async def _prepare(self, tx: Transaction) -> Callable[[], None]:
        snapshot = await self._publisher.build(tx, self.snapshot.version + 1)

        def swap() -> None:
            self.snapshot = snapshot
            if self.on_publish is not None:
                self.on_publish(snapshot)

        return swap

    async def _seed(self) -> None:
        """First start: complete the setup if the environment sets a password, add connections for its API keys."""
        if self.settings.initial_password and await self.config.get("setupComplete") is None:
            await self.config.set_many({"setupComplete": True, "requireLogin": True})
        for provider in self.catalog.providers.values():
            name = provider.env.removesuffix("_API_KEY").lower().replace("_", "-")
            secret = self.settings.provider_keys.get(name) if name else None
            if not secret or await self.db.fetch_one("SELECT 1 FROM db_meta WHERE key = ?", (_SEEDED + provider.id,)):
                continue
            if not await self.connections.list(provider.id):
                await self.connections.create(provider.id, name="env", api_key=secret)
            async with self.db.transaction() as tx:
                await tx.execute("INSERT OR IGNORE INTO db_meta VALUES (?, '1')", (_SEEDED + provider.id,))

    async def _keep_house(self) -> None:
        """Each hour, delete rows past their retention and make the automatic backup.

        Usage is kept for the configured number of days, audit rows for twice as many.
        """
        while True:
            try:
                days = sound(await self.config.all()).get("logRetentionDays", self.settings.log_retention_days)
                await self.usage.prune(days)
                await self.audit.prune(2 * days)
                await self.budgets.prune()
                await self.trouble.sweep(self.clock.time())
            except (OmniError, sqlite3.Error) as error:
                _log.error("old rows cannot be deleted: %s", error)
            await self.clock.sleep(_HOUSEKEEPING_SECONDS)
            if self.settings.auto_backup:
                await self._back_up()

    async def _back_up(self) -> None:
        try:
            await self.backups.automatic()
        except (OmniError, OSError, sqlite3.Error) as error:
            _log.error("the hourly backup failed: %s", error)

    async def close(self) -> None:
        """Write what is queued, mark a clean shutdown, close the file."""
        for task in (self._housekeeping, self._sweeping):
            if task is not None:
                await cancel(task)
        await self.semantic_cache.close()
        await self._batch.close()
        await self.db.close()


def machine_id(folder: Path, salt: str) -> str:
    """16 hex digits that identify this host in keys: a hash of its machine id, or of a random id kept in *folder*."""
    for path in _HOST_IDS:
        with suppress(OSError):
            if host := path.read_text(encoding="ascii").strip():
                break
    else:
        host = kept_secret(folder, "machine")
    return hashlib.sha256((host + salt).encode()).hexdigest()[:16]
