"""The wire ``anthropic``: ``POST /v1/messages`` of the Anthropic Messages API."""

from __future__ import annotations

from typing import Final

from .anthropic_answer import WIRE, decode_answer, encode_answer, is_error, read_error
from .anthropic_emit import Encoder, error_body
from .anthropic_render import encode_request
from .anthropic_request import decode_request
from .anthropic_stream import Decoder
from .events import Failure
from .format import Format
from .jsonio import encode
from .openai_chat_error import decode_error as decode_any_error


def decode_error(status: int, body: bytes) -> Failure:
    """Read an upstream's error body of any shape; never raises.  ``status`` 0: derive the status from the error's words."""
    failure = read_error(body, status)
    if failure is None:  # clouds and proxies in front of the vendor use shapes of their own
        failure = decode_any_error(status, body)
        failure.wire = WIRE
    return failure


def encode_error(failure: Failure) -> bytes:
    """Return the body of an HTTP error answer.  An error that came from an upstream of this wire is returned unchanged."""
    if failure.wire == WIRE and failure.raw is not None and is_error(failure.raw):
        return failure.raw
    return encode(error_body(failure))


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
