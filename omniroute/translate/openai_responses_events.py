"""The events of an OpenAI Responses stream, as bytes.

Each is a pattern for ``%``.  The first value is the event's number, but for deltas, whose number comes last, since the bytes
before their text are the same for all of one part.  All other values are JSON already.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from typing import Final


def _event(name: str, members: str) -> bytes:
    return f'event: {name}\ndata: {{"type":"{name}","sequence_number":%d,{members}}}\n\n'.encode()


_ITEM: Final = '"item_id":%b,"output_index":%d,'
_PART: Final = _ITEM + '"content_index":%d,'
_SUMMARY: Final = _ITEM + '"summary_index":0,'

# of the response as a whole
BEGUN: Final = _event("response.created", '"response":%b') + _event("response.in_progress", '"response":%b')
ENDED: Final = {status: _event(f"response.{status}", '"response":%b') for status in ("completed", "incomplete", "failed")}

# of an item
ITEM_ADDED: Final = _event("response.output_item.added", '"output_index":%d,"item":%b')
MESSAGE_ADDED: Final = _event(  # the same for a message, of which only the id is not known
    "response.output_item.added",
    '"output_index":%d,"item":{"type":"message","id":%b,"status":"in_progress","role":"assistant","content":[]}',
)
ITEM_DONE: Final = _event("response.output_item.done", '"output_index":%d,"item":%b')

# of a message's part
PART_ADDED: Final = _event("response.content_part.added", _PART + '"part":%b')
PART_DONE: Final = _event("response.content_part.done", _PART + '"part":%b')
TEXT_DONE: Final = _event("response.output_text.done", _PART + '"text":%b,"logprobs":%b')
ANNOTATION: Final = _event("response.output_text.annotation.added", _PART + '"annotation_index":%d,"annotation":%b')
REFUSAL_DONE: Final = _event("response.refusal.done", _PART + '"refusal":%b')

# of a summary
SUMMARY_ADDED: Final = _event("response.reasoning_summary_part.added", _SUMMARY + '"part":%b')
SUMMARY_TEXT_DONE: Final = _event("response.reasoning_summary_text.done", _SUMMARY + '"text":%b')
SUMMARY_DONE: Final = _event("response.reasoning_summary_part.done", _SUMMARY + '"part":%b')

# of a call
ARGUMENTS_DONE: Final = _event("response.function_call_arguments.done", _ITEM + '"name":%b,"arguments":%b')
INPUT_DONE: Final = _event("response.custom_tool_call_input.done", _ITEM + '"input":%b')


def _delta(name: str, members: str = _ITEM) -> bytes:
    return f'event: {name}\ndata: {{"type":"{name}",{members}"delta":"'.encode()


# the bytes before the escaped text of a delta
TEXT_DELTA: Final = _delta("response.output_text.delta", _PART)
REFUSAL_DELTA: Final = _delta("response.refusal.delta", _PART)
SUMMARY_DELTA: Final = _delta("response.reasoning_summary_text.delta", _SUMMARY)
ARGUMENTS_DELTA: Final = _delta("response.function_call_arguments.delta")
INPUT_DELTA: Final = _delta("response.custom_tool_call_input.delta")

# and those after it
TAIL: Final = b'","sequence_number":%d}\n\n'
LOGPROBS_TAIL: Final = b'","logprobs":%b,"sequence_number":%d}\n\n'
TEXT_TAIL: Final = b'","logprobs":[],"sequence_number":%d}\n\n'
_FIRST_TAILS: Final = tuple(TEXT_TAIL % number for number in range(512))


def text_tails(first: int, count: int) -> tuple[bytes, ...]:
    """Return what follows the texts of *count* ``response.output_text.delta``, the first of them with the number *first*."""
    if first + count <= len(_FIRST_TAILS):
        return _FIRST_TAILS[first : first + count]
    return tuple([TEXT_TAIL % number for number in range(first, first + count)])
