"""The OpenAI chat wire: ``POST /v1/chat/completions``, used by OpenAI and, with deviations, by most other vendors.

The tests hold recordings of the deviations that this codec reads; those that it writes are quirks in the catalogue
(``openai_chat_render.py``).  Modules: ``_request`` + ``_history`` (requests, read), ``_render`` + ``_messages`` (written),
``_stream`` + ``_shapes`` (answers, read), ``_answer`` (answers, written), ``_error``, ``_media``.
"""

from __future__ import annotations

from typing import Final

from .format import Format
from .openai_chat_answer import ChatEncoder, encode_answer
from .openai_chat_error import WIRE, decode_error, encode_error
from .openai_chat_render import encode_request
from .openai_chat_request import decode_request
from .openai_chat_stream import ChatDecoder, decode_answer

FORMAT: Final = Format(
    name=WIRE,
    framing="sse",
    stream_type=b"text/event-stream; charset=utf-8",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_answer=decode_answer,
    encode_answer=encode_answer,
    stream_decoder=ChatDecoder,
    stream_encoder=ChatEncoder,
    decode_error=decode_error,
    encode_error=encode_error,
)
