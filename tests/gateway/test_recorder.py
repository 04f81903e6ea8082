from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from data_plane import MODEL
from fakes_gateway import JSON, FakeGateway, exchange, fake_gateway, one_provider
from wires import CHAT

from omniroute.gateway.auth import digest
from omniroute.gateway.recorder import KEPT_BYTES, RecordedExchange, recorded
from omniroute.gateway.routes import DATA_ROUTES, DataPlane
from omniroute.gateway.snapshot import GatewayKey, GatewaySettings, Snapshot

ANSWER = b'{"id":"c1","model":"m","choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}]}'


def _logging(state: Snapshot, *, on: bool = True) -> Snapshot:
    return msgspec.structs.replace(state, settings=GatewaySettings(log_bodies=on))


def _ask(gateway: FakeGateway, *headers: tuple[bytes, bytes]) -> bytes:
    made = exchange(CHAT, CHAT.ask(MODEL), *headers)
    made.request.route = next(row for row in DATA_ROUTES if row.path == CHAT.path)
    asyncio.run(_serve(gateway, made))
    assert made.status == 200, made.text
    return made.request.body


async def _serve(gateway: FakeGateway, made: Any) -> None:
    await DataPlane(gateway).handle(made)


def test_what_was_asked_and_answered_is_handed_over_when_switched_on() -> None:
    gateway = fake_gateway(_logging(one_provider(CHAT)), (200, JSON, ANSWER))
    asked = _ask(gateway)
    [row] = gateway.records
    assert (row.request_body, row.response_body, row.response_size) == (asked, ANSWER, len(ANSWER))


def test_nothing_is_kept_when_switched_off() -> None:
    gateway = fake_gateway(one_provider(CHAT), (200, JSON, ANSWER))
    _ask(gateway)
    [row] = gateway.records
    assert (row.request_body, row.response_body) == (None, None)


def test_a_key_may_forbid_it() -> None:
    state = _logging(one_provider(CHAT))
    text = "sk-quiet"
    key = GatewayKey("k1", "quiet", digest(b"s", text), no_log=True)
    state = msgspec.structs.replace(state, key_secret=b"s", keys={key.digest: key})
    gateway = fake_gateway(state, (200, JSON, ANSWER))
    _ask(gateway, (b"authorization", f"Bearer {text}".encode()))
    [row] = gateway.records
    assert (row.key_id, row.request_body, row.response_body) == ("k1", None, None)


def test_an_exchange_is_wrapped_only_when_the_setting_says_so() -> None:
    gateway = fake_gateway(one_provider(CHAT))
    made = exchange(CHAT, b"{}")
    assert recorded(gateway.live, made) is made
    gateway.live.snapshot = _logging(gateway.live.snapshot)
    assert isinstance(recorded(gateway.live, made), RecordedExchange)


def test_the_beginning_of_a_stream_is_kept_and_all_of_it_passed_on() -> None:
    inner = exchange(CHAT, b"{}")
    wrapped = RecordedExchange(inner)
    wrapped.start(200, [])
    for _ in range(10):
        wrapped.write(memoryview(b"x" * 3000))
    wrapped.end()
    assert len(inner.text) == 30_000
    assert (len(wrapped.kept), wrapped.size) == (KEPT_BYTES, 30_000)
    assert wrapped.started
    assert wrapped.finished
    assert wrapped.status == 200


@pytest.mark.parametrize("name", ["on_gone", "on_pause", "on_resume"])
def test_the_clients_side_reaches_the_handler(name: str) -> None:
    inner = exchange(CHAT, b"{}")
    wrapped = RecordedExchange(inner)
    called: list[str] = []
    setattr(wrapped, name, lambda: called.append(name))
    getattr(inner, name)()
    assert called == [name]
    inner.gone = True
    assert wrapped.gone
    wrapped.abort()
    assert inner.aborted
