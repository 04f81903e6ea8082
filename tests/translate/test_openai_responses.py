from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from playbook import STAMP, decode, translate

from omniroute.translate.collect import collect
from omniroute.translate.format import Stamp, Target
from omniroute.translate.formats import FORMATS, RELAYS

WIRE = "openai-responses"
FORMAT = FORMATS[WIRE]
GOLDEN = Path(__file__).resolve().parents[1] / "golden"
TARGET = Target("m", max_output=8192)


def test_the_wire_is_in_the_lists() -> None:
    assert (FORMAT.name, FORMAT.framing) == (WIRE, "sse")
    assert RELAYS[WIRE].required == ()


@pytest.mark.parametrize("case", ["codex_plain", "codex_additional_tools", "settings"])
def test_a_request_read_and_written_on_its_own_wire_asks_the_same(case: str) -> None:
    ask = FORMAT.decode_request((GOLDEN / f"{case}.{WIRE}.request").read_bytes())
    sent = FORMAT.encode_request(ask, TARGET)
    ask.model = TARGET.model
    assert (FORMAT.decode_request(sent.body), sent.dropped, sent.names) == (ask, (), {})


@pytest.mark.parametrize("wire", ["openai-chat", "anthropic"])
@pytest.mark.parametrize("streamed", [True, False])
def test_an_agents_tools_of_all_kinds_go_to_another_wire_and_its_calls_come_back(wire: str, streamed: bool) -> None:
    ask = FORMAT.decode_request((GOLDEN / f"codex_additional_tools.{WIRE}.request").read_bytes())
    sent = FORMATS[wire].encode_request(ask, TARGET)
    assert not [name for name in sent.dropped if name in ("server_blocks", "server_tools")]
    calls = (("exec", '{"input":"ls"}'), ("clock__now", "{}"), ("wait", '{"cmd":"x"}'))
    body = _chat_stream(calls)
    # the upstream speaks chat in both cases: what matters is who asked and under which names
    mark = Stamp("abc", 7, "m", names=sent.names, ask=ask)
    chat = FORMATS["openai-chat"]
    if streamed:
        out = translate(chat, FORMAT, [body], mark)
        response = msgspec.json.decode(out.rpartition(b"data: ")[2])["response"]
    else:
        response = msgspec.json.decode(FORMAT.encode_answer(collect(decode(chat, [body])), mark).body)
    found = [(i["type"], i.get("namespace"), i["name"], i.get("input") or i.get("arguments")) for i in response["output"]]
    assert found == [
        ("custom_tool_call", None, "exec", "ls"),
        ("function_call", "clock", "now", "{}"),
        ("function_call", None, "wait", '{"cmd":"x"}'),
    ]


def _chat_stream(calls: tuple[tuple[str, str], ...]) -> bytes:
    chunks: list[dict[str, Any]] = [
        {"choices": [{"delta": {"tool_calls": [
            {"index": n, "id": f"c{n}", "type": "function", "function": {"name": name, "arguments": text}}
        ]}}]}
        for n, (name, text) in enumerate(calls)
    ]  # fmt: skip
    chunks.append({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
    return b"".join(b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


def test_events_without_an_end_are_a_failed_response() -> None:
    out = translate(FORMAT, FORMAT, [b""], STAMP)
    assert msgspec.json.decode(out.rpartition(b"data: ")[2])["response"]["error"]["code"] == "server_error"
