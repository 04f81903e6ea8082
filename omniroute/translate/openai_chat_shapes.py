"""The types of OpenAI chat answers, as loose as the vendors' use of them.

Only the members that are read are declared.  If a member has a wrong type (``index: "0"``, ``created: "now"``), the chunk is
read without it, unless the answer depends on it; then the chunk is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from .format import BadAnswer
from .jsonio import ABSENT, encode, mended
from .usage import ChatUsage


class Function(Struct, gc=False):
    name: str | None = None
    arguments: str | dict[str, Any] | list[Any] | None = None


class Custom(Struct, gc=False):
    name: str | None = None
    input: str | None = None


class CallDelta(Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: Function | None = None
    custom: Custom | None = None
    extra_content: Raw = ABSENT


class ImageUrl(Struct, gc=False):
    url: str | None = None


class Image(Struct, gc=False):
    """An item of ``images`` (OpenRouter), or an image part of a content list."""

    image_url: ImageUrl | str | None = None


class Part(Struct, gc=False):
    """An item of a content list: text, or thinking, itself a list of texts (Mistral; ``summary`` at Databricks)."""

    type: str | None = None
    text: str | None = None
    thinking: str | list[Part] | None = None
    summary: list[Part] | None = None
    refusal: str | None = None
    image_url: ImageUrl | str | None = None


class Detail(Struct, gc=False):
    """An item of ``reasoning_details`` (OpenRouter, Snowflake)."""

    type: str | None = None
    text: str | None = None
    summary: str | None = None
    signature: str | None = None
    data: str | None = None


class Audio(Struct, gc=False):
    data: str | None = None
    transcript: str | None = None


class UrlCitation(Struct, gc=False):
    url: str | None = None
    title: str | None = None
    content: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class Google(Struct, gc=False):
    thought: bool | None = None


class Extra(Struct, gc=False):
    """``extra_content``: Google marks each piece of thinking with it, which is otherwise sent as ``content``."""

    google: Google | None = None


class Delta(Struct, gc=False):
    """``delta`` of a chunk, or ``message`` of a whole answer."""

    content: str | list[Part] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[CallDelta] | CallDelta | None = None  # one alone: older versions of TGI
    refusal: str | None = None
    reasoning_details: list[Detail] | None = None
    function_call: Function | None = None
    annotations: list[Raw] | None = None
    images: list[Image] | None = None
    audio: Audio | None = None
    reasoning_text: str | None = None  # GitHub Copilot
    thinking: str | None = None
    extra_content: Extra | None = None

    def calls(self) -> Sequence[CallDelta]:
        """The tool calls."""
        calls = self.tool_calls
        return (calls,) if isinstance(calls, CallDelta) else calls or ()


class Logprobs(Struct, gc=False):
    content: Raw = ABSENT


class Choice(Struct, gc=False):
    index: int | None = None
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None
    usage: ChatUsage | None = None  # Moonshot, beside the finish reason
    error: Raw = ABSENT  # OpenRouter, with the finish reason "error"


class VendorUsage(Struct, gc=False):
    """Groq's ``x_groq``; ``error`` says why a stream was stopped."""

    usage: ChatUsage | None = None
    error: str | None = None


class Chunk(Struct, gc=False):
    id: str | None = None
    created: float | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: ChatUsage | None = None
    error: Raw = ABSENT
    x_groq: VendorUsage | None = None
    citations: Raw = ABSENT  # Perplexity, xAI: links, in the order of the numbers in the text
    search_results: Raw = ABSENT  # Perplexity: the same with titles
    web_search: Raw = ABSENT  # GLM
    references: Raw = ABSENT  # Volcengine Ark
    search_info: Raw = ABSENT  # Qwen, Hunyuan: an object that holds ``search_results``
    detail: Raw = ABSENT  # only in error bodies
    message: Raw = ABSENT
    base_resp: Raw = ABSENT  # MiniMax: a success status beside an answer, the error if there is no answer
    object: str | None = None


UNFINISHED: Final = (None, "", "null")  # finish reasons before the end; some vendors write the last one
_decode: Final = msgspec.json.Decoder(Chunk).decode
_decode_any: Final = msgspec.json.Decoder().decode
_MENDS: Final = 16
_CALL_MEMBERS: Final = ("tool_calls", "function", "function_call", "custom", "name", "arguments", "input")
_ESSENTIAL: Final = frozenset(("choices", "delta", "message", "content", *_CALL_MEMBERS))


def read_chunk(data: bytes) -> Chunk:
    """Read one chunk or whole answer.  Raises BadAnswer."""
    try:
        return _decode(data)
    except msgspec.ValidationError:
        return _mended(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        if (whole := mended(data)) is not None:
            return read_chunk(whole)
        raise BadAnswer(f"not JSON: {error}") from None


_ALL_WELL: Final = re.compile(rb'"status_code"\s*:\s*0')


def is_failure(base_resp: Raw) -> bool:
    """Whether MiniMax' ``base_resp`` reports an error; it stands in every answer."""
    return bytes(base_resp) not in (b"", b"null") and _ALL_WELL.search(base_resp) is None


def plain_text(chunk: Chunk) -> str:
    """Return the text of a chunk that holds only a piece of text, as nearly all do; else ""."""
    choices = chunk.choices
    if (
        choices is None
        or len(choices) != 1
        or chunk.usage is not None
        or chunk.x_groq is not None
        or chunk.error is not ABSENT
    ):
        return ""
    choice = choices[0]
    delta = choice.delta
    if delta is None or choice.index or choice.finish_reason not in UNFINISHED or choice.logprobs is not None:
        return ""
    text = delta.content
    if type(text) is not str or delta.tool_calls or delta.reasoning_content or delta.reasoning or delta.reasoning_details:
        return ""
    if delta.refusal or delta.function_call is not None or delta.annotations or delta.images or delta.audio is not None:
        return ""
    if delta.reasoning_text or delta.thinking or delta.extra_content is not None:
        return ""
    if chunk.web_search is not ABSENT or chunk.references is not ABSENT or chunk.search_info is not ABSENT:
        return ""
    return text


def _mended(data: bytes) -> Chunk:
    try:
        value = _decode_any(data)
        for _ in range(_MENDS):
            try:
                return msgspec.convert(value, Chunk)
            except msgspec.ValidationError as error:
                _leave_out(value, str(error))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadAnswer(f"wrong shape: {error}") from None
    raise BadAnswer("wrong shape: too many members of a wrong type")


def _leave_out(value: Any, complaint: str) -> None:
    """Delete the member that msgspec's *complaint* (``… - at `$.choices[0].index```) names, or raise BadAnswer.

    An object as ``content`` (Cloudflare, where JSON was asked for) becomes its text.
    """
    path = complaint.rpartition(" - at `$")[2].rstrip("`") if " - at `$" in complaint else ""
    words = path.replace("[", ".[").lstrip(".").split(".")
    steps = [int(word[1:-1]) if word[:1] == "[" and word[1:-1].isdecimal() else word for word in words]
    last = steps[-1]
    if not path or isinstance(last, int) or (last in _ESSENTIAL and last != "content"):
        raise BadAnswer(f"wrong shape: {complaint}")
    try:
        for step in steps[:-1]:
            value = value[step]
        if last != "content":
            del value[last]
        elif isinstance(value[last], dict):
            value[last] = encode(value[last]).decode()
        else:
            raise BadAnswer(f"wrong shape: {complaint}")
    except (KeyError, IndexError, TypeError):
        raise BadAnswer(f"wrong shape: {complaint}") from None
