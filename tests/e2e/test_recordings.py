"""Every recording of the wires built so far, through a real gateway: same wire, and across."""

from __future__ import annotations

import json
from typing import Any

import pytest
from processes import Process
from shared import needs_shared, recordings, tool

WIRES = {"openai-chat": ("rec-chat", "/v1/chat/completions"), "anthropic-messages": ("rec-messages", "/v1/messages")}
RECORDED = list(recordings(*WIRES))
OTHER = {"openai-chat": "anthropic-messages", "anthropic-messages": "openai-chat"}
CUTS = ("whole", "byte", "random-7")
# usage chunk that the recorded client had not asked for
UNASKED = {"huggingface-cancel-recorded-provider-stream-huggingface-1-b1b0d7f6"}


def ids(recording: dict[str, Any]) -> str:
    return str(recording["id"])


def ask(recording: dict[str, Any], model: str) -> dict[str, Any]:
    body = recording["request"]["body"]
    body = dict(body) if isinstance(body, dict) else {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 10}
    body["model"] = model
    if recording["stream"]:
        body["stream"] = True
    return body


@needs_shared
@pytest.mark.parametrize("recording", RECORDED, ids=ids)
def test_the_same_wire_gives_identical_bytes_however_they_were_cut(replaying: Process, recording: dict[str, Any]) -> None:
    prefix, path = WIRES[recording["wire"]]
    expected = (recording["response"]["body"] or "").encode()
    cuts = CUTS if len(expected) < 20_000 else CUTS[::2]
    for cut in cuts:
        body = ask(recording, f"{prefix}/{recording['id']}@{cut}")
        replaying.api("DELETE", "/api/monitoring/health")
        status, _, raw = replaying.request("POST", path, body)
        assert status == recording["response"]["status"], raw[:300]
        if recording["id"] in UNASKED:
            continue
        assert raw == expected


def plain_ask(recording: dict[str, Any], model: str) -> dict[str, Any]:
    """A request in the other wire; what it says does not matter to a replay."""
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 64}
    if recording["stream"]:
        body["stream"] = True
        if recording["wire"] == "anthropic-messages":
            body["stream_options"] = {"include_usage": True}
    return body


@needs_shared
@pytest.mark.parametrize("recording", RECORDED, ids=ids)
def test_across_wires_the_answer_means_the_same(replaying: Process, recording: dict[str, Any]) -> None:
    semantics = tool("semantics")
    prefix, _ = WIRES[recording["wire"]]
    client_wire = OTHER[recording["wire"]]
    expected = semantics.meaning_of(recording)
    replaying.api("DELETE", "/api/monitoring/health")
    body = plain_ask(recording, f"{prefix}/{recording['id']}")
    status, _, raw = replaying.request("POST", WIRES[client_wire][1], body)
    stream = recording["stream"] and recording["response"]["status"] == 200 and b"data:" in raw
    got = semantics.from_response(client_wire, raw.decode(), stream, status)
    cut_arguments = any(isinstance(call.arguments, str) for call in expected.tool_calls)
    said_nothing = not (expected.text or expected.refusal or expected.tool_calls)
    accepted = {"messages.empty-content"} if said_nothing else set()
    wrong = [v for v in got.well_formed if not (cut_arguments and v.name.endswith("args-not-json"))]
    assert [str(v) for v in wrong if v.name not in accepted] == []
    if recording["response"]["status"] >= 400:
        assert status == recording["response"]["status"]
        assert got.error is not None
        return
    if expected.error is not None:
        assert got.error is not None
        return
    assert status == 200, raw
    # Anthropic has no refusal apart from the text
    assert got.text + got.refusal == expected.text + expected.refusal
    assert got.thinking == expected.thinking
    assert [call.key() for call in got.tool_calls] == [call.key() for call in expected.tool_calls]
    # a stop reason is where Anthropic says that it was a refusal
    refused = client_wire == "anthropic-messages" and expected.refusal
    assert got.finish == ("content_filter" if refused else expected.finish or got.finish)
    for name in ("input", "output", "cache_read"):
        odd = (expected.usage.cache_read or 0) > (expected.usage.input or 0)  # a vendor that contradicts itself
        if (count := getattr(expected.usage, name)) is not None and not expected.usage.vendor and not odd:
            assert getattr(got.usage, name) == count or (not count and not getattr(got.usage, name)), name
