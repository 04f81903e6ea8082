"""Exact route matching; a path without a route is not served.

A pattern is literal text with variables: ``{name}`` matches one segment, ``{name*}`` the rest of the path (at least one
character, slashes included).  Literal text may follow a variable inside a segment (``{model*}:generateContent``).  Paths
match as they were sent: case-sensitive, without merging slashes or resolving dot segments.  Only the values of variables are
percent-decoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar
from urllib.parse import unquote


class Row(Protocol):
    """What the table needs of a row."""

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
    """Finds rows by path: literal paths first, then patterns in table order.  Raises ``ValueError`` for a duplicate row."""

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
        """The rows at *path* by method, and the decoded variables; None when no route matches."""
        methods = self._literal.get(path)
        if methods is not None:
            return methods, {}
        for pattern, rows in self._patterns:
            if found := pattern.fullmatch(path):
                return rows, {name: unquote(value) for name, value in found.groupdict().items()}
        return None

    @staticmethod
    def allow(methods: dict[str, R]) -> str:
        """The value of ``Allow`` for the rows at one path (RFC 9110 section 10.2.1)."""
        names = {*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
        return ", ".join(sorted(names))
