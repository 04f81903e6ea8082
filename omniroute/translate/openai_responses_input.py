"""The ``input`` items of an OpenAI Responses request, written.

Each output of the assistant is an item of its own; user input is a message.  The assistant's text is a plain string, which
every vendor of the wire accepts; a refusal or citations of this wire need the whole message item.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw

from .conversation import Ask, Block, CacheHint, Media, Opaque, Refusal, Text, Thinking, ToolCall, ToolResult, Turn
from .emulation import as_error
from .fidelity import Losses, Lost, lost_proof, reject
from .format import Target
from .names import Names, SentIds
from .openai_media import audio_format, url_of_media
from .openai_responses_error import WIRE
from .openai_responses_tools import write_tools
from .repair import repair

_ID_LIMIT: Final = 64
_SEARCHED: Final = {"status": "completed", "execution": "client"}
Item = dict[str, Any] | Raw


class Input:
    """Writes the items.  ``lost`` collects the names of what could not be written; ``instructions`` is the system prompt."""

    def __init__(self, ask: Ask, target: Target, names: Names, lost: Losses) -> None:
        self.ask = ask
        self.own = ask.wire == WIRE
        self.quirks = target.quirks
        self.names = names
        self.lost = lost
        self.out: list[Item] = []
        self.instructions: str | None = None
        self._ids = SentIds(_ID_LIMIT)  # of tool calls

    def render(self) -> list[Item]:
        self._system_prompt()
        turns = self.ask.turns
        if not self.own:  # the vendor may keep the rest of a conversation of this wire
            turns, notes = repair(turns)
            self.lost.update(notes)
        for number, turn in enumerate(turns):
            self._declared(number)
            if turn.name:
                self.lost.add(Lost.PARTICIPANT_NAME)
            self._turn(turn)
        self._declared(len(turns))
        if not self.own and turns and turns[-1].role == "assistant":
            self.lost.add(Lost.PREFILL)
        return self.out

    def _system_prompt(self) -> None:
        system = self.ask.system
        texts = [block.text for block in system if isinstance(block, Text)]
        if any(isinstance(block, Text) and block.cache for block in system):
            self.lost.add(Lost.CACHE_CONTROL)
        if texts:
            self.instructions = "\n".join(texts)
        others: list[Block] = [block for block in system if not isinstance(block, Text)]
        if others and (parts := self._parts(others)):
            self.out.append({"type": "message", "role": "developer", "content": parts})

    def _declared(self, place: int) -> None:
        """Write the tools that were declared after *place* turns of the conversation."""
        tools = [tool for tool in self.ask.tools if tool.placed == place] if self.own else []
        if tools:
            written = write_tools(tools, self.names, own=True)
            self.out.append({"type": "additional_tools", "role": "developer", "tools": written})

    def _turn(self, turn: Turn) -> None:
        if turn.role == "assistant":
            for block in turn.blocks:
                self._assistant(block)
        elif turn.role == "tool":
            self.out += [self._result(block) for block in turn.blocks if isinstance(block, ToolResult)]
        else:
            role = turn.role
            if role == "system" and "developer_role" in self.quirks:
                role = "developer"  # type: ignore[assignment]
            parts = self._parts(turn.blocks)
            if parts or not turn.blocks:
                self.out.append({"type": "message", "role": role, "content": _plain(parts)})

    # -- content parts

    def _parts(self, blocks: list[Block]) -> list[Item]:
        return [part for block in blocks for part in self._part(block)]

    def _part(self, block: Block) -> list[Item]:
        if isinstance(block, Text):
            return [{"type": "input_text", "text": self._uncached(block.text, block.cache)}]
        if isinstance(block, Media):
            self._uncached("", block.cache)
            return self._media(block)
        if isinstance(block, Refusal):
            return [{"type": "input_text", "text": block.text}]
        if isinstance(block, Opaque) and block.wire == WIRE:
            return [Raw(block.raw)]
        self.lost.add(Lost.THINKING if isinstance(block, Thinking) else Lost.SERVER_BLOCKS)
        return []

    def _uncached(self, text: str, cache: CacheHint | None) -> str:
        if cache is not None:
            self.lost.add(Lost.CACHE_CONTROL)
        return text

    def _media(self, media: Media) -> list[Item]:
        if media.file_id is not None and not self.own:
            raise reject(WIRE, Lost.FILE_ID, "input")
        if media.kind == "document":
            return self._document(media)
        if media.kind == "image":
            image = {"image_url": url_of_media(media)} if media.file_id is None else {"file_id": media.file_id}
            detail = media.detail or (None if self.own else "auto")
            return [{"type": "input_image", **image} | ({"detail": detail} if detail else {})]
        if media.kind == "audio" and self.own and media.data is not None:
            sound = {"data": media.data, "format": audio_format(media.mime)}
            return [{"type": "input_audio", "input_audio": sound}]
        if media.kind == "audio" and media.transcript:
            self.lost.add(Lost.AUDIO_INPUT)
            return [{"type": "input_text", "text": media.transcript}]
        raise reject(WIRE, Lost.AUDIO_INPUT if media.kind == "audio" else Lost.VIDEO_INPUT, "input")

    def _document(self, media: Media) -> list[Item]:
        before: list[Item] = []
        if media.citations:
            self.lost.add(Lost.DOCUMENT_CITATIONS)
        if media.context:
            self.lost.add(Lost.DOCUMENT_CONTEXT)
            before.append({"type": "input_text", "text": media.context})
        if media.text is not None or media.blocks is not None:
            if media.name:
                before.append({"type": "input_text", "text": media.name})
            inner = self._parts(media.blocks) if media.blocks is not None else []
            return [*before, *inner, *([{"type": "input_text", "text": media.text}] if media.text is not None else [])]
        file: dict[str, Any] = {"type": "input_file"}
        if media.file_id is not None:
            file["file_id"] = media.file_id
        elif media.url is not None:
            file["file_url"] = media.url
        else:
            file |= {"filename": media.name or "document.pdf", "file_data": url_of_media(media)}
        if media.detail:
            file["detail"] = media.detail
        return [*before, file]

    # -- the assistant's items

    def _assistant(self, block: Block) -> None:
        match block:
            case Text():
                self._said(block)
            case Refusal():
                self._message({"type": "refusal", "refusal": block.text})
            case Thinking():
                self._thinking(block)
            case ToolCall():
                self.out.append(self._call(block))
            case Opaque() if block.wire == WIRE:
                self.out.append(Raw(block.raw))
            case Media():
                self.lost.add(Lost.MEDIA_OUTPUT)
            case _:
                self.lost.add(Lost.SERVER_BLOCKS)

    def _said(self, block: Text) -> None:
        self._uncached("", block.cache)
        own = [Raw(c.raw) for c in block.citations if c.wire == WIRE and c.raw is not None]
        if len(own) < len(block.citations):
            self.lost.add(Lost.CITATIONS)
        if block.signature:
            self.lost.add(Lost.THINKING_SIGNATURE)
        if own:
            self._message({"type": "output_text", "text": block.text, "annotations": own})
        elif block.text or self.own:
            self.out.append({"type": "message", "role": "assistant", "content": block.text})

    def _message(self, part: dict[str, Any]) -> None:
        id_ = f"msg_{len(self.out)}"
        self.out.append({"type": "message", "id": id_, "role": "assistant", "status": "completed", "content": [part]})

    def _thinking(self, block: Thinking) -> None:
        item: dict[str, Any] = {"type": "reasoning"}
        if block.wire == WIRE and block.id:
            item["id"] = block.id
        if block.wire == WIRE and block.signature:
            summary = [{"type": "summary_text", "text": block.text}] if block.text else []
            self.out.append({**item, "summary": summary, "encrypted_content": block.signature})
        elif self.own or "reasoning_content" in self.quirks:
            content = [{"type": "reasoning_text", "text": block.text}] if block.text else []
            if block.signature:
                self.lost.add(Lost.THINKING_SIGNATURE)
            if content or "id" in item:
                self.out.append({**item, "summary": [], "content": content} if content else {**item, "summary": []})
        else:
            if block.signature:
                self.lost.add(lost_proof(block.redacted))
            if not block.redacted:
                self.lost.add(Lost.THINKING)

    def _call(self, call: ToolCall) -> dict[str, Any]:
        self._uncached("", call.cache)
        if call.signature:
            self.lost.add(Lost.THINKING_SIGNATURE)
        if call.kind == "search" and self.own:
            named = {"id": call.item_id} if call.item_id else {}
            return {"type": "tool_search_call", **named, "call_id": call.id, **_SEARCHED, "arguments": _raw(call.arguments)}
        item: dict[str, Any] = {"type": "custom_tool_call" if call.kind == "custom" else "function_call"}
        if self.own and call.item_id:
            item["id"] = call.item_id
        item["call_id"] = call.id if self.own else self._ids.new(call.id)
        if self.own and call.namespace:
            item["namespace"] = call.namespace
        item["name"] = call.name if self.own else self.names.sent(call.name, call.namespace)
        if call.kind == "custom":
            item["input"] = call.arguments
        else:
            item["arguments"] = call.arguments or "{}"
        return item

    def _result(self, result: ToolResult) -> dict[str, Any]:
        self._uncached("", result.cache)
        if result.kind == "search" and self.own and isinstance(found := result.blocks[0], Text):
            return {"type": "tool_search_output", "call_id": result.id, **_SEARCHED, "tools": _raw(found.text)}
        kind = "custom_tool_call_output" if result.kind == "custom" else "function_call_output"
        output: str | list[Item] = self._parts(result.blocks)
        if len(output) < 2:
            output = _plain(output)  # type: ignore[arg-type]
        if result.is_error:
            self.lost.add(Lost.TOOL_ERROR)
            output = _failed(output)
        return {"type": kind, "call_id": self._ids.last(result.id) or result.id, "output": output}


def _raw(text: str) -> Raw:
    return Raw(text.encode("utf-8", "replace"))


def _plain(parts: list[Item]) -> str | list[Item]:
    """Return a single text as a string, anything else unchanged."""
    if not parts:
        return ""
    only = parts[0]
    return only["text"] if len(parts) == 1 and isinstance(only, dict) and only["type"] == "input_text" else parts


def _failed(output: str | list[Item]) -> str | list[Item]:
    if isinstance(output, str):
        return as_error(output)
    return [{"type": "input_text", "text": "Error:"}, *output]
