"""What real clients were seen to need, held against every byte that we send them, from upstreams of both wires.

Claude Code takes the first ``content_block_stop`` for the point of no return: an error before it is tried again, one after
it is fatal, and a stream that merely ends is lost in silence.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from data_plane import HASTY, MODEL, routed
from real_gateway import SSE, streamed, whole
from scripted_upstream import CLOSE, HANG, RESET, Answer, Piece
from shared import needs_shared, tool
from wires import (
    ANTHROPIC,
    CHAT,
    CHAT_USAGE,
    DONE,
    MESSAGE_END,
    MESSAGE_START,
    SAID,
    THINKING_BLOCK,
    WIRES,
    Wire,
    block,
    chunk,
    event,
    events,
    sse,
)

UPSTREAMS = pytest.mark.parametrize("wire", WIRES, ids=repr)
CLIENTS = pytest.mark.parametrize("client", WIRES, ids=repr)
OVERLOADED = ANTHROPIC.error_event
SIGNED = THINKING_BLOCK[:-1]
PATIENT = replace(HASTY, first_byte_timeout=30.0, stream_idle_timeout=30.0)
TEXT_AFTER = block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": SAID})
REASONING = [CHAT.opening[0], chunk({"reasoning_content": "Morning, "}), chunk({"reasoning_content": "in Switzerland."})]


def answer(pieces: Sequence[Piece]) -> Answer:
    return Answer(200, pieces, SSE, "chunked")


async def streamed_to(client: Wire, wire: Wire, pieces: Sequence[Piece]) -> bytes:
    async with routed(wire, answer(pieces)) as (plane, _):
        status, _, raw = await plane.post(client, client.ask(MODEL, stream=True))
        assert status == 200, raw
        return raw


def kinds(raw: bytes) -> list[str]:
    return [name for name, _ in events(raw)]


# -- the point of no return


BROKEN: dict[str, list[Piece]] = {"reset": [RESET], "cut": [CLOSE], "end": [], "silence": [HANG], "error": [OVERLOADED]}


@pytest.mark.parametrize("fault", BROKEN)
async def test_no_block_is_closed_before_an_error_that_follows_a_leading_thinking_block(fault: str) -> None:
    """The upstream had closed it; the client must not know."""
    raw = await streamed_to(ANTHROPIC, ANTHROPIC, [MESSAGE_START, *THINKING_BLOCK, *BROKEN[fault]])
    assert kinds(raw) == ["message_start", "content_block_start", *["content_block_delta"] * 3, "error"]


@pytest.mark.parametrize("fault", BROKEN)
async def test_the_same_when_the_thinking_comes_from_a_chat_upstream(fault: str) -> None:
    broken = [CHAT.error_event] if fault == "error" else BROKEN[fault]
    raw = await streamed_to(ANTHROPIC, CHAT, [*REASONING, *broken])
    assert "content_block_stop" not in kinds(raw)
    assert kinds(raw)[-1] == "error"
    assert kinds(raw).count("error") == 1


@pytest.mark.parametrize("between", [b"", event("ping")], ids=["at once", "after a ping"])
async def test_thinking_is_shown_live_and_its_end_when_the_next_block_begins(between: bytes) -> None:
    go = asyncio.Event()
    pieces = [MESSAGE_START, *THINKING_BLOCK, *([between] if between else []), go, *TEXT_AFTER, *MESSAGE_END]
    async with routed(ANTHROPIC, answer(pieces), limits=PATIENT) as (plane, _):
        call = await plane.open(ANTHROPIC, ANTHROPIC.ask(MODEL, stream=True))
        shown = b""
        while b"signature_delta" not in shown:
            await asyncio.sleep(0)
            shown += call.take()
        assert b"content_block_stop" not in shown
        go.set()
        assert shown + await call.read(1 << 20) == b"".join(p for p in pieces if isinstance(p, bytes))


async def test_a_turn_of_nothing_but_thinking_ends_whole() -> None:
    pieces = [MESSAGE_START, *THINKING_BLOCK, *MESSAGE_END]
    assert await streamed_to(ANTHROPIC, ANTHROPIC, pieces) == b"".join(pieces)


async def test_two_leading_thinking_blocks_hold_back_only_the_last_end() -> None:
    second = [piece.replace(b'"index": 0', b'"index": 1') for piece in THINKING_BLOCK]
    raw = await streamed_to(ANTHROPIC, ANTHROPIC, [MESSAGE_START, *THINKING_BLOCK, *second, OVERLOADED])
    assert kinds(raw).count("content_block_stop") == 1
    assert kinds(raw)[-2:] == ["content_block_delta", "error"]


@UPSTREAMS
async def test_an_error_before_anything_was_said_is_an_http_status(wire: Wire) -> None:
    """Better than a stream that dies: the client retries with back-off."""
    for opening in ([], wire.opening[:1], wire.opening):
        for client in WIRES:
            async with routed(wire, answer([*opening, wire.error_event])) as (plane, _):
                status, headers, raw = await plane.post(client, client.ask(MODEL, stream=True))
                assert status in (500, 529)
                assert headers["content-type"] == "application/json"
                assert "Overloaded" in client.error_of(raw)["message"]


async def test_an_overloaded_anthropic_stream_keeps_its_own_status() -> None:
    async with routed(ANTHROPIC, answer([MESSAGE_START, OVERLOADED])) as (plane, _):
        status, _, raw = await plane.post(ANTHROPIC, ANTHROPIC.ask(MODEL, stream=True))
        assert status == 529
        assert ANTHROPIC.error_of(raw)["type"] == "overloaded_error"


@UPSTREAMS
async def test_the_first_open_text_block_is_left_open_before_an_error(wire: Wire) -> None:
    raw = await streamed_to(ANTHROPIC, wire, [*wire.opening, wire.first, wire.error_event])
    assert kinds(raw) == ["message_start", "content_block_start", "content_block_delta", "error"]
    error = ANTHROPIC.errors(raw)[0]
    assert (error["type"], error["message"]) == ("overloaded_error", "Overloaded, try later")


# -- endings


@UPSTREAMS
async def test_a_message_ends_with_message_stop_and_nothing_after_it(wire: Wire) -> None:
    raw = await streamed_to(ANTHROPIC, wire, wire.stream)
    assert kinds(raw)[-2:] == ["message_delta", "message_stop"]
    assert b"[DONE]" not in raw
    assert kinds(raw).count("message_stop") == kinds(raw).count("message_start") == 1


@UPSTREAMS
async def test_a_chat_stream_ends_with_its_usage_and_done(wire: Wire) -> None:
    raw = await streamed_to(CHAT, wire, wire.stream)
    assert raw.endswith(DONE)
    assert raw.count(b"[DONE]") == 1
    last = json.loads(events(raw)[-2][1])
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 26


@pytest.mark.parametrize("tail", [[], [DONE]], ids=["no finish, no done", "no finish"])
async def test_a_chat_answer_that_was_cut_is_never_called_complete(tail: list[bytes]) -> None:
    for client in WIRES:
        if client is CHAT and tail:
            continue  # relayed as it came
        raw = await streamed_to(client, CHAT, [*CHAT.opening, CHAT.first, *tail])
        if tail:
            assert kinds(raw)[-1] == "message_stop"  # some vendors give no finish reason: [DONE] is their end
        else:
            assert len(client.errors(raw)) == 1


async def test_a_cut_tool_call_of_a_chat_upstream_is_an_error_for_an_anthropic_client() -> None:
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a'}}
    raw = await streamed_to(ANTHROPIC, CHAT, [*CHAT.opening, chunk({"tool_calls": [call]}), CLOSE])
    assert kinds(raw)[-1] == "error"
    assert "content_block_stop" not in kinds(raw)


# -- usage


DETAILS = {"input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"}


@pytest.mark.parametrize(
    "usage", [CHAT_USAGE, {"prompt_tokens": 21, "completion_tokens": 5}, None], ids=["full", "bare", "none"]
)
async def test_an_anthropic_client_gets_every_usage_field(usage: dict[str, Any] | None) -> None:
    pieces = [*CHAT.stream[:-2], *([chunk(None, usage=usage)] if usage else []), DONE]
    raw = await streamed_to(ANTHROPIC, CHAT, pieces)
    found = {name: json.loads(data) for name, data in events(raw)}
    assert found["message_start"]["message"]["usage"].keys() >= DETAILS
    last = found["message_delta"]["usage"]
    assert last.keys() >= DETAILS
    assert all(isinstance(last[name], int) for name in DETAILS)
    cached = 16 if usage is CHAT_USAGE else 0
    if usage:
        assert (last["input_tokens"], last["cache_read_input_tokens"], last["output_tokens"]) == (21 - cached, cached, 5)


async def test_a_chat_client_gets_every_usage_field() -> None:
    raw = await streamed_to(CHAT, ANTHROPIC, ANTHROPIC.stream)
    usage = json.loads(events(raw)[-2][1])["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (21, 5, 26)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 16
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 0


@CLIENTS
@UPSTREAMS
async def test_whole_answers_have_the_same_usage(client: Wire, wire: Wire) -> None:
    async with routed(wire, whole(wire.whole)) as (plane, _):
        _, _, raw = await plane.post(client)
        usage = json.loads(raw)["usage"]
    if client is CHAT:
        assert (usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"], usage["total_tokens"]) == (
            21,
            16,
            26,
        )
    else:
        assert usage.keys() >= DETAILS
        assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]) == (5, 16, 5)


# -- silence


@CLIENTS
@UPSTREAMS
async def test_silence_is_filled_in_the_clients_own_way_and_never_inside_an_event(client: Wire, wire: Wire) -> None:
    go = asyncio.Event()
    head, tail = wire.first[:30], wire.first[30:]
    pieces = [*wire.opening, wire.first, head, go, tail, *wire.stream[len(wire.opening) + 2 :]]
    limits = replace(PATIENT, keepalive_interval=0.02)
    async with routed(wire, answer(pieces), limits=limits) as (plane, _):
        call = await plane.open(client, client.ask(MODEL, stream=True))
        raw = b""
        ping = b": keep-alive\n\n" if client is CHAT else b'event: ping\ndata: {"type": "ping"}\n\n'
        while raw.count(ping) < 2:
            await asyncio.sleep(0.005)
            raw += call.take()
        go.set()
        raw += await call.read(1 << 20)
    assert client.text(raw, True).startswith("Good Good ")
    assert client.errors(raw) == []


@CLIENTS
async def test_nothing_is_sent_while_the_upstream_is_silent_before_its_first_event(client: Wire) -> None:
    """No status, no keep-alive: another account may still answer."""
    for wire in WIRES:
        async with routed(wire, answer([*wire.opening, HANG]), answer(wire.stream), secrets=("k1", "k2")) as (plane, _):
            status, headers, raw = await plane.post(client, client.ask(MODEL, stream=True))
            assert (status, client.text(raw, True)) == (200, SAID)
            assert "failed=up/acct-1 (504)" in headers["x-omniroute-route"]


# -- statuses that clients act on


@CLIENTS
@UPSTREAMS
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_retry_after_and_the_status_are_kept(client: Wire, wire: Wire, stream: bool) -> None:
    for status, kind in (429, "rate_limit_error"), (503, "api_error"), (529, "overloaded_error"):
        said = whole(wire.error(kind, "Later"), status, retry_after="7")
        async with routed(wire, said) as (plane, _):
            got, headers, raw = await plane.post(client, client.ask(MODEL, stream=stream))
            assert (got, headers["retry-after"]) == (status, "7")
            assert client.error_of(raw)["type"]
            again, headers, raw = await plane.post(client, client.ask(MODEL, stream=stream))
            assert again in (status, 503)
            assert 5 <= int(headers["retry-after"]) <= 60
            assert client.error_of(raw)["message"]


@pytest.mark.parametrize(
    ("status", "kind"), [(429, "rate_limit_error"), (529, "overloaded_error"), (401, "authentication_error")]
)
async def test_an_anthropic_client_reads_the_type_of_a_chat_upstreams_error(status: int, kind: str) -> None:
    async with routed(CHAT, whole(CHAT.error("server_error", "No"), status)) as (plane, _):
        _, _, raw = await plane.post(ANTHROPIC)
        assert ANTHROPIC.error_of(raw)["type"] == kind


@UPSTREAMS
async def test_an_upstreams_error_body_is_kept_on_the_same_wire(wire: Wire) -> None:
    """Retry logic reads wording, also in members that we do not know."""
    body = json.dumps({**json.loads(wire.error("odd_error", "Odd")), "vendor": {"detail": [1]}}, indent=2).encode()
    for status in (400, 429, 500):
        async with routed(wire, whole(body, status)) as (plane, _):
            got, _, raw = await plane.post(wire)
            assert (got, raw) == (status, body)


# -- the client's mode, whatever the upstream's


@CLIENTS
@UPSTREAMS
async def test_an_upstream_that_only_streams_serves_whole_answers(client: Wire, wire: Wire) -> None:
    async with routed(wire, streamed(*wire.stream)) as (plane, _):
        status, headers, raw = await plane.post(client)
        assert (status, headers["content-type"]) == (200, "application/json")
        assert client.text(raw, False) == SAID


@CLIENTS
@UPSTREAMS
async def test_an_upstream_that_cannot_stream_serves_streams(client: Wire, wire: Wire) -> None:
    async with routed(wire, whole(wire.whole)) as (plane, _):
        status, headers, raw = await plane.post(client, client.ask(MODEL, stream=True))
        assert status == 200
        assert headers["content-type"].startswith("text/event-stream")
        assert client.text(raw, True) == SAID


@CLIENTS
@UPSTREAMS
async def test_without_stream_there_is_no_stream(client: Wire, wire: Wire) -> None:
    for absent in ({}, {"stream": False}, {"stream": None}):
        async with routed(wire, whole(wire.whole)) as (plane, upstream):
            _, _, raw = await plane.post(client, {**client.ask(MODEL), **absent})
            assert client.text(raw, False) == SAID
            assert not json.loads(upstream.requests[0].body).get("stream")


# -- the grammar of what we make


ODD: dict[str, list[bytes]] = {
    "no content": [CHAT.opening[0], chunk({}, "stop"), DONE],
    "no role": [chunk({"content": SAID}), chunk({}, "stop"), DONE],
    "role in every chunk": [chunk({"role": "assistant", "content": piece}) for piece in ("a", "b")]
    + [chunk({}, "stop"), DONE],
    "text after tools": [
        chunk({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}),
        chunk({"content": "done"}),
        chunk({}, "tool_calls"),
        DONE,
    ],
    "gaps in the indexes": [
        chunk(
            {"tool_calls": [{"index": n, "id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
        )
        for n in (1, 5)
    ]
    + [chunk({}, "tool_calls"), DONE],
    "thinking twice": [
        *REASONING,
        chunk({"content": "a"}),
        chunk({"reasoning_content": "b"}),
        chunk({"content": "c"}),
        chunk({}, "stop"),
        DONE,
    ],
    "finish twice": [chunk({"content": "a"}), chunk({}, "stop"), chunk({}, "stop"), DONE],
    "content filter": [chunk({"content": "a"}), chunk({}, "content_filter"), DONE],
    "a comment": [sse({}).replace(b"data: {}", b": hello"), chunk({"content": "a"}), chunk({}, "stop"), DONE],
}


@needs_shared
@pytest.mark.parametrize("case", ODD)
async def test_odd_chat_streams_become_well_formed_messages(case: str) -> None:
    raw = await streamed_to(ANTHROPIC, CHAT, ODD[case])
    meaning = tool("semantics").from_response("anthropic-messages", raw.decode(), True, 200)
    assert [str(violation) for violation in meaning.well_formed] == []
