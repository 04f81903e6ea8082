"""The test of a combo: one short call to each of its models."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from ..clock import iso
from ..gateway import inside
from ..gateway.combos import make_lineup
from ..gateway.resolve import find_combo
from ..gateway.snapshot import Combo, ComboEntry
from .call import Call, Reply
from .refusals import existing, refused

TEST_SECONDS: Final = 15.0  # for each model


class TestBody(Struct, rename="camel"):
    combo_name: str = ""


class TestRow(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """The test of one model."""

    model: str
    status: Literal["ok", "error"]
    status_code: int | None = None
    error: str = ""
    latency_ms: int | None = None


class TestResult(Struct, rename="camel", kw_only=True):
    """The test of a combo; ``resolvedBy`` is the first model that answered."""

    combo_name: str
    strategy: str
    resolved_by: str | None
    results: list[TestRow]
    tested_at: str


async def run(call: Call) -> Reply:
    """Send "Hi" to each model, one after another.  404 for an unknown combo, 400 for one without models."""
    name = call.body.combo_name.strip()
    if not name:
        raise refused(400, "comboName is required")
    row = existing(next((row for row in await call.store.combos.list() if row.name == name), None), "Combo")
    entries = tuple(ComboEntry(model, weight) for model, weight in row.entries)
    snapshot = call.snapshot
    lineup = make_lineup(snapshot, find_combo(snapshot, name) or Combo(row.id, name, entries, row.strategy))
    if not lineup.members:
        raise refused(400, "Combo has no models")
    results = []
    for member in lineup.members:
        if member.route is None:
            results.append(TestRow(model=member.name, status="error", error=member.barred, latency_ms=0))
        else:
            results.append(await _try(call, member.name, member.route.provider.id, member.route.model))
    first = next((result.model for result in results if result.status == "ok"), None)
    return Reply(200, TestResult(
        combo_name=name, strategy=row.strategy, resolved_by=first, results=results, tested_at=iso(call.now)
    ))  # fmt: skip


async def _try(call: Call, name: str, provider: str, model: str) -> TestRow:
    gateway = call.services.gateway
    if gateway is None:
        raise refused(500, "The data plane is not running")
    body = {"model": f"{provider}/{model}", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
    got = await inside.send_chat(gateway, body, TEST_SECONDS, only=provider)
    latency = round(got.seconds * 1000)
    if got.ok:
        return TestRow(model=name, status="ok", latency_ms=latency)
    return TestRow(model=name, status="error", status_code=got.status or None, error=got.error, latency_ms=latency)
