"""OpenAI Responses answers, read: event streams and, item by item through the same code, whole ``response`` objects.

Items may overlap: an item's end comes late, or calls arrive in parallel.  Thinking and text are closed by whatever comes
next; a call stays open until it is complete, and events of other items wait (``openai_responses_queue.py``).

Real vendors send events without names or numbers, ``[DONE]``, items without an end, ``reasoning_text`` in parts of several
types, calls that are whole in their first event, output in the final response only, ``error`` before ``response.failed``,
and streams that are cut off inside a call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Raw

from .conversation import Media
from .events import (
    CUT,
    BlockEnd,
    CitationDelta,
    Event,
    Failure,
    Finish,
    FinishReason,
    MediaPart,
    OpaquePart,
    RefusalDelta,
    Signature,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolStart,
)
from .format import BadAnswer, StreamDecoder
from .jsonio import ABSENT, STRING, check_text, encode, present
from .openai_responses_error import WIRE, decode_error
from .openai_responses_queue import CALLS, Open, Queue
from .openai_responses_shapes import (
    ITEM,
    PART,
    RESPONSE,
    USAGE,
    Item,
    Part,
    Response,
    StreamEvent,
    array_of,
    free_text,
    parts_of,
    read_annotation,
    read_event,
    text_of,
)
from .usage import from_responses

INCOMPLETE: Final[dict[str, FinishReason]] = {
    "max_output_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}
_OURS: Final = frozenset((*CALLS, "message", "reasoning"))


class ResponsesDecoder(StreamDecoder):
    """See :class:`~.format.StreamDecoder`."""

    def __init__(self) -> None:
        self._started = False
        self._ended = False
        self._queue = Queue()
        self._kinds: dict[str, int] = {}  # item type -> how many were streamed
        self._ids: set[str] = set()

    # -- the protocol

    def feed(self, name: bytes, data: bytes) -> Sequence[Event]:
        if self._ended:
            return ()
        if data[:1] != b"{":
            return self._not_an_object(data)
        event = read_event(data)
        queue = self._queue
        item = queue.open
        if event.delta is not None and item is not None and event.output_index == item.index is not None:
            kind = event.type
            if kind == "response.output_text.delta" and (event.logprobs is ABSENT or bytes(event.logprobs) == b"[]"):
                item.said = item.told = item.block = True
                return (TextDelta(event.delta),)
            if kind == "response.function_call_arguments.delta" and item.kind == "function_call":
                return (queue.argument(item, event.delta),)
        return self._led(self._take(event, name, data))

    def eof(self) -> Sequence[Event]:
        if self._ended:
            return ()
        return self._led(self._fail(Failure(502, CUT)))

    def _not_an_object(self, data: bytes) -> Sequence[Event]:
        text = data.strip()
        if text[:1] == b"{":
            return self.feed(b"", text)
        if text in (b"", b"[DONE]", b"null"):
            return ()
        raise BadAnswer(f"not a Responses event: {data[:80]!r}")

    def _led(self, events: list[Event]) -> Sequence[Event]:
        """Put a Start before the first events if the vendor sent none."""
        if self._started or not events:
            return events
        self._started = True
        return events if isinstance(events[0], Start) else [Start(), *events]

    def _take(self, event: StreamEvent, name: bytes, data: bytes) -> list[Event]:
        if not data.isascii():
            check_text(data)
        handler = _ON.get(event.type)
        if handler is not None:
            out: list[Event] = []
            handler(self, event, out)
            return out
        if event.type == "error" or name == b"error" or (present(event.error) and not event.type.startswith("response.")):
            return self._fail(decode_error(0, data))
        return []

    # -- the response

    def _created(self, event: StreamEvent, out: list[Event]) -> None:
        if not self._started and (response := RESPONSE.get(event.response)) is not None:
            out.append(start_of(response))

    def _terminal(self, event: StreamEvent, out: list[Event]) -> None:
        response = RESPONSE.get(event.response) or Response()
        if not self._started:
            out.append(start_of(response))
        if event.type == "response.failed" or response.status == "failed":
            out += self._fail(failure_of(event.response, response))
            return
        self._queue.flush(out)
        self._unended(response, out)
        for raw in response.output or ():
            self._late(raw, out)
        if (usage := USAGE.get(response.usage)) is not None:
            out.append(from_responses(usage))
        status = response.status or event.type.rpartition(".")[2]
        if event.type == "response.incomplete":
            status = "incomplete"
        out.append(finish_of(status, response, bool(self._queue.called)))
        self._ended = True

    def _unended(self, response: Response, out: list[Event]) -> None:
        """Emit vendor items that were announced but never ended, as the final response has them."""
        final = {item.id: raw for raw in response.output or () if (item := ITEM.get(raw)) is not None}
        for opened in self._queue.unended():
            raw = final.get(opened.id, opened.raw)
            if opened.kind not in _OURS and (item := ITEM.get(raw)) is not None:
                out += read_item(raw, item)

    def _late(self, raw: Raw, out: list[Event]) -> None:
        """Emit an item of the final response, if none of its type was streamed."""
        item = ITEM.get(raw)
        if item is None or item.type in self._kinds or (item.id or "") in self._ids:
            return
        self._queue.called |= item.type in CALLS
        out += read_item(raw, item)

    def _fail(self, failure: Failure) -> list[Event]:
        """End with the failure, without ending open items: clients act on the end of a call."""
        self._ended = True
        return [failure]

    # -- items

    def _item(self, event: StreamEvent, kind: str) -> Open:
        """Return the item that *event* belongs to; add one of *kind* if it was never announced."""
        found = self._queue.find(event.output_index, event.item_id)
        return found or self._add(event, Item(kind, event.item_id))

    def _add(self, event: StreamEvent, item: Item) -> Open:
        self._kinds[item.type] = self._kinds.get(item.type, 0) + 1
        if item.id:
            self._ids.add(item.id)
        return self._queue.add(Open(event.output_index, item.type, item.id or event.item_id or ""))

    def _added(self, event: StreamEvent, out: list[Event]) -> None:
        item = ITEM.answer(event.item)
        opened = self._add(event, item)
        opened.raw = event.item
        if item.type in CALLS and item.name:
            self._start_call(opened, item, out)
            opened.first = _arguments(item)

    def _start_call(self, opened: Open, item: Item, out: list[Event]) -> None:
        kind = CALLS[item.type]
        call_id = item.call_id or item.id or ""
        opened.started = True
        self._queue.put(opened, ToolStart(call_id, item.name or "", kind, item.namespace, item_id=item.id), out)

    def _done(self, event: StreamEvent, out: list[Event]) -> None:
        item = ITEM.answer(event.item)
        opened = self._queue.find(event.output_index, item.id) or self._add(event, item)
        if opened.done and (not item.id or item.id == opened.id):
            return
        if opened.done:  # some vendors give every item the index 0
            opened = self._add(event, item)
        kind = item.type = opened.kind or item.type
        if kind in CALLS:
            if not opened.started:
                self._start_call(opened, item, out)
            self._rest_of_arguments(opened, _arguments(item), out)
        elif kind == "reasoning":
            self._end_reasoning(opened, item, out)
        elif kind == "message":
            self._end_message(opened, item, out)
        else:
            for done in read_item(event.item, item):
                self._queue.put(opened, done, out)
        self._queue.end(opened, out)

    def _end_reasoning(self, opened: Open, item: Item, out: list[Event]) -> None:
        if not opened.said and (text := text_of(item.content) or text_of(item.summary)):
            self._queue.put(opened, ThinkingDelta(text, item.id), out)
        if item.encrypted_content:
            self._queue.put(opened, Signature(item.encrypted_content, wire=WIRE, id=item.id), out)

    def _end_message(self, opened: Open, item: Item, out: list[Event]) -> None:
        """Emit what the deltas did not: whole texts, and annotations."""
        for number, part in enumerate(parts_of(item.content)):
            if not opened.told:
                for said in read_part(part):
                    self._queue.put(opened, said, out)
            elif number == 0 and not opened.parted:
                self._missing_annotations(opened, part, out)

    def _missing_annotations(self, opened: Open, part: Part, out: list[Event]) -> None:
        for raw in (part.annotations or ())[opened.annotations :]:
            self._annotate(opened, raw, out)

    def _annotate(self, opened: Open, raw: Raw, out: list[Event]) -> None:
        opened.annotations += 1
        if (citation := read_annotation(raw)) is not None:
            self._queue.put(opened, CitationDelta(citation), out)

    # -- parts and deltas

    def _text_delta(self, event: StreamEvent, out: list[Event]) -> None:
        item = self._item(event, "message")
        item.said = item.told = True
        self._queue.put(item, TextDelta(event.delta or "", array_of(event.logprobs)), out)

    def _text_done(self, event: StreamEvent, out: list[Event]) -> None:
        item = self._item(event, "message")
        if event.text and not (item.said or item.parted):
            item.said = item.told = True
            self._queue.put(item, TextDelta(event.text, array_of(event.logprobs)), out)

    def _refusal_delta(self, event: StreamEvent, out: list[Event]) -> None:
        item = self._item(event, "message")
        item.said = item.told = True
        self._queue.put(item, RefusalDelta(event.delta or ""), out)

    def _refusal_done(self, event: StreamEvent, out: list[Event]) -> None:
        item = self._item(event, "message")
        if event.refusal and not (item.said or item.parted):
            item.said = item.told = True
            self._queue.put(item, RefusalDelta(event.refusal), out)

    def _annotation(self, event: StreamEvent, out: list[Event]) -> None:
        self._annotate(self._item(event, "message"), event.annotation, out)

    def _part_done(self, event: StreamEvent, out: list[Event]) -> None:
        """End the block that the part is."""
        item = self._queue.find(event.output_index, event.item_id)
        part = PART.get(event.part)
        if item is None or part is None or item.kind != "message":
            return
        if not item.said:
            for said in read_part(part):
                self._queue.put(item, said, out)
        else:
            self._missing_annotations(item, part, out)
            self._queue.put(item, BlockEnd(), out)
        item.said, item.told, item.parted, item.annotations = False, True, True, 0

    def _part_added(self, event: StreamEvent, out: list[Event]) -> None:
        item = self._queue.find(event.output_index, event.item_id)
        if item is not None:
            item.parted = False

    def _thinking_delta(self, event: StreamEvent, out: list[Event]) -> None:
        """Emit thinking.  If a vendor sends both the full text and a summary, the first of them is used."""
        item = self._item(event, "reasoning")
        source = event.type.rpartition(".")[0]
        item.source = item.source or source
        if item.source == source:
            item.said = True
            self._queue.put(item, ThinkingDelta(event.delta or "", item.id or None), out)

    def _arguments_delta(self, event: StreamEvent, out: list[Event]) -> None:
        """Emit arguments, but not of an unannounced call: its name is only known at its end, which repeats them whole."""
        item = self._queue.find(event.output_index, event.item_id)
        if item is not None and item.started and item.kind in CALLS and event.delta is not None:
            self._queue.put(item, self._queue.argument(item, event.delta), out)

    def _arguments_done(self, event: StreamEvent, out: list[Event]) -> None:
        item = self._queue.find(event.output_index, event.item_id)
        if item is not None and item.started and item.kind in CALLS:
            self._rest_of_arguments(item, event.arguments or event.input or "", out)

    def _rest_of_arguments(self, item: Open, whole: str, out: list[Event]) -> None:
        if not item.said and (whole := whole or item.first):
            self._queue.put(item, self._queue.argument(item, whole), out)


def _arguments(item: Item) -> str:
    return free_text(item.input if item.type == "custom_tool_call" else item.arguments)


_ON: Final[dict[str, Callable[[ResponsesDecoder, StreamEvent, list[Event]], None]]] = {
    "response.created": ResponsesDecoder._created,
    "response.in_progress": ResponsesDecoder._created,
    "response.queued": ResponsesDecoder._created,
    "response.completed": ResponsesDecoder._terminal,
    "response.incomplete": ResponsesDecoder._terminal,
    "response.failed": ResponsesDecoder._terminal,
    "response.cancelled": ResponsesDecoder._terminal,
    "response.output_item.added": ResponsesDecoder._added,
    "response.output_item.done": ResponsesDecoder._done,
    "response.content_part.added": ResponsesDecoder._part_added,
    "response.content_part.done": ResponsesDecoder._part_done,
    "response.output_text.delta": ResponsesDecoder._text_delta,
    "response.output_text.done": ResponsesDecoder._text_done,
    "response.output_text.annotation.added": ResponsesDecoder._annotation,
    "response.refusal.delta": ResponsesDecoder._refusal_delta,
    "response.refusal.done": ResponsesDecoder._refusal_done,
    "response.reasoning_text.delta": ResponsesDecoder._thinking_delta,
    "response.reasoning_summary_text.delta": ResponsesDecoder._thinking_delta,
    "response.function_call_arguments.delta": ResponsesDecoder._arguments_delta,
    "response.function_call_arguments.done": ResponsesDecoder._arguments_done,
    "response.custom_tool_call_input.delta": ResponsesDecoder._arguments_delta,
    "response.custom_tool_call_input.done": ResponsesDecoder._arguments_done,
}


# -- whole items and answers


def read_part(part: Part) -> list[Event]:
    """Return the events of a message's content part that arrived in one piece."""
    if part.type == "refusal" or (part.text is None and part.refusal):
        return [RefusalDelta(part.refusal or ""), BlockEnd()]
    out: list[Event] = [TextDelta(part.text or "", array_of(part.logprobs))]
    out += [CitationDelta(found) for raw in part.annotations or () if (found := read_annotation(raw)) is not None]
    return [*out, BlockEnd()]


def read_item(raw: Raw, item: Item) -> list[Event]:
    """Return the events of an item that arrived in one piece."""
    if item.type == "message":
        return [event for part in parts_of(item.content) for event in read_part(part)]
    if item.type == "reasoning":
        text = text_of(item.content) or text_of(item.summary)
        out: list[Event] = [ThinkingDelta(text, item.id)] if text else []
        if item.encrypted_content:
            out.append(Signature(item.encrypted_content, wire=WIRE, id=item.id))
        return [*out, BlockEnd()] if out else out
    if item.type in CALLS:
        start = ToolStart(item.call_id or item.id or "", item.name or "", CALLS[item.type], item.namespace, item_id=item.id)
        return [start, ToolArguments(_arguments(item)), BlockEnd()]
    if item.type == "image_generation_call" and (data := STRING.get(item.result)):
        return [MediaPart(Media("image", f"image/{item.output_format or 'png'}", data=data))]
    return [OpaquePart(WIRE, item.type or "item", bytes(raw))]


def start_of(response: Response) -> Start:
    return Start(response.id or "", response.model or "", int(response.created_at or 0))


def failure_of(raw: Raw, response: Response) -> Failure:
    """Return the error of a failed response."""
    body = encode({"error": response.error}) if present(response.error) else b'{"error":{"message":"The response failed."}}'
    return decode_error(0, body)


def finish_of(status: str, response: Response, called: bool) -> Finish:
    """Return the finish reason of a response with this *status*; *called*: it contains a tool call."""
    if status == "incomplete":
        word = (response.incomplete_details and response.incomplete_details.reason) or ""
        reason = INCOMPLETE.get(word, "other")
        return Finish(reason, raw=word if reason == "other" else "")
    if status in ("completed", "complete", ""):
        return Finish("tool_calls" if called else "stop")
    return Finish("other", raw=status)


def decode_answer(body: bytes) -> list[Event]:
    """Read a whole ``response``; an error under status 200 becomes a Failure.  Raises BadAnswer."""
    data = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if data[:1] != b"{":
        raise BadAnswer("not a JSON object")
    check_text(data)
    response = RESPONSE.answer(data)
    start = start_of(response)
    if response.status == "failed" or (response.output is None and present(response.error)):
        return [start, failure_of(Raw(data), response) if response.status == "failed" else decode_error(0, data)]
    if response.output is None:
        raise BadAnswer("an answer without output")
    events: list[Event] = [start]
    called = False
    for raw in response.output:
        item = ITEM.answer(raw)
        called |= item.type in CALLS
        events += read_item(raw, item)
    if (usage := USAGE.get(response.usage)) is not None:
        events.append(from_responses(usage))
    events.append(finish_of(response.status or "", response, called))
    return events
