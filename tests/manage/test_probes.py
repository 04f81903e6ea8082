from __future__ import annotations

from fakes_manage import Admin

from omniroute.gateway.outbound import Via
from omniroute.proto.proxy import Proxy

EVERYWHERE = {"type": "http", "host": "p.test", "port": 3128}


def test_accounts_are_tested_through_the_proxy_of_their_calls(admin: Admin) -> None:
    connection = admin.connection()["id"]
    admin.send("POST", f"/api/providers/{connection}/test")
    assert admin.probe.proxies == []
    admin.send("PUT", "/api/settings/proxy", {"global": EVERYWHERE, "keys": {connection: {**EVERYWHERE, "port": 9}}})
    admin.send("POST", f"/api/providers/{connection}/test")
    admin.send("GET", f"/api/providers/{connection}/models")
    admin.send("POST", "/api/providers/validate", {"provider": "openai", "apiKey": "sk-good"})
    node = {"type": "openai-compatible", "baseUrl": "https://h.test/v1", "apiKey": "sk-good"}
    assert admin.send("POST", "/api/provider-nodes/validate", node).status == 200
    assert [proxy.port for proxy in admin.probe.proxies] == [9, 9, 3128, 3128]
    assert admin.store.snapshot.connections["openai"][0].proxy == Via(Proxy("http", "p.test", 9), "key", connection)
