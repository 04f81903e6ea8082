"""The neutral request vocabulary: what a client asks, independent of any vendor.

Each wire decodes its request into an :class:`Ask` and encodes an :class:`Ask` into its own request.  JSON that is merely
passed on (tool schemas, tool arguments, response schemas, vendor data) is kept as the bytes or text that arrived, unparsed.
``None`` means that the client did not say, which is not the same as a default.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct, field

Role = Literal["system", "user", "assistant", "tool"]


class CacheHint(Struct, frozen=True, gc=False):
    """The provider may cache the prompt up to and including the block that has this hint (Anthropic ``cache_control``)."""

    ttl: str | None = None  # "5m", "1h"


class Citation(Struct, gc=False):
    """Where a piece of text comes from.  ``raw`` is the vendor's own object, written again only on ``wire``."""

    url: str | None = None
    title: str | None = None
    text: str | None = None  # the cited words
    start: int | None = None  # the span of the answer's text that it supports, in characters
    end: int | None = None
    wire: str = ""
    raw: bytes | None = None


class Text(Struct):
    """A piece of text."""

    text: str
    cache: CacheHint | None = None
    citations: list[Citation] = field(default_factory=list)
    signature: str | None = None  # Gemini puts thought signatures on text parts too


class Media(Struct):
    """An image, audio, video or document; exactly one of ``data``, ``url``, ``file_id``, ``text``, ``blocks`` is set."""

    kind: Literal["image", "audio", "video", "document"]
    mime: str = ""  # "image/png"; "" when the wire did not say
    data: str | None = None  # base64
    url: str | None = None
    file_id: str | None = None
    text: str | None = None  # plain-text documents
    blocks: list[Block] | None = None  # documents made of blocks (Anthropic "content" source)
    name: str | None = None  # file name or title
    context: str | None = None  # a document's context note (Anthropic)
    detail: str | None = None  # of images and documents (OpenAI): low, high, auto
    transcript: str | None = None  # of audio answers
    citations: bool = False  # the client wants the answer to cite this document
    cache: CacheHint | None = None
    signature: str | None = None
    raw: bytes | None = None  # the part as it came, where its wire has several shapes for one thing (OpenAI chat)


class Thinking(Struct):
    """Reasoning that the model showed.  ``signature`` is the vendor's proof of it, valid only on ``wire``.

    ``redacted``: the text is withheld and ``signature`` holds the encrypted data.
    """

    text: str = ""
    signature: str | None = None
    redacted: bool = False
    wire: str = ""
    id: str | None = None  # OpenAI Responses reasoning item id
    cache: CacheHint | None = None


class ToolCall(Struct):
    """``arguments`` is JSON text for functions and free text for custom tools."""

    id: str
    name: str
    arguments: str = "{}"
    kind: Literal["function", "custom", "search"] = "function"
    namespace: str | None = None
    signature: str | None = None
    item_id: str | None = None  # OpenAI Responses item id, beside the call id
    extra: bytes | None = None  # ``extra_content`` of an answer: Google's OpenAI chat endpoint wants it back
    cache: CacheHint | None = None


class ToolResult(Struct):
    """The result of the tool call with this ``id``."""

    id: str
    blocks: list[Block] = field(default_factory=list)
    is_error: bool = False
    name: str = ""  # Gemini and Ollama address results by the tool's name
    kind: Literal["function", "custom", "search"] = "function"
    cache: CacheHint | None = None
    raw: bytes | None = None  # Gemini's object, if it holds more than the text; written again only on that wire


class Refusal(Struct):
    """The model's explanation of why it does not answer."""

    text: str


class Opaque(Struct):
    """Vendor data without a neutral meaning: written again only on ``wire``, reported as dropped on any other.

    ``label`` is the vendor's type, for the report; ``text`` is what other wires are sent in its place, if anything.
    """

    wire: str
    label: str
    raw: bytes
    text: str = ""


Block = Text | Media | Thinking | ToolCall | ToolResult | Refusal | Opaque


class Turn(Struct):
    """One turn.  ``tool`` turns hold only :class:`ToolResult` blocks; a ``system`` turn stands in mid-conversation."""

    role: Role
    blocks: list[Block]
    name: str | None = None


class Tool(Struct):
    """A declared tool.

    ``server`` tools run at the vendor: only ``raw`` and its ``wire`` count.  A ``search`` tool is a function whose results
    are further tools (Responses ``tool_search``); those have ``found`` set.
    """

    name: str
    description: str | None = None
    schema: bytes | None = None  # JSON Schema, as sent
    kind: Literal["function", "custom", "server", "search"] = "function"
    strict: bool | None = None
    namespace: str | None = None
    deferred: bool = False
    grammar: bytes | None = None  # of custom tools, in OpenAI chat's shape
    cache: CacheHint | None = None
    wire: str = ""
    raw: bytes | None = None
    group: str | None = None  # the description of the namespace
    placed: int | None = None  # declared in mid-conversation, after this many turns (Responses ``additional_tools``)
    found: bool = False
    extra: tuple[str, ...] = ()  # names of members with no neutral meaning


class ToolChoice(Struct, frozen=True):
    """``tool``: exactly ``names[0]``; ``allowed``: any of ``names``, one of which must be called if ``required``."""

    mode: Literal["auto", "none", "required", "tool", "allowed"]
    names: tuple[str, ...] = ()
    required: bool = False


class ResponseFormat(Struct, frozen=True):
    """The format of the answer; ``json``: any JSON object, ``schema``: JSON that conforms to ``schema``."""

    kind: Literal["text", "json", "schema"]
    schema: bytes | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class Reasoning(Struct):
    """How much to think.  ``effort``: none, minimal, low, medium, high, xhigh, max; ``budget`` in tokens."""

    enabled: bool | None = None
    effort: str | None = None
    budget: int | None = None
    adaptive: bool = False
    show: str | None = None  # how much of it to return: auto, concise, detailed, summarized, omitted


class Sampling(Struct):
    """The sampling parameters, under OpenAI's names."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: bytes | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    n: int | None = None


NO_SAMPLING: Final = Sampling()  # shared by the many requests that set nothing


class Ask(Struct):
    """A whole request."""

    model: str = ""
    stream: bool = False
    system: list[Block] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    tools: list[Tool] = field(default_factory=list)
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int | None = None
    stop: list[str] = field(default_factory=list)
    response_format: ResponseFormat | None = None
    reasoning: Reasoning | None = None
    verbosity: str | None = None
    modalities: list[str] = field(default_factory=list)
    user: str | None = None
    metadata: bytes | None = None
    service_tier: str | None = None
    include_usage: bool = False  # the client wants usage in the stream (OpenAI chat)
    wire: str = ""  # the wire it was read from
    extra: dict[str, bytes] = field(default_factory=dict)  # top-level members of that wire with no neutral meaning


def system_and_turns(ask: Ask) -> tuple[list[Block], list[Turn]]:
    """Return the system prompt and the turns, for wires on which leading system turns are part of the prompt."""
    first = next((at for at, turn in enumerate(ask.turns) if turn.role != "system"), len(ask.turns))
    return [*ask.system, *(block for turn in ask.turns[:first] for block in turn.blocks)], ask.turns[first:]
