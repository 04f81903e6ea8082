"""The states of a server connection, event by event: every arrow of the diagram in ``h1_server.py``, and no other."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import pytest
from h1_wire import Admitted, App, Wire, echo

from omniroute.proto.exchange import Exchange, Refusal
from omniroute.proto.h1_server import H1Server, ServerState, State

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
BROKEN = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n?\r\n"
CHUNK = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"
END, LOSE, LATE = "the client ends its side", "the connection is lost", "a minute passes"
BUFFERED, STREAMED, REFUSED = Admitted(), Admitted(stream_body=True), Refusal(401, [])
H, B, S, R, E, C = State.HEAD, State.BODY, State.STREAM, State.HANDLER, State.REST, State.CLOSED


class Watched(H1Server):
    """Keeps every state that it enters."""

    def __init__(self, server: ServerState) -> None:
        self.states: list[State] = []
        super().__init__(server)

    @property
    def _state(self) -> State:
        return self.states[-1]

    @_state.setter
    def _state(self, state: State) -> None:
        if self.states[-1:] != [state]:
            self.states.append(state)


async def read(exchange: Exchange) -> None:
    async for _ in exchange.chunks():
        pass
    exchange.respond(200, [])


async def wait(exchange: Exchange) -> None:
    await asyncio.Event().wait()


async def abort(exchange: Exchange) -> None:
    exchange.abort()


class Row(NamedTuple):
    events: list[bytes | str]
    states: list[State]
    handler: Any = echo
    admission: Any = BUFFERED


ROWS = {
    "no body": Row([GET, GET], [H, R, H, R, H]),
    "a buffered body": Row([POST, b"hel", b"lo"], [H, B, R, H]),
    "a streamed body": Row([POST, b"hel", b"lo"], [H, B, S, R, H], read, STREAMED),
    "a streamed body that is not wanted": Row([POST, b"hel", b"lo"], [H, B, S, E, H], echo, STREAMED),
    "a refusal before the body": Row([POST, b"hel", b"lo"], [H, B, E, H], echo, REFUSED),
    "the last request": Row([LAST], [H, R, C]),
    "no request": Row([LATE], [H, C]),
    "a malformed head": Row([b"\n"], [H, C]),
    "a malformed rest": Row([CHUNK, b"lo?"], [H, B, S, E, C], echo, STREAMED),
    "a malformed body": Row([BROKEN], [H, B, C]),
    "a malformed streamed body": Row([BROKEN], [H, B, S, C], read, STREAMED),
    "a body that stops": Row([POST, LATE], [H, B, C]),
    "a body that ends too early": Row([POST, END], [H, B, C]),
    "a streamed body that ends too early": Row([POST, END], [H, B, S, C], read, STREAMED),
    "an unwanted rest that stops": Row([POST, LATE], [H, B, E, C], echo, REFUSED),
    "an unwanted rest that ends too early": Row([POST, END], [H, B, E, C], echo, REFUSED),
    "an end while the handler runs": Row([GET, END], [H, R], wait),
    "an end between two requests": Row([GET, END, LOSE], [H, R, H, C]),
    "a broken answer": Row([GET], [H, R, C], abort),
    "a connection lost": Row([GET, LOSE], [H, R, C], wait),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_connection_moves_along_the_arrows(row: Row) -> None:
    async def scenario() -> None:
        wire = Wire(Watched, App(row.handler, row.admission))
        for event in row.events:
            if event is END:
                await wire.end_input()
            elif event is LOSE:
                wire.lose()
            elif event is LATE:
                wire.clock.advance(60)
            else:
                await wire.send(event)
            assert (wire.protocol.exchange is not None) == (wire.protocol._state in (B, S, R))
        assert wire.protocol.states == row.states

    asyncio.run(scenario())


def test_every_arrow_is_walked() -> None:
    walked = {pair for row in ROWS.values() for pair in zip(row.states, row.states[1:], strict=False)}
    to_closed = {(state, C) for state in State if state is not C}
    assert walked == {(H, B), (H, R), (B, S), (B, R), (S, R), (B, E), (S, E), (R, H), (E, H)} | to_closed
