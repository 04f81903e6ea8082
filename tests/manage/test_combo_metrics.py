from __future__ import annotations

from fakes_manage import Admin


def test_metrics_are_shown_and_begin_anew(admin: Admin) -> None:
    path = "/api/combos/metrics"
    assert admin.send("GET", path).json == {"metrics": {}}
    nothing = admin.send("GET", f"{path}?combo=x").json
    assert (nothing["metrics"], bool(nothing["message"])) == (None, True)
    for name in ("x", "y"):
        admin.live.combos.finished(name, "random", admin.clock.time(), ok=True, fallbacks=0, latency_ms=50)
    assert admin.send("GET", f"{path}?combo=x").json["metrics"]["totalRequests"] == 1
    assert admin.send("DELETE", f"{path}?combo=x").json["success"] is True
    assert [*admin.send("GET", path).json["metrics"]] == ["y"]
    assert admin.send("DELETE", path).json["success"] is True
    assert admin.send("GET", path).json == {"metrics": {}}
