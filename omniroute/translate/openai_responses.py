"""The OpenAI Responses wire: ``POST /v1/responses``, used by agents (Codex) and by several vendors.

Modules: ``_request`` + ``_history`` (requests, read), ``_render`` + ``_input`` (requests, written), ``_tools`` (both ways),
``_stream`` + ``_queue`` + ``_shapes`` (answers, read), ``_answer`` + ``_items`` (answers, written), ``_error``.
"""

from __future__ import annotations

from typing import Final

from .format import Format
from .openai_responses_answer import ResponsesEncoder, encode_answer
from .openai_responses_error import WIRE, decode_error, encode_error
from .openai_responses_render import encode_request
from .openai_responses_request import decode_request
from .openai_responses_stream import ResponsesDecoder, decode_answer

FORMAT: Final = Format(
    name=WIRE,
    framing="sse",
    stream_type=b"text/event-stream; charset=utf-8",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_answer=decode_answer,
    encode_answer=encode_answer,
    stream_decoder=ResponsesDecoder,
    stream_encoder=ResponsesEncoder,
    decode_error=decode_error,
    encode_error=encode_error,
)
