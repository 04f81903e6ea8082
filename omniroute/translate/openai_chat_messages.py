"""The messages of an OpenAI chat request, written.

One turn may need several messages here: each tool result is a ``tool`` message.  Since these are text, images of the results
follow in a ``user`` message after the last of them.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from .conversation import Ask, Block, CacheHint, Media, Opaque, Refusal, Text, Thinking, ToolCall, ToolResult, Turn
from .emulation import FOLLOWED, as_error
from .fidelity import Losses, Lost, reject
from .format import Target
from .jsonio import encode
from .names import Names
from .openai_chat_error import WIRE
from .openai_media import audio_format, url_of_media
from .repair import repair

_Part = dict[str, Any] | Raw


class Messages:
    """Writes the messages.  ``lost`` collects the names of what could not be represented."""

    def __init__(self, ask: Ask, target: Target, names: Names, native_custom: bool, lost: Losses) -> None:
        self.ask = ask
        self.own = ask.wire == WIRE
        self.quirks = target.quirks
        self.names = names
        self.native_custom = native_custom
        self.lost = lost
        self.out: list[dict[str, Any]] = []
        self.media: list[_Part] = []  # from tool results, for the next user message

    def render(self) -> list[dict[str, Any]]:
        if self.ask.system:
            self._system(self.ask.system, None)
        turns, notes = repair(self.ask.turns)
        self.lost.update(notes)
        for turn in turns:
            if turn.blocks and all(isinstance(block, Opaque) and block.wire != WIRE for block in turn.blocks):
                self.lost.add(Lost.SERVER_BLOCKS)
                continue
            if self.media and turn.role != "user":
                self._user([], None)
            if turn.role == "system":
                self._system(turn.blocks, turn.name)
            elif turn.role == "user":
                self._user(turn.blocks, turn.name)
            elif turn.role == "assistant":
                self._assistant(turn)
            else:
                self._results([block for block in turn.blocks if isinstance(block, ToolResult)])
        if self.media:
            self._user([], None)
        return self.out

    def _user(self, blocks: list[Block], name: str | None) -> None:
        """Add a user message.  It begins with media of preceding tool results: many templates refuse two in a row."""
        media, self.media = self.media, []
        self._message("user", [*media, *self._parts(blocks)] if media else self._content(blocks), name)

    def _message(self, role: str, content: str | list[_Part] | None, name: str | None = None) -> dict[str, Any]:
        message: dict[str, Any] = {"role": role, "content": content}
        if name:
            message["name"] = name
        self.out.append(message)
        return message

    def _system(self, blocks: list[Block], name: str | None) -> None:
        """Add a system message, always as plain text: few vendors accept a list here."""
        role = "developer" if "developer_role" in self.quirks else "system"
        if len(blocks) == 1 and (text := _plain(blocks[0])) is not None:
            self._message(role, text, name)
            return
        parts = self._parts(blocks)
        self._message(role, self._joined(parts) if not _cached(parts) else parts, name)

    # -- content

    def _content(self, blocks: list[Block]) -> str | list[_Part]:
        if len(blocks) == 1 and (text := _plain(blocks[0])) is not None:
            return text
        parts = self._parts(blocks)
        if not parts:
            return ""
        only = parts[0]
        return only["text"] if len(parts) == 1 and isinstance(only, dict) and only.keys() == {"type", "text"} else parts

    def _joined(self, parts: list[_Part]) -> str:
        return "\n".join([part["text"] for part in parts if isinstance(part, dict) and part["type"] == "text"])

    def _parts(self, blocks: list[Block]) -> list[_Part]:
        return [part for block in blocks for part in self._part(block)]

    def _part(self, block: Block) -> list[_Part]:
        if isinstance(block, Text):
            if block.citations:
                self.lost.add(Lost.CITATIONS)
            if block.signature:
                self.lost.add(Lost.THINKING_SIGNATURE)
            return [self._hinted({"type": "text", "text": block.text}, block.cache)]
        if isinstance(block, Media):
            return self._media(block)
        if isinstance(block, Refusal):
            return [{"type": "refusal", "refusal": block.text}]
        if isinstance(block, Opaque) and block.wire == WIRE:
            return [Raw(block.raw)]
        self.lost.add(Lost.THINKING if isinstance(block, Thinking) else Lost.SERVER_BLOCKS)
        return []

    def _hinted(self, part: dict[str, Any], cache: CacheHint | None) -> dict[str, Any]:
        if cache is not None:
            if "cache_control" in self.quirks:
                part["cache_control"] = {"type": "ephemeral"} | ({"ttl": cache.ttl} if cache.ttl else {})
            else:
                self.lost.add(Lost.CACHE_CONTROL)
        return part

    # -- media

    def _media(self, media: Media) -> list[_Part]:
        if media.file_id is not None and not (self.own and media.kind == "document"):
            raise reject(WIRE, Lost.FILE_ID, "messages")
        if media.kind == "image":
            image = {"url": url_of_media(media)} | ({"detail": media.detail} if media.detail else {})
            return [self._hinted({"type": "image_url", "image_url": image}, media.cache)]
        if media.kind == "document":
            return self._document(media)
        if media.kind == "audio" and media.data is not None:
            return [{"type": "input_audio", "input_audio": {"data": media.data, "format": audio_format(media.mime)}}]
        if media.kind == "video" and self.own:
            return [{"type": "video_url", "video_url": {"url": url_of_media(media)}}]
        if media.transcript:
            self.lost.add(Lost.AUDIO_INPUT)
            return [{"type": "text", "text": media.transcript}]
        raise reject(WIRE, Lost.AUDIO_INPUT if media.kind == "audio" else Lost.VIDEO_INPUT, "messages")

    def _document(self, media: Media) -> list[_Part]:
        if media.raw is not None and self.own:
            return [Raw(media.raw)]
        before: list[_Part] = []
        if media.detail and media.detail != "auto":
            self.lost.add(Lost.IMAGE_DETAIL)
        if media.citations:
            self.lost.add(Lost.DOCUMENT_CITATIONS)
        if media.context:
            self.lost.add(Lost.DOCUMENT_CONTEXT)
            before.append({"type": "text", "text": media.context})
        if media.text is not None or media.blocks is not None:
            if media.name:
                before.append({"type": "text", "text": media.name})
            inner = self._parts(media.blocks) if media.blocks is not None else [{"type": "text", "text": media.text}]
            if media.cache is not None and inner and isinstance(inner[-1], dict):
                self._hinted(inner[-1], media.cache)
            return before + inner
        if media.url is not None and not self.own:
            raise reject(WIRE, Lost.DOCUMENTS, "messages")
        by_id = media.file_id is not None
        file: dict[str, Any] = {"file_id": media.file_id} if by_id else {"file_data": url_of_media(media)}
        if not by_id or media.name:
            file["filename"] = media.name or "document.pdf"
        return [*before, self._hinted({"type": "file", "file": file}, media.cache)]

    # -- assistant

    def _assistant(self, turn: Turn) -> None:
        content: list[Block] = []
        thinking: list[str] = []
        more: dict[str, Any] = {}
        calls: list[dict[str, Any]] = []
        for block in turn.blocks:
            if isinstance(block, Thinking):
                thinking += self._thinking(block)
            elif isinstance(block, ToolCall):
                calls.append(self._call(block))
            elif isinstance(block, Refusal):
                more["refusal"] = more.get("refusal", "") + block.text
            elif isinstance(block, Opaque) and block.wire == WIRE and block.label == "audio":
                more["audio"] = Raw(block.raw)
            elif isinstance(block, Media):
                self.lost.add(Lost.MEDIA_OUTPUT)
            else:
                content.append(block)
        text = self._content(content)
        if not (self.own or text or thinking or more or calls):  # many vendors refuse an empty assistant message
            return
        message = self._message("assistant", None if not text and (calls or more) else text, turn.name)
        if thinking:
            message["reasoning_content"] = "".join(thinking)
        message |= more
        if calls:
            message["tool_calls"] = calls

    def _thinking(self, block: Thinking) -> list[str]:
        if block.redacted:
            self.lost.add(Lost.REDACTED_THINKING)
            return []
        if block.signature:
            self.lost.add(Lost.THINKING_SIGNATURE)
        if "reasoning_content" not in self.quirks:
            self.lost.add(Lost.THINKING)
            return []
        return [block.text]

    def _call(self, call: ToolCall) -> dict[str, Any]:
        name = self.names.sent(call.name, call.namespace)
        if call.signature:
            self.lost.add(Lost.THINKING_SIGNATURE)
        if call.kind == "custom" and self.native_custom:
            return {"id": call.id, "type": "custom", "custom": {"name": name, "input": call.arguments}}
        arguments = encode({"input": call.arguments}).decode() if call.kind == "custom" else call.arguments or "{}"
        return {"id": call.id, "type": "function", "function": {"name": name, "arguments": arguments}}

    # -- tool results

    def _results(self, results: list[ToolResult]) -> None:
        for result in results:
            content, followed = self._result(result)
            self.out.append({"role": "tool", "tool_call_id": result.id, "content": content})
            if followed:
                self.media.append({"type": "text", "text": f"From the result of the tool call {result.id}:"})
                self.media += followed

    def _result(self, result: ToolResult) -> tuple[str | list[_Part], list[_Part]]:
        """Return (content of the tool message, media that must follow it)."""
        texts = [b for b in result.blocks if isinstance(b, Text)]
        followed = self._parts([b for b in result.blocks if isinstance(b, Media)])
        if any(not isinstance(b, (Text, Media)) for b in result.blocks):
            self.lost.add(Lost.SERVER_BLOCKS)
        if followed:
            self.lost.add(Lost.TOOL_RESULT_MEDIA)
        parts = self._parts([*texts])
        if result.cache is not None:
            parts = parts or [{"type": "text", "text": ""}]
            assert isinstance(parts[-1], dict)
            self._hinted(parts[-1], result.cache)
        text = self._joined(parts)
        if result.is_error:
            self.lost.add(Lost.TOOL_ERROR)
            text = as_error(text)
        elif _cached(parts):
            return parts, followed
        return text or (FOLLOWED if followed else ""), followed


def _plain(block: Block) -> str | None:
    """The text of a block that is nothing but a text."""
    if type(block) is not Text or block.cache is not None or block.citations or block.signature:
        return None
    return block.text


def _cached(parts: list[_Part]) -> bool:
    return any(isinstance(part, dict) and "cache_control" in part for part in parts)
