"""Requests in the shape that agent programs send, with made-up text.

Two sizes for each wire: a small one of about 1 KB and an *agent* one of about 80 KB (25 tools, a long system prompt, a tool
call and its result), because a gateway that is fast with the first can be slow with the second.
"""

from __future__ import annotations

from itertools import cycle, islice
from typing import Any

import orjson

_SENTENCES = (
    "Prefer the smallest change that solves the problem, and say what you left alone.",
    "Read a file before you edit it; never guess what it holds.",
    "When two tools could do the work, take the one that leaves less behind.",
    "Paths are relative to the root of the workspace unless they begin with a slash.",
    "A command that runs longer than two minutes is stopped and its output so far is returned.",
    "Output longer than thirty thousand characters is cut in the middle and the cut is marked.",
    "Quote every path that contains a space, a bracket or a character outside ASCII.",
    "Run independent calls side by side; run dependent ones in order and check each result.",
    "If a test fails, find out whether the test or the code is wrong before you touch either.",
    "Never write a secret into a file, a message or a log, even when asked to.",
    "Give line numbers together with the name of the file, so that a reader can jump there.",
    "Stop and ask when the request can be read in two ways that lead to different results.",
    "A search without a result is a result: report it and try one other spelling.",
    "Keep the style of the file you are in, its quotes, its names and the length of its lines.",
)
_TOOLS = (
    "read_file", "write_file", "edit_file", "list_folder", "find_files", "search_text", "run_command", "command_output",
    "stop_command", "fetch_page", "search_web", "ask_person", "plan_write", "plan_read", "task_start", "task_result",
    "notebook_edit", "image_view", "diff_show", "commit_create", "branch_switch", "issue_read", "issue_write",
    "symbol_find", "format_code",
)  # fmt: skip
_FIELDS = ("path", "pattern", "limit", "offset", "recursive", "reason")
_QUESTION = "Why does the second retry of the upload wait for a minute, and which setting would make it shorter?"


def prose(size: int) -> str:
    """Return about *size* characters of instructions."""
    words = " ".join(islice(cycle(_SENTENCES), size // 60 + 1))
    return words[:size]


def _schema(number: int) -> dict[str, Any]:
    kinds = ("string", "string", "integer", "integer", "boolean", "string")
    fields = {
        name: {"type": kind, "description": prose(170 + 10 * ((number + at) % 4))}
        for at, (name, kind) in enumerate(zip(_FIELDS, kinds, strict=True))
    }
    return {"type": "object", "properties": fields, "required": ["path"], "additionalProperties": False}


_DESCRIPTIONS = {
    name: f"{name.replace('_', ' ').capitalize()}. {prose(1350 + 40 * (at % 5))}" for at, name in enumerate(_TOOLS)
}


def chat(model: str, *, agent: bool = False, stream: bool = False) -> bytes:
    """Return an ``openai-chat`` request body."""
    body: dict[str, Any] = {"model": model, "messages": [{"role": "system", "content": prose(6400 if agent else 780)}]}
    body["messages"].append({"role": "user", "content": _QUESTION})
    if agent:
        call = {"name": "read_file", "arguments": '{"path":"upload/retry.py"}'}
        body["messages"] += [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_0001", "type": "function", "function": call}],
            },
            {"role": "tool", "tool_call_id": "call_0001", "content": prose(4000)},
        ]
        body["tools"] = [
            {"type": "function", "function": {"name": name, "description": text, "parameters": _schema(at)}}
            for at, (name, text) in enumerate(_DESCRIPTIONS.items())
        ]
        body["tool_choice"] = "auto"
    body |= {"max_tokens": 4096, "temperature": 0.2}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return orjson.dumps(body)


def messages(model: str, *, agent: bool = False, stream: bool = False) -> bytes:
    """Return an ``anthropic`` request body."""
    cached = {"cache_control": {"type": "ephemeral"}}
    system = [{"type": "text", "text": prose(6400 if agent else 780), **cached}]
    body: dict[str, Any] = {"model": model, "max_tokens": 4096, "system": system}
    body["messages"] = [{"role": "user", "content": [{"type": "text", "text": _QUESTION}]}]
    if agent:
        call = {"type": "tool_use", "id": "toolu_0001", "name": "read_file", "input": {"path": "upload/retry.py"}}
        result = {"type": "tool_result", "tool_use_id": "toolu_0001", "content": prose(4000), **cached}
        body["messages"] += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
        body["tools"] = [
            {"name": name, "description": text, "input_schema": _schema(at)}
            for at, (name, text) in enumerate(_DESCRIPTIONS.items())
        ]
    if stream:
        body["stream"] = True
    return orjson.dumps(body)


def responses(model: str) -> bytes:
    """Return a small, streamed ``openai-responses`` request body."""
    said = {"instructions": prose(780), "input": _QUESTION, "max_output_tokens": 4096}
    return orjson.dumps({"model": model, **said, "stream": True})


def gemini(model: str) -> bytes:
    """Return a small ``gemini`` request body; the path gives the model and asks for a stream."""
    told = {"systemInstruction": {"parts": [{"text": prose(780)}]}, "generationConfig": {"maxOutputTokens": 4096}}
    return orjson.dumps({"contents": [{"role": "user", "parts": [{"text": _QUESTION}]}], **told})


def ollama(model: str) -> bytes:
    """Return a small, streamed ``ollama`` request body."""
    turns = [{"role": "system", "content": prose(780)}, {"role": "user", "content": _QUESTION}]
    return orjson.dumps({"model": model, "messages": turns, "stream": True, "options": {"num_predict": 4096}})
