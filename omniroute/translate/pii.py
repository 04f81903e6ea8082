"""Personal data in texts, replaced by the name of its kind: e-mail addresses, card numbers, phone numbers, personal ids.

In a JSON body only members that hold the text of people or models are searched, so that ids, signatures, schemas and images
stay as they are.  Card numbers, CPF and CNPJ count only if their check digits are right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import orjson

from .events import Event, RefusalDelta, TextDelta, ThinkingDelta, ToolArguments, Usage

TEXT_MEMBERS: Final = frozenset(
    {"content", "text", "input", "output", "system", "instructions", "prompt", "arguments", "response", "parts", "contents",
     "messages", "systemInstruction", "system_instruction", "reasoning_content", "refusal", "result", "query", "documents"}
)  # fmt: skip
# An answer's thinking, too.  In a request thinking stays unchanged: vendors refuse it if it does not match its signature.
ANSWER_MEMBERS: Final = TEXT_MEMBERS | {"thinking", "reasoning", "reasoning_text"}
_FREE: Final = frozenset({"args", "arguments", "input", "response"})  # members that hold a tool's arguments or result
_WINDOW: Final = 48  # characters of a stream that are held back: the longest number with its separators
_LONGEST: Final = 640  # the same in text without a break; longer than anything that is searched for
_JOINS: Final = frozenset("_.%+@/()-")  # besides letters and digits, the characters that a match may contain


class TooDeep(Exception):
    """A body is nested too deeply to be searched."""


class Kind(NamedTuple):
    """One kind of data; ``valid`` rejects matches where the pattern alone would find too much."""

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
    """Check Brazil's two mod-11 check digits: weights from 2 up to *longest*, counted from the right."""
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
    """Whether a Brazilian personal tax number (CPF) has the right check digits."""
    return _mod11(text, 11, 11)


def cnpj(text: str) -> bool:
    """Whether a Brazilian company number (CNPJ) has the right check digits."""
    return _mod11(text, 14, 9)


def _phone(text: str) -> bool:
    return 10 <= len(_digits(text)) <= 15


_PHONE: Final = re.compile(r"(?<![\w.])(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,4}\)[ .-]?|\d{2,4}[ .-])\d{3,5}[ .-]?\d{4}(?!\w|\.\d)")
KINDS: Final = (
    Kind("EMAIL", re.compile(r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}")),
    Kind("CNPJ", re.compile(r"\b\d{2}\.?\d{3}\.?\d{3}/?\d{4}-?\d{2}\b"), cnpj),
    Kind("CPF", re.compile(r"\b\d{3}\.?\d{3}\.?\d{3}-?\d{2}\b"), cpf),
    # the usual layouts first: in a longer run of digits the last ones may be a date or a security code
    Kind("CARD", re.compile(r"\b(?:\d{13,19}|\d{4}(?:[ -]\d{4}){3}|\d{4}[ -]\d{6}[ -]\d{5})\b"), luhn),
    Kind("CARD", re.compile(r"\b\d(?:[ -]?\d){12,18}\b"), luhn),
    Kind("SSN", re.compile(r"\b(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}\b")),
    Kind("PHONE", _PHONE, _phone),
    Kind("PHONE", re.compile(r"(?<![\w.])\+[1-9]\d{9,14}(?!\w|\.\d)")),  # ITU-T E.164
)


def redact(text: str) -> tuple[str, int]:
    """Return *text* with personal data replaced by ``[EMAIL_REDACTED]`` and the like, and the number of replacements."""
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


def redact_arguments(text: str) -> tuple[str, int]:
    """Return a tool call's arguments redacted, and the number of replacements.  JSON stays JSON: only its strings change."""
    try:
        value = orjson.loads(text)
        if isinstance(value, dict):
            walk = _Walk(frozenset())
            value = walk.all(value)
            return (orjson.dumps(value).decode(), walk.found) if walk.found else (text, 0)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):
        pass
    return redact(text)


def redact_body(body: bytes, members: frozenset[str] = TEXT_MEMBERS) -> tuple[bytes, int]:
    """Return a JSON body with its texts redacted, and the number of replacements.

    *members*: those that hold text.  Without personal data, or if it is not JSON, the body is returned unchanged.  Raises
    :class:`TooDeep`.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body, 0
    walk = _Walk(members)
    try:
        value = walk.value(value, inside=False)
        return (orjson.dumps(value), walk.found) if walk.found else (body, 0)
    except (RecursionError, orjson.JSONEncodeError):
        raise TooDeep from None


class _Walk:
    def __init__(self, members: frozenset[str]) -> None:
        self.found = 0
        self._members = members

    def value(self, value: Any, *, inside: bool) -> Any:
        """Redact a value; *inside*: it belongs to a member that holds text."""
        if isinstance(value, str):
            return self._text(value) if inside else value
        if isinstance(value, list):
            return [self.value(item, inside=inside) for item in value]
        if isinstance(value, dict):
            plain = value.get("type") == "text"  # ``data`` is text in a plain-text document, base64 in others
            return {name: self._member("text" if plain and name == "data" else name, part) for name, part in value.items()}
        return value

    def _member(self, name: str, value: Any) -> Any:
        if name in _FREE and isinstance(value, dict):
            return self.all(value)
        if name == "arguments" and isinstance(value, str):
            text, found = redact_arguments(value)
            self.found += found
            return text
        return self.value(value, inside=name in self._members)

    def all(self, value: Any) -> Any:
        """Redact every text in *value*, whatever its members are called."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self.all(item) for item in value]
        return {name: self.all(item) for name, item in value.items()} if isinstance(value, dict) else value

    def _text(self, text: str) -> str:
        if text.startswith("data:"):
            return text
        text, found = redact(text)
        self.found += found
        return text


_Said = TextDelta | ThinkingDelta | RefusalDelta


class Redactor:
    """Redacts the texts and the tools' arguments of one answer.

    It holds back text that may be the beginning of personal data, and the arguments of a call until they are complete.
    """

    def __init__(self, on_found: Callable[[int], None] = lambda count: None, *, changes: bool = True) -> None:
        self._held: _Said = TextDelta("")
        self._arguments: list[str] = []
        self._on_found = on_found
        self._changes = changes

    def feed(self, events: Sequence[Event]) -> Sequence[Event]:
        """The same events with their texts redacted, or (not *changes*) as they are."""
        out: list[Event] = []
        for event in events:
            if isinstance(event, _Said):
                self._text(event, out)
            elif isinstance(event, ToolArguments):
                self._arguments.append(event.text)
            elif isinstance(event, Usage):  # some vendors send usage with each piece of a text, so it does not end the text
                out.append(event)
            else:
                self._flush(out)
                out.append(event)
        return out if self._changes else events

    def _text(self, event: _Said, out: list[Event]) -> None:
        if self._arguments or type(event) is not type(self._held):
            self._flush(out)
        held = self._held.text + event.text
        least, end = max(0, len(held) - _LONGEST), max(0, len(held) - _WINDOW)
        while end > least and ((last := held[end - 1]).isalnum() or last in _JOINS):
            end -= 1
        end = _between(held, end)
        self._held = _like(event, held[end:])
        self._say(_like(event, held[:end]), out)
        if not event.text:
            out.append(event)

    def _flush(self, out: list[Event]) -> None:
        held, self._held = self._held, TextDelta("")
        self._say(held, out)
        if self._arguments:
            text, found = redact_arguments("".join(self._arguments))
            self._arguments.clear()
            self._on_found(found)
            out.append(ToolArguments(text))

    def _say(self, event: _Said, out: list[Event]) -> None:
        if event.text:
            event.text, found = redact(event.text)
            self._on_found(found)
            out.append(event)


def _like(event: _Said, text: str) -> _Said:
    return ThinkingDelta(text, event.id) if isinstance(event, ThinkingDelta) else type(event)(text)


def _between(text: str, end: int) -> int:
    """Return *end*, or the nearest place before it where cutting *text* does not cut a match."""
    before = -1
    while before != end:  # the new place may lie inside another match
        before = end
        for kind in KINDS:
            for match in kind.pattern.finditer(text):
                if match.start() < end < match.end():
                    end = match.start()
    return end
