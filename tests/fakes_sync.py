"""Two gateways in one process: the client of one calls the management plane of the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fakes_manage import Admin

from omniroute.manage.sync_peer import PeerSync
from omniroute.proto.headers import Headers
from omniroute.proto.transport import Origin, TransportError

TOKEN = "the token of both gateways"
URL = "http://127.0.0.1:20129"


class Wire:
    """Carries calls to *far*.  ``seen``: line, fields and body of each; ``answer``, if set, replaces the real one."""

    def __init__(self, far: Admin) -> None:
        self.far = far
        self.seen: list[tuple[str, str, dict[bytes, bytes], bytes]] = []
        self.replies: list[bytes] = []
        self.answer: tuple[int, bytes] | TransportError | None = None

    async def fetch(
        self, origin: Origin, method: str, path: bytes, headers: Headers, body: bytes = b"", *, limit: int
    ) -> tuple[int, Headers, bytes]:
        self.seen.append((method, path.decode(), dict(headers), body))
        if isinstance(self.answer, TransportError):
            raise self.answer
        if self.answer is not None:
            return self.answer[0], [], self.answer[1]
        fields = {name.decode(): value.decode() for name, value in headers}
        reply = await asyncio.to_thread(
            self.far.send, method, path.decode(), body=body, headers=fields, peer="192.0.2.1", anonymous=True
        )
        self.replies.append(reply.text)
        return reply.status, [], reply.text


class Pair:
    """``near`` asks, ``far`` answers."""

    def __init__(self, make_admin: Callable[..., Admin], near: dict[str, Any], far: dict[str, Any]) -> None:
        self.near, self.far = make_admin(**near), make_admin(**far)
        self.wire = Wire(self.far)
        for admin, client in ((self.near, self.wire), (self.far, Wire(self.near))):
            admin.services.peer = PeerSync(admin.store, admin.settings, admin.clock, client)  # type: ignore[arg-type]

    @property
    def peer(self) -> PeerSync:
        assert self.near.services.peer is not None
        return self.near.services.peer

    def sync(self) -> dict[str, int]:
        """Sync once, a minute after the last time."""
        for admin in (self.near, self.far):
            admin.advance(60)
        return self.near.run(self.peer.sync())


def a_pair(
    make_admin: Callable[..., Admin], *, near: dict[str, Any] | None = None, far: dict[str, Any] | None = None
) -> Pair:
    """Return two gateways that share the token and, by default, the encryption and hashing keys."""
    common = {
        "cloud_sync_token": TOKEN,
        "storage_encryption_key": "one key for both",
        "api_key_secret": "0123456789abcdef",
    }
    return Pair(make_admin, {**common, "cloud_url": URL, **(near or {})}, {**common, **(far or {})})
