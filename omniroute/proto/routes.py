"""Route matching: exact, deny by default.

A pattern is literal text with variables: ``{name}`` takes one segment, ``{name*}`` the rest of the path (at least one
character, slashes included), and literal text may follow a variable inside a segment (``{model*}:generateContent``).
Paths match as they were sent: case-sensitive, no slash folding, no dot segments, percent-encoding only inside variables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar
from urllib.parse import unquote


class Row(Protocol):
    """The least that a route table's rows have."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...


R = TypeVar("R", bound=Row)
_VARIABLE = re.compile(r"\{(\w+)(\*?)\}")


def _compile(pattern: str) -> re.Pattern[str]:
    out, at = [], 0
    for found in _VARIABLE.finditer(pattern):
        out.append(re.escape(pattern[at : found.start()]))
        out.append(f"(?P<{found[1]}>{'.+' if found[2] else '[^/]+?'})")
        at = found.end()
    return re.compile("".join(out) + re.escape(pattern[at:]), re.DOTALL)


class RouteTable(Generic[R]):
    """Rows by path; literal paths win over patterns, patterns are tried in table order."""

    def __init__(self, rows: Iterable[R]) -> None:
        self._literal: dict[str, dict[str, R]] = {}
        patterns: dict[str, dict[str, R]] = {}
        for row in rows:
            home = patterns if "{" in row.path else self._literal
            methods = home.setdefault(row.path, {})
            if row.method in methods:
                raise ValueError(f"route listed twice: {row.method} {row.path}")
            methods[row.method] = row
        self._patterns: Sequence[tuple[re.Pattern[str], dict[str, R]]] = [(_compile(p), m) for p, m in patterns.items()]

    def find(self, path: str) -> tuple[dict[str, R], dict[str, str]] | None:
        """The rows by method at *path* and the decoded variables, or None when nothing is there."""
        methods = self._literal.get(path)
        if methods is not None:
            return methods, {}
        for pattern, rows in self._patterns:
            if found := pattern.fullmatch(path):
                return rows, {name: unquote(value) for name, value in found.groupdict().items()}
        return None

    @staticmethod
    def allow(methods: dict[str, R]) -> str:
        """The ``Allow`` field for the rows at one path (RFC 9110 section 10.2.1)."""
        names = {*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
        return ", ".join(sorted(names))
