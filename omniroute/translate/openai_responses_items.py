"""Output items and the ``response`` object of the OpenAI Responses wire, written.

A response's id begins with ``resp_``, those of items with ``msg_``, ``rs_``, ``fc_``, ``ctc_``, ``ig_``.  An id that an
upstream of this wire gave is kept, since encrypted reasoning is bound to it; others are made from the response's id and the
item's place.  The response echoes the request, as clients expect.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec import Raw, Struct

from .conversation import Ask, Citation, Media, Tool
from .events import Failure, Finish, FinishReason, Start, Usage
from .format import Stamp
from .jsonio import OBJECT, STRING, compact, encode, joined
from .names import CallIds, Names, fit, flat
from .openai_responses_error import WIRE, failed_error
from .openai_responses_render import text_settings
from .openai_responses_tools import NAME_LIMIT, write_choice, write_tools

Json = dict[str, Any]
_NO_BYTES: Final = re.compile(rb'("bytes"\s*:\s*)null')
_STEM: Final = 48  # characters of the response's id that the ids of its items repeat
_ID_LIMIT: Final = 64
_KEPT: Final = frozenset({"max_tool_calls", "prompt_cache_key", "safety_identifier", "tool_choice", "truncation"})
_TEXT_PART: Final = b'{"type":"output_text","text":%b,"annotations":%b,"logprobs":%b}'
_OWN: Final = (
    b'{"id":%b,"object":"response","created_at":%b,"status":"%b","completed_at":%b,"error":%b,'
    b'"incomplete_details":%b,"model":%b,"output":[%b],"usage":%b,%b'
)
_REASON: Final[dict[FinishReason, str]] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
    "refusal": "content_filter",
}


# -- items


class Items:
    """Makes the items of one answer, with their ids and the client's own tool names."""

    def __init__(self, stamp: Stamp) -> None:
        self._stem = fit(stamp.id.removeprefix("resp_") or "0", _STEM)
        self._names = stamp.names
        self._tools: dict[str, Tool] = {}
        self.call_id = CallIds(self._stem).next
        for tool in stamp.ask.tools if stamp.ask is not None else ():
            if tool.kind != "server":
                self._tools.setdefault(flat(tool.name, tool.namespace), tool)

    def id(self, prefix: str, place: int, given: str | None = None) -> str:
        return given or f"{prefix}_{self._stem}_{place}"

    def tool(self, sent: str) -> Tool | None:
        """Return the client's tool that was sent under this name."""
        return self._tools.get(self._names.get(sent, sent))

    def call(self, name: str, kind: str, namespace: str | None, call_id: str, place: int, item_id: str | None) -> Json:
        """Return an empty call.  Its text goes to ``arguments``, or ``input`` of custom tools; a search takes an object."""
        tool = self.tool(name)
        if tool is not None and tool.kind == "search":
            return {
                "type": "tool_search_call",
                "id": self.id("tsc", place),
                "status": "in_progress",
                "call_id": self.call_id(call_id),
                "execution": "client",
                "arguments": {},
            }
        if tool is not None:
            name, kind = tool.name, tool.kind
            namespace = None if tool.namespace == "functions" else tool.namespace or namespace
        else:
            name = self._names.get(name, name)
        custom = kind == "custom"
        prefix = "ctc" if custom else "fc"
        given = item_id if item_id and item_id.startswith(prefix) else None
        out: Json = {
            "type": "custom_tool_call" if custom else "function_call",
            "id": self.id(prefix, place, given),
            "status": "in_progress",
            "call_id": self.call_id(call_id),
            "name": name,
            "input" if custom else "arguments": "",
        }
        if namespace:
            out["namespace"] = namespace
        return out


def search_arguments(text: str) -> Raw | Json:
    """Return the arguments of a search as the object that clients expect."""
    raw = text.encode("utf-8", "replace")
    return Raw(compact(raw)) if OBJECT.get(raw) is not None else {}


def free_input(arguments: str) -> str:
    """Return a custom tool's text from the arguments of the function that replaced it: ``{"input": text}``."""
    members = OBJECT.get(arguments.encode("utf-8", "replace"))
    if members is not None and len(members) == 1:
        text = STRING.get(next(iter(members.values())))
        if text is not None:
            return text
    return arguments


def annotation(citation: Citation) -> Raw | Json | None:
    """Return a link with its span in the text; None for citations of documents, which this wire cannot express."""
    if citation.wire == WIRE and citation.raw is not None:
        return Raw(compact(citation.raw))
    if citation.url is None:
        return None
    return {
        "type": "url_citation",
        "url": citation.url,
        "title": citation.title or "",
        "start_index": citation.start or 0,
        "end_index": citation.end or 0,
    }


def text_part(text: bytes, annotations: list[Raw | Json], tokens: bytes) -> bytes:
    """*text* and *tokens* are JSON: a string, and the array from :func:`all_tokens`."""
    return _TEXT_PART % (text, encode(annotations) if annotations else b"[]", tokens)


def all_tokens(logprobs: list[bytes]) -> bytes:
    return joined(map(tokens_of, logprobs)) if logprobs else b"[]"


def tokens_of(logprobs: bytes) -> bytes:
    """Return an array of tokens on one line, with a list for ``bytes``, which the chat wire lets be ``null``."""
    return _NO_BYTES.sub(rb"\1[]", compact(logprobs))


def refusal_part(text: bytes) -> bytes:
    """*text* is a JSON string."""
    return b'{"type":"refusal","refusal":%b}' % text


def message_item(id_: str | Raw, parts: Iterable[bytes], status: str = "completed") -> Json:
    """*parts* are JSON."""
    return {"type": "message", "id": id_, "status": status, "role": "assistant", "content": list(map(Raw, parts))}


def summary_part(text: bytes) -> bytes:
    """*text* is a JSON string."""
    return b'{"type":"summary_text","text":%b}' % text


def reasoning_item(id_: str | Raw, text: bytes, encrypted: str | None) -> Json:
    """*text* is a JSON string, b"" for none."""
    summary = [Raw(summary_part(text))] if text else []
    out: Json = {"type": "reasoning", "id": id_, "summary": summary}
    return out | {"encrypted_content": encrypted} if encrypted else out


def image_item(id_: str, media: Media) -> Json | None:
    """Return the item of the vendor's own image tool for an image as bytes; None for other media."""
    if media.kind != "image" or media.data is None:
        return None
    out = {"type": "image_generation_call", "id": id_, "status": "completed", "result": media.data}
    form = media.mime.partition("/")[2]
    return out | {"output_format": form} if form in ("png", "jpeg", "webp") else out


# -- the response


_USAGE: Final = (
    b'{"input_tokens":%d,"input_tokens_details":{"cached_tokens":%d,"cache_write_tokens":%d},'
    b'"output_tokens":%d,"output_tokens_details":{"reasoning_tokens":%d},"total_tokens":%d}'
)


def usage_object(usage: Usage | None) -> bytes:
    """Return ``usage``, unknown counts as 0: clients fail without ``total_tokens`` or ``cached_tokens``."""
    usage = usage or Usage()
    given, output = usage.input or 0, usage.output or 0
    cached, written = usage.cache_read or 0, usage.cache_write or 0
    return _USAGE % (given, cached, written, output, usage.reasoning or 0, given + output)


class Envelope:
    """The ``response`` object of one answer.  What only echoes the request is encoded once."""

    def __init__(self, stamp: Stamp, start: Start) -> None:
        made = stamp.id if stamp.id.startswith("resp_") else f"resp_{fit(stamp.id, 58)}"
        self._id = encode(start.id if start.id.startswith("resp_") else made)
        self._created = encode(start.created or stamp.created)
        self._model = encode(start.model or stamp.model)
        self._echo = compact(encode(_echo(stamp.ask or Ask())))[1:]  # on one line, even if the client's schemas are not

    def write(
        self,
        status: str,
        output: Sequence[bytes] = (),
        usage: bytes = b"null",
        reason: str | None = None,
        error: Json | None = None,
    ) -> bytes:
        return _OWN % (
            self._id,
            self._created,
            status.encode(),
            self._created if status == "completed" else b"null",
            encode(error),
            encode({"reason": reason}) if reason else b"null",
            self._model,
            b",".join(output),
            usage,
            self._echo,
        )

    def finish(self, finish: Finish, output: list[bytes], usage: Usage | None) -> tuple[str, bytes]:
        """Return (status, response) of an answer that reached its end."""
        counts = usage_object(usage)
        if finish.reason == "error":
            error = failed_error(Failure(502, "The provider ended the answer with an error."))
            return "failed", self.write("failed", output, counts, error=error)
        if reason := incomplete_reason(finish):
            return "incomplete", self.write("incomplete", output, counts, reason)
        return "completed", self.write("completed", output, counts)


def incomplete_reason(finish: Finish) -> str | None:
    return _REASON.get(finish.reason)


class _Echo(Struct):
    """The members that echo the request, with the vendor's defaults for those that were not sent."""

    background: bool = False
    instructions: str | None = None
    max_output_tokens: int | None = None
    max_tool_calls: Raw | None = None
    metadata: Raw = Raw(b"{}")
    parallel_tool_calls: bool = True
    previous_response_id: None = None
    prompt_cache_key: Raw | None = None
    reasoning: Json | Raw = Raw(b'{"effort":null,"summary":null}')
    safety_identifier: Raw | None = None
    service_tier: str = "default"
    store: bool = False
    temperature: float = 1.0
    text: Json | Raw = Raw(b'{"format":{"type":"text"}}')
    tool_choice: str | Json | Raw = "auto"
    tools: list[Json | Raw] | Raw = Raw(b"[]")
    top_logprobs: int = 0
    top_p: float = 1.0
    truncation: Raw = Raw(b'"disabled"')
    user: str | None = None


def _echo(ask: Ask) -> _Echo:
    echo = _Echo(instructions=_instructions(ask), max_output_tokens=ask.max_tokens, user=ask.user)
    own, said = ask.wire == WIRE, ask.sampling
    if ask.tools or ask.tool_choice is not None:
        names = Names(NAME_LIMIT)
        echo.tools = write_tools((tool for tool in ask.tools if tool.placed is None), names, own)
        if ask.tool_choice is not None:
            echo.tool_choice = write_choice(ask.tool_choice, ask.tools, names, own)
    if ask.parallel_tools is not None:
        echo.parallel_tool_calls = ask.parallel_tools
    if ask.reasoning is not None:
        echo.reasoning = {"effort": ask.reasoning.effort, "summary": ask.reasoning.show}
    if settings := text_settings(ask):
        echo.text = {"format": {"type": "text"}} | settings
    if said.temperature is not None:
        echo.temperature = said.temperature
    if said.top_p is not None:
        echo.top_p = said.top_p
    echo.top_logprobs = said.top_logprobs or 0
    if own:
        if ask.metadata is not None:
            echo.metadata = Raw(ask.metadata)
        for name in _KEPT & ask.extra.keys():
            setattr(echo, name, Raw(ask.extra[name]))
    return echo


def _instructions(ask: Ask) -> str | None:
    texts = [text for block in ask.system if isinstance(text := getattr(block, "text", None), str)]
    return "\n".join(texts) if texts else None
