"""Bodies with nearly every feature of a wire: input for the fuzz tests, besides the golden files."""

from __future__ import annotations

from typing import Any, Final

import msgspec

Json = dict[str, Any]

# -- Anthropic

CITATION: Final[Json] = {"type": "char_location", "cited_text": "é", "document_title": "facts"}
BLOCKS: Final[list[Json]] = [
    {"type": "thinking", "thinking": "hm", "signature": "proof"},
    {"type": "redacted_thinking", "data": "sealed"},
    {"type": "text", "text": "Grüße 👋", "citations": [CITATION]},
    {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": [1, None]}},
    {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "x"}},
    {"type": "compaction", "content": None},
]
DELTAS: Final[dict[int, list[Json]]] = {
    0: [{"type": "thinking_delta", "thinking": "hm"}, {"type": "signature_delta", "signature": "proof"}],
    2: [{"type": "text_delta", "text": "é"}, {"type": "citations_delta", "citation": CITATION}],
    3: [{"type": "input_json_delta", "partial_json": '{"at":1}'}],
    4: [{"type": "input_json_delta", "partial_json": '{"query":"x"}'}],
    5: [{"type": "compaction_delta", "content": "so far"}],
}
TOKENS_USED: Final[Json] = {
    "input_tokens": 3, "output_tokens": 5, "cache_read_input_tokens": 7, "cache_creation": {"ephemeral_1h_input_tokens": 1},
}  # fmt: skip
HEAD: Final[Json] = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}
PICTURE: Final[Json] = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBOR"}}


def _anthropic_stream() -> bytes:
    pages: list[Json] = [
        {"type": "message_start", "message": {**HEAD, "content": [], "usage": TOKENS_USED}},
        {"type": "ping"},
    ]
    for index, block in enumerate(BLOCKS):
        pages.append({"type": "content_block_start", "index": index, "content_block": block})
        pages += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in DELTAS.get(index, ())]
        pages.append({"type": "content_block_stop", "index": index})
    pages.append(
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": TOKENS_USED}
    )
    pages.append({"type": "message_stop"})
    return b"".join(b"event: " + page["type"].encode() + b"\ndata: " + msgspec.json.encode(page) + b"\n\n" for page in pages)


ANTHROPIC_REQUEST: Final[Json] = {
    "model": "m",
    "max_tokens": 2048,
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "a"}, PICTURE]},
        {"role": "assistant", "content": BLOCKS},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [PICTURE]}]},
        {"role": "system", "content": "t"},
    ],
    "tools": [{"name": "look", "input_schema": {"type": "object"}}, {"type": "web_search_20260318", "name": "web_search"}],
    "tool_choice": {"type": "auto"},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    "metadata": {"user_id": "u"},
}

# -- Gemini

PARTS: Final[list[Json]] = [
    {"text": "hm", "thought": True, "thoughtSignature": "c2ln"},
    {"text": "Grüße 👋"},
    {"functionCall": {"name": "look", "args": {"at": [1, None]}, "id": "c1"}, "thoughtSignature": "c2ln"},
    {"inlineData": {"mimeType": "image/png", "data": "iVBOR"}},
    {"fileData": {"mimeType": "image/png", "fileUri": "https://a.test/i.png"}},
    {"executableCode": {"language": "PYTHON", "code": "1"}},
    {"thoughtSignature": "c2ln"},
]
GROUNDING: Final[Json] = {
    "groundingChunks": [{"web": {"uri": "u"}}],
    "groundingSupports": [{"segment": {"endIndex": 1}, "groundingChunkIndices": [0]}],
}
LOGPROBS: Final[Json] = {"chosenCandidates": [{"token": "a", "logProbability": -1}]}
SCHEMA: Final[Json] = {
    "type": "OBJECT",
    "properties": {"a": {"anyOf": [{"type": "STRING"}, {"$ref": "#/$defs/A"}]}},
    "$defs": {"A": {}},
}


def _response(*parts: Json, **more: Any) -> Json:
    return {
        "candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0, **more}],
        "usageMetadata": {
            "promptTokenCount": 3, "candidatesTokenCount": 5, "thoughtsTokenCount": 1, "totalTokenCount": 9,
        },
        "modelVersion": "m",
        "responseId": "r",
    }  # fmt: skip


GEMINI_PAGES: Final = [
    *(_response(part) for part in PARTS),
    _response(finishReason="STOP", groundingMetadata=GROUNDING, logprobsResult=LOGPROBS),
]
GEMINI_ARRAY: Final = b"[" + b",\r\n".join(map(msgspec.json.encode, GEMINI_PAGES)) + b"]"
_FUNCTION_RESULT: Final[Json] = {"name": "look", "id": "c1", "response": {"output": "x"}, "parts": [PARTS[3]]}
GEMINI_REQUEST: Final[Json] = {
    "contents": [
        {"role": "user", "parts": [{"text": "a"}, PARTS[3], PARTS[4]]},
        {"role": "model", "parts": PARTS},
        {"parts": [{"functionResponse": _FUNCTION_RESULT}]},
    ],
    "systemInstruction": {"parts": [{"text": "s"}]},
    "tools": [{"functionDeclarations": [{"name": "look", "parameters": SCHEMA}]}, {"googleSearch": {}}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]}},
    "generationConfig": {"thinkingConfig": {"thinkingBudget": 5}, "responseSchema": SCHEMA, "stopSequences": ["x"]},
    "safetySettings": [],
}

RICH: Final[dict[tuple[str, str], bytes]] = {  # (wire, kind)
    ("anthropic", "stream"): _anthropic_stream(),
    ("anthropic", "request"): msgspec.json.encode(ANTHROPIC_REQUEST),
    ("anthropic", "answer"): msgspec.json.encode(
        {**HEAD, "content": BLOCKS, "stop_reason": "end_turn", "stop_sequence": None, "usage": TOKENS_USED}
    ),
    ("gemini", "stream"): b"".join(b"data: " + msgspec.json.encode(page) + b"\r\n\r\n" for page in GEMINI_PAGES),
    ("gemini", "request"): msgspec.json.encode(GEMINI_REQUEST),
    ("gemini", "answer"): msgspec.json.encode(_response(*PARTS, finishReason="STOP", groundingMetadata=GROUNDING)),
}
