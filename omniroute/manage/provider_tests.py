"""Testing connections: one, several, or a key not stored yet; and listing a provider's models."""

from __future__ import annotations

from typing import Any, ClassVar, Final
from uuid import uuid4

import msgspec
from msgspec import Struct

from ..clock import iso
from ..errors import OmniError
from ..gateway.tokens import REAUTH
from ..gateway.usage import CallRecord
from ..store.call_rows import TEST_MODEL
from ..store.connections import ConnectionRow
from ..upstream.base_url import check_base_url
from ..upstream.credentials import needs_secret, with_login
from ..upstream.probe import Validation
from ..upstream.providers import Provider
from ..upstream.verdict import Diagnosis, DiagnosisType
from .bodies import ShortName, Text10k, Text500, clean_key
from .call import Call, Reply
from .connection_view import Validity
from .probes import probe_for, probe_for_new
from .providers import find_connection, find_provider
from .refusals import Invalid, refused


class ValidateBody(Struct, rename="camel", kw_only=True):
    TEXTS: ClassVar = {"provider": "Provider and API key required", "apiKey": "Provider and API key required"}
    provider: ShortName
    api_key: Text10k = ""
    base_url: Text500 | None = None


class BatchBody(Struct, rename="camel", kw_only=True):
    TEXTS: ClassVar = {"mode": "mode is required"}
    mode: str
    provider_id: str | None = None


class Shown(Struct):
    """The diagnosis as the API shows it."""

    type: str
    source: str
    message: str | None
    code: str | None


class TestResult(Struct, rename="camel", kw_only=True):
    valid: bool
    error: str | None
    refreshed: bool = False
    diagnosis: Shown
    latency_ms: int
    status_code: int | None
    runtime: None = None
    tested_at: str


class BatchItem(Struct, rename="camel", kw_only=True):
    provider: str
    connection_id: str
    connection_name: str
    auth_type: str
    valid: bool
    latency_ms: int
    error: str | None
    diagnosis: Shown
    status_code: int | None
    tested_at: str


class Summary(Struct):
    total: int
    passed: int
    failed: int


class Batch(Struct, rename="camel", kw_only=True):
    mode: str
    provider_id: str | None
    results: list[BatchItem]
    tested_at: str
    summary: Summary


async def test_one(call: Call) -> Reply:
    """Test one account.  A failed test is a 200 with ``valid: false``; 404 for an unknown id."""
    return Reply(200, await _test(call, await find_connection(call)))


async def test_batch(call: Call) -> Reply:
    """Test the active connections of a kind, one after another."""
    body: BatchBody = call.body
    if body.mode not in _MODES:
        options = "|".join(f'"{mode}"' for mode in _MODES)
        raise Invalid(("mode", f"Invalid option: expected one of {options}"))
    if body.mode == "provider" and not body.provider_id:
        raise Invalid(("providerId", "providerId is required"))
    items = []
    for row in await call.store.connections.list(is_active=True):
        if _in_mode(call, row, body):
            result = await _test(call, row)
            items.append(_item(row, result))
    passed = sum(item.valid for item in items)
    summary = Summary(len(items), passed, len(items) - passed)
    batch = Batch(mode=body.mode, provider_id=body.provider_id, results=items, tested_at=iso(call.now), summary=summary)
    return Reply(200, batch)


_MODES: Final = ("provider", "oauth", "free", "apikey", "compatible", "all")


def _in_mode(call: Call, row: ConnectionRow, body: BatchBody) -> bool:
    if body.mode == "provider":
        return row.provider == body.provider_id
    if body.mode == "compatible":
        provider = call.snapshot.providers.get(row.provider)
        return provider is not None and provider.node
    return body.mode in ("all", row.auth_type)


def _item(row: ConnectionRow, result: TestResult) -> BatchItem:
    return BatchItem(
        provider=row.provider, connection_id=row.id, connection_name=row.name, auth_type=row.auth_type,
        valid=result.valid, latency_ms=result.latency_ms, error=result.error, diagnosis=result.diagnosis,
        status_code=result.status_code, tested_at=result.tested_at,
    )  # fmt: skip


_NO_VALIDATION: Final = "Provider validation not supported"


async def validate(call: Call) -> Reply:
    """Test a key before it is stored."""
    body: ValidateBody = call.body
    provider = await find_provider(call, body.provider, _NO_VALIDATION)
    if body.base_url:
        check_base_url(body.base_url, call.services.settings.allow_private_urls)
    key = clean_key(body.api_key)
    if not key and needs_secret(provider):
        raise Invalid(("apiKey", "Provider and API key required"))
    outcome = await probe_for_new(call, provider, body.base_url or "").validate(provider, key, body.base_url or "")
    if outcome.diagnosis.type == "unsupported":
        raise refused(400, _NO_VALIDATION)
    return Reply(200, Validity(outcome.valid, outcome.error))


async def models(call: Call) -> Reply:
    """Return the provider's own list of models, items unchanged."""
    row = await find_connection(call)
    provider = call.snapshot.providers.get(row.provider)
    if provider is None:
        raise refused(400, f"Provider {row.provider} does not support models listing")
    stale = row.renew_at <= call.now
    if stale:
        await _renew(call, row)
    try:
        items = await _listed(call, row, provider)
    except OmniError as error:
        if error.status != 401 or stale or not row.refreshable or await _renew(call, row) is not None:
            raise
        items = await _listed(call, row, provider)
    source = "api" if provider.lists_models else "static"
    return Reply(200, {"provider": row.provider, "connectionId": row.id, "models": items, "source": source})


async def _listed(call: Call, row: ConnectionRow, provider: Provider) -> list[dict[str, Any]]:
    secret, proven = await call.store.connections.secret(row.id), with_login(provider, row.auth_type)
    return await probe_for(call, row).list_models(proven, secret, row.base_url, row.provider_specific_data)


async def _test(call: Call, row: ConnectionRow) -> TestResult:
    """Test a connection, and record the result in memory, in its row and in the call log."""
    provider = call.snapshot.providers.get(row.provider)
    started = call.now
    outcome, refreshed = await _outcome(call, row, provider)
    found, now = outcome.diagnosis, call.now
    if await call.store.connections.update(row.id, last_tested=iso(now), **_marks(outcome, now)) is not None:
        call.live.health.tested(
            row.id,
            ok=outcome.valid,
            message=outcome.error or "",
            kind=found.type,
            source=found.source,
            status=outcome.status or 0,
        )
    call.store.usage.put(_record(call, row, outcome, started))
    return TestResult(
        valid=outcome.valid,
        error=outcome.error,
        refreshed=refreshed,
        diagnosis=Shown(found.type, found.source, outcome.error, None if outcome.valid else found.code),
        latency_ms=outcome.latency_ms,
        status_code=outcome.status,
        tested_at=iso(now),
    )


async def _outcome(call: Call, row: ConnectionRow, provider: Provider | None) -> tuple[Validation, bool]:
    """Return the provider's verdict, and whether the token was refreshed first."""
    if provider is None:
        text = "Provider not supported"
        return _local(Diagnosis("unsupported", "validation", text, "unsupported")), False
    refreshed = False
    if row.ends_at is not None and row.auth_type == "oauth" and min(row.renew_at, row.ends_at) <= call.now:
        if (problem := await _renew(call, row)) is not None:
            return _local(problem), False
        refreshed = True
    outcome = await _ask(call, row, provider)
    if outcome.diagnosis.type != "upstream_auth_error" or row.auth_type != "oauth":
        return outcome, refreshed
    if not refreshed and row.refreshable:
        if (problem := await _renew(call, row)) is not None:
            return _local(problem), False
        outcome, refreshed = await _ask(call, row, provider), True
    if outcome.diagnosis.type == "upstream_auth_error" and not row.refreshable:
        text = "The provider refused the access token. Log in again"
        found = Diagnosis("reauth_required", "oauth", text, outcome.diagnosis.code)
        outcome = msgspec.structs.replace(outcome, error=text, diagnosis=found)
    return outcome, refreshed


async def _ask(call: Call, row: ConnectionRow, provider: Provider) -> Validation:
    try:
        secret = await call.store.connections.secret(row.id)
    except OmniError as error:  # it cannot be decrypted
        return _local(Diagnosis("auth_missing", "local", error.message, "undecryptable"))
    proven = with_login(provider, row.auth_type)
    return await probe_for(call, row).validate(proven, secret, row.base_url, row.provider_specific_data)


async def _renew(call: Call, row: ConnectionRow) -> Diagnosis | None:
    """Refresh the tokens; return what is wrong if that fails."""
    if not row.refreshable:
        text = "The access token has expired and there is no refresh token. Log in again"
        return Diagnosis("token_expired", "oauth", text, "token_expired")
    try:
        await call.live.tokens.refresh(row.id)
    except OmniError as error:
        kind: DiagnosisType = "reauth_required" if error.code == REAUTH else "token_refresh_failed"
        return Diagnosis(kind, "oauth", error.message, kind)
    return None


def _local(problem: Diagnosis) -> Validation:
    """Return the result of a test that failed before a request was sent."""
    return Validation(False, problem.message, None, 0, problem)


def _marks(outcome: Validation, now: float) -> dict[str, Any]:
    """Return the health columns after a test; success clears them."""
    good = outcome.valid
    return {
        "test_status": "active" if good else "error",
        "last_error": None if good else outcome.error,
        "last_error_at": None if good else iso(now),
        "last_error_type": None if good else outcome.diagnosis.type,
        "last_error_source": None if good else outcome.diagnosis.source,
        "error_code": str(outcome.status) if outcome.status and not good else None,
        **({"backoff_level": 0, "rate_limited_until": None} if good else {}),
    }


def _record(call: Call, row: ConnectionRow, outcome: Validation, started: float) -> CallRecord:
    return CallRecord(
        id=str(uuid4()),
        at=started,
        method=call.request.method,
        path=call.request.path,
        status=outcome.status or (200 if outcome.valid else 502),
        provider=row.provider,
        model=TEST_MODEL,
        requested_model=TEST_MODEL,
        connection_id=row.id,
        account=row.name,
        key_id="",
        key_name="",
        source_format="",
        target_format="",
        stream=False,
        duration_ms=float(outcome.latency_ms),
        first_byte_ms=None,
        error="" if outcome.valid else outcome.error or "",
    )
