"""A conversation as Anthropic messages, repaired where the API would refuse it.

The API's rules (its "Messages" reference, release notes and error texts): at least one message, the first of which need not
be the user's since October 2024; every ``tool_use`` is answered in the very next message, whose ``tool_result`` blocks come
first; no empty text; thinking only with this vendor's signature; ids and names in ``[a-zA-Z0-9_-]``; no white space at the
end of a final assistant text.
"""

from __future__ import annotations

import binascii
from typing import Any, Final

from msgspec import Raw

from .anthropic_answer import WIRE
from .conversation import (
    Ask,
    Block,
    CacheHint,
    Media,
    Opaque,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from .emulation import reminder
from .fidelity import Losses, Lost, reject
from .media_type import media_type_of
from .names import Names, SentIds, fit, object_text
from .repair import repair

Json = dict[str, Any]
Written = Json | Raw

ID_LIMIT: Final = 64
NAME_LIMIT: Final = 128
_OPENING: Final = "Begin."  # the user message of a request that has nothing but a system prompt
_TEXT_LIKE: Final = ("text/", "application/json", "application/xml", "application/x-yaml", "application/javascript")


# -- blocks


def cached(block: Json, cache: CacheHint | None) -> Json:
    """Add the cache breakpoint, if any, to *block* and return it."""
    if cache is not None:
        block["cache_control"] = {"type": "ephemeral", "ttl": cache.ttl} if cache.ttl else {"type": "ephemeral"}
    return block


def text_block(text: str, cache: CacheHint | None = None) -> list[Written]:
    """Return the block in a list; an empty list for blank text, which the API refuses."""
    return [cached({"type": "text", "text": text}, cache)] if text.strip() else []


class Blocks:
    """Writes the blocks of one request."""

    def __init__(self, ask: Ask, names: Names, lost: Losses) -> None:
        self._own = ask.wire == WIRE
        self._names = names
        self._lost = lost
        self._ids = SentIds(ID_LIMIT)  # of tool calls

    def user(self, blocks: list[Block]) -> list[Written]:
        return [out for block in blocks for out in self._user(block)]

    def assistant(self, blocks: list[Block]) -> list[Written]:
        return [out for block in blocks for out in self._assistant(block)]

    def system(self, blocks: list[Block]) -> list[Written]:
        """Write texts and, in mid-conversation, the other blocks that this vendor itself allows in system messages."""
        return [out for block in blocks if not isinstance(block, Media) for out in self._user(block)]

    def result(self, result: ToolResult) -> Json:
        out: Json = {"type": "tool_result", "tool_use_id": self._ids.last(result.id) or fit(result.id, ID_LIMIT)}
        if content := self.user(result.blocks):
            out["content"] = content
        if result.is_error:
            out["is_error"] = True
        return cached(out, result.cache)

    def _user(self, block: Block) -> list[Written]:
        match block:
            case Text():
                return text_block(block.text, block.cache)
            case Media():
                return [self._media(block)]
            case Refusal():
                self._lost.add(Lost.REFUSAL)
                return text_block(block.text)
            case Opaque():
                return self._opaque(block)
        self._lost.add(Lost.THINKING)
        return []

    def _assistant(self, block: Block) -> list[Written]:
        match block:
            case Text():
                return self._answer_text(block)
            case Thinking():
                return self._thinking(block)
            case ToolCall():
                return [self._call(block)]
            case Refusal():
                self._lost.add(Lost.REFUSAL)
                return text_block(block.text)
            case Opaque():
                return self._opaque(block)
            case Media():
                self._lost.add(Lost.MEDIA_OUTPUT)
                return text_block(block.transcript or "")
        return []

    def _opaque(self, block: Opaque) -> list[Written]:
        if block.wire == WIRE:
            return [Raw(block.raw)]
        self._lost.add(Lost.SERVER_BLOCKS)
        return []

    def _answer_text(self, block: Text) -> list[Written]:
        out = text_block(block.text, block.cache)
        own = [Raw(c.raw) for c in block.citations if c.wire == WIRE and c.raw is not None]
        if len(own) < len(block.citations):
            self._lost.add(Lost.CITATIONS)
        if block.signature:
            self._lost.add(Lost.THINKING_SIGNATURE)
        if own and out and isinstance(out[0], dict):
            out[0]["citations"] = own
        return out

    def _thinking(self, block: Thinking) -> list[Written]:
        if block.wire != WIRE or not block.signature:
            self._lost.add(Lost.THINKING)
            return []
        if block.redacted:
            return [{"type": "redacted_thinking", "data": block.signature}]
        return [{"type": "thinking", "thinking": block.text, "signature": block.signature}]

    def _call(self, call: ToolCall) -> Json:
        text, wrapped = object_text(call.arguments, call.kind)
        if wrapped:
            self._lost.add(Lost.TOOL_ARGUMENTS)
        if call.namespace:
            self._lost.add(Lost.TOOL_NAMESPACE)
        if call.signature:
            self._lost.add(Lost.THINKING_SIGNATURE)
        name = self._names.sent(call.name, call.namespace)
        out: Json = {"type": "tool_use", "id": self._ids.new(call.id), "name": name, "input": Raw(text)}
        return cached(out, call.cache)

    # -- media

    def _media(self, media: Media) -> Json:
        if media.kind == "audio" and media.transcript:
            self._lost.add(Lost.AUDIO_INPUT)
            return {"type": "text", "text": media.transcript}
        if media.kind == "audio":
            raise reject(WIRE, Lost.AUDIO_INPUT, "messages")
        if media.kind == "video":
            raise reject(WIRE, Lost.VIDEO_INPUT, "messages")
        if media.file_id is not None and not self._own:
            raise reject(WIRE, Lost.FILE_ID, "messages")
        if media.detail and media.detail != "auto":
            self._lost.add(Lost.IMAGE_DETAIL)
        out: Json = {"type": media.kind, "source": self._source(media)}
        if media.kind == "document":
            if media.name:
                out["title"] = media.name
            if media.context:
                out["context"] = media.context
            if media.citations:
                out["citations"] = {"enabled": True}
        return cached(out, media.cache)

    def _source(self, media: Media) -> Json:
        if media.url is not None:
            return {"type": "url", "url": media.url}
        if media.file_id is not None:
            return {"type": "file", "file_id": media.file_id}
        if media.text is not None:
            return {"type": "text", "media_type": "text/plain", "data": media.text}
        if media.blocks is not None:
            return {"type": "content", "content": self.user(media.blocks)}
        data = media.data or ""
        mime = media.mime or media_type_of(data)
        if media.kind == "document" and mime != "application/pdf":
            return {"type": "text", "media_type": "text/plain", "data": _plain_text(data, mime)}
        return {"type": "base64", "media_type": mime or "image/png", "data": data}


def _plain_text(data: str, mime: str) -> str:
    """Decode a base64 text document.  Raises the error of the DOCUMENTS row for any other type."""
    if mime.startswith(_TEXT_LIKE):
        try:
            return binascii.a2b_base64(data).decode()
        except ValueError:
            pass
    raise reject(WIRE, Lost.DOCUMENTS, "messages")


# -- turns


class Messages:
    """Turns -> messages.  What stands between two assistant messages becomes one user message, tool results first."""

    def __init__(self, blocks: Blocks, lost: Losses, system_role: bool) -> None:
        self._blocks = blocks
        self._lost = lost
        self._system_role = system_role  # the target accepts the role "system" in mid-conversation
        self.out: list[Json] = []
        self._results: list[Written] = []
        self._rest: list[Written] = []
        self._system: list[Written] = []  # system text that no other message has followed yet

    def write(self, turns: list[Turn]) -> list[Json]:
        repaired, notes = repair(turns, WIRE)
        self._lost.update(notes)
        for turn in repaired:
            match turn.role:
                case "assistant":
                    self._assistant(turn)
                case "tool":
                    self._results += [self._blocks.result(b) for b in turn.blocks if isinstance(b, ToolResult)]
                case "system":
                    self._system += self._blocks.system(turn.blocks)
                case _:
                    self._fold_system()
                    self._rest += self._blocks.user(turn.blocks)
            if turn.name:
                self._lost.add(Lost.PARTICIPANT_NAME)
        self._end_user()
        if not self.out:
            self.out.append({"role": "user", "content": _OPENING})
        self._trim_prefill()
        return self.out

    def _assistant(self, turn: Turn) -> None:
        content = self._blocks.assistant(turn.blocks)
        if not content:
            return
        if self._rest or self._results or self._system:
            self._end_user()
        if self.out and self.out[-1]["role"] == "assistant":
            self.out[-1]["content"] += content
        else:
            self.out.append({"role": "assistant", "content": content})

    def _end_user(self) -> None:
        """Complete the user message before an assistant message, or at the end."""
        system = self._system
        if not (self._system_role and (self._results or self._rest)):
            self._fold_system()
            system = []
        if content := [*self._results, *self._rest]:
            self.out.append({"role": "user", "content": content})
        if system:
            self.out.append({"role": "system", "content": system})
        self._results, self._rest, self._system = [], [], []

    def _fold_system(self) -> None:
        """Where the role is not allowed here: put the system text into the user message, marked, at its place."""
        for block in self._system:
            if isinstance(block, dict):
                self._lost.add(Lost.SYSTEM_TURNS)
                self._rest.append({**block, "text": reminder(block["text"])})
            else:
                self._lost.add(Lost.SERVER_BLOCKS)
        self._system = []

    def _trim_prefill(self) -> None:
        last = self.out[-1]
        block = last["content"][-1] if last["role"] == "assistant" else None
        if isinstance(block, dict) and block.get("type") == "text":
            block["text"] = block["text"].rstrip()
