"""The record of a call's usage and cost, made when its exchange ends."""

from __future__ import annotations

from msgspec import Struct


class CallRecord(Struct, gc=False):
    """One finished call, for usage history, call log and metrics.  Tokens None: not reported; cost None: price unknown."""

    id: str  # request id
    at: float  # Unix seconds, when it began
    method: str
    path: str
    status: int  # of the client's response; 499 when the client disconnected
    provider: str
    model: str  # as sent upstream
    requested_model: str
    connection_id: str
    account: str
    key_id: str
    key_name: str
    source_format: str
    target_format: str
    stream: bool
    duration_ms: float
    first_byte_ms: float | None
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cache_read: int | None = None
    tokens_cache_write: int | None = None
    tokens_reasoning: int | None = None
    estimated: bool = False
    cost: float | None = None
    error: str = ""
    attempts: int = 1
    route: str = ""  # as in X-OmniRoute-Route
    combo: str = ""
    charged: tuple[str, ...] = ()  # ids of the purses charged, see budgets.py
    request_body: bytes | None = None  # None when the key disables logging
    response_body: bytes | None = None
    response_size: int = 0  # of the whole response, when response_body is only its beginning
