"""The types of answers that are built as plain dicts; used by the API document only.

A key that may be missing is ``NotRequired``; answers may have further keys, as JSON clients must expect anyway.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from ..store.backups import BackupRow
from .cache import SemanticView


class Done(TypedDict):
    """The action succeeded."""

    success: bool
    message: NotRequired[str]


Prices = dict[str, dict[str, dict[str, Any]]]
"""Provider id -> model -> prices in US dollars per million tokens."""

CallTokens = TypedDict("CallTokens", {"in": int | None, "out": int | None})


class CallEntry(TypedDict):
    """One call of the log; ``requestId`` is the response's X-Request-Id."""

    id: str
    requestId: str | None
    timestamp: str
    method: str
    path: str
    status: int
    model: str
    requestedModel: str
    provider: str
    account: str
    connectionId: str | None
    duration: float
    tokens: CallTokens
    sourceFormat: str
    targetFormat: str
    error: str | None
    comboName: str | None
    apiKeyId: str | None
    apiKeyName: str | None
    route: str | None
    cost: float | None
    hasRequestBody: bool
    hasResponseBody: bool


class CallDetail(CallEntry):
    """One call with its bodies, if they were kept."""

    requestBody: Any
    responseBody: Any


class History(TypedDict):
    """Usage by provider, model, account and key.  The costs exclude the ``unpricedRequests``, whose price is unknown."""

    totalRequests: int
    totalPromptTokens: int
    totalCompletionTokens: int
    totalCost: float
    unpricedRequests: int
    byProvider: dict[str, dict[str, Any]]
    byModel: dict[str, dict[str, Any]]
    byAccount: dict[str, dict[str, Any]]
    byApiKey: dict[str, dict[str, Any]]
    last10Minutes: list[dict[str, Any]]
    pending: dict[str, Any]
    activeRequests: list[dict[str, Any]]


class HealthReport(TypedDict):
    """The health; an unknown caller gets only the first three fields."""

    status: str
    timestamp: NotRequired[str]
    version: NotRequired[str]
    uptime: NotRequired[float]
    inFlight: NotRequired[int]
    activeConnections: NotRequired[int]
    providerHealth: NotRequired[dict[str, dict[str, Any]]]
    lockouts: NotRequired[list[dict[str, Any]]]
    setupComplete: NotRequired[bool]


class HealthReset(TypedDict):
    success: bool
    message: str
    resetCount: int


class Telemetry(TypedDict):
    """Latencies in milliseconds; ``phaseBreakdown`` and ``providers`` have the same figures by phase and by provider."""

    count: int
    avg: float
    p50: float
    p95: float
    p99: float
    phaseBreakdown: dict[str, dict[str, float]]
    providers: dict[str, dict[str, float]]
    errorRate: float
    windowMs: int


class ProviderFigures(TypedDict):
    totalRequests: int
    totalSuccesses: int
    successRate: float
    avgLatencyMs: float


class ProviderMetrics(TypedDict):
    metrics: dict[str, ProviderFigures]


class RateLimits(TypedDict):
    connections: list[dict[str, Any]]
    overview: dict[str, dict[str, Any]]
    lockouts: list[dict[str, Any]]
    cacheStats: SemanticView
    defaults: dict[str, Any]


class Protection(TypedDict):
    success: bool
    connectionId: str
    enabled: bool


class BackupList(TypedDict):
    backups: list[BackupRow]


class BackupMade(TypedDict):
    """``message`` alone if nothing has changed since the last backup."""

    created: NotRequired[bool]
    filename: NotRequired[str]
    size: NotRequired[int]
    message: NotRequired[str]


class Counted(TypedDict):
    connectionCount: int
    nodeCount: int
    comboCount: int
    apiKeyCount: int


class Restored(Counted):
    restored: bool
    backupId: str


class Imported(Counted):
    imported: bool
    filename: str


class Storage(TypedDict):
    driver: str
    dbPath: str
    sizeBytes: int
    lastBackupAt: str | None
    backupCount: int
    retentionDays: int
    dataDir: str


class Models(TypedDict):
    models: list[dict[str, Any]]


class CustomModels(TypedDict):
    """A list for one provider, or lists by provider id."""

    models: list[dict[str, Any]] | dict[str, Any]


class OneCustomModel(TypedDict):
    model: dict[str, Any]


class Removed(TypedDict):
    removed: bool


class ModelCatalog(TypedDict):
    catalog: Any
    remapped: Any


class Unavailable(TypedDict):
    unavailableCount: int
    models: list[dict[str, Any]]
    providers: dict[str, dict[str, Any]]


class KeyChanged(TypedDict):
    message: str
    allowedModels: list[str]
    noLog: bool
    scopes: list[str]
    name: str
    expiresAt: str | None


class Said(TypedDict):
    message: str


class Restarting(TypedDict):
    status: str
