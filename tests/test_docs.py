"""The documentation is complete: every variable, every dependency, every link."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")


def _read_by_settings() -> set[str]:
    tree = ast.parse((ROOT / "omniroute" / "settings.py").read_text("utf-8"))
    strings = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return {text for text in strings if len(text) > 3 and VARIABLE.fullmatch(text)}


def _rows(document: str) -> dict[str, str]:
    """First column -> the rest, of every table row of *document* that begins with code."""
    lines = (ROOT / document).read_text("utf-8").splitlines()
    rows = (line.strip("| ").partition("|") for line in lines if line.startswith("| `"))
    return {first.strip(): rest.strip() for first, _, rest in rows}


def _documented() -> set[str]:
    return {name for cell in _rows("docs/configuration.md") for name in re.findall(r"`([^`]+)`", cell)}


def test_every_variable_that_is_read_is_documented() -> None:
    assert _read_by_settings() - _documented() == set()


def test_every_documented_variable_is_read() -> None:
    per_provider = {f"<PROVIDER>_{name}" for name in ("API_KEY", "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET")}
    assert _documented() - _read_by_settings() == per_provider


def test_every_runtime_dependency_has_its_reason_in_the_readme() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = {re.split(r"[<>=;\s]", dependency)[0] for dependency in project["dependencies"]}
    reasons = {name for cell, reason in _rows("README.md").items() for name in re.findall(r"`([\w-]+)`", cell) if reason}
    assert names - reasons == set()


@pytest.mark.parametrize(
    "document",
    ["README.md", "CHANGELOG.md", "bench/README.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))],
)
def test_links_inside_the_project_lead_somewhere(document: str) -> None:
    path = ROOT / document
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text("utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []
