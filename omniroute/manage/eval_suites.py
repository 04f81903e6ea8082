"""Suites of evaluation cases: built in (``evals.toml``), and the owner's JSON files in ``evals`` of the data directory.

A file holds one suite, in the shape of ``GET /api/evals/{suiteId}``.  Answers are judged here too; this is pure but for the
time limit on patterns.
"""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct, field

PATTERN_SECONDS: Final = 0.25  # per answer; a reasonable pattern takes microseconds
RESERVED: Final = frozenset({"runs"})  # used as a path of the API
_SNIPPET: Final = 200  # characters of an answer that are shown in a result
_MOST_FILES: Final = 100
_MOST_BYTES: Final = 1024 * 1024
_log = logging.getLogger("omniroute.manage")

_Id = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.-]+$(?!\n)")]
_Line = Annotated[str, Meta(min_length=1, max_length=200)]


class Expected(Struct, frozen=True):
    """``exact`` compares the whole text, ``contains`` ignores case, ``regex`` may match anywhere."""

    strategy: Literal["exact", "contains", "regex"]
    value: Annotated[str, Meta(min_length=1, max_length=2000)]


class Input(Struct, frozen=True):
    """What is sent to the model, as in Chat Completions."""

    messages: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=100)]


class CaseView(Struct, frozen=True, kw_only=True):
    """A case without its expected answer.  ``model`` is a suggestion; a run names its own."""

    id: _Id
    name: _Line
    model: str = ""
    input: Input
    tags: list[str] = []


class Case(CaseView, frozen=True, kw_only=True):
    expected: Expected


class Suite(Struct, frozen=True, kw_only=True):
    id: _Id
    name: _Line
    description: str = ""
    cases: Annotated[list[Case], Meta(min_length=1, max_length=1000)]


class Result(Struct, rename="camel", frozen=True, omit_defaults=True, kw_only=True):
    """The result of one case.  ``details`` says what was compared, ``error`` why no comparison was possible."""

    case_id: str
    case_name: str
    passed: bool
    duration_ms: int
    details: dict[str, str] | None = None
    error: str | None = None


class Summary(Struct, rename="camel", frozen=True):
    """``passRate`` in percent."""

    total: int
    passed: int
    failed: int
    pass_rate: int


class Report(Struct, rename="camel", frozen=True, omit_defaults=True, kw_only=True):
    """The results of a suite; ``model`` is set if one was used."""

    suite_id: str
    suite_name: str
    model: str = ""
    results: list[Result] = field(default_factory=list)
    summary: Summary


def judge(case: Case, answer: str, duration_ms: int = 0) -> Result:
    """Compare an answer with what is expected.  Takes at most ``PATTERN_SECONDS``, during which other threads run."""
    wanted, snippet = case.expected.value, answer[:_SNIPPET]
    error = None
    if case.expected.strategy == "exact":
        passed, details = answer == wanted, {"expected": wanted, "actual": snippet}
    elif case.expected.strategy == "contains":
        passed, details = wanted.lower() in answer.lower(), {"actualSnippet": snippet, "searchTerm": wanted}
    else:
        details = {"actualSnippet": snippet, "pattern": wanted}
        try:
            passed = _finds(wanted, answer)
        except TimeoutError:
            passed, error = False, f"The pattern took longer than {PATTERN_SECONDS:g} seconds"
    return Result(case_id=case.id, case_name=case.name, passed=passed, duration_ms=duration_ms, details=details, error=error)


def failed(case: Case, error: str, duration_ms: int) -> Result:
    """Return the result of a case without an answer that could be judged."""
    return Result(case_id=case.id, case_name=case.name, passed=False, duration_ms=duration_ms, error=error)


def report(suite: Suite, results: Iterable[Result], model: str = "") -> Report:
    """Add up *results*; ``pass_rate`` is in whole percent."""
    listed = [*results]
    passed, total = sum(result.passed for result in listed), len(listed)
    summary = Summary(total, passed, total - passed, round(100 * passed / total) if total else 0)
    return Report(suite_id=suite.id, suite_name=suite.name, model=model, results=listed, summary=summary)


def _finds(pattern: str, text: str) -> bool:
    import regex  # takes 20 ms to load, and few gateways run evaluations

    return regex.search(pattern, text, timeout=PATTERN_SECONDS, concurrent=True) is not None


@cache
def built_in() -> dict[str, Suite]:
    """Return the built-in suites by id."""
    text = resources.files(__package__).joinpath("evals.toml").read_text(encoding="utf-8")
    suites = msgspec.convert(tomllib.loads(text)["suites"], list[Suite])
    return {suite.id: suite for suite in suites}


class Suites:
    """All suites.  A file is read again when it has changed; an invalid one is skipped and logged."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[Path, tuple[tuple[int, int], Suite | None]] = {}

    def all(self) -> dict[str, Suite]:
        """Return the suites by id, built-in ones first.  Blocking, since it reads files."""
        found = dict(built_in())
        known = self._known
        self._known = {path: self._entry(path, known.get(path)) for path in self._paths()}
        for path, (_, suite) in self._known.items():
            if suite is not None and found.setdefault(suite.id, suite) is not suite:
                _log.warning("evaluation suite %s is skipped: there is another one with the id %s", path.name, suite.id)
        return found

    def _paths(self) -> list[Path]:
        try:
            return sorted(path for path in self._folder.glob("*.json") if path.is_file())[:_MOST_FILES]
        except OSError:
            return []

    @staticmethod
    def _entry(path: Path, known: tuple[tuple[int, int], Suite | None] | None) -> tuple[tuple[int, int], Suite | None]:
        try:
            state = path.stat()
            mark = (state.st_mtime_ns, state.st_size)
            if known is not None and known[0] == mark:
                return known
            return mark, parse(path)
        except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
            _log.warning("evaluation suite %s is skipped: %s", path.name, error)
            return mark if isinstance(error, ValueError) else (0, 0), None


def parse(path: Path) -> Suite:
    """Read the suite in *path*.  Raises ``ValueError`` saying what is wrong, ``OSError`` if it cannot be read."""
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"it is larger than {_MOST_BYTES} bytes")
    suite = msgspec.json.decode(path.read_bytes(), type=Suite)
    if suite.id in RESERVED:
        raise ValueError(f"no suite can have the id {suite.id}, which is reserved")
    if len({case.id for case in suite.cases}) < len(suite.cases):
        raise ValueError("two cases have the same id")
    for case in suite.cases:
        if case.expected.strategy == "regex":
            _compiles(case)
    return suite


def _compiles(case: Case) -> None:
    import regex

    try:
        regex.compile(case.expected.value)
    except (regex.error, RecursionError) as error:
        raise ValueError(f"case {case.id}: invalid pattern: {error}") from None
