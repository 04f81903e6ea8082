"""One row of the contract: access class, requests and expected responses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from contract.shape import ANY, Some

Shape = Any


class Form(NamedTuple):
    """A form with one file as a request body; ``content`` is Latin-1 text.  ``model``: an additional field."""

    filename: str
    content: str
    field: str = "file"
    model: str = ""


@dataclass(frozen=True)
class Ask:
    """One request and its expected response; the requests of a row are sent one after the other to the same gateway.

    ``at``: ``?query`` to add, or ``METHOD /path`` instead of the row's.  ``who``: whose credentials to send, by default
    those that the access class needs.  ``ids``: path variables.  ``gives``: header fields of the response.  ``keep``: values
    of the response (dotted path) to keep for later requests.  ``breaks``: a method below the services that fails meanwhile;
    ``patches``: replacements by dotted name.  ``{name}`` in a string stands for a kept or prepared value.
    """

    status: int
    shape: Shape = ANY
    body: Any = None
    at: str = ""
    who: str = ""
    ids: Mapping[str, str] = field(default_factory=dict)
    sends: Mapping[str, str] = field(default_factory=dict)
    gives: Mapping[str, Any] = field(default_factory=dict)
    keep: Mapping[str, str] = field(default_factory=dict)
    breaks: str = ""
    patches: Mapping[str, Any] = field(default_factory=dict)
    times: int = 1


@dataclass(frozen=True)
class Row:
    """One endpoint.  ``methods``: equivalent ones, separated by spaces.  ``given``: what to prepare, see ``house.py``."""

    methods: str
    path: str
    access: str
    asks: tuple[Ask, ...]
    given: tuple[str, ...] = ()
    denied: Shape = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    delivered: bool = True


@dataclass(frozen=True)
class Fact:
    """A table row that is not about an endpoint.  Named by its first cell; its requests have ``METHOD /path``."""

    name: str
    asks: tuple[Ask, ...]
    given: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


def row(methods_path: str, access: str, *asks: Ask, **more: Any) -> Row:
    *methods, path = methods_path.split(" ")
    given = more.pop("given", "").split()
    return Row(" ".join(methods), path, access, asks, tuple(given), **more)


def fact(name: str, *asks: Ask, given: str = "", **settings: Any) -> Fact:
    return Fact(name, asks, tuple(given.split()), settings)


def exactly(text: str) -> re.Pattern[str]:
    return re.compile(f"^{re.escape(text)}$")


def starts(text: str) -> re.Pattern[str]:
    return re.compile(f"^{re.escape(text)}")


def error(text: str | re.Pattern[str]) -> Shape:
    """The error shape of most management routes."""
    return {"error": text}


def invalid(name: str, message: Any = str) -> Shape:
    """The error shape of body validation; one of the details is about the field *name*."""
    return {"error": {"message": "Invalid request", "details": Some({"field": name, "message": message})}}


def typed(message: Any, kind: str = "invalid_request") -> Shape:
    """The error shape of ``settings/proxy*``, ``provider-models`` and ``models/catalog``."""
    return {"error": {"message": message, "type": kind}}


def said(message: Any, kind: str = "invalid_request_error", code: str = "bad_request") -> Shape:
    """The error shape of ``/v1/*``."""
    return {"error": {"message": message, "type": kind, "code": code}}


NOT_LOGGED_IN: Final = {"error": {"code": "AUTH_001", "message": "Authentication required", "correlation_id": str}}
NOT_A_MANAGER: Final = error("Invalid management token")
SUCCESS: Final = {"success": True}
