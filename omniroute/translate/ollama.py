"""The Ollama wire: ``POST /api/chat`` (NDJSON), and ``POST /api/generate`` for clients that still use it.

Modules: ``_request`` (requests, read), ``_render`` + ``_messages`` (requests, written), ``_stream`` + ``_shapes`` (answers,
read), ``_answer`` (answers, written), ``_error``, ``_time``.  Upstream requests always go to ``/api/chat``: the prompt of
``/api/generate`` becomes one user message there.
"""

from __future__ import annotations

from typing import Final

import msgspec

from .format import Format
from .ollama_answer import GenerateEncoder, OllamaEncoder, encode_answer, encode_generated
from .ollama_error import WIRE, decode_error, encode_error
from .ollama_render import encode_request
from .ollama_request import GENERATE as GENERATE_WIRE
from .ollama_request import decode_generate, decode_request
from .ollama_stream import OllamaDecoder, decode_answer

FORMAT: Final = Format(
    name=WIRE,
    framing="ndjson",
    stream_type=b"application/x-ndjson",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_answer=decode_answer,
    encode_answer=encode_answer,
    stream_decoder=OllamaDecoder,
    stream_encoder=OllamaEncoder,
    decode_error=decode_error,
    encode_error=encode_error,
)
GENERATE: Final = msgspec.structs.replace(
    FORMAT,
    name=GENERATE_WIRE,
    decode_request=decode_generate,
    encode_answer=encode_generated,
    stream_encoder=GenerateEncoder,
)
