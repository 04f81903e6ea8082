"""A conversation as Gemini contents, repaired where the API would refuse it.

The API's rules (its reference, "Content", and error texts): roles ``user`` and ``model``; the first content is the user's;
the responses of all function calls of a content come in the very next one, each by its function's name; no part without
data.  Newer models demand a signature on the first call of a step.  Calls that they did not make are sent with the value
that the vendor documents for that case ("Thought signatures", FAQ); no signature is made up.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

from .conversation import Ask, Block, Media, Opaque, Refusal, Text, Thinking, ToolCall, ToolResult, Turn
from .emulation import reminder
from .fidelity import Losses, Lost, lost_proof, reject
from .gemini_answer import media_part, signed
from .gemini_contents import BESIDE
from .gemini_error import WIRE
from .gemini_traits import Traits
from .jsonio import OBJECT, bad
from .media_type import media_type_of
from .names import Names, fit, flat, object_text
from .repair import repair

Json = dict[str, Any]
Written = Json | Raw

NAME_LIMIT: Final = 64
SKIP_SIGNATURE: Final = "skip_thought_signature_validator"
_OPENING: Final = " "  # a blank: Vertex and older models refuse an empty text
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=\r\n\t "
_NAME_START: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_NAME: Final = _NAME_START | frozenset("0123456789.:-")
_MIME_OF_END: Final = {
    **{"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif"},
    **{"heic": "image/heic", "heif": "image/heif", "pdf": "application/pdf", "mp3": "audio/mp3", "wav": "audio/wav"},
    **{"mp4": "video/mp4", "mov": "video/mov", "webm": "video/webm", "txt": "text/plain", "csv": "text/csv"},
}
_DEFAULT_MIME: Final = {"image": "image/jpeg", "audio": "audio/wav", "video": "video/mp4", "document": "application/pdf"}


class GeminiNames(Names):
    """Names of functions: letters, digits, ``_``, ``.``, ``:`` and ``-``, the first a letter or ``_``, 64 at most."""

    def __init__(self) -> None:
        super().__init__(NAME_LIMIT)

    def sent(self, name: str, namespace: str | None = None) -> str:
        own = flat(name, namespace)
        if 0 < len(own) <= NAME_LIMIT and own[0] in _NAME_START and _NAME.issuperset(own):
            return own
        fitted = fit(own, NAME_LIMIT)
        if fitted[0] not in _NAME_START:
            fitted = "_" + fit(own, NAME_LIMIT - 1)
        self.renamed[fitted] = own
        return fitted


class Contents:
    """Writes the contents.  ``lost`` collects the names of what could not be represented."""

    def __init__(self, ask: Ask, names: Names, traits: Traits, lost: Losses) -> None:
        self._own = ask.wire == WIRE
        self._called: dict[str, str] = {}  # call id -> the name it was sent under
        self._names = names
        self._traits = traits
        self._lost = lost
        self._ids = {b.id for turn in ask.turns for b in turn.blocks if isinstance(b, ToolCall) and b.id}
        self.out: list[Json] = []
        self._after: list[Written] = []  # media of tool results, for the next user content

    # -- turns

    def system(self, blocks: list[Block]) -> list[Written]:
        return [part for block in blocks if not isinstance(block, Media) for part in self._user(block)]

    def write(self, turns: list[Turn]) -> list[Json]:
        repaired, notes = repair(turns)
        self._lost.update(notes)
        for turn in repaired:
            if turn.name:
                self._lost.add(Lost.PARTICIPANT_NAME)
            if turn.role == "assistant":
                self._flush()
                self._add("model", self._assistant(turn.blocks))
            elif turn.role == "tool":
                self._flush()
                self._results([block for block in turn.blocks if isinstance(block, ToolResult)])
            elif turn.role == "system":
                self._flush(self._reminder(turn.blocks))
            else:
                self._flush(self._users(turn.blocks))
        self._flush()
        if not self._own and (not self.out or self.out[0]["role"] != "user"):
            self.out.insert(0, {"role": "user", "parts": [{"text": _OPENING}]})
        return self.out

    def _flush(self, parts: list[Written] | None = None) -> None:
        """Add a user content: the media that tool results left over, then *parts*."""
        after, self._after = self._after, []
        self._add("user", [*after, *(parts or ())])

    def _add(self, role: str, parts: list[Written], alone: bool = False) -> None:
        """Add a content, or extend the last one of the same role.  Function responses stay in contents of their own."""
        if not parts:
            return
        last = self.out[-1] if self.out else None
        if last is not None and last["role"] == role and not alone and not _has_responses(last):
            last["parts"] += parts
        else:
            self.out.append({"role": role, "parts": parts})

    def _reminder(self, blocks: list[Block]) -> list[Written]:
        self._lost.add(Lost.SYSTEM_TURNS)
        texts = [part["text"] for part in self.system(blocks) if isinstance(part, dict) and "text" in part]
        return [{"text": reminder("\n".join(texts))}] if texts else []

    # -- user parts

    def _users(self, blocks: list[Block]) -> list[Written]:
        """Write user parts.  What described a part beside its data is put there again."""
        out: list[Written] = []
        for block in blocks:
            part = out[-1] if out else None
            if self._own and isinstance(block, Opaque) and block.label.startswith(BESIDE) and isinstance(part, dict):
                part |= OBJECT.get(block.raw) or {}
            else:
                out += self._user(block)
        return out

    def _user(self, block: Block) -> list[Written]:
        match block:
            case Text():
                return self._text(block)
            case Media():
                return self._media(block)
            case Refusal():
                self._lost.add(Lost.REFUSAL)
                return _text_part(block.text)
            case Opaque() if block.wire == WIRE:
                return [Raw(block.raw)]
        self._lost.add(Lost.THINKING if isinstance(block, Thinking) else Lost.SERVER_BLOCKS)
        return []

    def _text(self, block: Text) -> list[Written]:
        self._hint(block)
        if block.citations:
            self._lost.add(Lost.CITATIONS)
        if block.signature or self._own:
            return [signed({"text": block.text}, block.signature)]
        return _text_part(block.text)

    def _hint(self, block: Text | Media | Thinking | ToolCall | ToolResult) -> None:
        if block.cache is not None:
            self._lost.add(Lost.CACHE_CONTROL)

    def _media(self, media: Media) -> list[Written]:
        self._hint(media)
        if media.detail and media.detail != "auto":
            self._lost.add(Lost.IMAGE_DETAIL)
        if media.citations:
            self._lost.add(Lost.DOCUMENT_CITATIONS)
        before: list[Written] = []
        if media.context:
            self._lost.add(Lost.DOCUMENT_CONTEXT)
            before += _text_part(media.context)
        if media.text is not None or media.blocks is not None:
            before += _text_part(media.name or "")
            inner: list[Block] = media.blocks if media.blocks is not None else [Text(media.text or "")]
            return before + [part for block in inner for part in self._user(block)]
        if media.file_id is not None and not self._own:
            raise reject(WIRE, Lost.FILE_ID, "messages")
        if media.url is not None and not self._traits.links:
            raise reject(WIRE, Lost.IMAGE_URL, "messages")
        if media.data is not None and not self._own and not _is_base64(media.data):
            raise bad("messages", f"Invalid data of an input of kind '{media.kind}': it is not base64.")
        part = media_part(msgspec.structs.replace(media, mime=self._mime(media)))
        if part is None and media.transcript:
            self._lost.add(Lost.AUDIO_INPUT)
            return [*before, {"text": media.transcript}]
        return [*before, *([part] if part is not None else [])]

    def _mime(self, media: Media) -> str:
        """The media type, which the wire requires: as given, guessed from the file's name or first bytes, or a default."""
        if media.mime:
            return media.mime
        if media.data is not None:
            found = media_type_of(media.data)
        else:
            path = (media.url or "").partition("?")[0].partition("#")[0]
            found = _MIME_OF_END.get(path.rpartition("/")[2].rpartition(".")[2].lower(), "")
            if not found and not self._own:
                self._lost.add(Lost.IMAGE_URL)
        return found or _DEFAULT_MIME[media.kind]

    # -- model parts

    def _assistant(self, blocks: list[Block]) -> list[Written]:
        out: list[Written] = []
        first = True
        for block in blocks:
            if isinstance(block, Thinking):
                out += self._thinking(block)
            elif isinstance(block, ToolCall):
                out.append(self._call(block, first))
                first = False
            elif isinstance(block, Media) and not self._own:
                self._lost.add(Lost.MEDIA_OUTPUT)
                out += _text_part(block.transcript or "")
            else:
                out += self._user(block)
        return out

    def _thinking(self, block: Thinking) -> list[Written]:
        self._hint(block)
        if block.wire == WIRE:
            part: Json = {"text": block.text} if block.text else {}
            return [signed(part | {"thought": True}, block.signature)] if part or block.signature else []
        if block.signature:
            self._lost.add(lost_proof(block.redacted))
        if block.text:
            self._lost.add(Lost.THINKING)
        return []

    def _call(self, call: ToolCall, first: bool) -> Json:
        self._hint(call)
        text, wrapped = object_text(call.arguments, call.kind)
        if wrapped:
            self._lost.add(Lost.TOOL_ARGUMENTS)
        function: Json = {"name": self._names.sent(call.name, call.namespace), "args": Raw(text)}
        self._called[call.id] = function["name"]
        self._identify(function, call.id)
        skipped = SKIP_SIGNATURE if first and self._traits.signatures and not self._own else None
        return signed({"functionCall": function}, call.signature or skipped)

    def _identify(self, function: Json, id_: str) -> None:
        """Set the id, if it is the client's own: one that was made up for a call without id means nothing to anyone."""
        if id_ in self._ids:
            function["id"] = id_

    # -- tool results

    def _results(self, results: list[ToolResult]) -> None:
        parts: list[Written] = []
        for result in results:
            self._hint(result)
            media = [block for block in result.blocks if isinstance(block, Media)]
            response: Json = {"name": self._called.get(result.id) or self._names.sent(result.name)}
            self._identify(response, result.id)
            response["response"] = self._response(result)
            if media:
                self._result_media(response, media)
            parts.append({"functionResponse": response})
        self._add("user", parts, alone=True)

    def _response(self, result: ToolResult) -> Written:
        """Wrap the result in ``output`` or ``error``, the vendor's names; an object from a client of this wire is kept."""
        if self._own and result.raw is not None:
            return Raw(result.raw)
        texts = [block.text for block in result.blocks if isinstance(block, Text)]
        if any(not isinstance(block, (Text, Media)) for block in result.blocks):
            self._lost.add(Lost.SERVER_BLOCKS)
        text = "\n".join(texts)
        if self._own and not text:
            return {}
        return {"error" if result.is_error else "output": text}

    def _result_media(self, response: Json, media: list[Media]) -> None:
        """Put bytes into the response if the model accepts them there; all other media follow it."""
        inside = [m for m in media if self._own or (m.data is not None and self._traits.response_media)]
        parts = [part for block in inside for part in self._media(block)]
        if parts:
            response["parts"] = parts
        rest = [block for block in media if block not in inside]
        if rest:
            self._lost.add(Lost.TOOL_RESULT_MEDIA)
            label = response.get("id") or response["name"]
            self._after.append({"text": f"From the result of the tool call {label}:"})
            self._after += [part for block in rest for part in self._media(block)]


def _text_part(text: str) -> list[Written]:
    """Return the part in a list; an empty list for empty text, which the API refuses."""
    return [{"text": text}] if text else []


def _is_base64(data: str) -> bool:
    """Whether this is base64 in either alphabet of RFC 4648, possibly on several lines."""
    return data.isascii() and not data.encode().translate(None, _BASE64)


def _has_responses(content: Json) -> bool:
    """Whether this content holds function responses; these are never mixed with other parts, so the first part decides."""
    first = content["parts"][0]
    return isinstance(first, dict) and "functionResponse" in first
