from __future__ import annotations

import asyncio
import json
import threading
from typing import Any, cast

import pytest
from data_plane import JSON, MODEL
from fakes_gateway import SSE, FakeCall, FakeGateway, exchange, fake_gateway, job, one_provider
from wires import ANTHROPIC, CHAT, SAID, WIRES, Wire, chat_message, chunk

from omniroute.gateway import attempt as module
from omniroute.gateway import pipeline
from omniroute.gateway.attempt import ENDS, attempt, fold, make_pipe, stamp
from omniroute.gateway.job import ChatJob, Line
from omniroute.gateway.render import Prepared, same_wire
from omniroute.gateway.translation import Translation, Undecided
from omniroute.translate.collect import collect
from omniroute.translate.conversation import Text
from omniroute.translate.events import Failure
from omniroute.translate.format import BadAnswer
from omniroute.translate.formats import RELAYS
from omniroute.translate.peek import peek
from omniroute.translate.relay_anthropic import AnthropicTap

BOTH = pytest.mark.parametrize("wire", WIRES, ids=repr)


def ready(gateway: FakeGateway, client: Wire, **more: Any) -> ChatJob:
    """A job as far as the pipeline takes it before an attempt."""
    made = job(client, client.ask(MODEL, **more), gateway.hands.monotonic())
    made.peek = peek(made.exchange.request.body, RELAYS[client.name].members)
    made.requested = made.peek.model
    made.route = gateway.routes.resolve(gateway.live.snapshot, made.requested, "")
    made.account = gateway.live.snapshot.connections["node-up"][0]
    return made


async def run(gateway: FakeGateway, made: ChatJob) -> Failure | None:
    assert made.route is not None
    assert made.account is not None
    return await attempt(gateway, made, made.route, made.account)


@BOTH
@pytest.mark.parametrize("client", WIRES, ids=repr)
async def test_an_answer_reaches_the_client_and_the_books(wire: Wire, client: Wire) -> None:
    gateway = fake_gateway(one_provider(wire), (200, JSON, wire.whole))
    made = ready(gateway, client)
    assert await run(gateway, made) is None
    exchange: Any = made.exchange
    assert client.text(exchange.text, False) == SAID
    assert made.usage is not None
    assert (made.status, made.usage.input, made.usage.output) == (200, 21, 5)
    assert made.upstream_model in ("gpt-x", "claude-x")
    assert gateway.live.in_flight == {}


@pytest.mark.parametrize("client", WIRES, ids=repr)
async def test_what_an_answer_without_usage_says_is_its_estimate(client: Wire) -> None:
    gateway = fake_gateway(one_provider(CHAT), (200, JSON, chat_message({"content": "word " * 80}, usage=None)))
    made = ready(gateway, client)
    assert await run(gateway, made) is None
    assert (made.usage, made.pieces) == (None, 100)


@pytest.mark.parametrize("text", ["<think>why</think>so", "\n<think>\nwhy\n</think>\n\nso"])
async def test_thinking_in_tags_at_the_start_of_a_whole_answer_moves_to_its_own_member(text: str) -> None:
    gateway = fake_gateway(one_provider(CHAT), (200, JSON, chat_message({"content": text})))
    made = ready(gateway, CHAT)
    assert await run(gateway, made) is None
    exchange: Any = made.exchange
    message = json.loads(exchange.text)["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"].strip()) == ("so", "why")
    assert made.usage is not None
    assert (made.usage.input, made.usage.output) == (21, 5)


async def test_thinking_in_tags_moves_too_where_one_choice_is_asked_for_by_number() -> None:
    gateway = fake_gateway(one_provider(CHAT), (200, JSON, chat_message({"content": "<think>why</think>so"})))
    made = ready(gateway, CHAT, n=1)
    assert await run(gateway, made) is None
    exchange: Any = made.exchange
    assert json.loads(exchange.text)["choices"][0]["message"]["content"] == "so"


async def test_tags_that_an_answer_talks_about_and_those_of_several_choices_stay() -> None:
    for text, more in (("It says <think>", {}), ("<think>why</think>so", {"n": 2})):
        whole = chat_message({"content": text})
        gateway = fake_gateway(one_provider(CHAT), (200, JSON, whole))
        made = ready(gateway, CHAT, **more)
        assert await run(gateway, made) is None
        exchange: Any = made.exchange
        assert exchange.text == whole


@BOTH
@pytest.mark.parametrize("client", WIRES, ids=repr)
async def test_an_upstream_that_serves_streams_alone_answers_whole_too(wire: Wire, client: Wire) -> None:
    refusal = wire.error("invalid_request_error", "Stream must be set to true")
    gateway = fake_gateway(one_provider(wire), (400, JSON, refusal), (200, SSE, b"".join(wire.stream)))
    made = ready(gateway, client)
    assert await run(gateway, made) is None
    exchange: Any = made.exchange
    assert client.text(exchange.text, False) == SAID
    assert "answered as a stream" in exchange.header(b"x-omniroute-route").decode()
    first, again = map(json.loads, gateway.upstream.sent)
    assert again == first | {"stream": True} | ({"stream_options": {"include_usage": True}} if wire is CHAT else {})
    assert made.usage is not None
    assert (made.usage.input, made.usage.output) == (21, 5)
    gateway = fake_gateway(one_provider(wire), (400, JSON, refusal))
    failure = await run(gateway, ready(gateway, client))
    assert (failure and failure.status, len(gateway.upstream.sent)) == (400, 2)


@pytest.mark.parametrize("stream", [b"data: {oops\n\n", b"", b": ping\n\n", chunk({"content": "a"})])
async def test_a_broken_stream_where_a_whole_answer_was_asked_for_is_said_to_be_one(stream: bytes) -> None:
    gateway = fake_gateway(one_provider(CHAT), (200, SSE, stream))
    failure = await run(gateway, ready(gateway, CHAT))
    assert failure is not None
    assert (failure.status, failure.message[:46]) == (502, "Invalid SSE response for non-streaming request")


@BOTH
async def test_on_the_same_wire_not_one_byte_of_the_answer_changes(wire: Wire) -> None:
    odd = wire.whole.replace(b"{", b'{ "vendor":  [1, 2],', 1)
    gateway = fake_gateway(one_provider(wire), (200, JSON, odd))
    made = ready(gateway, wire)
    await run(gateway, made)
    exchange: Any = made.exchange
    assert exchange.text == odd


async def test_header_fields_of_the_wire_travel_both_ways_on_the_same_wire_only() -> None:
    answer = [
        *JSON,
        (b"anthropic-ratelimit-requests-limit", b"5"),
        (b"request-id", b"req_1"),
        (b"server", b"x"),
        (b"set-cookie", b"a=b"),
    ]
    for client, travels in ((ANTHROPIC, True), (CHAT, False)):
        gateway = fake_gateway(one_provider(ANTHROPIC), (200, answer, ANTHROPIC.whole))
        made = ready(gateway, client)
        made.exchange.request.headers += [
            (b"anthropic-beta", b"x-1"),
            (b"authorization", b"Bearer sk-client"),
            (b"x-other", b"1"),
        ]
        await run(gateway, made)
        assert gateway.upstream.extra == [[(b"anthropic-beta", b"x-1")] if travels else []]
        exchange: Any = made.exchange
        names = {name for name, _ in exchange.headers}
        assert (b"request-id" in names) == (b"anthropic-ratelimit-requests-limit" in names) == travels
        assert not names & {b"server", b"set-cookie"}


@BOTH
async def test_what_cannot_be_read_is_a_failure_and_nothing_is_sent(wire: Wire) -> None:
    for body in (b"<html>", b"", b"null", b"{"):
        for client in WIRES:
            gateway = fake_gateway(one_provider(wire), (200, JSON, body))
            made = ready(gateway, client)
            with pytest.raises(BadAnswer):
                await run(gateway, made)
            assert not made.exchange.started


async def test_the_request_is_decoded_once_for_all_attempts() -> None:
    gateway = fake_gateway(one_provider(ANTHROPIC), (500, JSON, b"{}"), (200, JSON, ANTHROPIC.whole))
    made = ready(gateway, CHAT)
    assert (await run(gateway, made)) is not None
    first = made.ask
    assert (await run(gateway, made)) is None
    assert made.ask is first


def route_of(gateway: FakeGateway) -> Any:
    return gateway.routes.resolve(gateway.live.snapshot, MODEL, "")


def test_the_same_wire_is_tapped_and_another_translated() -> None:
    for wire, kind in ((CHAT, Undecided), (ANTHROPIC, AnthropicTap)):
        gateway = fake_gateway(one_provider(wire))
        made = ready(gateway, wire, stream=True)
        assert made.peek is not None
        prepared = same_wire(made.peek, route_of(gateway), wire.name)
        assert isinstance(make_pipe(made, route_of(gateway), prepared, stamp(gateway, made, prepared)), kind)
        other = ready(gateway, CHAT if wire is ANTHROPIC else ANTHROPIC, stream=True)
        assert isinstance(make_pipe(other, route_of(gateway), prepared, stamp(gateway, other, prepared)), Translation)


def test_the_stamp_has_what_an_upstream_may_not_say() -> None:
    gateway = fake_gateway(one_provider(CHAT))
    made = ready(gateway, CHAT, stream=True)
    mark = stamp(gateway, made, Prepared(b"", (), {"a": "b"}, False))
    assert (mark.id, mark.created, mark.model) == ("0f8fad5bd9cb469fa16570867728950e", int(gateway.hands.now), "up/m")
    assert (mark.include_usage, mark.names) == (True, {"a": "b"})


@BOTH
def test_a_stream_folds_into_an_answer(wire: Wire) -> None:
    answer = collect(fold(wire.name, b"".join(wire.stream)))
    assert [block.text for block in answer.blocks if isinstance(block, Text)] == [SAID]
    assert answer.failure is None


def test_a_stream_that_was_cut_folds_into_a_failure() -> None:
    assert collect(fold("openai-chat", b"".join(CHAT.stream[:2]))).failure is not None
    with pytest.raises(BadAnswer):
        fold("openai-chat", b"data: {oops\n\n")


NDJSON = [(b"content-type", b"application/x-ndjson")]
ENDED = [
    ("openai-chat", SSE, b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n', b"data: [DONE]\n\n"),
    ("openai-chat", SSE, b": so far so good\n\n", b'data: {"error":{"message":"No"}}\n\n'),
    ("anthropic", SSE, ANTHROPIC.stream[0], b"".join(ANTHROPIC.stream[1:])),
    ("openai-responses", SSE, b"", b'data: {"type":"response.completed","response":{"output":[]}}\n\n'),
    ("ollama", NDJSON, b'{"message":{"content":"a"},"done":false}\n', b'{"message":{"content":""},"done":true}\n'),
    ("openai-chat", SSE, b"", b"data: {oops\n\n"),
]


@pytest.mark.parametrize(("wire", "kind", "before", "end"), ENDED)
def test_a_stream_for_a_whole_answer_ends_where_its_wire_says_so(wire: str, kind: Any, before: bytes, end: bytes) -> None:
    reached = ENDS[wire](kind)
    assert reached is not None
    assert [reached(before), reached(end[:-1]), reached(end[-1:])] == [False, False, True]
    assert ENDS[wire](JSON) is None


@BOTH
async def test_a_whole_answer_to_a_stream_request_is_streamed_with_its_usage(wire: Wire) -> None:
    for client in WIRES:
        gateway = fake_gateway(one_provider(wire), (200, JSON, wire.whole))
        made = ready(gateway, client, stream=True)
        assert await run(gateway, made) is None
        exchange: Any = made.exchange
        assert client.text(exchange.text, True) == SAID
        assert exchange.header(b"content-type").startswith(b"text/event-stream")
        assert made.usage is not None


async def test_what_the_other_wire_cannot_hold_is_named() -> None:
    gateway = fake_gateway(one_provider(ANTHROPIC), (200, JSON, ANTHROPIC.whole))
    made = ready(gateway, CHAT, seed=7, logit_bias={"1": 2})
    await run(gateway, made)
    exchange: Any = made.exchange
    dropped = exchange.header(b"x-omniroute-dropped").decode()
    assert "seed" in dropped
    assert "seed" not in json.loads(gateway.upstream.sent[0])


async def test_the_body_of_an_error_answer_to_a_stream_is_read_to_its_limit_only(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[int] = []
    read = FakeCall.read

    def watched(call: FakeCall, limit: int) -> Any:
        limits.append(limit)
        return read(call, limit)

    monkeypatch.setattr(FakeCall, "read", watched)
    gateway = fake_gateway(one_provider(CHAT), (500, SSE, CHAT.error("x", "Broken")))
    made = ready(gateway, CHAT, stream=True)
    failure = await run(gateway, made)
    assert failure is not None
    assert (failure.status, failure.message) == (500, "Broken")
    assert limits == [module.ERROR_BODY]


@pytest.mark.parametrize("array", [True, False])
async def test_googles_clients_can_read_a_stream_in_which_the_upstream_was_silent(array: bool) -> None:
    """A JSON array has no room for a ping, and not all of Google's SDKs know comments."""
    gateway = fake_gateway(one_provider(CHAT))
    opened = FakeCall(gateway.hands)

    async def open_as(*_: Any, **__: Any) -> Any:
        return opened

    cast(Any, gateway.upstream).open_as = open_as
    asked = exchange(CHAT, {"contents": [{"role": "user", "parts": [{"text": "Greet me"}]}]})
    serving = asyncio.create_task(
        pipeline.serve(gateway, asked, Line("gemini", model=MODEL, stream=True, array=array))  # type: ignore[arg-type]
    )
    while opened._on_data is None:  # noqa: ASYNC110
        await asyncio.sleep(0)
    opened.push(*CHAT.stream[:2])
    before = asked.text
    gateway.hands.advance(3 * gateway.limits.keepalive_interval)
    assert (asked.text == before) is array
    opened.push(*CHAT.stream[2:])
    opened.end()
    await serving
    lines = asked.text.decode().split("\n\n")
    pages = json.loads(asked.text) if array else [json.loads(line.removeprefix("data: ")) for line in lines if line]
    assert "".join(part["text"] for page in pages for part in page["candidates"][0]["content"]["parts"]) == SAID


@BOTH
@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_in_json_where_a_stream_was_announced_is_told(wire: Wire, stream: bool) -> None:
    for client in WIRES:
        gateway = fake_gateway(one_provider(wire), (200, SSE, wire.error("overloaded_error", "Too many people")))
        failure = await run(gateway, ready(gateway, client, stream=stream))
        assert failure is not None
        assert failure.status >= 400
        assert failure.message == "Too many people"


@pytest.mark.parametrize("client", WIRES, ids=repr)
async def test_a_stream_that_was_cut_counts_what_it_said_and_not_what_its_first_event_counted(client: Wire) -> None:
    gateway = fake_gateway(one_provider(ANTHROPIC), (200, SSE, b"".join([*ANTHROPIC.opening, *[ANTHROPIC.first] * 40])))
    made = ready(gateway, client, stream=True)
    assert await run(gateway, made) is None
    assert made.failure is not None
    assert made.usage is not None
    assert made.usage.input
    assert 10 < (made.usage.output or 0) < 50  # about
    assert made.usage.estimated


async def test_a_large_body_is_translated_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[bool] = []
    translated = module.render.translated

    def watched(*given: Any) -> Prepared:
        places.append(threading.current_thread() is threading.main_thread())
        return translated(*given)

    monkeypatch.setattr(module.render, "translated", watched)
    for size in (10, module.QUICK_BODY):
        gateway = fake_gateway(one_provider(ANTHROPIC), (200, JSON, ANTHROPIC.whole))
        assert await run(gateway, ready(gateway, CHAT, metadata={"x": "x" * size})) is None
        assert json.loads(gateway.upstream.sent[0])["messages"]
    assert places == [True, False]
    made = ready(gateway, CHAT, metadata={"x": "x" * module.QUICK_BODY})
    made.attempts = 1
    leaving = asyncio.create_task(run(gateway, made))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert (made.attempts, len(gateway.upstream.sent)) == (0, 1)


@BOTH
async def test_a_whole_answer_called_a_stream_is_not_passed_on_as_one(wire: Wire) -> None:
    gateway = fake_gateway(one_provider(wire), (200, SSE, wire.whole))
    failure = await run(gateway, ready(gateway, wire, stream=True))
    assert failure is not None
    assert failure.status == 502
