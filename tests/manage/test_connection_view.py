"""What of a connection is shown."""

from __future__ import annotations

import msgspec

from omniroute.gateway.health import AccountHealth
from omniroute.gateway.uses import Use
from omniroute.manage.connection_view import view
from omniroute.store.connections import ConnectionRow


def _shown(row: ConnectionRow, live: AccountHealth | None = None) -> dict[str, object]:
    shown: dict[str, object] = msgspec.json.decode(msgspec.json.encode(view(row, live or AccountHealth())))
    return shown


def test_null_fields_are_left_out_and_the_key_is_not_there() -> None:
    shown = _shown(ConnectionRow(id="1", provider="p", name="n", has_api_key=True))
    assert set(shown) == {
        "id", "provider", "authType", "name", "priority", "isActive", "testStatus", "backoffLevel", "consecutiveUseCount",
        "rateLimitProtection", "createdAt", "updatedAt",
    }  # fmt: skip


def test_stored_health_is_shown_until_memory_knows_better() -> None:
    row = ConnectionRow(id="1", provider="p", test_status="error", last_error="old")
    assert _shown(row)["lastError"] == "old"
    fresh = _shown(row, AccountHealth(test_status="active"))
    assert fresh["testStatus"] == "active"
    assert "lastError" not in fresh


def test_times_in_memory_are_shown_as_iso() -> None:
    live = AccountHealth(test_status="unavailable", rate_limited_until=0.5)
    shown = _shown(ConnectionRow(id="1", provider="p"), live)
    assert shown["rateLimitedUntil"] == "1970-01-01T00:00:00.500Z"


def test_a_secret_that_the_provider_quoted_is_masked() -> None:
    live = AccountHealth(test_status="unavailable", last_error="not for sk-of-a-client-1")
    assert _shown(ConnectionRow(id="1", provider="p"), live)["lastError"] == "not for [redacted]"


def test_the_last_use_in_memory_goes_before_the_stored_one() -> None:
    row = ConnectionRow(id="1", provider="p", last_used_at="2026-01-01T00:00:00.000Z", consecutive_use_count=9)
    shown = msgspec.to_builtins(view(row, AccountHealth(), Use(1.5, 7, 2)))
    assert (shown["lastUsedAt"], shown["consecutiveUseCount"]) == ("1970-01-01T00:00:01.500Z", 2)
    assert _shown(row)["consecutiveUseCount"] == 9


def test_a_secret_that_cannot_be_decrypted_is_shown_as_the_error() -> None:
    live = AccountHealth(test_status="active")
    shown = msgspec.to_builtins(view(ConnectionRow(id="1", provider="p"), live, unopened="sealed with another key"))
    assert (shown["testStatus"], shown["lastError"]) == ("error", "sealed with another key")
    assert (shown["lastErrorType"], shown["lastErrorSource"]) == ("auth_missing", "local")


def test_credentials_in_the_specific_data_are_hidden() -> None:
    data = {"accessToken": "t", "client_secret": "s", "auth": {"apiKey": "k"}, "region": "eu", "maxTokens": 5}
    assert _shown(ConnectionRow(id="1", provider="p", provider_specific_data=data))["providerSpecificData"] == {
        "auth": {}, "region": "eu", "maxTokens": 5,
    }  # fmt: skip
