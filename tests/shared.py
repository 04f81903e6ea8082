"""The recorded provider exchanges, if they are available.

The project does not depend on them: tests that use them are marked ``needs_shared`` and are skipped without them.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

_HERE = Path(__file__).resolve().parents[1].parent / "shared"
SHARED: Path | None = _HERE if (_HERE / "recordings").is_dir() else None
needs_shared = pytest.mark.skipif(SHARED is None, reason="the recorded provider exchanges are not beside the project")


@cache
def tool(name: str) -> ModuleType:
    """Import ``shared/tools/<name>.py``, e.g. ``tool("semantics")``."""
    assert SHARED is not None
    spec = importlib.util.spec_from_file_location(name, SHARED / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def recordings(*wires: str) -> Iterator[dict[str, Any]]:
    """Yield all recordings of the given folders (``"openai-chat"``, ``"anthropic-messages"`` …), by id; none if absent."""
    if SHARED is None:
        return
    for wire in wires:
        for path in sorted((SHARED / "recordings" / wire).glob("*.json")):
            yield json.loads(path.read_text(encoding="utf-8"))
