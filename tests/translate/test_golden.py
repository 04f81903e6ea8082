"""The golden matrix: what one wire says, said in another, byte for byte.

``golden/<case>.<wire>.<kind>`` is the input, ``golden/<case>.<from>.<to>.<kind>`` what must come out; kinds are request,
answer, stream and error.  The table below says which pairs apply; a pair that is missing is missing here, in the open.
JSON is compared pretty-printed, so that a difference is a line.  ``python tests/translate/test_golden.py`` writes the
expected files anew; the difference then belongs into the review.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from playbook import STAMP, assert_same_however_cut, translate

from omniroute.translate.collect import collect
from omniroute.translate.events import Failure
from omniroute.translate.format import Target
from omniroute.translate.formats import FORMATS

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
CHAT, MESSAGES = "openai-chat", "anthropic"
RESPONSES = "openai-responses"
OLLAMA, GENERATE = "ollama", "ollama-generate"
GEMINI = "gemini"
BOTH = (CHAT, MESSAGES)

# (case, kind, from, to …)
TABLE: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("text", "request", CHAT, BOTH),
    ("system_and_developer", "request", CHAT, BOTH),
    ("parallel_tools", "request", CHAT, BOTH),
    ("images", "request", CHAT, BOTH),
    ("json_schema", "request", CHAT, BOTH),
    ("reasoning_effort", "request", CHAT, BOTH),
    ("stop_and_sampling", "request", CHAT, BOTH),
    ("documents", "request", CHAT, BOTH),
    ("orphans", "request", CHAT, BOTH),
    ("thinking_history", "request", MESSAGES, BOTH),
    ("tool_result_image", "request", MESSAGES, BOTH),
    ("text", "answer", CHAT, BOTH),
    ("cached_usage", "answer", CHAT, BOTH),
    ("refusal", "answer", CHAT, BOTH),
    ("logprobs", "answer", CHAT, BOTH),
    ("two_choices", "answer", CHAT, BOTH),
    ("tool_call_cut", "answer", CHAT, BOTH),
    ("empty", "answer", CHAT, BOTH),
    ("parallel_tools", "answer", CHAT, BOTH),
    ("reasoning", "answer", CHAT, BOTH),
    ("text", "answer", MESSAGES, BOTH),
    ("thinking_and_tool", "answer", MESSAGES, BOTH),
    ("text", "stream", CHAT, BOTH),
    ("interleaved_tools", "stream", CHAT, BOTH),
    ("reasoning", "stream", CHAT, BOTH),
    ("refusal", "stream", CHAT, BOTH),
    ("error_in_stream", "stream", CHAT, BOTH),
    ("cut", "stream", CHAT, BOTH),
    ("tool_call_cut", "stream", CHAT, BOTH),
    ("empty", "stream", CHAT, BOTH),
    ("thinking_and_tool", "stream", MESSAGES, BOTH),
    ("error_in_stream", "stream", MESSAGES, BOTH),
    ("rate_limit", "error", CHAT, BOTH),
    ("detail", "error", CHAT, BOTH),
    ("flat", "error", CHAT, BOTH),
    ("page", "error", CHAT, BOTH),
    ("overloaded", "error", MESSAGES, BOTH),
    *((case, "request", CHAT, (OLLAMA,)) for case in ("text", "parallel_tools", "json_schema", "reasoning_effort")),
    *((case, "request", CHAT, (OLLAMA,)) for case in ("system_and_developer", "stop_and_sampling", "orphans")),
    *((case, "request", MESSAGES, (OLLAMA,)) for case in ("thinking_history", "tool_result_image")),
    *((case, "answer", CHAT, (OLLAMA, GENERATE)) for case in ("text", "cached_usage", "refusal", "logprobs", "empty")),
    *((case, "answer", CHAT, (OLLAMA,)) for case in ("tool_call_cut", "parallel_tools", "reasoning")),
    ("thinking_and_tool", "answer", MESSAGES, (OLLAMA,)),
    *((case, "stream", CHAT, (OLLAMA, GENERATE)) for case in ("text", "reasoning", "error_in_stream", "cut", "empty")),
    *((case, "stream", CHAT, (OLLAMA,)) for case in ("interleaved_tools", "refusal", "tool_call_cut")),
    ("thinking_and_tool", "stream", MESSAGES, (OLLAMA,)),
    *((case, "error", CHAT, (OLLAMA,)) for case in ("rate_limit", "page")),
    ("tools_images_options", "request", OLLAMA, (OLLAMA, *BOTH)),
    ("system_and_options", "request", GENERATE, (OLLAMA, *BOTH)),
    ("thinking_and_tools", "answer", OLLAMA, (OLLAMA, *BOTH)),
    ("generated", "answer", OLLAMA, (OLLAMA, GENERATE, *BOTH)),
    ("thinking_and_tools", "stream", OLLAMA, (OLLAMA, *BOTH)),
    ("error_in_stream", "stream", OLLAMA, (OLLAMA, *BOTH)),
    ("cut", "stream", OLLAMA, (OLLAMA, *BOTH)),
    ("empty", "stream", OLLAMA, (OLLAMA, *BOTH)),
    ("not_found", "error", OLLAMA, (OLLAMA, *BOTH)),
    *((case, "request", CHAT, (RESPONSES,)) for case in ("text", "system_and_developer", "parallel_tools", "images")),
    *((case, "request", CHAT, (RESPONSES,)) for case in ("json_schema", "reasoning_effort", "stop_and_sampling")),
    *((case, "request", CHAT, (RESPONSES,)) for case in ("documents", "orphans")),
    *((case, "request", MESSAGES, (RESPONSES,)) for case in ("thinking_history", "tool_result_image")),
    *((case, "answer", CHAT, (RESPONSES,)) for case in ("text", "cached_usage", "refusal", "logprobs", "tool_call_cut")),
    *((case, "answer", CHAT, (RESPONSES,)) for case in ("empty", "parallel_tools", "reasoning")),
    *((case, "answer", MESSAGES, (RESPONSES,)) for case in ("text", "thinking_and_tool")),
    *((case, "stream", CHAT, (RESPONSES,)) for case in ("text", "interleaved_tools", "reasoning", "refusal", "cut")),
    *((case, "stream", CHAT, (RESPONSES,)) for case in ("empty", "error_in_stream", "tool_call_cut")),
    *((case, "stream", MESSAGES, (RESPONSES,)) for case in ("thinking_and_tool", "error_in_stream")),
    *((case, "error", CHAT, (RESPONSES,)) for case in ("rate_limit", "detail", "page")),
    ("overloaded", "error", MESSAGES, (RESPONSES,)),
    *((case, "request", RESPONSES, (RESPONSES, *BOTH)) for case in ("codex_plain", "codex_additional_tools", "settings")),
    *((case, "answer", RESPONSES, (RESPONSES, *BOTH)) for case in ("everything", "cut_by_length")),
    *((case, "stream", RESPONSES, (RESPONSES, *BOTH)) for case in ("everything", "unnamed_events", "cut_call", "cut")),
    *((case, "stream", RESPONSES, (RESPONSES, *BOTH)) for case in ("error_then_failed", "only_final")),
    ("too_long", "error", RESPONSES, (RESPONSES, *BOTH)),
    *((case, "request", CHAT, (GEMINI,)) for case in ("text", "parallel_tools", "images", "json_schema", "orphans")),
    *((case, "request", CHAT, (GEMINI,)) for case in ("system_and_developer", "reasoning_effort", "documents")),
    ("stop_and_sampling", "request", CHAT, (GEMINI,)),
    *((case, "request", MESSAGES, (GEMINI,)) for case in ("thinking_history", "tool_result_image")),
    *((case, "answer", CHAT, (GEMINI,)) for case in ("text", "cached_usage", "refusal", "logprobs", "empty")),
    *((case, "answer", CHAT, (GEMINI,)) for case in ("parallel_tools", "reasoning", "tool_call_cut")),
    ("thinking_and_tool", "answer", MESSAGES, (GEMINI,)),
    *((case, "stream", CHAT, (GEMINI,)) for case in ("text", "reasoning", "error_in_stream", "cut", "empty")),
    ("interleaved_tools", "stream", CHAT, (GEMINI,)),
    ("thinking_and_tool", "stream", MESSAGES, (GEMINI,)),
    *((case, "error", CHAT, (GEMINI,)) for case in ("rate_limit", "page")),
    ("overloaded", "error", MESSAGES, (GEMINI,)),
    ("tools_and_media", "request", GEMINI, (GEMINI, *BOTH)),
    ("thinking_and_tools", "answer", GEMINI, (GEMINI, *BOTH)),
    ("blocked", "answer", GEMINI, (GEMINI, *BOTH)),
    *((case, "stream", GEMINI, (GEMINI, *BOTH)) for case in ("thinking_and_tools", "two_finishes")),
    *((case, "stream", GEMINI, (GEMINI, *BOTH)) for case in ("error_in_stream", "cut")),
    ("quota", "error", GEMINI, (GEMINI, *BOTH)),
)
STATUS = {"too_long": 400, "rate_limit": 429, "detail": 422, "flat": 404, "page": 502, "overloaded": 529, "not_found": 404}
STATUS["quota"] = 429
TARGET = Target("target-model", max_output=8192)

PAIRS = [(case, kind, source, target) for case, kind, source, targets in TABLE for target in targets]


def _pretty(body: bytes) -> bytes:
    return msgspec.json.format(body, indent=1) + b"\n"


def render(case: str, kind: str, source: str, target: str) -> bytes:
    given = (GOLDEN / f"{case}.{source}.{kind}").read_bytes()
    reads, writes = FORMATS[source], FORMATS[target]
    if kind == "request":
        return _pretty(writes.encode_request(reads.decode_request(given), TARGET).body)
    if kind == "answer":
        return _pretty(writes.encode_answer(collect(reads.decode_answer(given)), STAMP).body)
    if kind == "error":
        return _pretty(writes.encode_error(reads.decode_error(STATUS[case], given)))
    return translate(reads, writes, [given])


@pytest.mark.parametrize(("case", "kind", "source", "target"), PAIRS)
def test_golden(case: str, kind: str, source: str, target: str) -> None:
    expected = (GOLDEN / f"{case}.{source}.{target}.{kind}").read_bytes()
    assert render(case, kind, source, target).decode() == expected.decode()


@pytest.mark.parametrize(("case", "source", "target"), [(c, s, t) for c, k, s, t in PAIRS if k == "stream"])
def test_golden_streams_are_the_same_however_they_are_cut(case: str, source: str, target: str) -> None:
    given = (GOLDEN / f"{case}.{source}.stream").read_bytes()
    assert_same_however_cut(given, lambda pieces: translate(FORMATS[source], FORMATS[target], pieces))


def test_every_golden_file_is_in_the_table() -> None:
    named = {f"{c}.{s}.{k}" for c, k, s, _ in PAIRS} | {f"{c}.{s}.{t}.{k}" for c, k, s, t in PAIRS}
    assert {path.name for path in GOLDEN.iterdir()} == named


def test_no_answer_that_has_ended_says_anything_more() -> None:
    for source in (*BOTH, RESPONSES, OLLAMA, GENERATE):
        encoder = FORMATS[source].stream_encoder(STAMP)
        assert encoder.fail(Failure(500, "x"))
        assert encoder.eof() == b""


if __name__ == "__main__":
    for pair in PAIRS:
        case, kind, source, target = pair
        (GOLDEN / f"{case}.{source}.{target}.{kind}").write_bytes(render(*pair))
