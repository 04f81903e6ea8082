"""Every module has a test file of its own name: omniroute/a/b.py and tests/a/test_b.py."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "omniroute"

# module -> why it has no test file
WITHOUT: dict[str, str] = {
    "translate/conversation.py": "types only",
    "translate/events.py": "types only; merge() is held by collect's tests",
    "translate/format.py": "types only",
    "gateway/snapshot.py": "types only",
}


def _expected(module: Path) -> Path:
    relative = module.relative_to(PACKAGE)
    return ROOT / "tests" / relative.parent / f"test_{relative.name}"


def _modules() -> dict[str, Path]:
    found = (path for path in sorted(PACKAGE.rglob("*.py")) if path.name not in {"__init__.py", "__main__.py"})
    return {path.relative_to(PACKAGE).as_posix(): path for path in found}


def test_every_module_has_its_test_file() -> None:
    missing = [name for name, path in _modules().items() if name not in WITHOUT and not _expected(path).is_file()]
    assert missing == []


def test_every_exception_is_still_one() -> None:
    modules = _modules()
    stale = [name for name in WITHOUT if name not in modules or _expected(modules[name]).is_file()]
    assert stale == []
