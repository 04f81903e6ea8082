"""A connection as the API shows it: without secrets and nulls, and with its current health."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from ..clock import iso
from ..gateway.health import AccountHealth
from ..gateway.uses import NEVER, Use
from ..store.connections import ConnectionRow
from ..store.private_fields import without_secrets
from ..store.redaction import redact


class ConnectionView(Struct, rename="camel", kw_only=True, omit_defaults=True):
    """A connection.  Fields without a default are always present; the others are omitted while they are null."""

    id: str
    provider: str
    auth_type: str
    name: str
    display_name: str | None = None
    email: str | None = None
    priority: int
    global_priority: int | None = None
    is_active: bool
    default_model: str | None = None
    project_id: str | None = None
    scope: str | None = None
    token_type: str | None = None
    expires_at: str | None = None
    expires_in: int | None = None
    token_expires_at: str | None = None
    test_status: str
    last_tested: str | None = None
    last_error: str | None = None
    last_error_at: str | None = None
    last_error_type: str | None = None
    last_error_source: str | None = None
    error_code: str | None = None
    backoff_level: int
    rate_limited_until: str | None = None
    last_used_at: str | None = None
    consecutive_use_count: int
    rate_limit_protection: bool
    health_check_interval: int | None = None
    last_health_check_at: str | None = None
    provider_specific_data: dict[str, Any] | None = None
    created_at: str
    updated_at: str


class OneConnection(Struct):
    connection: ConnectionView


class ConnectionList(Struct):
    connections: list[ConnectionView]


class Validity(Struct):
    """Whether a key works."""

    valid: bool
    error: str | None = None


_SAME: Final = frozenset(ConnectionView.__struct_fields__) - {"provider_specific_data"}
_TIMES: Final = frozenset({"last_error_at", "rate_limited_until", "last_used_at"})


def view(
    row: ConnectionRow, live: AccountHealth, use: Use = NEVER, last_call: str | None = None, unopened: str | None = None
) -> ConnectionView:
    """Show *row* with the health and last use in memory, which are newer than the stored ones.

    *last_call* is the time of the last logged call (ISO 8601): only some strategies record the last use.  *unopened* is the
    reason why its secret cannot be decrypted, which no call has found out: such an account is never called.
    """
    values: dict[str, Any] = {name: getattr(row, name) for name in _SAME}
    if live.test_status != "unknown" or live.troubled:
        values |= {name: getattr(live, name) for name in AccountHealth.__struct_fields__}
    if use.times:
        values |= {"last_used_at": use.at, "consecutive_use_count": use.times}
    if values["last_error"]:
        values["last_error"] = redact(values["last_error"])  # in memory as the provider said it
    for name in _TIMES:
        if isinstance(values[name], float):
            values[name] = iso(values[name])
    if unopened is not None:
        values |= {
            "test_status": "error", "last_error": unopened, "last_error_type": "auth_missing", "last_error_source": "local",
        }  # fmt: skip
    values["last_used_at"] = max(values["last_used_at"] or "", last_call or "") or None
    data = {name: value for name, value in without_secrets(row.provider_specific_data).items() if value is not None}
    return ConnectionView(**values, provider_specific_data=data or None)
