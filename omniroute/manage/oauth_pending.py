"""Pending logins: what is kept between sending the user to the vendor and the redirect back."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Final, NamedTuple

from msgspec import Struct

from ..clock import Clock
from ..proto.exchange import Exchange, Refusal, Request
from ..proto.headers import Headers, get
from ..proto.listener import Listener
from ..settings import Limits
from ..tasks import spawn
from ..upstream.token_endpoint import TokenEndpoint
from .oauth_page import page, page_headers, query_of
from .tokens import TokenKeeper

LIFETIME: Final = 600.0  # seconds from authorize to the redirect
WINDOW: Final = 300.0  # seconds that a callback server stays open
CALLBACK_PATH: Final = "/callback"
_MOST: Final = 100


class Login(NamedTuple):
    """One pending login.  ``until`` is monotonic seconds."""

    provider: str
    verifier: str
    redirect_uri: str
    until: float


class PendingLogins:
    """Pending logins by ``state``; each can be taken once, within 10 minutes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._logins: dict[str, Login] = {}

    def begin(self, provider: str, redirect_uri: str) -> tuple[str, Login]:
        """Start a login; return its state and itself.  State and verifier have 256 random bits (RFC 7636 section 4.1)."""
        now = self._clock.monotonic()
        self._logins = {state: login for state, login in self._logins.items() if login.until > now}
        while len(self._logins) >= _MOST:
            del self._logins[next(iter(self._logins))]
        state = secrets.token_urlsafe(32)
        login = self._logins[state] = Login(provider, secrets.token_urlsafe(32), redirect_uri, now + LIFETIME)
        return state, login

    def take(self, state: str, provider: str) -> Login | None:
        """Remove and return the login of this state and provider; None if there is none."""
        login = self._logins.get(state)
        if login is None or login.provider != provider:
            return None
        del self._logins[state]
        return login if login.until > self._clock.monotonic() else None


class Answer(Struct):
    """The parameters of the vendor's redirect."""

    code: str = ""
    error: str = ""


class Window:
    """A temporary server on this machine's loopback that waits for one redirect (RFC 8252 section 7.3).

    ``answer`` is None until then.  Only a redirect with the right state counts; any other request changes nothing.
    """

    def __init__(self, clock: Clock) -> None:
        self.state, self.verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self.answer: Answer | None = None
        self.on_close: Callable[[], object] | None = None
        self._listener = Listener(self, Limits(connections=16), clock)
        self._timer = clock.call_later(WINDOW, self.close)

    async def open(self) -> None:
        """Listen on a free port of 127.0.0.1.  Raises OSError."""
        await self._listener.start("127.0.0.1", 0)

    @property
    def port(self) -> int:
        """The port that the vendor redirects to."""
        return self._listener.port

    @property
    def redirect_uri(self) -> str:
        """The address to which the vendor sends the browser; an IP literal, as RFC 8252 section 8.3 recommends."""
        return f"http://127.0.0.1:{self.port}{CALLBACK_PATH}"

    def close(self) -> asyncio.Task[int]:
        """Stop listening.  Returns at once; the task ends when the server has closed."""
        self._timer.cancel()
        if self.on_close is not None:
            self.on_close()
            self.on_close = None
        return spawn(self._listener.drain(1.0), "callback server")

    # -- Application

    body_limit = 0
    stream_body = False

    def admit(self, request: Request) -> Window:
        """Refuse everything but the redirect to this machine."""
        if request.method != "GET" or request.path != CALLBACK_PATH:
            raise Refusal(404, page_headers(), page("Not found", "There is nothing here."))
        name = (get(request.headers, b"host") or b"").rpartition(b":")[0]
        if name not in (b"127.0.0.1", b"localhost"):
            raise Refusal(403, page_headers(), page("Not allowed", "Use this address as 127.0.0.1 or localhost only."))
        return self

    async def handle(self, exchange: Exchange) -> None:
        """Take the code of the redirect, if its ``state`` is the one of this login, and show a page."""
        query = query_of(exchange.request.query)
        if not secrets.compare_digest(query.get("state", "").encode(), self.state.encode()):
            exchange.respond(400, page_headers(), page("Login failed", "This is not the login that was started here."))
            return
        if self.answer is None:
            self.answer = Answer(query.get("code", ""), query.get("error", "") or ("" if query.get("code") else "no_code"))
        text = "The vendor refused the login." if self.answer.error else "You can close this window and return to OmniRoute."
        exchange.respond(200, page_headers(), page("Login failed" if self.answer.error else "Login received", text))

    def refuse(self, request: Request | None, status: int, message: str) -> tuple[Headers, bytes]:
        """The page for a request that cannot be read."""
        return page_headers(), page("Not possible", message)


class OAuth:
    """The state of the OAuth routes: one object per process."""

    def __init__(self, clock: Clock, endpoint: TokenEndpoint, keeper: TokenKeeper) -> None:
        self.clock = clock
        self.endpoint = endpoint
        self.keeper = keeper
        self.logins = PendingLogins(clock)
        self.windows: dict[str, Window] = {}  # by provider id

    def put_window(self, provider: str, window: Window) -> None:
        """Keep *window* until it closes, and close an earlier one of the same provider."""
        if (earlier := self.windows.pop(provider, None)) is not None:
            earlier.close()
        self.windows[provider] = window
        window.on_close = lambda: self.windows.pop(provider, None) if self.windows.get(provider) is window else None

    async def close(self) -> None:
        """Close every callback server."""
        await asyncio.gather(*(window.close() for window in list(self.windows.values())))
