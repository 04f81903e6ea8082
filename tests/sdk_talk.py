"""A common interface of the official SDKs: say something, hear the answer, hand in tool results (``sdk_clients.py``)."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel


@dataclass
class Call:
    """A tool call as the SDK returned it; ``id`` is "" if it has none."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass
class Result:
    """The result of a call: text, optionally a PNG image, or a failure."""

    call: Call
    text: str
    failed: bool = False
    image: bytes = b""


@dataclass
class Reply:
    text: str = ""
    thinking: str = ""
    calls: list[Call] = field(default_factory=list)
    finish: str = ""
    tokens: tuple[int, int] = (0, 0)
    parsed: Any = None

    @property
    def said(self) -> tuple[str, str, list[tuple[str, dict[str, Any]]], str]:
        return self.text, self.thinking, [(call.name, call.arguments) for call in self.calls], self.finish


@dataclass
class Trouble(Exception):
    """A failure, with the SDK's own class of it.  ``retry_after`` is None if the SDK does not tell."""

    status: int
    message: str
    kind: str
    retry_after: str | None = None


@dataclass
class Tool:
    name: str
    about: str
    schema: dict[str, Any]


_ENDINGS = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "completed": "stop",
    "max_tokens": "length",
    "incomplete": "length",
}


def finish(word: str | None, calls: Sequence[Call]) -> str:
    """Convert a finish reason to those of the chat wire; some wires have none for tool calls."""
    ending = (word or "").lower()
    ending = _ENDINGS.get(ending, ending)
    return "tool_calls" if calls and ending == "stop" else ending


def in_base64(image: bytes) -> str:
    return base64.b64encode(image).decode()


def data_url(image: bytes) -> str:
    return f"data:image/png;base64,{in_base64(image)}"


class Talk(ABC):
    """A conversation with *model* over a client that ``connect`` has made.

    *must*: the tool that must be called.  Use ``say`` or ``hand_in``, then ``hear``; failures raise :class:`Trouble`.
    """

    def __init__(
        self,
        client: Any,
        model: str,
        *,
        system: str = "",
        tools: Sequence[Tool] = (),
        schema: type[BaseModel] | None = None,
        must: str = "",
        think: bool = False,
        stream: bool = False,
    ) -> None:
        self.client, self.model, self.system, self.tools = client, model, system, tools
        self.schema, self.must, self.think, self.stream = schema, must, think, stream
        self.history: list[Any] = []

    @staticmethod
    @abstractmethod
    def connect(url: str) -> Any: ...

    @abstractmethod
    def say(self, text: str, image: bytes = b"") -> None: ...

    @abstractmethod
    def hand_in(self, results: Sequence[Result]) -> None: ...

    @abstractmethod
    def hear(self) -> Reply: ...
