"""What all calls share, and what one call knows of itself."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from ..clock import Clock
from ..media.codec import Units
from ..proto.exchange import Exchange
from ..settings import GuardSettings, Limits
from ..translate.conversation import Ask
from ..translate.events import Failure, Usage
from ..translate.format import Format
from ..translate.formats import FORMATS
from ..translate.peek import Peek
from ..upstream.send import Client
from . import render
from .auth import Keyring
from .budgets import Reservation
from .combos import Lineups
from .guard import Guard
from .live import Live
from .meter import Meter
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
        self.guard = Guard(GuardSettings())
        self.live = live
        self.client = client
        self.limits = limits
        self.clock = clock
        self.require_key = require_key
        self.doors = render.Doors()
        self.keyring = Keyring()
        self.routes = RouteCache()
        self.lineups = Lineups()
        self.leisure = Meter(10, 50)  # for what is done beside a call, not for it


class Keeper(Protocol):
    """Remembers the answer of one call."""

    def keep(self, job: Any, status: int, body: bytes) -> None:
        """A whole answer is on its way to the client."""
        ...

    def close(self) -> None:
        """The call is over."""
        ...


class Job:
    """One call from the client's side, with what the log will say of it.

    ``wire`` is the client's, ``operation`` what it asks for ("chat", "embeddings", …), ``trail`` what was passed over or
    failed before the present attempt, for ``X-OmniRoute-Route``.
    """

    __slots__ = (
        "account", "ahead", "attempts", "began", "cache", "checked_at", "combo", "complete", "dropped", "exchange",
        "failure", "final", "first_byte", "format", "keeper", "key", "label", "notes", "operation", "pieces",
        "placed_at", "planned_at", "prefer", "read_at", "replayed", "requested", "reservation", "route", "session",
        "status", "stream", "trail", "units", "upstream_model", "usage", "wire",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, wire: str, began: float, operation: str = "chat") -> None:
        self.exchange = exchange
        self.wire = wire
        self.format: Format = FORMATS[wire]
        self.operation = operation
        self.began = began
        self.key: GatewayKey | None = None
        self.requested = ""
        self.stream = False
        self.combo = ""
        self.route: Route | None = None
        self.account: Connection | None = None
        self.attempts = 0
        self.ahead = 0  # targets that may still be tried after the present one
        self.prefer = ""  # id of the account that served this conversation last
        self.session = ""  # the conversation as the client named it: X-OmniRoute-Session-Id
        self.label = ""  # provider/account of the present attempt
        self.trail = ""
        self.notes = ""  # X-OmniRoute-Route
        self.cache = b""  # X-OmniRoute-Cache: HIT or MISS
        self.keeper: Keeper | None = None
        self.reservation: Reservation | None = None  # of the budgets the call is under
        self.replayed = False  # given another call's answer, which is in the books already
        self.dropped: tuple[str, ...] = ()
        self.usage: Usage | None = None
        self.units: Units | None = None
        self.upstream_model = ""
        self.pieces = 0
        self.read_at: float | None = None  # when it was known what is asked (monotonic, as the next four)
        self.planned_at: float | None = None  # … who might answer
        self.checked_at: float | None = None  # … that the request has what it must have
        self.placed_at: float | None = None  # … that it may be sent: limits, budgets, and no answer in memory
        self.first_byte: float | None = None
        self.status = 0
        self.complete = False  # the client has a whole answer, whatever happened after it
        self.failure: Failure | None = None
        self.final = False  # the request itself is to blame: another target would say the same


class ChatJob(Job):
    """A chat call: what its body says, once looked at (``peek``) and once decoded (``ask``, only where wires differ)."""

    __slots__ = ("ask", "line", "peek")

    def __init__(self, exchange: Exchange, line: Line, began: float) -> None:
        super().__init__(exchange, line.wire, began)
        self.line = line
        self.peek: Peek | None = None
        self.ask: Ask | None = None
