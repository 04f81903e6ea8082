from __future__ import annotations

import pytest
from data_plane import JSON
from fakes_gateway import FakeGateway, exchange, fake_gateway, one_provider
from wires import CHAT

from omniroute.errors import OmniError
from omniroute.gateway import pipeline
from omniroute.gateway.explain import explain
from omniroute.gateway.job import Line
from omniroute.gateway.snapshot import Combo, ComboEntry, GatewayKey


def gateway_of(*replies: int, combo: str = "") -> FakeGateway:
    answers = [(status, JSON, CHAT.whole if status == 200 else CHAT.error("x", "no")) for status in replies or (200,)]
    combos = {"both": Combo("1", "both", (ComboEntry("up/m"), ComboEntry("up/n")), combo)} if combo else {}
    return fake_gateway(one_provider(CHAT, "a", "b", combos=combos), *answers)


async def ask(gateway: FakeGateway, model: str = "up/m") -> None:
    await pipeline.serve(gateway, exchange(CHAT, CHAT.ask(model)), Line("openai-chat"))


async def test_it_names_the_account_that_is_asked_then() -> None:
    gateway = gateway_of()
    told = explain(gateway, "up/m")
    assert (told.first, told.combo, told.account_strategy) == ("up/acct-1", None, "fill-first")
    (step,) = told.candidates
    assert (step.provider, step.upstream_model, step.wire, step.available) == ("up", "m", "openai-chat", True)
    assert [(account.name, account.position) for account in step.accounts] == [("acct-1", 1), ("acct-2", 2)]
    await ask(gateway)
    assert gateway.records[0].account == "acct-1"
    assert gateway.upstream.sent


async def test_a_cooling_account_is_named_with_the_reason_and_the_time() -> None:
    gateway = gateway_of(401, 200)
    await ask(gateway)
    told = explain(gateway, "up/m")
    assert told.first == "up/acct-2"
    last = told.candidates[0].accounts[-1]
    assert (last.name, last.position, last.until) == ("acct-1", None, gateway.hands.time() + 120.0)
    assert last.reason is not None
    assert last.reason.startswith("cooling: ")


async def test_when_all_cool_the_target_says_until_when() -> None:
    gateway = gateway_of(401)
    await ask(gateway)
    (step,) = explain(gateway, "up/m").candidates
    assert (step.available, step.reason, step.until) == (False, "every account is cooling", gateway.hands.time() + 120.0)
    assert explain(gateway, "up/m").first is None


def test_a_combo_shows_its_order_and_looking_does_not_move_it_on() -> None:
    gateway = gateway_of(combo="round-robin")
    told = [explain(gateway, "both") for _ in range(2)]
    assert told[0] == told[1]
    assert (told[0].combo, told[0].strategy) == ("both", "round-robin")
    assert [step.model for step in told[0].candidates] == ["up/m", "up/n"]
    assert all(step.why for step in told[0].candidates)


def test_what_a_call_would_be_refused_for_is_said_alike() -> None:
    gateway = gateway_of()
    for name in ("", "nobody/m", "../x"):
        with pytest.raises(OmniError):
            explain(gateway, name)
    key = GatewayKey("k", "agent", b"", allowed_models=("other",))
    with pytest.raises(OmniError) as refusal:
        explain(gateway, "up/m", key=key)
    assert refusal.value.status == 403


def test_other_operations_are_explained_too() -> None:
    with pytest.raises(OmniError) as refusal:
        explain(gateway_of(), "up/m", operation="embeddings")
    assert "no embedding endpoint" in refusal.value.message
