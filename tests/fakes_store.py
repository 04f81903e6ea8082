"""Stores in temporary folders, on a fake clock, with a catalogue of three providers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from fakes import FakeClock

from omniroute.gateway.usage import CallRecord
from omniroute.settings import Settings
from omniroute.store.store import Store
from omniroute.upstream.catalog import parse_catalog
from omniroute.upstream.providers import Catalog

CATALOG = """
[quirks]
[reserved]
cc = { id = "claude", provider = "anthropic" }
cx = { id = "codex", provider = "openai", wire = "openai-responses" }
[provider.openai]
name = "OpenAI"
base_url = "https://api.openai.com/v1"
wire = "openai-chat"
env = "OPENAI_API_KEY"
models = '''
gpt-4o 128000 16384 2.5 10 1.25 - -
shared 128000 16384 1 2 - - -
'''
[provider.deepseek]
name = "DeepSeek"
alias = "ds"
base_url = "https://api.deepseek.com/v1"
wire = "openai-chat"
env = "DEEPSEEK_API_KEY"
models = '''
deepseek-chat 128000 8192 0.28 0.42 0.028 - -
shared 128000 16384 - - - - -
'''
[provider.anthropic]
name = "Anthropic"
base_url = "https://api.anthropic.com/v1"
wire = "anthropic"
auth = "x-api-key"
env = "ANTHROPIC_API_KEY"
models = '''
claude-sonnet-4-5 200000 64000 3 15 0.3 3.75 -
'''
"""


@cache
def small_catalog() -> Catalog:
    return parse_catalog(CATALOG)


@asynccontextmanager
async def a_store(
    folder: Path, clock: FakeClock | None = None, *, owner: bool = True, **settings: Any
) -> AsyncIterator[Store]:
    """Open a store and close it at the end.  Another one on the same *folder* finds what was stored."""
    store = await Store.open(Settings(data_dir=folder, **settings), clock or FakeClock(), small_catalog(), owner=owner)
    try:
        yield store
    finally:
        await store.close()


def a_call(id: str = "req-1", **changes: Any) -> CallRecord:
    """Return the record of a successful call."""
    values: dict[str, Any] = {
        "id": id, "at": 1_750_000_000.0, "method": "POST", "path": "/v1/chat/completions", "status": 200,
        "provider": "openai", "model": "gpt-4o", "requested_model": "fast", "connection_id": "conn-1",
        "account": "work", "key_id": "key-1", "key_name": "laptop",
        "source_format": "anthropic", "target_format": "openai-chat", "stream": True,
        "duration_ms": 812.5, "first_byte_ms": 204.25, "tokens_in": 812, "tokens_out": 240, "cost": 0.00443,
    }  # fmt: skip
    return CallRecord(**{**values, **changes})
