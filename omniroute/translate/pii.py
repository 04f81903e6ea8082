"""Personal data in texts, replaced by the name of its kind: addresses, numbers of cards and people.

In a JSON body only the members that hold what people or models say are looked at, so that ids, signatures, schemas and
images stay as they are.  Numbers of cards, CPF and CNPJ count only when their check digits are right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import orjson

from .events import Event, TextDelta, Usage

TEXT_MEMBERS: Final = frozenset(
    {"content", "text", "input", "output", "system", "instructions", "prompt", "arguments", "response", "parts", "contents",
     "messages", "systemInstruction", "system_instruction", "reasoning_content", "refusal", "result", "query", "documents"}
)  # fmt: skip
_FREE: Final = frozenset({"args", "arguments", "input", "response"})  # objects that a tool takes or gives
_WINDOW: Final = 48  # characters of a stream that are held back: the longest number with its separators
_LONGEST: Final = 640  # and at most, in a text without a break: longer than anything that is looked for
_JOINS: Final = frozenset("_.%+@/()-")  # with letters and digits, what may stand in the middle of it


class TooDeep(Exception):
    """A body is nested too deeply to be looked at whole."""


class Kind(NamedTuple):
    """One kind of data; ``valid`` decides where the pattern alone would find too much."""

    name: str
    pattern: re.Pattern[str]
    valid: Callable[[str], bool] = bool


def _digits(text: str) -> list[int]:
    return [int(c) for c in text if c.isdigit()]


def luhn(text: str) -> bool:
    """Whether a card number's check digit is right (ISO/IEC 7812-1)."""
    digits = _digits(text)
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return 13 <= len(digits) <= 19 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _mod11(text: str, length: int, longest: int) -> bool:
    """Brazil's two check digits: weights from 2 up to *longest*, counted from the right."""
    digits = _digits(text)
    if len(digits) != length or len(set(digits)) == 1:
        return False
    for place in (length - 2, length - 1):
        weights = [2 + number % (longest - 1) for number in range(place)]
        rest = sum(d * w for d, w in zip(reversed(digits[:place]), weights, strict=True)) % 11
        if digits[place] != (0 if rest < 2 else 11 - rest):
            return False
    return True


def cpf(text: str) -> bool:
    """A natural person's number in Brazil."""
    return _mod11(text, 11, 11)


def cnpj(text: str) -> bool:
    """A company's number in Brazil."""
    return _mod11(text, 14, 9)


def _phone(text: str) -> bool:
    return 10 <= len(_digits(text)) <= 15


_PHONE: Final = re.compile(r"(?<![\w.])(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,4}\)[ .-]?|\d{2,4}[ .-])\d{3,5}[ .-]?\d{4}(?!\w|\.\d)")
KINDS: Final = (
    Kind("EMAIL", re.compile(r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}")),
    Kind("CNPJ", re.compile(r"\b\d{2}\.?\d{3}\.?\d{3}/?\d{4}-?\d{2}\b"), cnpj),
    Kind("CPF", re.compile(r"\b\d{3}\.?\d{3}\.?\d{3}-?\d{2}\b"), cpf),
    # as cards are usually written, before any digits in a row: what follows may be a date or a code
    Kind("CARD", re.compile(r"\b(?:\d{13,19}|\d{4}(?:[ -]\d{4}){3}|\d{4}[ -]\d{6}[ -]\d{5})\b"), luhn),
    Kind("CARD", re.compile(r"\b\d(?:[ -]?\d){12,18}\b"), luhn),
    Kind("SSN", re.compile(r"\b(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}\b")),
    Kind("PHONE", _PHONE, _phone),
    Kind("PHONE", re.compile(r"(?<![\w.])\+[1-9]\d{9,14}(?!\w|\.\d)")),  # ITU-T E.164
)


def redact(text: str) -> tuple[str, int]:
    """*text* with personal data replaced by ``[EMAIL_REDACTED]`` and the like, and how many there were."""
    found = 0
    for kind in KINDS:

        def replaced(match: re.Match[str], kind: Kind = kind) -> str:
            nonlocal found
            if not kind.valid(match[0]):
                return match[0]
            found += 1
            return f"[{kind.name}_REDACTED]"

        text = kind.pattern.sub(replaced, text)
    return text, found


def redact_body(body: bytes) -> tuple[bytes, int]:
    """A JSON body with the texts in it redacted, and how many there were.

    A body without any, or that is no JSON, is the argument itself.  Raises :class:`TooDeep`.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body, 0
    walk = _Walk()
    try:
        value = walk.value(value, inside=False)
        return (orjson.dumps(value), walk.found) if walk.found else (body, 0)
    except (RecursionError, orjson.JSONEncodeError):
        raise TooDeep from None


class _Walk:
    def __init__(self) -> None:
        self.found = 0

    def value(self, value: Any, *, inside: bool) -> Any:
        """*inside* a member that holds text."""
        if isinstance(value, str):
            return self._text(value) if inside else value
        if isinstance(value, list):
            return [self.value(item, inside=inside) for item in value]
        if isinstance(value, dict):
            plain = value.get("type") == "text"  # a document of plain text has it in ``data``, where others have base64
            return {name: self._member("text" if plain and name == "data" else name, part) for name, part in value.items()}
        return value

    def _member(self, name: str, value: Any) -> Any:
        if name in _FREE and isinstance(value, dict):
            return self._all(value)
        return self.value(value, inside=name in TEXT_MEMBERS)

    def _all(self, value: Any) -> Any:
        """Every text in *value*, whatever its members are called."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self._all(item) for item in value]
        return {name: self._all(item) for name, item in value.items()} if isinstance(value, dict) else value

    def _text(self, text: str) -> str:
        if text.startswith("data:"):
            return text
        text, found = redact(text)
        self.found += found
        return text


class Redactor:
    """The texts of one answer, streamed: what may still become personal data is held back."""

    def __init__(self, on_found: Callable[[int], None] = lambda count: None, *, changes: bool = True) -> None:
        self._held = ""
        self._on_found = on_found
        self._changes = changes

    def feed(self, events: Sequence[Event]) -> Sequence[Event]:
        """The same events with their texts redacted, or (not *changes*) as they are."""
        out: list[Event] = []
        for event in events:
            if isinstance(event, TextDelta):
                self._text(event, out)
            elif isinstance(event, Usage):  # some vendors count with each piece of a text, which goes on behind it
                out.append(event)
            else:
                self._flush(out)
                out.append(event)
        return out if self._changes else events

    def _text(self, event: TextDelta, out: list[Event]) -> None:
        held = self._held + event.text
        least, end = max(0, len(held) - _LONGEST), max(0, len(held) - _WINDOW)
        while end > least and ((last := held[end - 1]).isalnum() or last in _JOINS):
            end -= 1
        end = _between(held, end)
        self._held = held[end:]
        self._say(held[:end], out)
        if not event.text:
            out.append(event)

    def _flush(self, out: list[Event]) -> None:
        held, self._held = self._held, ""
        self._say(held, out)

    def _say(self, text: str, out: list[Event]) -> None:
        if text:
            text, found = redact(text)
            self._on_found(found)
            out.append(TextDelta(text))


def _between(text: str, end: int) -> int:
    """*end*, or the nearest place before it where *text* can be cut without cutting what is looked for."""
    before = -1
    while before != end:  # what was moved out of one match may have come into another
        before = end
        for kind in KINDS:
            for match in kind.pattern.finditer(text):
                if match.start() < end < match.end():
                    end = match.start()
    return end
