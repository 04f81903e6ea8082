"""The metrics of combos: how often each combo and each of its models was called, and with what result."""

from __future__ import annotations

from .call import Call, Reply


async def read(call: Call) -> Reply:
    """Show the metrics of one combo (``?combo=``), or of all."""
    found = call.live.combos.metrics()
    name = call.query.get("combo")
    if not name:
        return Reply(200, {"metrics": found})
    if name in found:
        return Reply(200, {"metrics": found[name]})
    return Reply(200, {"metrics": None, "message": f'No metrics recorded for combo "{name}" yet'})


async def reset(call: Call) -> Reply:
    """Set one combo's metrics (``?combo=``) back to zero, or all of them."""
    name = call.query.get("combo", "")
    call.live.combos.reset(name)
    await call.audit("combo.metrics.reset", name or None)
    return Reply(
        200, {"success": True, "message": f'Metrics reset for combo "{name}"' if name else "All combo metrics reset"}
    )
