"""Every recording of the five wires through a real gateway: same wire, and across all pairs."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from processes import Line, Process
from shared import needs_shared, recordings, tool


class Wire(NamedTuple):
    """How a client asks on one wire.  ``path`` may hold ``{model}``."""

    prefix: str
    path: str
    body: dict[str, Any]
    stream_path: str = ""


_MESSAGES = [{"role": "user", "content": "hi"}]
_GEMINI = "/v1beta/models/{model}"
CLIENTS = {
    "openai-chat": Wire(
        "rec-chat", "/v1/chat/completions", {"messages": _MESSAGES, "stream_options": {"include_usage": True}}
    ),
    "openai-responses": Wire("rec-responses", "/v1/responses", {"input": "hi"}),
    "anthropic-messages": Wire("rec-messages", "/v1/messages", {"messages": _MESSAGES, "max_tokens": 64}),
    "gemini": Wire(
        "rec-gemini",
        f"{_GEMINI}:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        f"{_GEMINI}:streamGenerateContent?alt=sse",
    ),
    "ollama-chat": Wire("rec-ollama", "/api/chat", {"messages": _MESSAGES}),
}
CLIENT_OF = {"gemini-generate": "gemini", "gemini-stream": "gemini", **{name: name for name in CLIENTS}}
RECORDED = list(recordings(*CLIENT_OF))
CUTS = ("whole", "random-7", "byte")
SHORT = 5_000  # what is longer than this is cut in every place by the tests of the codecs alone
PAIRS = [(recording, wire) for recording in RECORDED for wire in CLIENTS if wire != CLIENT_OF[recording["wire"]]]
# a usage chunk that the client had not asked for is taken out
CHANGED = {"huggingface-cancel-recorded-provider-stream-huggingface-1-b1b0d7f6"}
# an error before anything was said is an HTTP error, so that another account or the client's own retry can help
REFUSED = {"openai-stream-rate-limited-1-0-4f93aba6": 429}
OBJECT_ARGUMENTS = ("gemini", "ollama-chat", "anthropic-messages")  # cannot hold arguments that were cut short


def ids(recording: dict[str, Any]) -> str:
    return str(recording["id"])


@pytest.fixture(scope="module")
def line(replaying: Process) -> Iterator[Line]:
    with Line(replaying.port) as made:
        yield made


def post(gateway: Process, line: Line, wire: str, model: str, body: dict[str, Any], stream: bool) -> tuple[int, bytes]:
    """One request, with every account's trouble forgotten before: each recording stands for itself."""
    client = CLIENTS[wire]
    path = (client.stream_path if stream and client.stream_path else client.path).replace("{model}", model)
    if "{model}" not in client.path:
        body = {**body, "model": model, "stream": stream}
        if not stream:
            body.pop("stream_options", None)
    assert line.request("DELETE", "/api/monitoring/health", authorization=f"Bearer {gateway.token}")[0] < 300
    status, _, raw = line.request("POST", path, body)
    return status, raw


def recorded_body(recording: dict[str, Any]) -> dict[str, Any]:
    body = recording["request"]["body"]
    return copy.deepcopy(body) if isinstance(body, dict) else dict(CLIENTS[CLIENT_OF[recording["wire"]]].body)


@needs_shared
@pytest.mark.parametrize("recording", RECORDED, ids=ids)
def test_the_same_wire_gives_identical_bytes_however_they_were_cut(
    replaying: Process, line: Line, recording: dict[str, Any]
) -> None:
    wire = CLIENT_OF[recording["wire"]]
    expected = (recording["response"]["body"] or "").encode()
    if recording["stream"] and expected[:1] == b"[":
        pytest.skip("a JSON array in answer to a request for events")
    for cut in CUTS if len(expected) < SHORT else CUTS[:2]:
        model = f"{CLIENTS[wire].prefix}/{recording['id']}@{cut}"
        status, raw = post(replaying, line, wire, model, recorded_body(recording), bool(recording["stream"]))
        assert status == REFUSED.get(recording["id"], recording["response"]["status"]), raw[:300]
        if recording["id"] not in CHANGED and recording["id"] not in REFUSED:
            assert raw == expected


@needs_shared
@pytest.mark.parametrize(
    ("recording", "client_wire"), PAIRS, ids=lambda value: value if isinstance(value, str) else ids(value)
)
def test_across_wires_the_answer_means_the_same(
    replaying: Process, line: Line, recording: dict[str, Any], client_wire: str
) -> None:
    wire = CLIENT_OF[recording["wire"]]
    semantics = tool("semantics")
    expected = semantics.meaning_of(recording)
    stream = bool(recording["stream"])
    model = f"{CLIENTS[wire].prefix}/{recording['id']}"
    status, raw = post(replaying, line, client_wire, model, CLIENTS[client_wire].body, stream)
    got = semantics.from_response(client_wire, raw.decode(), stream and status == 200, status)
    cut_arguments = any(isinstance(call.arguments, str) for call in expected.tool_calls)
    assert [str(v) for v in got.well_formed if not (cut_arguments and v.name.endswith("args-not-json"))] == []
    if recording["response"]["status"] >= 400:
        assert status == recording["response"]["status"]
        assert got.error is not None
    elif expected.error is not None:
        assert got.error is not None
    else:
        assert status == 200, raw
        compare(got, expected, semantics)


def compare(got: Any, expected: Any, semantics: Any) -> None:
    """Equal text, thinking, calls, ending and counts, as far as every wire can say them."""
    thought, text = semantics.split_think(expected.text)
    if text.lstrip().startswith("<think>"):  # cut before it ended
        thought, text = text.lstrip().removeprefix("<think>"), ""
    assert (got.text + got.refusal).strip() == (text + expected.refusal).strip()
    assert got.thinking.strip() == (thought + expected.thinking).strip()
    for ours, theirs in zip(got.tool_calls, expected.tool_calls, strict=True):
        assert ours.name == theirs.name
        assert ours.arguments == theirs.arguments or (got.wire in OBJECT_ARGUMENTS and isinstance(theirs.arguments, str))
    if not expected.refusal:
        assert (got.finish or "").removeprefix("other:") == (expected.finish or got.finish).removeprefix("other:")
    odd = expected.usage.vendor or (expected.usage.cache_read or 0) > (expected.usage.input or 0)
    for name in () if odd else ("input", "output"):
        if (count := getattr(expected.usage, name)) is not None:
            assert getattr(got.usage, name) == count, name
