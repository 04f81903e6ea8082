"""Every path of the data plane, on one screen."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from msgspec import Struct

from ..proto.exchange import Exchange
from . import models, pipeline
from .job import Gateway

Handler = Callable[[Gateway, Exchange, "DataRoute"], Coroutine[Any, Any, None]]


class DataRoute(Struct, frozen=True):
    """One row.  ``wire``: the client's, decided by the path and by nothing else."""

    method: str
    path: str
    handler: Handler
    wire: str = "openai-chat"
    body_limit: int | None = None
    stream_body: bool = False


def chat(gateway: Gateway, exchange: Exchange, row: DataRoute) -> Coroutine[Any, Any, None]:
    """A chat request in the row's wire; ``{provider}`` in the path restricts it."""
    return pipeline.serve(gateway, exchange, row.wire, exchange.request.params.get("provider", ""))


async def list_models(gateway: Gateway, exchange: Exchange, row: DataRoute) -> None:
    """All models, or one."""
    models.serve(gateway, exchange)


_ROWS: Final = (
    DataRoute("POST", "/v1/chat/completions", chat, "openai-chat"),
    DataRoute("POST", "/v1/messages", chat, "anthropic"),
    DataRoute("POST", "/v1/providers/{provider}/chat/completions", chat, "openai-chat"),
    DataRoute("GET", "/v1", list_models),
    DataRoute("GET", "/v1/models", list_models),
    DataRoute("GET", "/v1/models/{id*}", list_models),
)
# Where else the same answers are expected: the handler paths of the reference, doubled and missing prefixes of clients.
_TWINS: Final = ("/api/v1", "/v1/v1")
_BARE: Final = ("/v1/chat/completions", "/v1/models", "/v1/messages")


def _twins(row: DataRoute) -> list[DataRoute]:
    rest = row.path.removeprefix("/v1")
    paths = [prefix + rest for prefix in _TWINS] + ([rest] if row.path in _BARE else [])
    return [DataRoute(row.method, path, row.handler, row.wire, row.body_limit, row.stream_body) for path in paths]


DATA_ROUTES: Final[tuple[DataRoute, ...]] = (*_ROWS, *(twin for row in _ROWS for twin in _twins(row)))


class DataPlane:
    """Serves the rows above."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def handle(self, exchange: Exchange) -> Coroutine[Any, Any, None]:
        """The coroutine that answers."""
        row = exchange.request.route
        assert isinstance(row, DataRoute)
        return row.handler(self._gateway, exchange, row)
