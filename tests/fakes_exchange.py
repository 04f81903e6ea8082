"""An exchange without a network, which records a handler's answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from omniroute.proto.exchange import Exchange, Request
from omniroute.proto.headers import Headers


class FakeExchange(Exchange):
    """Holds the answer: ``status``, ``headers`` and ``body``; ``aborted`` if it was broken off."""

    __slots__ = ("aborted", "body", "headers", "pieces", "upload")

    def __init__(self, request: Request, upload: list[bytes] | None = None) -> None:
        super().__init__(request)
        self.headers: Headers = []
        self.pieces: list[bytes] = []
        self.upload = upload or []
        self.aborted = False

    def respond(self, status: int, headers: Headers, body: bytes = b"") -> None:
        self.start(status, headers)
        self.write(body)
        self.end()

    def start(self, status: int, headers: Headers) -> None:
        assert not self.started, "an answer was begun twice"
        self.status, self.headers, self.started = status, [*headers], True

    def write(self, data: bytes | memoryview) -> None:
        assert self.started
        assert not self.finished, "written after the end"
        if data:
            self.pieces.append(bytes(data))

    def end(self, data: bytes = b"") -> None:
        self.write(data)
        self.finished = True

    def abort(self) -> None:
        self.finished = self.aborted = True

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self.upload:
            yield piece

    @property
    def text(self) -> bytes:
        """The whole body."""
        return b"".join(self.pieces)

    @property
    def json(self) -> Any:
        """The body, decoded from JSON."""
        return json.loads(self.text)

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of *name*, which must be in lower case."""
        return next((value for key, value in self.headers if key == name), None)

    def header_list(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key == name]
