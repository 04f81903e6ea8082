"""A whole gateway whose calls take a proxy, and one that lets not everybody in."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from proxies import AProxy
from scripted_upstream import Answer, ScriptedUpstream
from wires import CHAT

from omniroute.app import App
from omniroute.proto.transport import Origin
from omniroute.settings import Settings

ANSWER = Answer(pieces=[CHAT.whole], headers=[("content-type", "application/json")])
JSON = [(b"content-type", b"application/json"), (b"accept", b"application/json")]


async def send(app: App, method: str, path: str, body: object = None, *fields: tuple[bytes, bytes]) -> tuple[int, bytes]:
    assert app.listener is not None
    data = orjson.dumps(body) if body is not None else b""
    here = Origin("http", "127.0.0.1", app.listener.port)
    status, _, answer = await app.client.fetch(here, method, path.encode(), [*JSON, *fields], data, limit=1 << 20)
    return status, answer


async def opened(folder: Path, upstream: ScriptedUpstream, **settings: object) -> tuple[App, str]:
    """A listening gateway and the id of its connection to *upstream*."""
    app = await App.open(Settings(data_dir=folder, auto_backup=False, log_to_file=False, **settings))  # type: ignore[arg-type]
    await app.listen()
    node = {"name": "Up", "prefix": "up", "apiType": "chat", "baseUrl": f"{upstream.url}/v1"}
    status, made = await send(app, "POST", "/api/provider-nodes", node)
    assert status == 201, made
    account = {"provider": orjson.loads(made)["node"]["id"], "name": "work", "apiKey": "sk-key-of-account"}
    status, made = await send(app, "POST", "/api/providers", account)
    assert status == 201, made
    return app, orjson.loads(made)["connection"]["id"]


async def chat(app: App, *fields: tuple[bytes, bytes]) -> tuple[int, bytes]:
    body = {"model": "up/some-model", "messages": [{"role": "user", "content": "hi"}]}
    return await send(app, "POST", "/v1/chat/completions", body, *fields)


@pytest.mark.parametrize("kind", ["http", "socks5"])
async def test_calls_of_a_connection_take_its_proxy_and_leave_rows(tmp_path: Path, kind: str) -> None:
    async with ScriptedUpstream(ANSWER) as upstream, AProxy(kind, "me", "s3cret") as proxy:
        app, connection = await opened(tmp_path, upstream, port=0, enable_socks5_proxy=True)
        try:
            assert (await chat(app))[0] == 200
            assert proxy.asked == []
            value = {"type": kind, "host": "127.0.0.1", "port": proxy.port, "username": "me", "password": "s3cret"}
            change = {"level": "key", "id": connection, "proxy": value}
            status, shown = await send(app, "PUT", "/api/settings/proxy", change)
            assert (status, b"s3cret" in shown) == (200, False)
            assert (await chat(app))[0] == 200
            assert f"127.0.0.1:{upstream.port}" in proxy.asked[0]
            assert upstream.requests[-1].headers["authorization"] == "Bearer sk-key-of-account"
            assert "proxy-authorization" not in upstream.requests[-1].headers
            await send(app, "PUT", "/api/settings/proxy", {**change, "proxy": {**value, "password": "wrong-one"}})
            status, answer = await chat(app)
            assert (status, b"proxy refused: " in answer, b"wrong-one" in answer) == (502, True, False)
            rows = orjson.loads((await send(app, "GET", "/api/usage/proxy-logs?level=key"))[1])
            assert [row["status"] for row in rows] == ["error", "success"]
            assert rows[1]["proxy"] == {"type": kind, "host": "127.0.0.1", "port": proxy.port}
            assert (rows[1]["level"], rows[1]["connectionId"], rows[1]["account"]) == ("key", connection, "work")
        finally:
            await app.close()


async def test_the_environments_proxy_is_not_asked_for_this_machine(tmp_path: Path) -> None:
    async with ScriptedUpstream(ANSWER) as upstream, AProxy() as proxy:
        app, _ = await opened(tmp_path, upstream, port=0, http_proxy=proxy.proxy().url)
        try:
            assert (await chat(app))[0] == 200
            assert proxy.asked == []
        finally:
            await app.close()


async def test_a_filtered_client_behind_a_trusted_proxy_reaches_neither_plane(tmp_path: Path) -> None:
    async with ScriptedUpstream(ANSWER) as upstream:
        app, _ = await opened(tmp_path, upstream, port=0, trusted_proxies=("127.0.0.1",))
        try:
            client = (b"x-forwarded-for", b"203.0.113.9")
            assert (await chat(app, client))[0] == 200
            await send(app, "PUT", "/api/settings/ip-filter", {"enabled": True, "addBlacklist": "203.0.113.0/24"})
            assert await chat(app, client) == (403, b'{"error":"IP blacklisted"}')
            assert await send(app, "GET", "/api/keys", None, client) == (403, b'{"error":"IP blacklisted"}')
            assert (await chat(app))[0] == 200
        finally:
            await app.close()
