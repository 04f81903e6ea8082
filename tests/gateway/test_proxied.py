"""Calls that take a proxy: by which connection they go, and what the log is told."""

from __future__ import annotations

from typing import Any

import msgspec
from data_plane import JSON, MODEL
from fakes_gateway import FakeGateway, exchange, fake_gateway, one_provider
from wires import CHAT

from omniroute.gateway import pipeline
from omniroute.gateway.job import Line
from omniroute.gateway.outbound import ProxiedCall, Via
from omniroute.gateway.render import origin_of
from omniroute.gateway.snapshot import Snapshot
from omniroute.proto.proxy import Proxy
from omniroute.proto.transport import TransportError
from omniroute.upstream.endpoints import Endpoint

VIA = Via(Proxy("http", "p.test", 3128, "me", "s3cret"), "provider", "up")


def proxied(*replies: Any, via: Via | None = VIA) -> tuple[FakeGateway, list[ProxiedCall]]:
    snapshot: Snapshot = one_provider(CHAT, "a" * 20)
    connections = {
        provider: tuple(msgspec.structs.replace(account, proxy=via) for account in group)
        for provider, group in snapshot.connections.items()
    }
    gateway = fake_gateway(msgspec.structs.replace(snapshot, connections=connections), *replies)
    rows: list[ProxiedCall] = []
    gateway.live.on_proxied = rows.append
    return gateway, rows


async def ask(gateway: FakeGateway) -> int:
    made = exchange(CHAT, CHAT.ask(MODEL))
    await pipeline.serve(gateway, made, Line(CHAT.name))
    return made.status or 0


async def test_each_call_leaves_a_row() -> None:
    gateway, rows = proxied((200, JSON, CHAT.whole))
    assert await ask(gateway) == 200
    (row,) = rows
    assert (row.via, row.status, row.error, row.provider, row.account) == (VIA, "success", "", "node-up", "acct-1")
    assert (row.at, row.latency_ms, row.combo_id) == (gateway.clock.time(), 0, None)


async def test_failures_say_why_without_the_accounts_key() -> None:
    gateway, rows = proxied((500, JSON, CHAT.error("some_error", f"no {'a' * 20}")))
    assert await ask(gateway) == 500
    assert (rows[0].status, rows[0].error) == ("error", "[500]: no [key]")
    gateway, rows = proxied(TransportError("connect_timeout", "too late"))
    assert await ask(gateway) == 504
    assert (rows[0].status, "too late" in rows[0].error) == ("timeout", True)
    gateway, rows = proxied(TransportError("proxy", "proxy refused: 407"))
    assert await ask(gateway) == 502
    assert (rows[0].status, "proxy refused: 407" in rows[0].error) == ("error", True)


async def test_direct_calls_leave_no_row_and_a_listener_is_optional() -> None:
    gateway, rows = proxied((200, JSON, CHAT.whole), via=None)
    assert (await ask(gateway), rows) == (200, [])
    gateway, _ = proxied((200, JSON, CHAT.whole))
    gateway.live.on_proxied = None
    assert await ask(gateway) == 200


def test_an_account_is_reached_by_way_of_its_proxy() -> None:
    gateway, _ = proxied()
    (account,) = gateway.live.snapshot.connections["node-up"]
    assert origin_of(Endpoint("https", "h.test", 443, b"/"), account).via == VIA.proxy
