"""Configuration files as text and as documents: parse, print, show without secrets, compare.  Pure."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from difflib import unified_diff
from typing import Any, Final

import msgspec
import orjson

from ..log import MASK, redact
from .cli_edits import Document
from .cli_tools import File

_LOGIN: Final = re.compile(r"//[^/\s@:]*:[^/\s@]*@")  # user and password in a URL
_SECRET: Final = re.compile(
    r"(?i)token(?!s)|secret|passw|api[_-]?key|credential|authorization|cookie|private|(?<!env)_key$|_pat$"
)


def _fraction(text: str) -> float | msgspec.Raw:
    """Return the number, or the text of one that would be printed differently."""
    return number if repr(number := float(text)) == text else msgspec.Raw(text.encode())


_JSON: Final = msgspec.json.Decoder(float_hook=_fraction)


class Malformed(ValueError):
    """The text does not parse; the message says where."""


def parse(file: File, text: str | None) -> Document:
    """Parse a file's text; without one, return an empty document.  Raises :class:`Malformed`."""
    if file.format == "toml":
        return _toml(text or "")
    if text is None or not text.strip():
        return {}
    try:
        orjson.loads(text)  # says where it is wrong
        value = _JSON.decode(text)  # keeps every number
    except orjson.JSONDecodeError as error:
        raise Malformed(f"it is not valid JSON (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise Malformed("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise Malformed("it is not a JSON object")
    return value


def _toml(text: str) -> Document:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(text)
    except (TOMLKitError, RecursionError) as error:
        line = getattr(error, "line", None)
        raise Malformed("it is not valid TOML" + (f" (line {line})" if line else "")) from None


def render(file: File, document: Document) -> str:
    """The text of *document* in the file's format."""
    if file.format == "toml":
        import tomlkit

        return tomlkit.dumps(document)
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def masked(value: Any, name: str = "") -> Any:
    """Return a copy with secrets masked: values whose name suggests a secret, and texts that look like one."""
    if isinstance(value, MutableMapping):
        return {key: masked(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item, name) for item in value]
    if isinstance(value, str):
        return MASK if value and _SECRET.search(name) else _LOGIN.sub(f"//{MASK}@", redact(value))
    return value


def masked_text(file: File, text: str) -> str:
    """Return *text* with secrets masked.  Raises :class:`Malformed`."""
    document = parse(file, text)
    if file.format != "toml":
        return render(file, masked(document)) if text else ""
    _mask_in_place(document)
    return redact(render(file, document))  # also masks secrets in comments


def _mask_in_place(value: Any) -> None:
    """Mask in place, which preserves the layout of tomlkit's documents."""
    for key, item in list(value.items()) if isinstance(value, MutableMapping) else list(enumerate(value)):
        if isinstance(item, MutableMapping | list):
            _mask_in_place(item)
        elif isinstance(item, str) and item and (shown := masked(str(item), str(key))) != item:
            value[key] = shown


def difference(file: File, before: str | None, after: str) -> str:
    """Return a unified diff of the two texts with secrets masked; ``""`` if only secrets changed."""
    old = masked_text(file, before or "").splitlines(keepends=True)
    new = masked_text(file, after).splitlines(keepends=True)
    return "".join(unified_diff(old, new, f"a/{file.name}", f"b/{file.name}", n=2))
