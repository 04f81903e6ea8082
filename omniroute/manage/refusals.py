"""The errors of the management API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

from ..errors import Kind, OmniError

_KIND_OF_STATUS: Final[Mapping[int, Kind]] = {401: "unauthenticated", 403: "forbidden", 404: "not_found", 500: "internal"}

T = TypeVar("T")


class Invalid(OmniError):
    """400 with the invalid fields: (dotted path, message) pairs; an empty path means the body as a whole."""

    def __init__(self, *details: tuple[str, str]) -> None:
        super().__init__("invalid_request", "Invalid request", param=details[0][0] if details else None)
        self.details = details


def refused(status: int, message: str) -> OmniError:
    """Return an error whose body is ``{"error": message}``."""
    return OmniError(_KIND_OF_STATUS.get(status, "invalid_request"), message, status=status)


def existing(thing: T | None, what: str) -> T:
    """Return *thing*; if it is None, raise a 404 that says which kind (*what*) was not found."""
    if thing is None:
        raise refused(404, f"{what} not found")
    return thing
