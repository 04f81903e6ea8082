"""The messages of an Ollama request, written.

A message is one text and a list of images, so blocks are sorted into the two.  Tool results are text; their images follow in
a ``user`` message.  A result names its tool, and its call's id where it is known.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from typing import Any

from msgspec import Raw

from .conversation import Ask, Block, Media, Opaque, Refusal, Text, Thinking, ToolCall, ToolResult, Turn
from .emulation import FOLLOWED, as_error
from .fidelity import Losses, Lost, reject
from .names import flat, object_text
from .ollama_error import WIRE
from .repair import repair


class Messages:
    """Writes the messages.  ``lost`` collects the names of what could not be represented."""

    def __init__(self, ask: Ask, lost: Losses) -> None:
        self.ask = ask
        self.lost = lost
        self.out: list[dict[str, Any]] = []
        self.ids = {block.id for turn in ask.turns for block in turn.blocks if isinstance(block, ToolCall)}
        self.called: dict[str, str] = {}  # call id -> the tool's name as sent
        self.media: list[Block] = []  # from tool results, for the next user message

    def render(self) -> list[dict[str, Any]]:
        if self.ask.system:
            self._plain("system", self.ask.system)
        turns, notes = repair(self.ask.turns)
        self.lost.update(notes)
        for turn in turns:
            if turn.name:
                self.lost.add(Lost.PARTICIPANT_NAME)
            if turn.role == "tool":
                self._results(turn)
                continue
            if self.media and turn.role != "user":
                self._plain("user", [])
            if turn.role == "assistant":
                self._assistant(turn)
            else:
                self._plain(turn.role, turn.blocks)
        if self.media:
            self._plain("user", [])
        return self.out

    def _plain(self, role: str, blocks: list[Block]) -> None:
        """Add a system or user message; media of preceding tool results come first."""
        if role == "user" and self.media:
            blocks, self.media = [*self.media, *blocks], []
        texts, images = self._sorted(blocks)
        message: dict[str, Any] = {"role": role, "content": "\n".join(texts)}
        if images:
            message["images"] = images
        self.out.append(message)

    # -- content

    def _sorted(self, blocks: list[Block]) -> tuple[list[str], list[str]]:
        """(texts, images in base64)."""
        texts: list[str] = []
        images: list[str] = []
        for block in blocks:
            if isinstance(block, Text):
                self.lost.add(Lost.CACHE_CONTROL, block.cache is not None)
                self.lost.add(Lost.CITATIONS, bool(block.citations))
                self.lost.add(Lost.THINKING_SIGNATURE, bool(block.signature))
                texts.append(block.text)
            elif isinstance(block, Refusal):
                self.lost.add(Lost.REFUSAL)
                texts.append(block.text)
            elif isinstance(block, Media):
                self._media(block, texts, images)
            else:
                self.lost.add(Lost.SERVER_BLOCKS)
        return texts, images

    def _media(self, media: Media, texts: list[str], images: list[str]) -> None:
        self.lost.add(Lost.CACHE_CONTROL, media.cache is not None)
        self.lost.add(Lost.IMAGE_DETAIL, media.detail not in (None, "", "auto"))
        if media.file_id is not None:
            raise reject(WIRE, Lost.FILE_ID, "messages")
        if media.kind == "document":
            self._document(media, texts, images)
        elif media.kind == "image":
            if media.data is None:
                raise reject(WIRE, Lost.IMAGE_URL, "messages")
            images.append(media.data)
        elif media.transcript:
            self.lost.add(Lost.AUDIO_INPUT)
            texts.append(media.transcript)
        else:
            raise reject(WIRE, Lost.AUDIO_INPUT if media.kind == "audio" else Lost.VIDEO_INPUT, "messages")

    def _document(self, media: Media, texts: list[str], images: list[str]) -> None:
        self.lost.add(Lost.DOCUMENT_CITATIONS, media.citations)
        if media.name:
            texts.append(media.name)
        if media.context:
            self.lost.add(Lost.DOCUMENT_CONTEXT)
            texts.append(media.context)
        if media.blocks is not None:
            inner = self._sorted(media.blocks)
            texts += inner[0]
            images += inner[1]
            return
        text = media.text if media.text is not None else _text_of(media)
        if text is None:
            raise reject(WIRE, Lost.DOCUMENTS, "messages")
        texts.append(text)

    # -- assistant

    def _assistant(self, turn: Turn) -> None:
        content: list[Block] = []
        thinking: list[str] = []
        images: list[str] = []
        calls: list[dict[str, Any]] = []
        for block in turn.blocks:
            if isinstance(block, Thinking):
                thinking += self._thinking(block)
            elif isinstance(block, ToolCall):
                calls.append(self._call(block))
            elif isinstance(block, Media):
                held = block.kind == "image" and block.data is not None
                images += [block.data] if held and block.data else []
                content += [Text(block.transcript)] if block.transcript else []
                self.lost.add(Lost.MEDIA_OUTPUT, not held)
                self.lost.add(Lost.THINKING_SIGNATURE, bool(block.signature))
            elif isinstance(block, Opaque):
                self.lost.add(Lost.SERVER_BLOCKS)
            else:
                content.append(block)
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self._sorted(content)[0])}
        more = (("thinking", "".join(thinking)), ("images", images), ("tool_calls", calls))
        message |= {name: value for name, value in more if value}
        self.out.append(message)

    def _thinking(self, block: Thinking) -> list[str]:
        if block.redacted:
            self.lost.add(Lost.REDACTED_THINKING)
            return []
        self.lost.add(Lost.THINKING_SIGNATURE, bool(block.signature))
        return [block.text]

    def _call(self, call: ToolCall) -> dict[str, Any]:
        self.lost.add(Lost.TOOL_NAMESPACE, bool(call.namespace))
        self.lost.add(Lost.THINKING_SIGNATURE, bool(call.signature))
        arguments, wrapped = object_text(call.arguments, call.kind)
        self.lost.add(Lost.TOOL_ARGUMENTS, wrapped)
        name = self.called[call.id] = flat(call.name, call.namespace)
        function = {"name": name, "arguments": Raw(arguments)}
        return {"id": call.id, "function": function} if call.id in self.ids else {"function": function}

    # -- tool results

    def _results(self, turn: Turn) -> None:
        for result in turn.blocks:
            if isinstance(result, ToolResult):
                self._result(result)

    def _result(self, result: ToolResult) -> None:
        self.lost.add(Lost.CACHE_CONTROL, result.cache is not None)
        media: list[Block] = [block for block in result.blocks if isinstance(block, Media)]
        text = "\n".join(self._sorted([block for block in result.blocks if not isinstance(block, Media)])[0])
        if media:
            self.lost.add(Lost.TOOL_RESULT_MEDIA)
            self.media += [Text(f"From the result of the tool {result.name or result.id}:"), *media]
        if result.is_error:
            self.lost.add(Lost.TOOL_ERROR)
            text = as_error(text)
        message = {"role": "tool", "content": text or (FOLLOWED if media else "")}
        if name := self.called.get(result.id, result.name):
            message["tool_name"] = name
        if result.id in self.ids:
            message["tool_call_id"] = result.id
        self.out.append(message)


def _text_of(media: Media) -> str | None:
    """Decode a base64 document if it is text; None otherwise."""
    if media.data is None or not media.mime.startswith("text/"):
        return None
    try:
        return b64decode(media.data, validate=True).decode()
    except (NotBase64, ValueError):
        return None
