"""What each wire cannot represent, and what is done about it.

``reject``: without it the request would mean something else, so the client gets a 400 that says so.  ``drop``: left out and
named in ``X-OmniRoute-Dropped``.  ``emulate``: expressed in another way, and named too, since it is not the same.

Encoders use the names in :class:`Lost`, never literals; ``tests/translate/test_fidelity.py`` has one case per row.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from ..errors import OmniError
from .conversation import Ask, Opaque
from .events import Finish

Choice = Literal["reject", "drop", "emulate"]
Way = Literal["request", "answer"]


class Lost(StrEnum):
    """What may be lost, by the names that ``X-OmniRoute-Dropped`` uses."""

    # prompt and history
    AUDIO_INPUT = "audio_input"
    VIDEO_INPUT = "video_input"
    DOCUMENTS = "documents"  # a document in a form that the wire does not accept
    DOCUMENT_CITATIONS = "document_citations"
    DOCUMENT_CONTEXT = "document_context"
    IMAGE_URL = "image_url"  # images by link, where the wire accepts bytes only
    IMAGE_DETAIL = "image_detail"
    FILE_ID = "file_id"  # the id of a file at another vendor
    CACHE_CONTROL = "cache_control"
    CITATIONS = "citations"
    THINKING = "thinking"
    THINKING_SIGNATURE = "thinking_signature"
    REDACTED_THINKING = "redacted_thinking"
    REFUSAL = "refusal"
    SERVER_BLOCKS = "server_blocks"  # results of tools that run at the vendor
    SYSTEM_TURNS = "system_turns"  # system messages in mid-conversation
    PARTICIPANT_NAME = "participant_name"
    PREFILL = "prefill"  # an answer begun by the client
    TOOL_ERROR = "tool_error"  # the is_error mark of a tool result
    TOOL_RESULT_MEDIA = "tool_result_media"
    ORPHAN_TOOL_RESULT = "orphan_tool_result"
    ORPHAN_TOOL_CALL = "orphan_tool_call"
    TOOL_ARGUMENTS = "tool_arguments"  # arguments that are not a JSON object
    # tools
    SERVER_TOOLS = "server_tools"
    CUSTOM_TOOLS = "custom_tools"
    STRICT_TOOLS = "strict_tools"
    DEFERRED_TOOLS = "deferred_tools"
    TOOL_NAMESPACE = "tool_namespace"
    TOOL_CHOICE = "tool_choice"
    ALLOWED_TOOLS = "allowed_tools"
    PARALLEL_TOOLS = "parallel_tools"
    TOOL_SCHEMA = "tool_schema"  # the part of a tool's schema that the wire's subset of JSON Schema cannot express
    # sampling and limits
    TEMPERATURE = "temperature"
    TOP_P = "top_p"
    TOP_K = "top_k"
    MIN_P = "min_p"
    SEED = "seed"
    FREQUENCY_PENALTY = "frequency_penalty"
    PRESENCE_PENALTY = "presence_penalty"
    LOGIT_BIAS = "logit_bias"
    LOGPROBS = "logprobs"
    N = "n"
    MAX_TOKENS = "max_tokens"
    STOP = "stop"
    STOP_SEQUENCE = "stop_sequence"  # which of them ended the answer
    # the rest
    RESPONSE_FORMAT = "response_format"
    REASONING = "reasoning"
    REASONING_BUDGET = "reasoning_budget"
    REASONING_EFFORT = "reasoning_effort"
    REASONING_DISPLAY = "reasoning_display"
    VERBOSITY = "verbosity"
    MODALITIES = "modalities"
    USER = "user"
    METADATA = "metadata"
    SERVICE_TIER = "service_tier"
    EXTRA = "extra"  # top-level members, and members of tools, that only their own wire knows; see extra_names
    MEDIA_OUTPUT = "media_output"
    PAUSE = "pause"  # the vendor paused the turn and waits for a request that continues it


class Losses:
    """The names of what one request or answer loses, each once, in order of appearance."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def add(self, name: str, lost: bool = True) -> None:
        if lost:
            self._names[str(name)] = None

    def update(self, names: Iterable[str]) -> None:
        for name in names:
            self.add(name)

    def names(self) -> tuple[str, ...]:
        return tuple(self._names)


class Row(NamedTuple):
    """What happens to feature ``name`` when a request or answer (``way``) is written on ``wire``; ``why`` is for people."""

    wire: str
    way: Way
    name: Lost
    choice: Choice
    why: str


_CHAT, _RESPONSES, _MESSAGES, _GEMINI, _OLLAMA = "openai-chat", "openai-responses", "anthropic", "gemini", "ollama"

FIDELITY: Final[tuple[Row, ...]] = (
    # -- anthropic, requests
    Row(_MESSAGES, "request", Lost.AUDIO_INPUT, "reject", "no audio block; a transcript, if there is one, is sent instead"),
    Row(_MESSAGES, "request", Lost.VIDEO_INPUT, "reject", "no video block"),
    Row(_MESSAGES, "request", Lost.DOCUMENTS, "reject", "base64 documents are PDF or plain text"),
    Row(_MESSAGES, "request", Lost.FILE_ID, "reject", "file ids belong to the vendor that gave them"),
    Row(_MESSAGES, "request", Lost.IMAGE_DETAIL, "drop", "no such setting"),
    Row(_MESSAGES, "request", Lost.CACHE_CONTROL, "drop", "four breakpoints at most; the last four are kept"),
    Row(_MESSAGES, "request", Lost.CITATIONS, "drop", "citations of another vendor are not accepted in history"),
    Row(_MESSAGES, "request", Lost.THINKING, "drop", "thinking without a signature of this vendor is refused in history"),
    Row(_MESSAGES, "request", Lost.THINKING_SIGNATURE, "drop", "texts and calls have no such member"),
    Row(_MESSAGES, "request", Lost.REASONING, "drop", "not with a prefill, a forced tool, or calls without thinking"),
    Row(_MESSAGES, "request", Lost.REFUSAL, "emulate", "sent as text"),
    Row(_MESSAGES, "request", Lost.SERVER_BLOCKS, "drop", "blocks of another vendor"),
    Row(_MESSAGES, "request", Lost.MEDIA_OUTPUT, "drop", "answers in history are text; a transcript is kept"),
    Row(_MESSAGES, "request", Lost.SYSTEM_TURNS, "emulate", "only newer models accept the role; else marked user text"),
    Row(_MESSAGES, "request", Lost.PARTICIPANT_NAME, "drop", "messages have no name"),
    Row(_MESSAGES, "request", Lost.ORPHAN_TOOL_RESULT, "emulate", "sent as user text, the API refuses it otherwise"),
    Row(_MESSAGES, "request", Lost.ORPHAN_TOOL_CALL, "emulate", "gets an empty result, the API refuses it otherwise"),
    Row(_MESSAGES, "request", Lost.TOOL_ARGUMENTS, "emulate", "input must be an object; other text is wrapped in one"),
    Row(_MESSAGES, "request", Lost.SERVER_TOOLS, "drop", "tools that run at another vendor"),
    Row(_MESSAGES, "request", Lost.CUSTOM_TOOLS, "emulate", "a function with one string; the grammar is not enforced"),
    Row(_MESSAGES, "request", Lost.TOOL_NAMESPACE, "emulate", "joined to the name"),
    Row(_MESSAGES, "request", Lost.STRICT_TOOLS, "drop", "the model or the schema does not support it"),
    Row(_MESSAGES, "request", Lost.DEFERRED_TOOLS, "drop", "only together with this vendor's own tool search"),
    Row(_MESSAGES, "request", Lost.TOOL_CHOICE, "drop", "nothing to choose from when no tool is sent"),
    Row(_MESSAGES, "request", Lost.ALLOWED_TOOLS, "emulate", "only the allowed tools are sent"),
    Row(_MESSAGES, "request", Lost.TEMPERATURE, "drop", "0 to 1 (clamped), and not while thinking"),
    Row(_MESSAGES, "request", Lost.TOP_P, "drop", "0.95 or more while thinking"),
    Row(_MESSAGES, "request", Lost.TOP_K, "drop", "not while thinking"),
    Row(_MESSAGES, "request", Lost.MIN_P, "drop", "no such setting"),
    Row(_MESSAGES, "request", Lost.SEED, "drop", "no such setting"),
    Row(_MESSAGES, "request", Lost.FREQUENCY_PENALTY, "drop", "no such setting"),
    Row(_MESSAGES, "request", Lost.PRESENCE_PENALTY, "drop", "no such setting"),
    Row(_MESSAGES, "request", Lost.LOGIT_BIAS, "drop", "no such setting"),
    Row(_MESSAGES, "request", Lost.LOGPROBS, "drop", "no such setting"),
    Row(_MESSAGES, "request", Lost.N, "drop", "one answer only"),
    Row(_MESSAGES, "request", Lost.MAX_TOKENS, "emulate", "lowered to the model's limit"),
    Row(_MESSAGES, "request", Lost.STOP, "drop", "stop sequences of white space alone are refused"),
    Row(_MESSAGES, "request", Lost.RESPONSE_FORMAT, "emulate", "an instruction, where the model has no structured output"),
    Row(_MESSAGES, "request", Lost.REASONING_EFFORT, "emulate", "a budget, where the model does not choose its own"),
    Row(_MESSAGES, "request", Lost.REASONING_BUDGET, "emulate", "at least 1024; an effort, if the model accepts only that"),
    Row(_MESSAGES, "request", Lost.VERBOSITY, "drop", "no such setting"),
    Row(_MESSAGES, "request", Lost.MODALITIES, "drop", "text only"),
    Row(_MESSAGES, "request", Lost.METADATA, "drop", "only a user id"),
    Row(_MESSAGES, "request", Lost.SERVICE_TIER, "drop", "auto or standard_only"),
    Row(_MESSAGES, "request", Lost.EXTRA, "drop", "members of another wire, each named"),
    # -- anthropic, answers
    Row(_MESSAGES, "answer", Lost.CITATIONS, "drop", "citations of another vendor have no shape here"),
    Row(_MESSAGES, "answer", Lost.THINKING_SIGNATURE, "drop", "a signature of another vendor would be refused later"),
    Row(_MESSAGES, "answer", Lost.REDACTED_THINKING, "drop", "encrypted by another vendor"),
    Row(_MESSAGES, "answer", Lost.SERVER_BLOCKS, "drop", "blocks of another vendor"),
    Row(_MESSAGES, "answer", Lost.LOGPROBS, "drop", "no such member"),
    Row(_MESSAGES, "answer", Lost.MEDIA_OUTPUT, "drop", "answers are text; a transcript is kept"),
    Row(_MESSAGES, "answer", Lost.TOOL_ARGUMENTS, "emulate", "input must be an object; other text is wrapped in one"),
    # -- openai-chat, requests
    Row(
        _CHAT,
        "request",
        Lost.AUDIO_INPUT,
        "reject",
        "audio by link; a transcript, if there is one, is sent instead",
    ),
    Row(_CHAT, "request", Lost.VIDEO_INPUT, "reject", "no video part"),
    Row(_CHAT, "request", Lost.DOCUMENTS, "reject", "documents by link have no part; texts and blocks are sent as text"),
    Row(_CHAT, "request", Lost.FILE_ID, "reject", "file ids belong to the vendor that gave them"),
    Row(_CHAT, "request", Lost.IMAGE_DETAIL, "drop", "images have it, documents do not"),
    Row(_CHAT, "request", Lost.DOCUMENT_CITATIONS, "drop", "no such setting"),
    Row(_CHAT, "request", Lost.DOCUMENT_CONTEXT, "emulate", "sent as text before the document"),
    Row(_CHAT, "request", Lost.CACHE_CONTROL, "drop", "caching is automatic"),
    Row(_CHAT, "request", Lost.CITATIONS, "drop", "no place in history"),
    Row(_CHAT, "request", Lost.THINKING, "drop", "no place in history, except for providers that want it back"),
    Row(_CHAT, "request", Lost.THINKING_SIGNATURE, "drop", "no such member"),
    Row(_CHAT, "request", Lost.REDACTED_THINKING, "drop", "no such member"),
    Row(_CHAT, "request", Lost.SERVER_BLOCKS, "drop", "blocks of another vendor; search results become text"),
    Row(_CHAT, "request", Lost.TOOL_ERROR, "emulate", "said in the result's text"),
    Row(_CHAT, "request", Lost.TOOL_RESULT_MEDIA, "emulate", "tool messages are text; media follow in a user message"),
    Row(_CHAT, "request", Lost.ORPHAN_TOOL_RESULT, "emulate", "sent as user text, the API refuses it otherwise"),
    Row(_CHAT, "request", Lost.ORPHAN_TOOL_CALL, "emulate", "gets an empty result, the API refuses it otherwise"),
    Row(_CHAT, "request", Lost.SERVER_TOOLS, "drop", "tools that run at another vendor"),
    Row(_CHAT, "request", Lost.STRICT_TOOLS, "drop", "strict functions have no optional members"),
    Row(_CHAT, "request", Lost.DEFERRED_TOOLS, "drop", "all tools are loaded at once"),
    Row(_CHAT, "request", Lost.TOOL_NAMESPACE, "emulate", "joined to the name"),
    Row(_CHAT, "request", Lost.MEDIA_OUTPUT, "drop", "answers in history are text"),
    Row(_CHAT, "request", Lost.CUSTOM_TOOLS, "emulate", "a function with one string, except for providers that have them"),
    Row(_CHAT, "request", Lost.ALLOWED_TOOLS, "emulate", "only the allowed tools are sent, unless the provider has it"),
    Row(_CHAT, "request", Lost.TEMPERATURE, "drop", "some models refuse it"),
    Row(_CHAT, "request", Lost.TOP_P, "drop", "some models refuse it"),
    Row(_CHAT, "request", Lost.TOP_K, "drop", "no such setting"),
    Row(_CHAT, "request", Lost.MIN_P, "drop", "no such setting"),
    Row(_CHAT, "request", Lost.STOP, "drop", "four at most"),
    Row(
        _CHAT,
        "request",
        Lost.REASONING,
        "drop",
        "no way to turn it off on every model; some do not think or take no effort",
    ),
    Row(_CHAT, "request", Lost.REASONING_BUDGET, "emulate", "an effort"),
    Row(_CHAT, "request", Lost.REASONING_DISPLAY, "drop", "no such setting"),
    Row(_CHAT, "request", Lost.USER, "emulate", "64 characters, a longer id is hashed; some providers refuse it"),
    Row(_CHAT, "request", Lost.METADATA, "drop", "strings only, sixteen at most"),
    Row(_CHAT, "request", Lost.SERVICE_TIER, "drop", "other vendors' tiers"),
    Row(_CHAT, "request", Lost.EXTRA, "drop", "members of another wire, each named"),
    # -- openai-chat, answers
    Row(_CHAT, "answer", Lost.THINKING_SIGNATURE, "drop", "no such member"),
    Row(_CHAT, "answer", Lost.REDACTED_THINKING, "drop", "no such member"),
    Row(_CHAT, "answer", Lost.CITATIONS, "drop", "annotations are links; citations of documents have no shape"),
    Row(_CHAT, "answer", Lost.SERVER_BLOCKS, "drop", "blocks of another vendor"),
    Row(_CHAT, "answer", Lost.MEDIA_OUTPUT, "drop", "answers hold text, images and one audio clip"),
    Row(_CHAT, "answer", Lost.STOP_SEQUENCE, "drop", "no such member"),
    Row(_CHAT, "answer", Lost.PAUSE, "emulate", "reported as stop"),
    # -- openai-responses, requests
    Row(_RESPONSES, "request", Lost.AUDIO_INPUT, "reject", "no audio part; a transcript, if there is one, is sent instead"),
    Row(_RESPONSES, "request", Lost.VIDEO_INPUT, "reject", "no video part"),
    Row(_RESPONSES, "request", Lost.FILE_ID, "reject", "file ids belong to the vendor that gave them"),
    Row(_RESPONSES, "request", Lost.DOCUMENT_CITATIONS, "drop", "no such setting"),
    Row(_RESPONSES, "request", Lost.DOCUMENT_CONTEXT, "emulate", "sent as text before the document"),
    Row(_RESPONSES, "request", Lost.CACHE_CONTROL, "drop", "caching is automatic"),
    Row(_RESPONSES, "request", Lost.CITATIONS, "drop", "citations of another vendor are not accepted in history"),
    Row(_RESPONSES, "request", Lost.THINKING, "drop", "no place in history, except for providers that want it back"),
    Row(_RESPONSES, "request", Lost.THINKING_SIGNATURE, "drop", "only encrypted content of this vendor"),
    Row(_RESPONSES, "request", Lost.REDACTED_THINKING, "drop", "encrypted by another vendor"),
    Row(_RESPONSES, "request", Lost.SERVER_BLOCKS, "drop", "blocks of another vendor; search results become text"),
    Row(_RESPONSES, "request", Lost.MEDIA_OUTPUT, "drop", "answers in history are text"),
    Row(_RESPONSES, "request", Lost.PARTICIPANT_NAME, "drop", "messages have no name"),
    Row(_RESPONSES, "request", Lost.PREFILL, "emulate", "sent as an earlier message; the client cannot begin the answer"),
    Row(_RESPONSES, "request", Lost.TOOL_ERROR, "emulate", "said in the result's text"),
    Row(_RESPONSES, "request", Lost.ORPHAN_TOOL_RESULT, "emulate", "sent as user text, the API refuses it otherwise"),
    Row(_RESPONSES, "request", Lost.ORPHAN_TOOL_CALL, "emulate", "gets an empty result, the API refuses it otherwise"),
    Row(_RESPONSES, "request", Lost.SERVER_TOOLS, "drop", "tools that run at another vendor"),
    Row(_RESPONSES, "request", Lost.STRICT_TOOLS, "drop", "strict functions have no optional members"),
    Row(_RESPONSES, "request", Lost.DEFERRED_TOOLS, "drop", "only together with this vendor's own tool search"),
    Row(_RESPONSES, "request", Lost.TOOL_NAMESPACE, "emulate", "joined to the name, except for requests of this wire"),
    Row(_RESPONSES, "request", Lost.TEMPERATURE, "drop", "some models refuse it"),
    Row(_RESPONSES, "request", Lost.TOP_P, "drop", "some models refuse it"),
    Row(_RESPONSES, "request", Lost.TOP_K, "drop", "no such setting"),
    Row(_RESPONSES, "request", Lost.MIN_P, "drop", "no such setting"),
    Row(_RESPONSES, "request", Lost.SEED, "drop", "no such setting"),
    Row(_RESPONSES, "request", Lost.FREQUENCY_PENALTY, "drop", "no such setting"),
    Row(_RESPONSES, "request", Lost.PRESENCE_PENALTY, "drop", "no such setting"),
    Row(_RESPONSES, "request", Lost.LOGIT_BIAS, "drop", "no such setting"),
    Row(_RESPONSES, "request", Lost.N, "drop", "one answer only"),
    Row(_RESPONSES, "request", Lost.MAX_TOKENS, "emulate", "at least 16"),
    Row(_RESPONSES, "request", Lost.STOP, "drop", "no such setting"),
    Row(_RESPONSES, "request", Lost.REASONING, "drop", "no way to turn it off on every model; some models do not think"),
    Row(_RESPONSES, "request", Lost.REASONING_BUDGET, "emulate", "an effort"),
    Row(_RESPONSES, "request", Lost.MODALITIES, "drop", "text only"),
    Row(_RESPONSES, "request", Lost.USER, "emulate", "64 characters; a longer id is hashed"),
    Row(_RESPONSES, "request", Lost.METADATA, "drop", "strings only, sixteen at most"),
    Row(_RESPONSES, "request", Lost.SERVICE_TIER, "drop", "other vendors' tiers"),
    Row(_RESPONSES, "request", Lost.EXTRA, "drop", "members of another wire, each named"),
    # -- openai-responses, answers
    Row(_RESPONSES, "answer", Lost.THINKING_SIGNATURE, "drop", "a signature of another vendor would be refused later"),
    Row(_RESPONSES, "answer", Lost.REDACTED_THINKING, "drop", "encrypted by another vendor"),
    Row(_RESPONSES, "answer", Lost.CITATIONS, "drop", "annotations are links; citations of documents have no shape"),
    Row(_RESPONSES, "answer", Lost.SERVER_BLOCKS, "drop", "blocks of another vendor"),
    Row(_RESPONSES, "answer", Lost.MEDIA_OUTPUT, "drop", "answers hold text, and images as bytes; a transcript is kept"),
    Row(_RESPONSES, "answer", Lost.STOP_SEQUENCE, "drop", "no such member"),
    Row(_RESPONSES, "answer", Lost.PAUSE, "emulate", "reported as completed"),
    # -- gemini, requests
    Row(_GEMINI, "request", Lost.AUDIO_INPUT, "emulate", "the transcript is sent, where there is nothing else"),
    Row(_GEMINI, "request", Lost.IMAGE_URL, "emulate", "a link needs a media type; the usual one, where it is not known"),
    Row(_GEMINI, "request", Lost.FILE_ID, "reject", "file ids belong to the vendor that gave them"),
    Row(_GEMINI, "request", Lost.IMAGE_DETAIL, "drop", "no such setting"),
    Row(_GEMINI, "request", Lost.DOCUMENT_CITATIONS, "drop", "no such setting"),
    Row(_GEMINI, "request", Lost.DOCUMENT_CONTEXT, "emulate", "sent as text before the document"),
    Row(_GEMINI, "request", Lost.CACHE_CONTROL, "drop", "caching is automatic, or uses a separate resource"),
    Row(_GEMINI, "request", Lost.CITATIONS, "drop", "no place in history"),
    Row(_GEMINI, "request", Lost.THINKING, "drop", "thoughts of another vendor"),
    Row(_GEMINI, "request", Lost.THINKING_SIGNATURE, "drop", "only signatures of this vendor"),
    Row(_GEMINI, "request", Lost.REDACTED_THINKING, "drop", "no such part"),
    Row(_GEMINI, "request", Lost.REFUSAL, "emulate", "sent as text"),
    Row(_GEMINI, "request", Lost.SERVER_BLOCKS, "drop", "blocks of another vendor; search results become text"),
    Row(_GEMINI, "request", Lost.MEDIA_OUTPUT, "drop", "answers of others in history are text; a transcript is kept"),
    Row(_GEMINI, "request", Lost.SYSTEM_TURNS, "emulate", "a marked user text"),
    Row(_GEMINI, "request", Lost.PARTICIPANT_NAME, "drop", "contents have no name"),
    Row(_GEMINI, "request", Lost.TOOL_RESULT_MEDIA, "emulate", "sent after the result, where the model accepts none in it"),
    Row(_GEMINI, "request", Lost.ORPHAN_TOOL_RESULT, "emulate", "sent as user text, the API refuses it otherwise"),
    Row(_GEMINI, "request", Lost.ORPHAN_TOOL_CALL, "emulate", "gets an empty result, the API refuses it otherwise"),
    Row(_GEMINI, "request", Lost.TOOL_ARGUMENTS, "emulate", "args must be an object; other text is wrapped in one"),
    Row(_GEMINI, "request", Lost.SERVER_TOOLS, "drop", "tools that run at another vendor"),
    Row(_GEMINI, "request", Lost.CUSTOM_TOOLS, "emulate", "a function with one string; the grammar is not enforced"),
    Row(_GEMINI, "request", Lost.STRICT_TOOLS, "drop", "no such setting"),
    Row(_GEMINI, "request", Lost.DEFERRED_TOOLS, "drop", "all tools are loaded at once"),
    Row(_GEMINI, "request", Lost.TOOL_NAMESPACE, "emulate", "joined to the name"),
    Row(_GEMINI, "request", Lost.TOOL_SCHEMA, "emulate", "the vendor's subset, where the model accepts no JSON Schema"),
    Row(_GEMINI, "request", Lost.TOOL_CHOICE, "drop", "nothing to choose from when no tool is sent"),
    Row(_GEMINI, "request", Lost.ALLOWED_TOOLS, "emulate", "only the allowed tools are sent, unless one must be called"),
    Row(_GEMINI, "request", Lost.PARALLEL_TOOLS, "drop", "no such setting"),
    Row(_GEMINI, "request", Lost.MIN_P, "drop", "no such setting"),
    Row(_GEMINI, "request", Lost.SEED, "emulate", "32 bits; a longer one is truncated"),
    Row(_GEMINI, "request", Lost.LOGIT_BIAS, "drop", "no such setting"),
    Row(_GEMINI, "request", Lost.MAX_TOKENS, "emulate", "lowered to the model's limit"),
    Row(_GEMINI, "request", Lost.STOP, "drop", "five at most"),
    Row(_GEMINI, "request", Lost.RESPONSE_FORMAT, "emulate", "on older models a subset or, with tools, an instruction"),
    Row(_GEMINI, "request", Lost.REASONING, "drop", "the model does not think, or cannot stop; then its minimum"),
    Row(_GEMINI, "request", Lost.REASONING_BUDGET, "emulate", "a level, where the model accepts only that"),
    Row(_GEMINI, "request", Lost.REASONING_EFFORT, "emulate", "a budget, where the model accepts only that"),
    Row(_GEMINI, "request", Lost.REASONING_DISPLAY, "drop", "thoughts are shown or not"),
    Row(_GEMINI, "request", Lost.VERBOSITY, "drop", "no such setting"),
    Row(_GEMINI, "request", Lost.MODALITIES, "drop", "audio output needs settings that other wires do not have"),
    Row(_GEMINI, "request", Lost.USER, "drop", "no such member"),
    Row(_GEMINI, "request", Lost.METADATA, "drop", "no such member"),
    Row(_GEMINI, "request", Lost.SERVICE_TIER, "drop", "other vendors' tiers"),
    Row(_GEMINI, "request", Lost.EXTRA, "drop", "members of another wire, each named"),
    # -- gemini, answers
    Row(_GEMINI, "answer", Lost.THINKING_SIGNATURE, "drop", "a signature of another vendor would be refused later"),
    Row(_GEMINI, "answer", Lost.REDACTED_THINKING, "drop", "encrypted by another vendor"),
    Row(_GEMINI, "answer", Lost.CITATIONS, "drop", "sources are links; citations of documents have no shape"),
    Row(_GEMINI, "answer", Lost.SERVER_BLOCKS, "drop", "blocks of another vendor"),
    Row(_GEMINI, "answer", Lost.MEDIA_OUTPUT, "drop", "audio without bytes or link; a transcript is kept"),
    Row(_GEMINI, "answer", Lost.REFUSAL, "emulate", "sent as text"),
    Row(_GEMINI, "answer", Lost.TOOL_ARGUMENTS, "emulate", "args must be an object; other text is wrapped in one"),
    Row(_GEMINI, "answer", Lost.STOP_SEQUENCE, "drop", "no such member"),
    Row(_GEMINI, "answer", Lost.PAUSE, "emulate", "reported as STOP"),
    # -- ollama, requests
    Row(_OLLAMA, "request", Lost.AUDIO_INPUT, "reject", "no audio; a transcript, if there is one, is sent instead"),
    Row(_OLLAMA, "request", Lost.VIDEO_INPUT, "reject", "no video"),
    Row(_OLLAMA, "request", Lost.DOCUMENTS, "reject", "no documents but texts"),
    Row(_OLLAMA, "request", Lost.DOCUMENT_CITATIONS, "drop", "no such setting"),
    Row(_OLLAMA, "request", Lost.DOCUMENT_CONTEXT, "emulate", "sent as text before the document"),
    Row(_OLLAMA, "request", Lost.IMAGE_URL, "reject", "images are bytes"),
    Row(_OLLAMA, "request", Lost.IMAGE_DETAIL, "drop", "no such setting"),
    Row(_OLLAMA, "request", Lost.FILE_ID, "reject", "there is no file storage"),
    Row(_OLLAMA, "request", Lost.CACHE_CONTROL, "drop", "caching is automatic"),
    Row(_OLLAMA, "request", Lost.CITATIONS, "drop", "no place in history"),
    Row(_OLLAMA, "request", Lost.THINKING_SIGNATURE, "drop", "no such member"),
    Row(_OLLAMA, "request", Lost.REDACTED_THINKING, "drop", "no such member"),
    Row(_OLLAMA, "request", Lost.REFUSAL, "emulate", "sent as text"),
    Row(_OLLAMA, "request", Lost.SERVER_BLOCKS, "drop", "blocks of another vendor; search results become text"),
    Row(_OLLAMA, "request", Lost.MEDIA_OUTPUT, "drop", "answers in history are text and images; a transcript is kept"),
    Row(_OLLAMA, "request", Lost.PARTICIPANT_NAME, "drop", "messages have no name"),
    Row(_OLLAMA, "request", Lost.TOOL_ERROR, "emulate", "said in the result's text"),
    Row(_OLLAMA, "request", Lost.TOOL_RESULT_MEDIA, "emulate", "tool messages are text; media follow in a user message"),
    Row(_OLLAMA, "request", Lost.ORPHAN_TOOL_RESULT, "emulate", "sent as user text, model templates omit it otherwise"),
    Row(_OLLAMA, "request", Lost.ORPHAN_TOOL_CALL, "emulate", "gets an empty result"),
    Row(_OLLAMA, "request", Lost.TOOL_ARGUMENTS, "emulate", "arguments must be an object; other text is wrapped in one"),
    Row(_OLLAMA, "request", Lost.SERVER_TOOLS, "drop", "tools that run at another vendor"),
    Row(_OLLAMA, "request", Lost.CUSTOM_TOOLS, "emulate", "a function with one string; the grammar is not enforced"),
    Row(_OLLAMA, "request", Lost.STRICT_TOOLS, "drop", "no such setting"),
    Row(_OLLAMA, "request", Lost.DEFERRED_TOOLS, "drop", "all tools are loaded at once"),
    Row(_OLLAMA, "request", Lost.TOOL_NAMESPACE, "emulate", "joined to the name"),
    Row(_OLLAMA, "request", Lost.TOOL_CHOICE, "drop", "a call cannot be required; a named tool is the only one sent"),
    Row(_OLLAMA, "request", Lost.ALLOWED_TOOLS, "emulate", "only the allowed tools are sent"),
    Row(_OLLAMA, "request", Lost.PARALLEL_TOOLS, "drop", "no such setting"),
    Row(_OLLAMA, "request", Lost.LOGIT_BIAS, "drop", "no such setting"),
    Row(_OLLAMA, "request", Lost.N, "drop", "one answer only"),
    Row(_OLLAMA, "request", Lost.REASONING, "drop", "refused by models that do not think"),
    Row(_OLLAMA, "request", Lost.REASONING_BUDGET, "emulate", "an effort"),
    Row(_OLLAMA, "request", Lost.REASONING_EFFORT, "emulate", "low, medium or high"),
    Row(_OLLAMA, "request", Lost.REASONING_DISPLAY, "drop", "no such setting"),
    Row(_OLLAMA, "request", Lost.VERBOSITY, "drop", "no such setting"),
    Row(_OLLAMA, "request", Lost.MODALITIES, "drop", "what the model gives"),
    Row(_OLLAMA, "request", Lost.USER, "drop", "no such member"),
    Row(_OLLAMA, "request", Lost.METADATA, "drop", "no such member"),
    Row(_OLLAMA, "request", Lost.SERVICE_TIER, "drop", "no such member"),
    Row(_OLLAMA, "request", Lost.EXTRA, "drop", "members of another wire, each named"),
    # -- ollama, answers
    Row(_OLLAMA, "answer", Lost.THINKING_SIGNATURE, "drop", "no such member"),
    Row(_OLLAMA, "answer", Lost.REDACTED_THINKING, "drop", "no such member"),
    Row(_OLLAMA, "answer", Lost.CITATIONS, "drop", "no such member"),
    Row(_OLLAMA, "answer", Lost.REFUSAL, "emulate", "sent as text"),
    Row(_OLLAMA, "answer", Lost.SERVER_BLOCKS, "drop", "blocks of another vendor"),
    Row(_OLLAMA, "answer", Lost.MEDIA_OUTPUT, "drop", "answers hold text and images; a transcript is kept"),
    Row(_OLLAMA, "answer", Lost.TOOL_ARGUMENTS, "emulate", "arguments must be an object; other text is wrapped in one"),
    Row(_OLLAMA, "answer", Lost.STOP_SEQUENCE, "drop", "no such member"),
    Row(_OLLAMA, "answer", Lost.PAUSE, "emulate", "reported as stop"),
)

# members and items of a Responses request that refer to what its vendor keeps: history, a stored prompt
STATE: Final = frozenset(("previous_response_id", "conversation", "prompt"))
_THREAD: Final = "thread"  # member of an Anthropic request; one that continues a thread relies on history kept by the vendor
THREAD_NOT_FOUND: Final = "thread_not_found"  # makes the vendor's SDK send the whole history in a new thread
_STATE_ITEMS: Final = frozenset(("item_reference", "compaction", "compaction_summary"))

_HEADER_SAFE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MOST_EXTRAS: Final = 16


def extra_names(names: Iterable[str]) -> list[str]:
    """Names of dropped members for the header: ``extra.container``, or ``extra`` if a header cannot hold it."""
    fit = [f"{Lost.EXTRA}.{name}" if _HEADER_SAFE.fullmatch(name) else str(Lost.EXTRA) for name in names]
    return list(dict.fromkeys(fit))[:_MOST_EXTRAS]


def lost_extras(ask: Ask, kept: Collection[str] = ()) -> list[str]:
    """Names of all that only the wire of *ask* knows: ``extra.container``, ``extra.tools.input_examples``.

    *kept*: top-level members that are sent all the same.
    """
    top = [name for name in ask.extra if name not in kept]
    return extra_names([*top, *(f"tools.{name}" for tool in ask.tools for name in tool.extra)])


def lost_proof(redacted: bool) -> Lost:
    """Return the name for the proof of another vendor's thinking: its signature, or all of it if it is encrypted."""
    return Lost.REDACTED_THINKING if redacted else Lost.THINKING_SIGNATURE


def lost_ending(finish: Finish) -> list[Lost]:
    """Return the names of what most wires have no word for at the end of an answer."""
    lost = [Lost.STOP_SEQUENCE] if finish.stop_sequence else []
    return [*lost, Lost.PAUSE] if finish.reason == "pause" else lost


def refuse_state(ask: Ask, wire: str) -> None:
    """Raise if *ask* relies on history or a prompt that its own vendor keeps, which cannot be sent on *wire*."""
    if ask.wire == _MESSAGES != wire and b'"previous_message_id"' in ask.extra.get(_THREAD, b""):
        message = "'thread' refers to history kept by another provider; the chosen model needs the whole conversation."
        raise OmniError("invalid_request", message, param=_THREAD, code=THREAD_NOT_FOUND)
    if ask.wire != _RESPONSES or wire == _RESPONSES:
        return
    found = min(STATE & ask.extra.keys(), default=None)
    if found is None:
        labels = [block.label for turn in ask.turns for block in turn.blocks if isinstance(block, Opaque)]
        label = next((label for label in labels if label in _STATE_ITEMS), None) if labels else None
        if label is None:
            return
        found, what = "input", f"An item of type '{label}'"
    else:
        what = f"'{found}'"
    kept, needed = "history kept by", "the whole conversation in 'input'"
    if found == "prompt":
        kept, needed = "a prompt stored at", "its text in 'instructions' or 'input'"
    message = f"{what} refers to {kept} another provider; the chosen model needs {needed}."
    raise OmniError("invalid_request", message, param=found)


def reject(wire: str, name: Lost, param: str | None = None) -> OmniError:
    """Return the error of a ``reject`` row, for the caller to raise."""
    why = next((row.why for row in FIDELITY if row.wire == wire and row.name == name and row.choice == "reject"), "")
    message = f"The {wire} format of the chosen provider cannot hold this ({name}): {why}"
    return OmniError("invalid_request", message, param=param)
