from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from data_plane import JSON, MODEL, accounts, provider, until
from fakes_exchange import FakeExchange
from fakes_gateway import FakeGateway, exchange, fake_gateway, one_provider
from wires import ANTHROPIC, CALLING, CHAT, CHAT_USAGE, COUNTS, SAID, WIRES, Wire, chat_message, message

from omniroute.gateway import auth, pipeline
from omniroute.gateway.cache import LARGEST, Cache
from omniroute.gateway.job import Line
from omniroute.gateway.recall import renewed, worth_keeping
from omniroute.gateway.replay import WINDOW
from omniroute.gateway.snapshot import Combo, ComboEntry, GatewayKey, GatewaySettings, Snapshot
from omniroute.settings import CacheLimits
from omniroute.tasks import cancel, spawn
from omniroute.translate.collect import Answer, collect
from omniroute.translate.formats import FORMATS
from omniroute.translate.thinking_budget import ThinkingRule

BOTH = pytest.mark.parametrize("wire", WIRES, ids=repr)
SECRET = b"s" * 32
IDEMPOTENT = (b"idempotency-key", b"once")
NO_CACHE = (b"x-omniroute-no-cache", b"true")


async def ask(gateway: FakeGateway, wire: Wire, *headers: tuple[bytes, bytes], path: str = "", **more: Any) -> FakeExchange:
    made = exchange(wire, wire.ask(**{"model": MODEL, **more}), *headers, path=path)
    await pipeline.serve(gateway, made, Line(wire.name))
    return made


async def zero(gateway: FakeGateway, wire: Wire, *headers: tuple[bytes, bytes], **more: Any) -> FakeExchange:
    return await ask(gateway, wire, *headers, **{"temperature": 0, **more})


def good(wire: Wire) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    return 200, [*JSON, (b"transfer-encoding", b"chunked")], wire.whole


def bad(wire: Wire, status: int = 500) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    return status, JSON, wire.error("server_error", "No")


def keyed(*keys: GatewayKey) -> dict[str, Any]:
    return {"key_secret": SECRET, "keys": {key.digest: key for key in keys}}


def key(name: str, **more: Any) -> tuple[GatewayKey, tuple[bytes, bytes]]:
    made = GatewayKey(name, name, auth.digest(SECRET, f"sk-{name}"), **more)
    return made, (b"authorization", f"Bearer sk-{name}".encode())


def states(*answers: FakeExchange) -> list[bytes | None]:
    return [answer.header(b"x-omniroute-cache") for answer in answers]


# -- the cache


@BOTH
async def test_an_equal_request_with_temperature_0_is_answered_without_the_provider(wire: Wire) -> None:
    gateway = fake_gateway(one_provider(wire), good(wire))
    first, second = await zero(gateway, wire), await zero(gateway, wire)
    assert states(first, second) == [b"MISS", b"HIT"]
    assert len(gateway.upstream.sent) == 1
    assert (second.status, wire.text(second.text, False)) == (200, SAID)
    assert second.header(b"content-type") == b"application/json"
    assert second.header(b"transfer-encoding") is None
    assert second.header(b"x-omniroute-route") == b"up; cache=hit"


@BOTH
async def test_a_hit_is_logged_with_cost_0_and_without_tokens_that_the_provider_counted_before(wire: Wire) -> None:
    gateway = fake_gateway(one_provider(wire), good(wire))
    await zero(gateway, wire)
    await zero(gateway, wire)
    paid, free = gateway.records
    assert paid.cost
    assert (free.status, free.cost, free.tokens_in, free.tokens_out, free.attempts) == (200, 0.0, 0, 0, 0)
    assert (free.route, free.model, free.connection_id) == ("up; cache=hit", "m", "")


async def test_a_hit_says_what_it_saved() -> None:
    gateway = fake_gateway(one_provider(CHAT), good(CHAT))
    for _ in range(3):
        await zero(gateway, CHAT)
    cache = gateway.live.cache
    total = CHAT_USAGE["prompt_tokens"] + CHAT_USAGE["completion_tokens"]  # type: ignore[operator]
    assert (cache.hits, cache.misses, cache.tokens_saved) == (2, 1, 2 * total)


@BOTH
async def test_each_hit_has_an_id_of_its_own(wire: Wire) -> None:
    gateway = fake_gateway(one_provider(wire), good(wire))
    answers = [(await zero(gateway, wire)).json for _ in range(3)]
    assert len({answer["id"] for answer in answers}) == 3
    assert {answer["id"].rstrip("0123456789abcdef") for answer in answers} <= {"chatcmpl-", "msg_"}
    assert answers[0]["usage"] == answers[2]["usage"] in (CHAT_USAGE, COUNTS)


async def test_a_hit_is_given_while_every_account_is_cooling() -> None:
    gateway = fake_gateway(one_provider(CHAT), good(CHAT), bad(CHAT, 429))
    await zero(gateway, CHAT)
    assert (await ask(gateway, CHAT)).status == 429
    assert states(await zero(gateway, CHAT)) == [b"HIT"]
    assert len(gateway.upstream.sent) == 2


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"max_tokens": 65},
        {"response_format": {"type": "json_object"}},
        {"messages": [{"role": "system", "content": "Brief"}, {"role": "user", "content": "Greet me"}]},
    ],
    ids=lambda more: next(iter(more)),
)
async def test_a_request_that_differs_in_anything_that_counts_is_a_miss(more: dict[str, Any]) -> None:
    gateway = fake_gateway(one_provider(CHAT), good(CHAT))
    await zero(gateway, CHAT)
    assert states(await zero(gateway, CHAT, **more)) == [b"MISS"]


async def test_a_moved_cache_control_mark_is_still_a_hit() -> None:
    gateway = fake_gateway(one_provider(ANTHROPIC), good(ANTHROPIC))
    mark = {"cache_control": {"type": "ephemeral"}}
    for marks in ((mark, {}), ({}, mark)):
        blocks = [{"type": "text", "text": str(n), **marks[n]} for n in range(2)]
        last = await zero(gateway, ANTHROPIC, system=blocks, messages=[{"role": "user", "content": blocks}])
    assert states(last) == [b"HIT"]


@pytest.mark.parametrize("more", [{}, {"temperature": 0.2}, {"temperature": None}])
async def test_without_temperature_0_every_call_is_made(more: dict[str, Any]) -> None:
    gateway = fake_gateway(one_provider(CHAT), good(CHAT))
    assert states(await ask(gateway, CHAT, **more), await ask(gateway, CHAT, **more)) == [b"MISS", b"MISS"]
    assert gateway.live.cache.misses == 0


async def test_a_missing_temperature_counts_as_0_where_that_is_set() -> None:
    gateway = fake_gateway(one_provider(CHAT), good(CHAT))
    gateway.live.cache = Cache(gateway.clock, CacheLimits(implicit=True))
    assert states(await ask(gateway, CHAT), await ask(gateway, CHAT)) == [b"MISS", b"HIT"]


async def test_the_no_cache_header_neither_reads_nor_writes() -> None:
    gateway = fake_gateway(one_provider(CHAT), good(CHAT))
    unread = [await zero(gateway, CHAT, NO_CACHE), await zero(gateway, CHAT), await zero(gateway, CHAT, NO_CACHE)]
    assert states(*unread, await zero(gateway, CHAT)) == [b"MISS", b"MISS", b"MISS", b"HIT"]


async def test_streams_are_neither_served_nor_kept_and_carry_no_mark() -> None:
    gateway = fake_gateway(one_provider(CHAT), good(CHAT))
    await zero(gateway, CHAT)
    streamed = await zero(gateway, CHAT, IDEMPOTENT, stream=True)
    assert states(streamed) == [None]
    assert (len(gateway.upstream.sent), gateway.live.replays.active) == (2, 0)


async def test_an_answer_expires() -> None:
    gateway = fake_gateway(one_provider(CHAT), good(CHAT))
    await zero(gateway, CHAT)
    gateway.hands.advance(3599)
    assert states(await zero(gateway, CHAT)) == [b"HIT"]
    gateway.hands.advance(1)
    assert states(await zero(gateway, CHAT)) == [b"MISS"]


@pytest.mark.parametrize(
    ("wire", "whole"),
    [
        (CHAT, chat_message({"content": SAID}, "length")),
        (CHAT, chat_message({"content": SAID}, "content_filter")),
        (CHAT, chat_message({"content": ""})),
        (CHAT, chat_message({"content": None, "refusal": "No"})),
        (CHAT, json.dumps({"id": "1", "model": "m", "choices": []}).encode()),
        (CHAT, chat_message({"content": "x" * (LARGEST + 1)})),
        (ANTHROPIC, message({"type": "text", "text": SAID}, stop="max_tokens")),
        (ANTHROPIC, message({"type": "thinking", "thinking": "Hm", "signature": "s"})),
        (ANTHROPIC, message()),
    ],
)
async def test_an_answer_that_is_not_whole_is_not_kept(wire: Wire, whole: bytes) -> None:
    gateway = fake_gateway(one_provider(wire), (200, JSON, whole))
    assert states(await zero(gateway, wire), await zero(gateway, wire)) == [b"MISS", b"MISS"]


@BOTH
async def test_an_answer_that_calls_tools_is_kept(wire: Wire) -> None:
    gateway = fake_gateway(one_provider(wire), (200, JSON, CALLING[wire]))
    assert states(await zero(gateway, wire), await zero(gateway, wire)) == [b"MISS", b"HIT"]


async def test_an_error_is_marked_and_not_kept() -> None:
    gateway = fake_gateway(one_provider(CHAT), bad(CHAT, 400), good(CHAT))
    first, second = await zero(gateway, CHAT), await zero(gateway, CHAT)
    assert [first.status, second.status] == [400, 200]
    assert states(first, second) == [b"MISS", b"MISS"]


async def test_an_answer_translated_from_another_wire_is_kept_in_the_clients() -> None:
    gateway = fake_gateway(one_provider(ANTHROPIC), good(ANTHROPIC))
    first, second = await zero(gateway, CHAT), await zero(gateway, CHAT)
    assert states(first, second) == [b"MISS", b"HIT"]
    assert second.json["choices"] == first.json["choices"]
    assert states(await zero(gateway, ANTHROPIC)) == [b"MISS"]


async def test_no_key_is_given_what_another_got() -> None:
    (one, first), (two, second) = key("one"), key("two")
    gateway = fake_gateway(one_provider(CHAT, **keyed(one, two)), good(CHAT), require_key=True)
    for header in (first, second):
        await zero(gateway, CHAT, header, IDEMPOTENT)
    assert len(gateway.upstream.sent) == 2
    gateway.live.cache = Cache(gateway.clock, CacheLimits(shared=True))
    assert states(await zero(gateway, CHAT, first), await zero(gateway, CHAT, second)) == [b"MISS", b"HIT"]


async def test_a_key_that_may_not_ask_is_not_answered_from_memory_either() -> None:
    one, header = key("one", allowed_models=("up/other",))
    gateway = fake_gateway(one_provider(CHAT), good(CHAT))
    await zero(gateway, CHAT, IDEMPOTENT)
    gateway.live.snapshot = one_provider(CHAT, **keyed(one))
    gateway.live.cache.limits = CacheLimits(shared=True)
    refused = await zero(gateway, CHAT, header, IDEMPOTENT)
    assert (refused.status, states(refused)) == (403, [None])


async def test_answers_for_no_log_keys_are_kept_apart() -> None:
    quiet, header = key("quiet", no_log=True)
    gateway = fake_gateway(one_provider(CHAT, **keyed(quiet)), good(CHAT))
    assert states(await zero(gateway, CHAT, header), await zero(gateway, CHAT, header)) == [b"MISS", b"HIT"]
    assert (len(gateway.live.cache.shelf), len(gateway.live.cache.private)) == (0, 1)


@pytest.mark.parametrize("change", ["provider", "account"])
async def test_another_base_url_of_the_provider_is_a_miss(change: str) -> None:
    gateway = fake_gateway(one_provider(CHAT), good(CHAT))
    await zero(gateway, CHAT)
    url = "http://127.0.0.1:8/v1"
    there = provider(CHAT, url if change == "provider" else "http://127.0.0.1:9/v1")
    connections = {there.id: accounts("key-1", base_url=url if change == "account" else "")}
    gateway.live.snapshot = Snapshot(providers={there.id: there}, prefixes={"up": there.id}, connections=connections)
    assert states(await zero(gateway, CHAT)) == [b"MISS"]


@pytest.mark.parametrize("rule", [GatewaySettings(thinking=ThinkingRule("auto")), GatewaySettings(system_prompt="Brief")])
async def test_the_owners_settings_are_part_of_the_cache_key(rule: GatewaySettings) -> None:
    gateway = fake_gateway(one_provider(CHAT), good(CHAT))
    await zero(gateway, CHAT)
    gateway.live.snapshot = one_provider(CHAT, settings=rule)
    assert states(await zero(gateway, CHAT)) == [b"MISS"]


def a_combo(*models: str) -> dict[str, Any]:
    combo = Combo("c1", "both", tuple(ComboEntry(model) for model in models), "random")
    return {"combos": {"both": combo}}


async def test_a_combo_has_one_cache_key_whatever_model_it_chooses() -> None:
    gateway = fake_gateway(one_provider(CHAT, **a_combo("up/m", "up/n")), good(CHAT))
    answers = [await zero(gateway, CHAT, model="both") for _ in range(8)]
    assert states(*answers) == [b"MISS"] + [b"HIT"] * 7
    assert (gateway.records[-1].combo, gateway.records[-1].provider, answers[-1].header(b"x-omniroute-route")) == (
        "both", "", b"both; cache=hit",
    )  # fmt: skip
    gateway.live.snapshot = one_provider(CHAT, **a_combo("up/m"))
    assert states(await zero(gateway, CHAT, model="both")) == [b"MISS"]


# -- every wire


CLIENTS: list[tuple[Line, str, dict[str, Any]]] = [
    (Line("openai-responses"), "/v1/responses", {"model": MODEL, "input": "Greet me", "temperature": 0}),
    (Line("ollama"), "/api/chat", {"model": MODEL, "messages": [], "stream": False, "options": {"temperature": 0}}),
    (Line("ollama-generate"), "/api/generate", {
        "model": MODEL, "prompt": "Greet me", "stream": False, "options": {"temperature": 0},
    }),
    (Line("gemini", model=MODEL), f"/v1beta/models/{MODEL}:generateContent", {
        "contents": [{"role": "user", "parts": [{"text": "Greet me"}]}], "generationConfig": {"temperature": 0},
    }),
]  # fmt: skip


@pytest.mark.parametrize(("line", "path", "body"), CLIENTS, ids=[line.wire for line, _, _ in CLIENTS])
async def test_clients_of_every_wire_are_served_from_the_cache(line: Line, path: str, body: dict[str, Any]) -> None:
    gateway = fake_gateway(one_provider(CHAT), good(CHAT))

    async def again(line: Line) -> FakeExchange:
        made = exchange(CHAT, body, path=path)
        await pipeline.serve(gateway, made, line)
        gateway.hands.advance(2)
        return made

    first, second = await again(line), await again(line)
    assert states(first, second) == [b"MISS", b"HIT"]
    assert first.json.keys() == second.json.keys()
    changed = {name for name in first.json if first.json[name] != second.json[name]}
    assert changed == {"openai-responses": {"id", "created_at"}, "gemini": {"responseId"}}.get(line.wire, {"created_at"})
    if line.model:
        assert states(await again(Line("gemini", model="up/other"))) == [b"MISS"]


async def test_the_id_of_an_answer_that_the_vendor_keeps_stays() -> None:
    answer = {
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m",
        "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                    "content": [{"type": "output_text", "text": SAID, "annotations": []}]}],
        "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
    }  # fmt: skip
    upstream = msgspec.structs.replace(provider(CHAT), wire="openai-responses")
    connections = {upstream.id: accounts("key-1")}
    state = Snapshot(providers={upstream.id: upstream}, prefixes={"up": upstream.id}, connections=connections)
    gateway = fake_gateway(state, (200, JSON, json.dumps(answer).encode()))
    for store, cache, same in ((True, b"MISS", True), (None, b"HIT", True), (False, b"MISS", True), (False, b"HIT", False)):
        body = {"model": MODEL, "input": "Greet me", "temperature": 0} | ({} if store is None else {"store": store})
        made = exchange(CHAT, body, path="/v1/responses")
        await pipeline.serve(gateway, made, Line("openai-responses"))
        assert (states(made), made.json["id"] == "resp_1") == ([cache], same)


# -- renewed ids


@pytest.mark.parametrize(
    ("wire", "stored", "kept"),
    [
        ("openai-chat", {"id": "chatcmpl-1", "created": 1}, {"created": 9}),
        ("openai-responses", {"id": "resp_1", "created_at": 1}, {"created_at": 9}),
        ("anthropic", {"id": "msg_bdrk_1"}, {}),
        ("gemini", {"responseId": "abc"}, {}),
    ],
)
def test_an_answer_is_renewed_in_the_manner_of_its_wire(wire: str, stored: dict[str, Any], kept: dict[str, Any]) -> None:
    name = next(iter(stored))
    one, two = (json.loads(renewed(wire, json.dumps({**stored, "rest": 1}).encode(), 9.5)) for _ in range(2))
    ids = one.pop(name), two.pop(name)
    assert len({*ids, stored[name]}) == 3
    assert ids[0].startswith({"openai-chat": "chatcmpl-", "openai-responses": "resp_", "anthropic": "msg_"}.get(wire, ""))
    assert one == two == {**kept, "rest": 1}


@pytest.mark.parametrize("wire", ["ollama", "ollama-generate"])
def test_where_answers_have_no_id_their_time_is_renewed(wire: str) -> None:
    stored = b'{"model":"m","created_at":"2024-01-01T00:00:00Z","done":true}'
    assert json.loads(renewed(wire, stored, 0.0))["created_at"] == "1970-01-01T00:00:00.000Z"


def test_what_cannot_be_read_is_not_worth_keeping() -> None:
    assert not worth_keeping(Answer())
    assert worth_keeping(collect(FORMATS["openai-chat"].decode_answer(CHAT.whole)))


# -- idempotency


@BOTH
async def test_a_repetition_is_given_the_first_answer_word_for_word(wire: Wire) -> None:
    gateway = fake_gateway(one_provider(wire), good(wire))
    first, second = await ask(gateway, wire, IDEMPOTENT), await ask(gateway, wire, IDEMPOTENT)
    assert second.text == first.text == wire.whole
    assert (first.header(b"x-omniroute-idempotent"), second.header(b"x-omniroute-idempotent")) == (None, b"true")
    assert second.header(b"x-omniroute-route") == b"up; replayed"
    assert (len(gateway.upstream.sent), len(gateway.records)) == (1, 1)
    gateway.hands.advance(WINDOW)
    assert (await ask(gateway, wire, IDEMPOTENT)).header(b"x-omniroute-idempotent") is None


async def test_twenty_equal_calls_at_once_reach_the_provider_once() -> None:
    gateway = fake_gateway(one_provider(CHAT), good(CHAT))
    answers = await asyncio.gather(*(ask(gateway, CHAT, IDEMPOTENT) for _ in range(20)))
    assert {(answer.status, answer.text) for answer in answers} == {(200, CHAT.whole)}
    assert (len(gateway.upstream.sent), len(gateway.records)) == (1, 1)
    assert sum(answer.header(b"x-omniroute-idempotent") == b"true" for answer in answers) == 19


async def test_a_hit_of_the_cache_is_replayed_with_its_id() -> None:
    gateway = fake_gateway(one_provider(CHAT), good(CHAT))
    await zero(gateway, CHAT)
    hit, repeated = await zero(gateway, CHAT, IDEMPOTENT), await zero(gateway, CHAT, IDEMPOTENT)
    assert hit.json["id"] == repeated.json["id"] != "chatcmpl-1"


@BOTH
async def test_a_failure_is_not_replayed(wire: Wire) -> None:
    gateway = fake_gateway(one_provider(wire), bad(wire, 400), good(wire))
    assert (await ask(gateway, wire, IDEMPOTENT)).status == 400
    assert (await ask(gateway, wire, IDEMPOTENT)).status == 200
    assert gateway.live.replays.active == 1


class Gate:
    """Holds every call upstream until it is opened."""

    def __init__(self, gateway: FakeGateway) -> None:
        self.open = asyncio.Event()
        self.called = 0
        self._whole = gateway.upstream.whole_as
        gateway.upstream.whole_as = self  # type: ignore[method-assign, assignment]

    async def __call__(self, *given: Any, **named: Any) -> Any:
        self.called += 1
        await self.open.wait()
        return await self._whole(*given, **named)


async def test_when_the_client_of_the_first_call_leaves_the_next_makes_the_call() -> None:
    gateway = fake_gateway(one_provider(CHAT), good(CHAT))
    gate = Gate(gateway)
    calls = [exchange(CHAT, CHAT.ask(MODEL), IDEMPOTENT) for _ in range(3)]
    tasks = [spawn(pipeline.serve(gateway, made, Line(CHAT.name)), "call") for made in calls]
    await until(lambda: gate.called == 1)
    calls[0].gone = True
    await cancel(tasks[0])
    await until(lambda: gate.called == 2)
    gate.open.set()
    await asyncio.gather(*tasks[1:])
    assert [made.status for made in calls[1:]] == [200, 200]
    assert (gate.called, [record.status for record in gateway.records]) == (2, [499, 200])


async def test_a_waiting_client_that_disconnects_is_recorded_and_has_no_other_effect() -> None:
    gateway = fake_gateway(one_provider(CHAT), good(CHAT))
    gate = Gate(gateway)
    calls = [exchange(CHAT, CHAT.ask(MODEL), IDEMPOTENT) for _ in range(2)]
    tasks = [spawn(pipeline.serve(gateway, made, Line(CHAT.name)), "call") for made in calls]
    await until(lambda: gate.called == 1)
    calls[1].gone = True
    await cancel(tasks[1])
    gate.open.set()
    await tasks[0]
    assert (calls[0].status, [record.status for record in gateway.records]) == (200, [499, 200])
    assert gateway.live.running == 0


async def test_a_generated_request_id_does_not_join_two_calls() -> None:
    gateway = fake_gateway(one_provider(CHAT), good(CHAT))
    for _ in range(2):  # exchange() gives both requests the same id
        await ask(gateway, CHAT)
    assert len(gateway.upstream.sent) == 2
    for _ in range(2):
        await ask(gateway, CHAT, (b"x-request-id", b"mine"))
    assert len(gateway.upstream.sent) == 3
