"""The proxy log: filters, and clearing it."""

from __future__ import annotations

from fakes_manage import Admin

from omniroute.gateway.outbound import ProxiedCall, Via
from omniroute.proto.proxy import Proxy

PATH = "/api/usage/proxy-logs"
CALL = ProxiedCall(
    Via(Proxy("http", "p.test", 3128, "me", "s3cret"), "global"), 1.0, "success", "openai", "m", 3, "", "c", "a", None
)


def test_the_log_is_read_filtered_and_emptied(admin: Admin) -> None:
    assert admin.send("GET", PATH).json == []
    for status in ("success", "error", "timeout"):
        admin.store.proxy_logs.put(CALL._replace(status=status))
    reply = admin.send("GET", PATH)
    assert [row["status"] for row in reply.json] == ["timeout", "error", "success"]
    assert reply.json[0]["proxy"] == {"type": "http", "host": "p.test", "port": 3128}
    assert b"s3cret" not in reply.text
    assert len(admin.send("GET", f"{PATH}?status=error&type=http&provider=openai&level=global&search=p.test").json) == 1
    assert admin.send("GET", f"{PATH}?status=all&level=key").json == []
    admin.store.proxy_logs.put(CALL._replace(provider="deepseek"))
    for name in ("deepseek", "ds"):
        assert [row["provider"] for row in admin.send("GET", f"{PATH}?provider={name}").json] == ["deepseek"]
    assert len(admin.send("GET", f"{PATH}?limit=2").json) == 2
    assert admin.send("DELETE", PATH).json == {"cleared": True}
    assert admin.send("GET", PATH).json == []
    assert "proxy_logs.clear" in admin.audit()
