"""What vendors refuse in a well-typed request: calls and results out of order.

``disorder(wire, body)`` is empty if the vendor's API would accept the conversation in a request.  Sources: the
vendors' error messages ("tool_use ids were found without tool_result blocks immediately after", "An assistant message with
'tool_calls' must be followed by tool messages", "the number of function response parts is equal to the number of function
call parts", "No tool output found for function call").
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

Json = dict[str, Any]


def disorder(wire: str, body: bytes) -> list[str]:
    """Return what is out of order in *body*, a request on *wire*."""
    return list(_CHECKS[wire](json.loads(body)))


def _chat(body: Json) -> Iterator[str]:
    waiting: list[str] = []
    for n, message in enumerate(body["messages"]):
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                yield f"messages.{n}: a result of no call"
            else:
                waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            yield f"messages.{n}: calls without result: {waiting}"
        waiting = [call["id"] for call in message.get("tool_calls", ())]
        if len(set(waiting)) < len(waiting):
            yield f"messages.{n}: ids given twice"
        if message["role"] == "assistant" and not (message.get("content") or waiting or message.get("refusal")):
            yield f"messages.{n}: an empty answer"
    if waiting:
        yield f"calls without result: {waiting}"


def _blocks(message: Json) -> list[Json]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _anthropic(body: Json) -> Iterator[str]:
    messages = body["messages"]
    if not messages or messages[0]["role"] == "system":
        yield "messages.0: neither the user's nor the assistant's"
    waiting: list[str] = []
    seen: set[str] = set()
    for n, message in enumerate(messages):
        blocks = _blocks(message)
        if any(block["type"] == "text" and not block["text"].strip() for block in blocks) or not blocks:
            yield f"messages.{n}: empty text"
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if sorted(results) != sorted(waiting):
            yield f"messages.{n}: results {results} for calls {waiting}"
        if any(block["type"] != "tool_result" for block in blocks[: len(results)]):
            yield f"messages.{n}: something before the results"
        waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
        if seen & set(waiting) or len(set(waiting)) < len(waiting):
            yield f"messages.{n}: ids given twice"
        seen |= set(waiting)
        if any(block["type"] == "thinking" and not block.get("signature") for block in blocks):
            yield f"messages.{n}: thinking without signature"
    if waiting:
        yield f"calls without result: {waiting}"
    yield from _thinking(body)


def _thinking(body: Json) -> Iterator[str]:
    """With thinking on, an unfinished turn with calls must begin with the thinking that led to them."""
    if body.get("thinking", {}).get("type") != "enabled":
        return
    if body["thinking"]["budget_tokens"] >= body["max_tokens"]:
        yield "max_tokens: no more than the budget"
    last = body["messages"][-1]
    if last["role"] == "user" and any(block["type"] == "tool_result" for block in _blocks(last)):
        first = _blocks(body["messages"][-2])[0]["type"]
        if first not in ("thinking", "redacted_thinking"):
            yield f"messages.{len(body['messages']) - 2}: begins with {first}, not with thinking"


def _responses(body: Json) -> Iterator[str]:
    items = body.get("input", [])
    if isinstance(items, str):
        return
    calls, outputs = [], []
    for n, item in enumerate(items):
        kind = item.get("type", "message")
        if kind in ("function_call", "custom_tool_call"):
            calls.append(item["call_id"])
        elif kind in ("function_call_output", "custom_tool_call_output"):
            if item["call_id"] not in calls:
                yield f"input.{n}: an output of no call"
            outputs.append(item["call_id"])
        elif kind == "reasoning" and n + 1 == len(items):
            yield f"input.{n}: reasoning without what came of it"
    if len(set(calls)) < len(calls) or sorted(calls) != sorted(outputs):
        yield f"outputs {outputs} for calls {calls}"


def _gemini(body: Json) -> Iterator[str]:
    contents = body["contents"]
    if not contents or contents[0]["role"] != "user":
        yield "contents.0: not the user's"
    called: list[str] = []
    for n, content in enumerate(contents):
        if not content.get("parts"):
            yield f"contents.{n}: empty"
        answered = [part["functionResponse"]["name"] for part in content["parts"] if "functionResponse" in part]
        if sorted(answered) != sorted(called):
            yield f"contents.{n}: responses {answered} for calls {called}"
        called = [part["functionCall"]["name"] for part in content["parts"] if "functionCall" in part]
    if called:
        yield f"calls without response: {called}"


def _ollama(body: Json) -> Iterator[str]:
    """Yield nothing: servers accept any order, whatever the model's template makes of it."""
    waiting: list[str] = []
    for n, message in enumerate(body["messages"]):
        if message["role"] == "tool":
            if message.get("tool_name") not in waiting:
                yield f"messages.{n}: a result of no call"
            else:
                waiting.remove(message["tool_name"])
            continue
        if waiting:
            yield f"messages.{n}: calls without result: {waiting}"
        waiting = [call["function"]["name"] for call in message.get("tool_calls", ())]
    if waiting:
        yield f"calls without result: {waiting}"


_CHECKS: dict[str, Callable[[Any], Iterator[str]]] = {
    "openai-chat": _chat,
    "openai-responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "ollama": _ollama,
}
