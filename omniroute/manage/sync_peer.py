"""Sync between two gateways: the client side (:meth:`PeerSync.sync`) and the server side (:meth:`PeerSync.meet`).

Both sides run this program.  ``docs/sync.md`` describes what is exchanged, ``sync_merge.py`` how it is merged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from hmac import compare_digest
from typing import Any, Final

import orjson

from ..clock import Clock, iso
from ..errors import OmniError
from ..proto.headers import Headers
from ..proto.transport import TransportError
from ..settings import Settings
from ..store.store import Store
from ..store.sync import KINDS, Records, address, versions
from ..tasks import cancel, spawn
from ..upstream.base_url import check_base_url
from ..upstream.endpoints import beside
from ..upstream.fetcher import Fetcher
from .refusals import refused
from .sync_merge import Merge, deleted, merge

_log = logging.getLogger("omniroute.sync")
_OURS: Final = "peer"  # name of the stored state of exchanges that this gateway started
_GUEST: Final = "machine:"  # prefix of the names for exchanges that other gateways started
_EVERY_SECONDS: Final = 900.0
_MOST: Final = 16 * 1024 * 1024  # bytes of an answer


class PeerSync:
    """One gateway's side of the sync.  Only one exchange at a time changes data here.

    ``_asking`` serializes our requests, ``_turn`` the changes here.  During a request only ``_asking`` is held, because the
    other gateway may send its own request at the same time.
    """

    def __init__(self, store: Store, settings: Settings, clock: Clock, client: Fetcher) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._client = client
        self._asking = asyncio.Lock()
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @property
    def machine_id(self) -> str:
        """The id by which the other gateway knows this one."""
        return self._store.keys.machine_id

    # -- client

    async def url(self) -> str:
        """Return the other gateway's address.  Raises OmniError 500 if the address or the token is not configured."""
        url = str(await self._store.config.get("cloudUrl") or self._settings.cloud_url).strip().rstrip("/")
        if not url:
            raise refused(500, "Cloud sync failed: CLOUD_URL is not configured")
        if not self._settings.cloud_sync_token:
            raise refused(500, "Cloud sync failed: CLOUD_SYNC_TOKEN is not configured")
        try:
            check_base_url(url, self._settings.allow_private_urls)
        except OmniError as error:
            raise refused(500, f"Cloud sync failed: cloudUrl cannot be used: {error.message}") from None
        return url

    async def sync(self) -> dict[str, int]:
        """Sync once.  Returns the counts ``sent``, ``received``, ``deleted``.  Raises OmniError 500 or 502."""
        async with self._asking:
            state = await self._store.sync.state(_OURS)
            url = await self.url()
            if state.get("url") != url:
                state = {}  # a different gateway, about which nothing is known
            base = _versions(state.get("base"))
            mine = await self._store.sync.read()
            gone = {kind: deleted(mine[kind], base.get(kind, {})) for kind in KINDS}
            sync = self._store.sync
            body = {**sync.export(mine), "deleted": gone, "proof": sync.proof}
            answer = await self._ask("POST", url, f"sync/{self.machine_id}", body)
            try:
                theirs, lost, trusted = self._read(answer.get("data"))
            except ValueError as error:
                raise refused(502, f"Cloud sync failed: the peer's answer cannot be used: {error}") from None
            async with self._turn:
                merges = await self._merge(theirs, lost, base, trusted=trusted, they_win=False)
                now = iso(self._clock.time())
                await sync.remember(_OURS, {"url": url, "lastSync": now, "base": versions(await sync.read())})
        sent = sum(len(group) for group in mine.values())
        return {"sent": sent, **_counts(merges)}

    async def verify(self) -> None:
        """Check that the other gateway answers and knows this one.  Raises OmniError 500 or 502."""
        await self._ask("GET", await self.url(), f"{self.machine_id}/v1/verify")

    async def leave(self) -> None:
        """Ask the other gateway to delete what came from here.  Raises OmniError 500 or 502."""
        async with self._asking:
            await self._store.sync.remember(_OURS, None)
            await self._ask("DELETE", await self.url(), f"sync/{self.machine_id}")

    async def last_sync(self) -> str | None:
        """When the last sync succeeded (ISO 8601); None: never."""
        found = (await self._store.sync.state(_OURS)).get("lastSync")
        return found if isinstance(found, str) else None

    async def _ask(self, method: str, url: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        place = beside(url, path)
        via = self._store.snapshot.outbound.elsewhere(url)
        origin = place.origin if via is None else place.origin._replace(via=via.proxy)
        fields: Headers = [
            (b"authorization", b"Bearer " + self._settings.cloud_sync_token.encode()),
            (b"accept", b"application/json"),
            (b"user-agent", b"omniroute"),
        ]
        raw = b""
        if body is not None:
            fields.append((b"content-type", b"application/json"))
            raw = orjson.dumps(dict(body))
        try:
            async with asyncio.timeout(self._settings.cloud_sync_timeout):
                status, _, answer = await self._client.fetch(origin, method, place.path, fields, raw, limit=_MOST)
        except TimeoutError:
            limit = self._settings.cloud_sync_timeout
            raise refused(502, f"Cloud sync failed: no answer from the peer within {limit:g} s") from None
        except TransportError as error:
            raise refused(502, f"Cloud sync failed: the peer cannot be reached ({error.reason})") from None
        return _understood(status, answer)

    # -- server

    def admits(self, token: str) -> bool:
        """Whether *token* is the sync token that both gateways share."""
        own = self._settings.cloud_sync_token
        return bool(own) and compare_digest(token.encode(), own.encode())

    async def meet(self, machine: str, sent: Mapping[str, Any]) -> dict[str, Any]:
        """Merge the records that *machine* sent; return the response, with all records after the merge.

        Raises ``ValueError`` for malformed records.
        """
        theirs, lost, trusted = self._read(sent)
        sync = self._store.sync
        async with self._turn:
            state = await sync.state(_GUEST + machine)
            base = _versions(state.get("base"))
            before = await sync.read()
            gone = {kind: deleted(before[kind], base.get(kind, {})) for kind in KINDS}
            merges = await self._merge(theirs, lost, base, trusted=trusted, they_win=True)
            after = await sync.read()
            now = versions(after)
            received = _received(_versions(state.get("received")), merges, versions(before), now)
            moment = iso(self._clock.time())
            await sync.remember(_GUEST + machine, {"lastSync": moment, "base": now, "received": received})
        _log.info("machine %s synced: %s", machine, _counts(merges))
        return {"success": True, "data": {**sync.export(after), "deleted": gone, "proof": sync.proof}, **_counts(merges)}

    async def known(self, machine: str) -> str | None:
        """Return when *machine* last synced; None if never."""
        found = (await self._store.sync.state(_GUEST + machine)).get("lastSync")
        return found if isinstance(found, str) else None

    async def part(self, machine: str) -> int:
        """Delete the records that came from *machine* and have not changed since; return their number."""
        sync = self._store.sync
        async with self._turn:
            received = _versions((await sync.state(_GUEST + machine)).get("received"))
            now = versions(await sync.read())
            drop = {
                kind: [id for id, version in received.get(kind, {}).items() if now[kind].get(id) == version]
                for kind in KINDS
            }
            await sync.apply({}, drop)
            await sync.remember(_GUEST + machine, None)
        return sum(len(ids) for ids in drop.values())

    # -- client and server

    def _read(self, sent: Any) -> tuple[Records, dict[str, dict[str, str]], bool]:
        proof = sent.get("proof") if isinstance(sent, dict) else None
        sync = self._store.sync
        theirs = sync.accept(sent, proof, self._clock.time())
        return theirs, _versions(sent.get("deleted")), sync.trusts(proof)

    async def _merge(
        self,
        theirs: Records,
        lost: Mapping[str, Mapping[str, str]],
        base: Mapping[str, Mapping[str, str]],
        *,
        trusted: bool,
        they_win: bool,
    ) -> dict[str, Merge]:
        mine = await self._store.sync.read()
        merges = {
            kind: merge(mine[kind], theirs[kind], lost.get(kind, {}), base.get(kind, {}), they_win=they_win)
            for kind in KINDS
        }
        for kind, found in merges.items():
            for id in [*found.take]:
                if not self._fits(kind, id, mine, found, trusted):
                    del found.take[id]
                    _log.warning(
                        "sync skipped %s %s: its address is not allowed, or not trusted with the stored secret", kind, id
                    )
        if any(found.take or found.drop for found in merges.values()):
            take = {kind: found.take for kind, found in merges.items()}
            await self._store.sync.apply(take, {kind: found.drop for kind, found in merges.items()})
        return merges

    def _fits(self, kind: str, id: str, mine: Records, found: Merge, trusted: bool) -> bool:
        """Whether a record may be taken: its address must be allowed, and must not draw our secrets to another host."""
        record, own = found.take[id], mine[kind].get(id)
        if own is not None and not trusted and address(kind, own) != address(kind, record):
            return False
        url = address(kind, record).rpartition(" ")[2]
        if not url:
            return True
        try:
            check_base_url(url, self._settings.allow_private_urls)
        except OmniError:
            return False
        return True

    # -- in the background

    @property
    def running(self) -> bool:
        """Whether the regular sync is switched on."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Sync every 15 minutes while sync is switched on."""
        if not self.running:
            self._task = spawn(self._keep_in_step(), "cloud sync")

    async def stop(self) -> None:
        """End the regular sync; one in progress is cancelled."""
        if self._task is not None:
            await cancel(self._task)

    async def _keep_in_step(self) -> None:
        while True:
            await self._clock.sleep(_EVERY_SECONDS)
            try:
                if await self._store.config.get("cloudEnabled"):
                    await self.sync()
            except OmniError as error:
                _log.warning("%s", error.message)
            except Exception:  # noqa: BLE001 - a failed sync must not end the loop
                _log.exception("Cloud sync failed")


def _understood(status: int, answer: bytes) -> dict[str, Any]:
    """Decode the peer's answer as an object.  Raises OmniError 502, without the peer's own error text."""
    if status in (401, 403):
        raise refused(502, "Cloud sync failed: the peer does not accept our CLOUD_SYNC_TOKEN")
    if not 200 <= status < 300:
        raise refused(502, f"Cloud sync failed: the peer answered {status}")
    try:
        found = orjson.loads(answer)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise refused(502, "Cloud sync failed: the peer's answer is no JSON object")
    return found


def _versions(value: Any) -> dict[str, dict[str, str]]:
    """Read stored or received versions by kind and id; anything malformed counts as absent."""
    groups = value if isinstance(value, dict) else {}
    return {
        kind: {id: text for id, text in groups[kind].items() if isinstance(text, str)}
        for kind in KINDS
        if isinstance(groups.get(kind), dict)
    }


def _received(
    earlier: Mapping[str, Mapping[str, str]],
    merges: Mapping[str, Merge],
    before: Mapping[str, Mapping[str, str]],
    now: Mapping[str, Mapping[str, str]],
) -> dict[str, dict[str, str]]:
    """Return the records that exist here because another machine sent them, with the version that it sent."""
    found = {}
    for kind in KINDS:
        known = earlier.get(kind, {})
        fresh = [id for id in merges[kind].take if id not in before[kind] or id in known]
        group = {**known, **{id: now[kind][id] for id in fresh if id in now[kind]}}
        found[kind] = {id: version for id, version in group.items() if id in now[kind]}
    return found


def _counts(merges: Mapping[str, Merge]) -> dict[str, int]:
    return {
        "received": sum(len(found.take) for found in merges.values()),
        "deleted": sum(len(found.drop) for found in merges.values()),
    }
