from __future__ import annotations

import json
from typing import Any

import pytest
from data_plane import JSON, MODEL
from fakes_exchange import FakeExchange
from fakes_gateway import FakeGateway, exchange, fake_gateway, one_provider
from wires import ANTHROPIC, CHAT, Wire

from omniroute.gateway import pipeline
from omniroute.gateway.job import Line
from omniroute.gateway.policies import Actions, Policy
from omniroute.gateway.snapshot import GatewaySettings
from omniroute.translate.thinking_budget import ThinkingRule


def gateway_with(upstream: Wire, **settings: Any) -> FakeGateway:
    about = {"models": {}}
    state = one_provider(upstream, settings=GatewaySettings(**settings), about=about)
    return fake_gateway(state, (200, JSON, upstream.whole))


async def ask(gateway: FakeGateway, client: Wire, **more: Any) -> FakeExchange:
    made = exchange(client, client.ask(MODEL) | more)
    await pipeline.serve(gateway, made, Line(client.name))
    return made


def sent(gateway: FakeGateway) -> Any:
    return json.loads(gateway.upstream.sent[-1])


async def test_the_owners_system_prompt_goes_first_on_the_same_wire_and_across() -> None:
    for client in (CHAT, ANTHROPIC):
        gateway = gateway_with(ANTHROPIC, system_prompt="Be kind")
        await ask(gateway, client)
        assert "Be kind" in json.dumps(sent(gateway)["system"])
        await ask(gateway, client, _skipSystemPrompt=True)
        assert "Be kind" not in gateway.upstream.sent[-1].decode()
        assert "_skip" not in gateway.upstream.sent[-1].decode()


async def test_a_custom_budget_reaches_the_vendor_in_its_words() -> None:
    rule = ThinkingRule("custom", budget=2048)
    for client in (CHAT, ANTHROPIC):
        gateway = gateway_with(ANTHROPIC, thinking=rule)
        more = {"reasoning_effort": "high"} if client is CHAT else {"thinking": {"type": "enabled", "budget_tokens": 9999}}
        await ask(gateway, client, **more)
        assert sent(gateway)["thinking"] == {"type": "enabled", "budget_tokens": 2048}
        assert sent(gateway)["max_tokens"] > 2048


@pytest.mark.parametrize(("cap", "thinks"), [(2000, True), (1000, False)])
@pytest.mark.parametrize("client", [CHAT, ANTHROPIC], ids=repr)
async def test_a_policys_limit_holds_for_the_owners_budget_too(client: Wire, cap: int, thinks: bool) -> None:
    policy = Policy("p", "p", actions=Actions(max_tokens=cap))
    rule = ThinkingRule("custom", budget=4096)
    gateway = fake_gateway(
        one_provider(ANTHROPIC, settings=GatewaySettings(thinking=rule), about={"models": {}}, policies=(policy,)),
        (200, JSON, ANTHROPIC.whole),
    )
    more = {"reasoning_effort": "high"} if client is CHAT else {"thinking": {"type": "enabled", "budget_tokens": 9999}}
    await ask(gateway, client, max_tokens=500, **more)
    budget = sent(gateway).get("thinking", {}).get("budget_tokens", 0)
    assert sent(gateway)["max_tokens"] <= cap
    assert bool(budget) == thinks
    assert budget < sent(gateway)["max_tokens"]


async def test_models_not_known_to_think_are_left_alone() -> None:
    gateway = gateway_with(ANTHROPIC, thinking=ThinkingRule("custom", budget=2048))
    for client in (CHAT, ANTHROPIC):
        await ask(gateway, client)
        assert "thinking" not in sent(gateway)


async def test_auto_takes_the_clients_wish_out() -> None:
    gateway = gateway_with(CHAT, thinking=ThinkingRule("auto"))
    await ask(gateway, CHAT, reasoning_effort="high")
    assert "reasoning_effort" not in sent(gateway)
    await ask(gateway, ANTHROPIC, thinking={"type": "enabled", "budget_tokens": 2000})
    assert "reasoning_effort" not in sent(gateway)


async def test_adaptive_reads_the_request_to_see_how_much_is_due() -> None:
    gateway = gateway_with(ANTHROPIC, thinking=ThinkingRule("adaptive", effort="low"))
    await ask(gateway, ANTHROPIC, thinking={"type": "enabled", "budget_tokens": 9999})
    assert sent(gateway)["thinking"]["budget_tokens"] == 1024
