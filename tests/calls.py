"""Calls in the books of usage."""

from __future__ import annotations

from typing import Any

from fakes_manage import Admin

from omniroute.gateway.usage import CallRecord


def put(admin: Admin, connection: str, *, ago: float = 5.0, status: int = 200, model: str = "gpt-4o", **fields: Any) -> None:
    values: dict[str, Any] = {
        "id": f"r{ago}{status}{model}", "at": admin.clock.time() - ago, "method": "POST", "path": "/v1/chat/completions",
        "status": status, "provider": "openai", "model": model, "requested_model": model, "connection_id": connection,
        "account": "work", "key_id": "", "key_name": "", "source_format": "openai-chat", "target_format": "openai-chat",
        "stream": False, "duration_ms": 120.0, "first_byte_ms": None, "tokens_in": 100, "tokens_out": 20, "cost": 0.5,
    }  # fmt: skip
    admin.store.usage.put(CallRecord(**{**values, **fields}))
