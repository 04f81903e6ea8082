"""The errors of the management API."""

from __future__ import annotations

from ..errors import OmniError


class Invalid(OmniError):
    """400 with the invalid fields: (dotted path, message) pairs; an empty path means the body as a whole."""

    def __init__(self, *details: tuple[str, str]) -> None:
        super().__init__("invalid_request", "Invalid request", param=details[0][0] if details else None)
        self.details = details


def refused(status: int, message: str) -> OmniError:
    """Return an error whose body is ``{"error": message}``."""
    kind = {401: "unauthenticated", 403: "forbidden", 404: "not_found", 500: "internal"}.get(status, "invalid_request")
    return OmniError(kind, message, status=status)
