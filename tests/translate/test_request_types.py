"""Every request that we write for another wire is one that the vendor's own package could have sent.

The requests are the golden ones and the recorded ones; the packages' parameter types are made strict in ``sdk_types.py``.
On the same wire a request is relayed as it came, so only translations are looked at.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from request_order import disorder
from sdk_types import violations
from shared import needs_shared, recordings

from omniroute.errors import OmniError
from omniroute.translate.format import Target
from omniroute.translate.formats import FORMATS

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
RECORDED = {
    "openai-chat": "openai-chat",
    "openai-responses": "openai-responses",
    "anthropic-messages": "anthropic",
    "gemini-generate": "gemini",
    "gemini-stream": "gemini",
    "ollama-chat": "ollama",
}
WIRES = tuple(dict.fromkeys(RECORDED.values()))
ABLE = frozenset({"tools", "parallel_tools", "json_schema", "reasoning", "vision", "pdf"})
UNKNOWN = Target("some-model")
TARGETS = {
    "openai-chat": (
        Target("gpt-4.1", 32_768, abilities=ABLE - {"reasoning"}),
        Target("o3", 100_000, frozenset({"developer_role", "max_completion_tokens", "no_sampling", "custom_tools"}), ABLE),
    ),
    "openai-responses": (Target("gpt-5.1-codex", 128_000, frozenset({"no_sampling", "developer_role"}), ABLE),),
    "anthropic": (
        Target("claude-haiku-4-5", 64_000, abilities=ABLE),
        Target(
            "claude-opus-4-8",
            128_000,
            frozenset({"no_sampling", "mid_system", "output_format"}),
            ABLE | {"adaptive_thinking"},
        ),
    ),
    "gemini": tuple(
        Target(f"gemini-{name}", 65_536, abilities=ABLE)
        for name in ("2.0-flash", "2.5-pro", "2.5-flash", "3-pro-preview", "3-flash-preview")
    ),
    "ollama": (Target("qwen3:8b", 32_768, abilities=ABLE),),
}
# what servers take from some models and the package no longer offers
RETIRED = {"anthropic": {f"{name}: Extra inputs are not permitted" for name in ("temperature", "top_p", "top_k")}}


def golden() -> list[Any]:
    """(wire, body) of the inputs: ``<case>.<wire>.request``."""
    paths = [path for path in sorted(GOLDEN.glob("*.request")) if path.name.count(".") == 2]
    return [pytest.param(path.name.split(".")[1], path.read_bytes(), id=path.stem) for path in paths]


def recorded() -> list[Any]:
    found = [(r, r["request"]["body"]) for r in recordings(*RECORDED)]
    return [
        pytest.param(RECORDED[r["wire"]], json.dumps(body).encode(), id=r["id"])
        for r, body in found
        if isinstance(body, dict)
    ]


def check(wire: str, body: bytes) -> int:
    """How many requests were written for other wires; each is looked at."""
    written = 0
    for other in (name for name in WIRES if name != wire):
        for target in (UNKNOWN, *TARGETS[other]):
            for stream in (False, True):
                ask = FORMATS[wire].decode_request(body)
                ask.stream = stream
                try:
                    sent = FORMATS[other].encode_request(ask, target).body
                except OmniError:  # cannot be held, and the client is told
                    continue
                wrong = [e for e in violations(other, sent) if e not in RETIRED.get(other, ())]
                assert wrong + disorder(other, sent) == [], f"{other}, {target.model}"
                written += 1
    return written


@pytest.mark.parametrize(("wire", "body"), golden())
def test_golden_requests(wire: str, body: bytes) -> None:
    assert check(wire, body)


@needs_shared
@pytest.mark.parametrize(("wire", "body"), recorded())
def test_recorded_requests(wire: str, body: bytes) -> None:
    check(wire, body)


# -- the check itself


HELLO = {"role": "user", "content": "hi"}
LEAST: dict[str, dict[str, Any]] = {
    "openai-chat": {"model": "m", "messages": [HELLO]},
    "openai-responses": {"model": "m", "input": [HELLO]},
    "anthropic": {"model": "m", "max_tokens": 9, "messages": [HELLO]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    "ollama": {"model": "m", "messages": [HELLO]},
}


@pytest.mark.parametrize("wire", WIRES)
def test_the_check_knows_right_from_wrong(wire: str) -> None:
    least = LEAST[wire]
    assert violations(wire, json.dumps(least).encode()) == []
    assert violations(wire, json.dumps({**least, "colour": "blue"}).encode())
    name = next(name for name, value in least.items() if isinstance(value, list))
    inner = [{**least[name][0], "colour": "blue"}]
    assert violations(wire, json.dumps({**least, name: inner}).encode())
    assert violations(wire, json.dumps({**least, name: [{**least[name][0], "role": 7}]}).encode())
