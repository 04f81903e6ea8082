"""The guard: logs or blocks prompt injection, and removes personal data from requests and answers.

To block or redact, it examines the whole request.  ``warn``, the default, must cost almost nothing: it examines only the
user's newest text, after the response has been sent.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from ..errors import OmniError, wire_words
from ..settings import GuardSettings
from ..translate.events import Failure
from ..translate.format import BadAnswer, Format
from ..translate.injection import Detection, detect, newest_words, said_by_user
from ..translate.pii import ANSWER_MEMBERS, TEXT_MEMBERS, Redactor, TooDeep, redact, redact_body

_log = logging.getLogger("omniroute.guard")
MESSAGE: Final = "Request blocked: it looks like an attempt to override the model's instructions (prompt injection)"

Fields = tuple[tuple[str, str], ...]
"""(name, value) of the fields of a form, in their order."""


class Checked(NamedTuple):
    """The body to continue with, or the failure to report."""

    body: bytes
    failure: Failure | None = None


class Guard:
    """The guard with its settings."""

    def __init__(self, settings: GuardSettings) -> None:
        self.blocks = settings.enabled and settings.mode == "block"
        self.warns = settings.enabled and settings.mode in ("warn", "redact")
        self.redacts = settings.redact_requests
        self.answers = settings.redact_answers or settings.watch_answers  # answers have to be examined
        self._watches = settings.watch_answers

    @property
    def before(self) -> bool:
        """Whether requests have to be examined before they are sent."""
        return self.blocks or self.redacts

    def check(self, form: Format, wire: str, body: bytes, request_id: str) -> Checked:
        """Examine a request: block it, or redact its body.  Raises ``OmniError`` when it cannot be decoded."""
        if self.blocks:
            found = detect(said_by_user(form.decode_request(body)))
            if any(one.severity == "high" for one in found):
                return Checked(body, refusal(wire, found))
            self._warn(request_id, found)
        return Checked(self.redacted(body, request_id))

    def redacted(self, body: bytes, request_id: str = "") -> bytes:
        """A JSON request body, without personal data if the settings say so.

        Raises ``OmniError`` for a body that is nested too deeply to be examined.
        """
        if not self.redacts:
            return body
        try:
            body, count = redact_body(body)
        except TooDeep:
            raise OmniError("invalid_request", "Invalid JSON body: nested too deeply", param="body") from None
        self._taken_out(request_id, count)
        return body

    def fields(self, fields: Fields, request_id: str) -> Fields:
        """As :meth:`redacted`, for the plain fields of a form."""
        if not self.redacts:
            return fields
        found = [(name, *(redact(value) if name in TEXT_MEMBERS else (value, 0))) for name, value in fields]
        self._taken_out(request_id, sum(count for _, _, count in found))
        return tuple((name, value) for name, value, _ in found)

    def _taken_out(self, request_id: str, count: int) -> None:
        if count:
            _log.info("personal data removed from a request: %d", count, extra={"request_id": request_id})

    def answer(self, body: bytes, request_id: str) -> bytes:
        """Redact, or only examine, a complete answer.  Raises ``BadAnswer`` for one that is nested too deeply."""
        try:
            redacted, count = redact_body(body, ANSWER_MEMBERS)
        except TooDeep:
            raise BadAnswer("it is nested too deeply") from None
        self._found(request_id, count)
        return body if self._watches else redacted

    def redactor(self, request_id: str) -> Redactor | None:
        """A redactor for the texts of one streamed answer; None if answers are not examined."""
        return Redactor(partial(self._found, request_id), changes=not self._watches) if self.answers else None

    def _found(self, request_id: str, count: int) -> None:
        if count:
            outcome = "" if self._watches else " removed"
            _log.warning("personal data in an answer: %d%s", count, outcome, extra={"request_id": request_id})

    def note(self, request_id: str, body: bytes) -> None:
        """Log a warning if the user's newest text in *body* looks like prompt injection."""
        piece = newest_words(body)
        if piece:
            self._warn(request_id, detect(piece))

    def _warn(self, request_id: str, found: list[Detection]) -> None:
        if found:
            _log.warning("a request looks like prompt injection: %s", names(found), extra={"request_id": request_id})


def names(found: list[Detection]) -> str:
    """The detections as a text: ``system_override (high), jailbreak (medium)``."""
    return ", ".join(f"{one.name} ({one.severity})" for one in found)


def refusal(wire: str, found: list[Detection]) -> Failure:
    """The failure for a blocked request, with a body in the client's wire and the guard's own error members."""
    error: dict[str, Any] = {
        "message": f"{MESSAGE}: {names(found)}",
        "type": "injection_detected",
        "code": "SECURITY_001",
        "detections": len(found),
    }
    body: dict[str, Any] = {"error": error}
    if wire == "anthropic":
        body = {"type": "error", **body}
    elif wire == "gemini":
        body = {"error": {"code": 400, "message": error["message"], "status": wire_words(400).gemini_status}}
    elif wire.startswith("ollama"):
        body = {"error": error["message"]}
    failure = Failure(400, error["message"], "injection_detected", "SECURITY_001")
    failure.wire, failure.raw = wire, msgspec.json.encode(body)
    return failure
