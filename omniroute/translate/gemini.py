"""The wire ``gemini``: ``POST /v1beta/models/{model}:generateContent`` and ``:streamGenerateContent``.

The path says the model and the stream mode, so the caller of ``decode_request`` sets them.  With ``alt=sse`` a stream is
SSE; without it, it is one JSON array, which ``json_array.JsonArrayReader`` reads and ``array_encoder`` writes.
"""

from __future__ import annotations

from typing import Final

from .format import Format
from .gemini_answer import ArrayEncoder, Encoder, encode_answer
from .gemini_error import WIRE, decode_error, encode_error
from .gemini_render import encode_request
from .gemini_request import decode_request
from .gemini_stream import Decoder, decode_answer

ARRAY_TYPE: Final = b"application/json; charset=UTF-8"
array_encoder: Final = ArrayEncoder

FORMAT: Final = Format(
    name=WIRE,
    framing="sse",
    stream_type=b"text/event-stream; charset=utf-8",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_answer=decode_answer,
    encode_answer=encode_answer,
    stream_decoder=Decoder,
    stream_encoder=Encoder,
    decode_error=decode_error,
    encode_error=encode_error,
)
