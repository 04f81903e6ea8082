from __future__ import annotations

import asyncio
from typing import Any

from data_plane import JSON, until
from fakes_gateway import FakeGateway, fake_gateway, one_provider
from wires import ANTHROPIC, CHAT, SAID

from omniroute.gateway import inside
from omniroute.gateway.inside import Answer
from omniroute.gateway.snapshot import GatewaySettings
from omniroute.tasks import running, spawn

HI = {"model": "up/m", "messages": [{"role": "user", "content": "Hi"}]}


async def test_the_gateway_answers_itself_as_any_client() -> None:
    gateway = fake_gateway(one_provider(ANTHROPIC), (200, JSON, ANTHROPIC.whole))
    got = await inside.send_chat(gateway, HI, 15.0)
    assert (got.status, got.ok, got.text) == (200, True, SAID)
    (record,) = gateway.records
    assert (record.status, record.provider, record.path) == (200, "node-up", "/v1/chat/completions")
    assert record.id
    assert record.tokens_in


async def test_no_key_is_needed_inside_even_where_clients_need_one() -> None:
    gateway = fake_gateway(one_provider(CHAT), (200, JSON, CHAT.whole), require_key=True)
    assert (await inside.send_chat(gateway, HI, 15.0)).ok
    assert gateway.require_key


async def test_a_failure_says_why() -> None:
    gateway = fake_gateway(one_provider(CHAT), (401, JSON, CHAT.error("invalid_api_key", "No such key")))
    got = await inside.send_chat(gateway, HI, 15.0)
    assert (got.status, got.ok, got.error, got.text) == (401, False, "No such key", "")


class Silent:
    """An upstream that never answers."""

    asked = stopped = False

    async def whole_as(self, *args: Any, **more: Any) -> Any:
        self.asked = True
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.stopped = True
            raise


async def test_what_takes_too_long_is_given_up_and_nothing_is_left_running() -> None:
    gateway: FakeGateway = fake_gateway(one_provider(CHAT))
    upstream: Any = Silent()
    gateway.client = upstream
    before = running()
    task = spawn(inside.send_chat(gateway, HI, 15.0), "test")
    await until(lambda: upstream.asked)
    gateway.hands.advance(15.1)
    got = await task
    assert (got.status, got.error, got.seconds) == (0, "No answer within 15 seconds", 15.0)
    assert upstream.stopped
    assert gateway.records[0].status == 499
    await until(lambda: running() == before)


async def test_a_call_to_one_provider_stays_there() -> None:
    state = one_provider(CHAT, aliases={"m": "up/other"}, settings=GatewaySettings(log_bodies=True))
    gateway = fake_gateway(state, (200, JSON, CHAT.whole))
    assert (await inside.send_chat(gateway, HI, 15.0, only="up")).ok
    assert b'"m"' in bytes(gateway.upstream.sent[0])
    assert gateway.records[0].response_body


def test_an_answer_that_is_no_json_is_no_surprise() -> None:
    got = Answer(500, [], b"<html>", 1.0)
    assert (got.json, got.text, got.error) == (None, "", "HTTP 500")
    assert Answer(200, [], b'{"choices":[{"message":{"content":null}}]}', 1.0).text == ""
