"""The endpoints and other table rows of the contract document, read from its Markdown.

In the first cell of a table and in the text, a code span such as ``GET /api/keys``, ``GET/POST /api/rate-limit``,
``PATCH``/``PUT /{id}`` or ``POST {"name":…}`` names endpoints.  A path that begins with neither ``/api`` nor ``/v1`` is
relative to the first path of its section; a method without a path belongs to the preceding path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_VERB: Final = "GET|POST|PUT|PATCH|DELETE"
_SPAN: Final = re.compile(r"`([^`]+)`")
_CALL: Final = re.compile(rf"((?:{_VERB})(?:/(?:{_VERB}))*)?(?:^|\s+|$)(.*)")
_JOINED: Final = {"/", " (also ", ") "}  # between a method and what says its path
_LEGENDS: Final = {"mark"}
# What a human reader knows: the subject of a paragraph, relative paths, and paths of vendors.
_SUBJECTS: Final = {"**Policies.**": "/api/policies"}
_BELOW: Final = {
    "/call-logs/{id}": "/api/usage/call-logs/{id}",
    "/embeddings": "/v1/providers/{provider}/embeddings",
    "/images/generations": "/v1/providers/{provider}/images/generations",
    "…/history": "/api/translator/history",
}
_VENDORS: Final = {"/messages", "/models", "/"}


class _Reader:
    """Reads the document line by line; ``base`` is the first path of the section, ``last`` the preceding path."""

    def __init__(self) -> None:
        self.base = self.last = self.method = ""
        self.header: list[str] = []
        self.endpoints: set[str] = set()
        self.names: set[str] = set()

    def line(self, line: str) -> None:
        if line.startswith("#"):
            self.base = self.last = ""
        subject = next((path for title, path in _SUBJECTS.items() if line.startswith(title)), "")
        if subject or line.startswith("**"):
            self.base = self.last = subject or next((p for _, p, _ in _spans(line) if _absolute(p)), self.base)
        if line.startswith("|"):
            self._row([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        else:
            self.header = []
            self._calls(line, bare=self.base if line.startswith("**") else "")

    def _row(self, cells: list[str]) -> None:
        if not self.header:
            self.header = cells
        elif set(cells[0]) <= set("- "):
            return
        elif self.header[0] == "action":
            self._calls(re.sub(rf"`({_VERB}) ([\w-]+)`", r"`\1 /api/oauth/{provider}/\2`", cells[0]))
        elif self.header[0] in ("endpoint", "path"):
            self._calls(cells[0])
        elif self.header[0] not in _LEGENDS:
            self.names.add(re.sub(r"`|\*\*", "", cells[0]).replace("\\|", "|"))

    def _calls(self, text: str, bare: str = "") -> None:
        pending: list[str] = []
        in_table = bool(self.header)
        for methods, path, gap in _spans(text):
            if pending and gap not in _JOINED:
                self._enter(pending, bare or self.last)
                pending = []
            if not path:
                pending += methods
            elif methods or pending or (in_table and self.method):
                self._enter(pending + methods or [self.method], self._place(path))
                pending = []
            elif _absolute(path):
                self.last = path
                self.base = self.base or path
        self._enter(pending, bare or self.last)

    def _place(self, path: str) -> str:
        if path in _BELOW:
            return _BELOW[path]
        if path.startswith(":"):
            return self.last.rpartition(":")[0] + path
        if _absolute(path):
            self.base = self.base or path
            return path
        known = path.startswith("/") and path not in _VENDORS and self.base
        return self.base + path if known else ""

    def _enter(self, methods: list[str], path: str) -> None:
        if path and methods:
            self.last, self.method = path, methods[-1]
            self.endpoints |= {f"{method} {each}" for method in methods for each in _expanded(path)}


def _spans(text: str) -> Iterator[tuple[list[str], str, str]]:
    """(methods, path without query and body, preceding text) of each code span that is a call or a path."""
    end = 0
    for found in _SPAN.finditer(text):
        call = _CALL.match(found[1])
        methods, rest = (call[1] or "", call[2]) if call else ("", "")
        path = re.split(r"\?| |\{\"", rest)[0] if rest[:1] in "/:…" else ""
        if path or (methods and (not rest or rest.startswith(("?", '{"')))):
            yield methods.split("/") if methods else [], path, text[end : found.start()]
        end = found.end()


def _absolute(path: str) -> bool:
    return path.startswith(("/api", "/v1"))


def _expanded(path: str) -> list[str]:
    """All paths that ``{a,b}`` and ``{a|b}`` stand for."""
    found = re.search(r"\{([\w-]+(?:[,|][\w-]+)+)\}", path)
    return [path.replace(found[0], one) for one in re.split(r"[,|]", found[1])] if found else [path]


def entries(document: str) -> tuple[set[str], set[str]]:
    """(``METHOD /path`` of every endpoint, first cells of the tables about anything else)."""
    reader = _Reader()
    for line in document.splitlines():
        reader.line(line)
    return reader.endpoints, reader.names
