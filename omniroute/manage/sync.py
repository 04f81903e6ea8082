"""Sync with another gateway: enabling it, and the routes that the other gateway calls."""

from __future__ import annotations

import re
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from ..errors import OmniError
from .bodies import Text50, decode_object
from .call import Call, Reply
from .refusals import Invalid, refused
from .sync_peer import PeerSync

_MACHINE: Final = re.compile(r"[0-9a-f]{16}")


class ActionBody(Struct):
    action: Text50 = ""


class SyncState(Struct, rename="camel"):
    enabled: bool
    connected: bool | UnsetType = UNSET
    last_sync: str | UnsetType = UNSET


class SyncDone(Struct, rename="camel"):
    success: bool
    message: str
    changes: dict[str, int] | UnsetType = UNSET
    verified: bool | UnsetType = UNSET
    verify_error: str | UnsetType = UNSET
    warning: str | UnsetType = UNSET


class Initialized(Struct, rename="camel"):
    message: str
    success: bool | UnsetType = UNSET
    initialized: bool | UnsetType = UNSET


class Met(Struct, rename="camel"):
    valid: bool
    last_sync: str | None


async def state(call: Call) -> Reply:
    """Show whether sync is enabled and, if so, whether the other gateway is reachable."""
    if not await call.store.config.get("cloudEnabled"):
        return Reply(200, SyncState(False))
    peer = _peer(call)
    try:
        await peer.verify()
        connected = True
    except OmniError:
        connected = False
    return Reply(200, SyncState(True, connected, await peer.last_sync() or UNSET))


async def act(call: Call) -> Reply:
    """Enable, run or disable sync with the other gateway.  400 for another action, 502 when the other one fails."""
    action: str = call.body.action
    if action not in ("enable", "sync", "disable"):
        raise refused(400, "Invalid action")
    return await (_disable(call) if action == "disable" else _sync(call, action))


async def _sync(call: Call, action: str) -> Reply:
    peer = _peer(call)
    changes = await peer.sync()
    if action == "enable":
        await call.store.config.set_many({"cloudEnabled": True})
        peer.start()
    await call.audit(f"sync.{action}", await peer.url(), changes)
    done = SyncDone(True, "Synced successfully", changes, True)
    try:
        await peer.verify()
    except OmniError as error:
        done.verified, done.verify_error = False, error.message
    return Reply(200, done)


async def _disable(call: Call) -> Reply:
    """Disable sync here in any case; the other gateway deletes this gateway's records, if it is reachable."""
    done = SyncDone(True, "Cloud disabled")
    if await call.store.config.get("cloudEnabled"):
        await call.store.config.set_many({"cloudEnabled": False})
        await call.audit("sync.disable")
        try:
            await _peer(call).leave()
        except OmniError as error:
            done.warning = f"What came from here is still there: {error.message}"
    return Reply(200, done)


async def initialize(call: Call) -> Reply:
    """Start the periodic sync, which does nothing while sync is disabled."""
    peer = _peer(call)
    if peer.running:
        return Reply(200, Initialized("Cloud sync already initialized"))
    peer.start()
    return Reply(200, Initialized("Cloud sync initialized successfully", success=True))


async def initialized(call: Call) -> Reply:
    """Return whether the regular sync is running."""
    running = _peer(call).running
    return Reply(200, Initialized(f"Cloud sync is {'' if running else 'not '}initialized", initialized=running))


# -- called by the other gateway


async def meet(call: Call) -> Reply:
    """The other gateway's side of a sync: take its records, return ours.  400 names what is wrong with them."""
    machine = _machine(call)
    try:
        answer = await _peer(call).meet(machine, decode_object(call.request.body))
    except ValueError as error:
        raise Invalid(("body", str(error))) from None
    counts = {name: answer[name] for name in ("received", "deleted")}
    if any(counts.values()):
        await call.audit("sync.meet", machine, counts)
    return Reply(200, answer)


async def verify(call: Call) -> Reply:
    """Return what is known of the other gateway.  404 when it has never synced."""
    found = await _peer(call).known(_machine(call))
    if found is None:
        raise refused(404, "Unknown machine")
    return Reply(200, Met(True, found))


async def part(call: Call) -> Reply:
    """Delete the records that came from the other gateway and have not changed since; return their number."""
    machine = _machine(call)
    count = await _peer(call).part(machine)
    await call.audit("sync.part", machine, {"deleted": count})
    return Reply(200, {"success": True, "deleted": count})


def _machine(call: Call) -> str:
    machine = call.params["machineId"]
    if not _MACHINE.fullmatch(machine):
        raise refused(404, "Unknown machine")
    return machine


def _peer(call: Call) -> PeerSync:
    if call.services.peer is None:
        raise refused(500, "Cloud sync failed: it is not part of this gateway")
    return call.services.peer
