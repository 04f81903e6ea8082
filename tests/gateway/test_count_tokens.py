from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from data_plane import accounts, data_plane, provider, snapshot
from fakes_exchange import FakeExchange
from fakes_gateway import exchange, fake_gateway, one_provider
from scripted_upstream import HANG, RESET, Answer, Raw, ScriptedUpstream
from wires import ANTHROPIC, CHAT

from omniroute.gateway import count_tokens
from omniroute.gateway.auth import digest
from omniroute.gateway.guard import Guard
from omniroute.gateway.snapshot import Combo, ComboEntry, GatewayKey, GatewaySettings
from omniroute.settings import GuardSettings

PATH = "/v1/messages/count_tokens"
ASK = {"model": "up/m", "messages": [{"role": "user", "content": "Greet me"}]}


async def counted(body: Any, **state: Any) -> FakeExchange:
    made = exchange(ANTHROPIC, body, path=PATH)
    await count_tokens.serve(fake_gateway(one_provider(CHAT, **state)), made, SimpleNamespace(wire="anthropic"))
    return made


async def test_an_estimate_says_so() -> None:
    made = await counted(ASK)
    assert made.status == 200
    assert made.json["input_tokens"] > 0
    assert made.json["estimated"] is True
    assert made.header(b"x-omniroute-estimated") == b"true"


@pytest.mark.parametrize(
    ("body", "words"), [(b"{", "Invalid JSON"), ({"messages": []}, "model"), ({**ASK, "messages": 5}, "messages")]
)
async def test_what_cannot_be_counted_is_refused_in_the_clients_wire(body: Any, words: str) -> None:
    made = await counted(body)
    assert made.status == 400
    assert words in ANTHROPIC.error_of(made.text)["message"]


async def test_the_vendors_own_count_goes_through_as_it_is() -> None:
    said = b'{"input_tokens": 14, "vendor": [1,  2]}'
    async with ScriptedUpstream(Answer(200, [said])) as upstream:
        state = snapshot(provider(ANTHROPIC, f"{upstream.url}/v1"), accounts("key-1"))
        async with data_plane(state) as plane:
            raw = json.dumps(ASK).encode()
            status, _, got = await plane.http.fetch(
                plane.origin, "POST", PATH.encode(), [(b"anthropic-beta", b"b")], raw, limit=1 << 16
            )
    assert (status, got) == (200, said)
    (seen,) = upstream.requests
    assert (seen.path, seen.headers["anthropic-beta"], seen.headers["x-api-key"]) == (PATH, "b", "key-1")
    assert json.loads(seen.body)["model"] == "m"


@pytest.mark.parametrize("step", [Answer(404), Answer(500), Answer(200, [b"<html>"]), Raw([RESET]), Raw([HANG])], ids=repr)
async def test_where_the_vendor_does_not_count_it_is_estimated(step: Answer | Raw) -> None:
    async with ScriptedUpstream(step) as upstream:
        state = snapshot(provider(ANTHROPIC, f"{upstream.url}/v1"), accounts("key-1"))
        async with data_plane(state) as plane:
            raw = json.dumps(ASK).encode()
            status, _, got = await plane.http.fetch(plane.origin, "POST", PATH.encode(), [], raw, limit=1 << 16)
            assert plane.live.health.cooling() == {}
    assert status == 200
    assert json.loads(got)["estimated"] is True


async def test_a_restricted_key_counts_for_its_own_models_only() -> None:
    key = GatewayKey("k", "k", digest(b"s", "sk-1"), allowed_models=("up/other",))
    state = snapshot(provider(ANTHROPIC, "http://127.0.0.1:9/v1"), accounts("key-1"))
    state = msgspec.structs.replace(state, key_secret=b"s", keys={key.digest: key})
    async with data_plane(state) as plane:
        raw = json.dumps(ASK).encode()
        status, _, got = await plane.http.fetch(
            plane.origin, "POST", PATH.encode(), [(b"x-api-key", b"sk-1")], raw, limit=1 << 16
        )
    assert status == 403
    assert "not allowed" in json.loads(got)["error"]["message"]


async def test_without_a_key_that_is_required_the_head_says_how_to_send_one() -> None:
    made = exchange(ANTHROPIC, ASK, path=PATH)
    await count_tokens.serve(fake_gateway(one_provider(CHAT), require_key=True), made, SimpleNamespace(wire="anthropic"))
    assert (made.status, made.header(b"www-authenticate")) == (401, b'Bearer realm="OmniRoute"')


async def test_a_combo_is_counted_by_its_first_model() -> None:
    combo = Combo("1", "coding", (ComboEntry("up/m"),))
    got = await counted({"model": "coding", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]},
                        combos={"coding": combo})  # fmt: skip
    assert got.status == 200
    assert got.json["input_tokens"] > 0


async def test_the_owners_system_prompt_counts_as_it_will_be_sent() -> None:
    settings = GatewaySettings(system_prompt="word " * 100)
    plain, prompted = (await counted(ASK)).json["input_tokens"], (await counted(ASK, settings=settings)).json["input_tokens"]
    assert prompted > plain + 80
    without = await counted({**ASK, "_skipSystemPrompt": True}, settings=settings)
    assert without.json["input_tokens"] == plain


async def test_personal_data_does_not_reach_the_vendor_that_counts() -> None:
    async with ScriptedUpstream(Answer(200, [b'{"input_tokens": 3}'])) as upstream:
        state = snapshot(provider(ANTHROPIC, f"{upstream.url}/v1"), accounts("key-1"))
        async with data_plane(state) as plane:
            plane.gateway.guard = Guard(GuardSettings(mode="redact", redact_requests=True))
            raw = json.dumps(ASK).replace("Greet me", "I am a@mail.example.org").encode()
            await plane.http.fetch(plane.origin, "POST", PATH.encode(), [], raw, limit=1 << 16)
    assert "I am [EMAIL_REDACTED]" in json.loads(upstream.requests[0].body)["messages"][0]["content"]
