"""The state of the data plane: :class:`Gateway` for all calls, :class:`Job` for one call."""

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
    """What the path of a chat request determines: the client's wire, and values that the body does not have.

    ``only`` restricts the call to one provider.  ``model``, ``stream`` and ``array`` (a stream as one JSON array, without
    ``alt=sse``) are for Gemini.
    """

    wire: str
    only: str = ""
    model: str = ""
    stream: bool = False
    array: bool = False


class Gateway:
    """The objects shared by all calls."""

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
        self.leisure = Meter(10, 50)  # limits optional work


class Keeper(Protocol):
    """Remembers the answer of one call."""

    def keep(self, job: Any, status: int, body: bytes) -> None:
        """A complete answer is being sent to the client."""
        ...

    def close(self) -> None:
        """The call has ended."""
        ...


class Job:
    """One call of a client, with everything that is recorded about it.

    ``wire`` is the client's.  ``operation`` is "chat", "embeddings" and so on.  ``trail`` is the part of
    ``X-OmniRoute-Route`` about the targets that were passed over or failed before the current attempt.
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
        self.ahead = 0  # targets that may still be tried after the current one
        self.prefer = ""  # id of the account that served this conversation last
        self.session = ""  # the conversation as the client named it: X-OmniRoute-Session-Id
        self.label = ""  # provider/account of the current attempt
        self.trail = ""
        self.notes = ""  # X-OmniRoute-Route
        self.cache = b""  # X-OmniRoute-Cache: HIT or MISS
        self.keeper: Keeper | None = None
        self.reservation: Reservation | None = None  # in the budgets that apply to the call
        self.replayed = False  # answered with another call's answer, which has been recorded already
        self.dropped: tuple[str, ...] = ()
        self.usage: Usage | None = None
        self.units: Units | None = None
        self.upstream_model = ""
        self.pieces = 0
        self.read_at: float | None = None  # when the request was parsed (monotonic, as the next four)
        self.planned_at: float | None = None  # when the plan was made
        self.checked_at: float | None = None  # when the request was validated
        self.placed_at: float | None = None  # when it could be sent: budgets checked, no stored answer found
        self.first_byte: float | None = None
        self.status = 0
        self.complete = False  # the client has a complete answer, whatever happens after it
        self.failure: Failure | None = None
        self.final = False  # the failure is due to the request: another target would fail in the same way


class ChatJob(Job):
    """A chat call.  ``peek`` is its body's outline; ``ask`` is the decoded body, made only when it is needed."""

    __slots__ = ("ask", "cap", "line", "peek")

    def __init__(self, exchange: Exchange, line: Line, began: float) -> None:
        super().__init__(exchange, line.wire, began)
        self.line = line
        self.peek: Peek | None = None
        self.cap: int | None = None  # most tokens of the answer that a policy allows
        self.ask: Ask | None = None
