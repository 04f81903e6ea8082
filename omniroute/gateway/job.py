"""What all calls share, and what one call knows of itself."""

from __future__ import annotations

from typing import NamedTuple

from ..clock import Clock
from ..proto.exchange import Exchange
from ..settings import Limits
from ..translate.conversation import Ask
from ..translate.events import Failure, Usage
from ..translate.format import Format
from ..translate.formats import FORMATS
from ..translate.peek import Peek
from ..upstream.send import Client
from . import render
from .auth import Keyring
from .live import Live
from .resolve import Route, RouteCache
from .snapshot import Connection, GatewayKey


class Line(NamedTuple):
    """What the path of a chat request says: the client's wire, and what else stands there instead of in the body.

    ``only`` restricts to one provider; ``model`` and ``stream`` are Gemini's, and ``array`` its stream without ``alt=sse``.
    """

    wire: str
    only: str = ""
    model: str = ""
    stream: bool = False
    array: bool = False


class Gateway:
    """What all calls share."""

    def __init__(self, live: Live, client: Client, limits: Limits, clock: Clock, *, require_key: bool = False) -> None:
        self.live = live
        self.client = client
        self.limits = limits
        self.clock = clock
        self.require_key = require_key
        self.doors = render.Doors()
        self.keyring = Keyring()
        self.routes = RouteCache()


class Job:
    """One chat call from the client's side, with what the log will say of it."""

    __slots__ = (
        "account",
        "ask",
        "attempts",
        "began",
        "complete",
        "dropped",
        "exchange",
        "failure",
        "first_byte",
        "format",
        "key",
        "line",
        "notes",
        "peek",
        "pieces",
        "requested",
        "route",
        "status",
        "upstream_model",
        "usage",
        "wire",
    )

    def __init__(self, exchange: Exchange, line: Line, began: float) -> None:
        self.exchange = exchange
        self.line = line
        self.wire = line.wire
        self.format: Format = FORMATS[line.wire]
        self.began = began
        self.peek: Peek | None = None
        self.ask: Ask | None = None
        self.key: GatewayKey | None = None
        self.requested = ""
        self.route: Route | None = None
        self.account: Connection | None = None
        self.attempts = 0
        self.notes = ""  # for X-OmniRoute-Route
        self.dropped: tuple[str, ...] = ()
        self.usage: Usage | None = None
        self.upstream_model = ""
        self.pieces = 0
        self.first_byte: float | None = None
        self.status = 0
        self.complete = False  # the client has a whole answer, whatever happened after it
        self.failure: Failure | None = None
