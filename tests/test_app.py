from __future__ import annotations

import asyncio
import gc
import http.client
import json
import os
import signal
import socket
import ssl
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from processes import Process
from selfsigned import pem

from omniroute.app import App, known_hosts, passed_sockets, run, settle, tls_context, with_demo
from omniroute.gateway.budgets import Budget
from omniroute.gateway.health import AccountHealth
from omniroute.gateway.retry import PROFILES, judge
from omniroute.gateway.snapshot import Snapshot
from omniroute.gateway.usage import CallRecord
from omniroute.proto.transport import Origin
from omniroute.settings import Settings, SettingsError
from omniroute.store.budgets import BudgetRow
from omniroute.tasks import cancel, spawn
from omniroute.upstream.providers import Provider

JSON = [(b"content-type", b"application/json")]


@asynccontextmanager
async def an_app(folder: Path, **settings: Any) -> AsyncIterator[App]:
    app = await App.open(Settings(data_dir=folder / "data", **{"port": 0, **settings}))
    try:
        yield app
    finally:
        await app.close()


async def chat(app: App, key: str) -> int:
    """The status of a call for a provider that is not there."""
    assert app.listener is not None
    origin = Origin("http", "127.0.0.1", app.listener.port)
    body = b'{"model":"nobody/m","messages":[{"role":"user","content":"hi"}]}'
    headers = [*JSON, (b"x-api-key", key.encode())]
    status, _, _ = await app.client.fetch(origin, "POST", b"/v1/chat/completions", headers, body, limit=1 << 20)
    return status


@pytest.mark.parametrize(
    ("settings", "hosts"),
    [
        ({}, ["127.0.0.1"]),
        ({"host": "0.0.0.0"}, ["0.0.0.0", "*"]),
        ({"host": "::"}, ["[::]", "*"]),
        ({"host": "10.1.2.3"}, ["10.1.2.3"]),
        ({"base_url": "https://Gate.example:8443/x"}, ["127.0.0.1", "gate.example"]),
        ({"base_url": "gate.example:8443"}, ["127.0.0.1", "gate.example"]),
        ({"base_url": "http://[fd00::1]:1"}, ["127.0.0.1", "[fd00::1]"]),
    ],
)
def test_the_bound_address_and_the_base_url_are_known_hosts(settings: dict[str, str], hosts: list[str]) -> None:
    assert known_hosts(Settings(**settings)) == hosts  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [{"tls_cert": "/nowhere.pem"}, {"tls_key": "/nowhere.pem"}])
def test_a_certificate_that_cannot_be_used_is_an_error(given: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="TLS"):
        tls_context(Settings(**given))  # type: ignore[arg-type]
    assert tls_context(Settings()) is None


def test_tls_names_the_protocol_that_is_spoken(tmp_path: Path) -> None:
    certificate, key = pem("localhost")
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    server = tls_context(Settings(tls_cert=str(tmp_path / "cert.pem"), tls_key=str(tmp_path / "key.pem")))
    assert server is not None
    client = ssl.create_default_context(cadata=certificate.decode())
    client.set_alpn_protocols(["h2", "http/1.1"])
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = client.wrap_bio(back, there, server_hostname="localhost")
    ours = server.wrap_bio(there, back, server_side=True)
    for side in (theirs, ours) * 2:
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    assert theirs.selected_alpn_protocol() == "http/1.1"


def test_the_demo_provider_is_added_to_a_snapshot_and_nothing_else_changes() -> None:
    other = Provider(id="x", alias="x", name="X", wire="openai-chat", base_url="http://x")
    before = Snapshot(providers={"x": other}, prefixes={"x": "x"})
    after = with_demo(before, Provider(id="demo", alias="demo", name="Demo", wire="openai-chat", base_url=""), 8123)
    assert after.providers["x"] is other
    assert after.providers["demo"].base_url == "http://127.0.0.1:8123/v1"
    assert after.prefixes == {"x": "x", "demo": "demo"}
    assert [c.id for c in after.connections["demo"]] == ["demo"]


async def test_a_start_that_fails_at_what_is_stored_leaves_nothing_running(tmp_path: Path) -> None:
    async with an_app(tmp_path) as app:
        made = await app.store.connections.create("openai", name="a", api_key="k")
        async with app.store.db.log() as tx:
            await tx.execute("UPDATE provider_connections SET backoff_level = 'high' WHERE id = ?", (made.id,))
    before = {*threading.enumerate()}
    with pytest.raises(TypeError):
        await App.open(Settings(data_dir=tmp_path / "data"))
    for thread in {*threading.enumerate()} - before:
        if "_connection_worker" in thread.name:
            thread.join(2)
            assert not thread.is_alive()


async def test_an_address_that_others_reach_needs_a_password(tmp_path: Path) -> None:
    async with an_app(tmp_path, host="0.0.0.0") as app:
        with pytest.raises(SettingsError, match="password is needed first"):
            await app.listen()


@pytest.mark.parametrize("password", ["123456", "ChangeMe"])
async def test_an_address_that_others_reach_refuses_the_password_of_a_sample_file(tmp_path: Path, password: str) -> None:
    async with an_app(tmp_path, host="0.0.0.0", initial_password=password) as app:
        with pytest.raises(SettingsError, match="everybody tries first"):
            await app.listen()
    async with an_app(tmp_path, initial_password=password) as app:
        await app.listen()


async def test_an_address_that_others_reach_needs_a_gateway_key_too_and_an_address_in_host(tmp_path: Path) -> None:
    async with an_app(tmp_path, host="0.0.0.0", initial_password="far better") as app:
        await app.listen()
        assert app.store.snapshot.settings.require_api_key
        assert await chat(app, "sk-nonsense") == 401
        _, key = await app.store.keys.create("laptop")
        assert await chat(app, key) == 400
        reader, writer = await asyncio.open_connection("127.0.0.1", app.listener.port)  # type: ignore[union-attr]
        for host, status in ((b"evil.example", b"403"), (b"10.9.8.7", b"200")):
            writer.write(b"GET /api/init HTTP/1.1\r\nHost: %b\r\n\r\n" % host)
            assert (await reader.readuntil(b"\r\n\r\n")).split()[1] == status
            if status == b"403":
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", app.listener.port)  # type: ignore[union-attr]
        writer.close()


async def test_closing_does_not_wait_for_a_client_that_says_nothing_or_half_a_word(tmp_path: Path) -> None:
    async with an_app(tmp_path) as app:
        port = await app.listen()
        connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        connections[1][1].write(b"GET / HTTP/1.1\r\nHo")
        connections[2][1].write(b"GET / HTTP/1.1\r\nbad head\r\n\r\n")
        await connections[2][0].readuntil(b"\r\n\r\n")
        async with asyncio.timeout(1.5):  # 0.1 s without a busy machine; a head may otherwise take 10 s
            await app.close()
        for _, writer in connections:
            writer.close()


async def test_the_second_signal_ends_the_wait_for_what_runs(tmp_path: Path) -> None:
    hurried = asyncio.Event()
    async with an_app(tmp_path) as app:
        await app.listen()
        assert app.listener is not None
        app.obey_signals()
        app.listener.hurry = hurried.set  # type: ignore[method-assign]
        os.kill(os.getpid(), signal.SIGTERM)
        await app.wait()
        assert app.live.draining
        assert not hurried.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        await hurried.wait()
        del app.listener.hurry  # type: ignore[method-assign]


async def test_what_becomes_of_an_account_is_kept_for_the_next_start(tmp_path: Path) -> None:
    health = AccountHealth(test_status="error", last_error="No credit", error_code="402")
    async with an_app(tmp_path, provider_keys={"openai": "sk-seeded"}) as app:
        (row,) = await app.store.connections.list()
        app._health_changed("demo", health)  # it has no row
        app._health_changed(row.id, health)

        answer = asyncio.Event()

        async def renewed(connection_id: str) -> None:  # at the last moment, by a server that forgets the old tokens
            await answer.wait()
            await app.store.connections.update(connection_id, access_token="at-2")

        app.live.tokens.refresher = renewed
        asking = spawn(app.live.tokens.refresh(row.id), "a call whose client leaves")
        await asyncio.sleep(0)
        await cancel(asking)
        asyncio.get_running_loop().call_later(0.03, answer.set)
    async with an_app(tmp_path) as app:
        restored = app.live.health.view(row.id)
        assert (restored.test_status, restored.last_error) == ("error", "No credit")
        record = await app.store.db.fetch_one("SELECT access_token FROM provider_connections")
        assert record is not None
        assert record["access_token"]


async def test_trouble_and_the_last_use_of_accounts_outlive_a_restart(tmp_path: Path) -> None:
    async with an_app(tmp_path) as app:
        row = await app.store.connections.create("openai", name="a", api_key="sk-1")
        for _ in range(5):
            app.live.breakers.fail("openai", PROFILES["apikey"])
        rule = judge(404, "").rule
        assert rule is not None
        app.live.health.fail(row.id, "openai", "o9", rule, status=404, message="No such model")
        app.live.uses.note("openai", row.id)
        app.live.uses.note("openai", row.id)
        before = app.live.breakers.view("openai"), app.live.health.locks(), app.live.uses.of(row.id)
    async with an_app(tmp_path) as app:
        breaker, locks, use = before
        now = app.live.breakers.view("openai")
        assert (now.state, now.failures, now.last_failure) == ("OPEN", 5, pytest.approx(breaker.last_failure, abs=0.001))
        assert app.live.health.locks() == locks
        restored = app.live.uses.of(row.id)
        assert (restored.at, restored.times) == (pytest.approx(use.at, abs=0.001), 2)
        app.live.breakers.succeed("openai")
        await app.store.connections.delete(row.id)
        assert (app.live.health.locks(), app.live.uses.of(row.id).times) == ([], 0)
    async with an_app(tmp_path) as app:
        assert app.live.breakers.calm


async def test_what_was_spent_counts_after_a_restart(tmp_path: Path) -> None:
    async with an_app(tmp_path) as app:
        key, _ = await app.store.keys.create("agent")
        now = app.clock.time()
        app.store.usage.put(CallRecord(
            id="r", at=now, method="POST", path="/v1/x", status=200, provider="p", model="m", requested_model="m",
            connection_id="", account="", key_id=key.id, key_name="", source_format="", target_format="", stream=False,
            duration_ms=0.0, first_byte_ms=None, cost=0.75, charged=(key.id,),
        ))  # fmt: skip
        await app.store.budgets.set(BudgetRow(key_id=key.id, monthly=0.5))
    async with an_app(tmp_path) as app:
        assert app.live.budgets.used(key.id)[2] == 0.75
        assert app.live.snapshot.budgets == {key.id: Budget(monthly=0.5)}


async def test_a_change_in_the_store_is_in_force_for_the_next_request(tmp_path: Path) -> None:
    async with an_app(tmp_path, provider_keys={"openai": "sk-seeded"}) as app:
        (row,) = await app.store.connections.list()
        assert "openai" in app.live.snapshot.connections
        app.live.health.close_model("openai", "m", app.clock.time() + 60)
        await app.store.connections.update(row.id, priority=2)
        assert app.live.health.closed_until("openai", "m")
        await app.store.connections.update(row.id, api_key="sk-2")  # which nobody has tried yet
        assert app.live.health.closed_until("openai", "m") is None
        await app.store.connections.delete(row.id)
        assert "openai" not in app.live.snapshot.connections
        assert app.live.snapshot is app.store.snapshot


async def test_what_an_answer_said_of_limits_goes_with_its_account_even_when_it_came_later(tmp_path: Path) -> None:
    limits = [
        (b"x-ratelimit-limit-requests", b"9"),
        (b"x-ratelimit-remaining-requests", b"3"),
        (b"x-ratelimit-reset-requests", b"1s"),
    ]
    async with an_app(tmp_path) as app:
        row = await app.store.connections.create("openai", name="one", api_key="sk-1")
        app.live.limiter.learn("gone", limits)
        app.live.limiter.learn(row.id, limits)
        await app.store.connections.create("openai", name="two", api_key="sk-2")
        assert [*app.live.limiter.lanes] == [row.id]


async def test_a_command_beside_a_gateway_seeds_nothing_and_leaves_its_mark_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, provider_keys={"openai": "sk-seeded"})
    guest = await App.open(settings, owner=False)
    assert await guest.store.connections.list() == []
    owner = await App.open(settings)
    assert len(await owner.store.connections.list()) == 1
    await guest.close()
    row = await owner.store.db.fetch_one("SELECT value FROM db_meta WHERE key = 'state'")
    assert row is not None
    assert row[0] == "running"
    await owner.close()


def test_sockets_that_were_handed_over_give_the_address() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    passed, settings = passed_sockets(Settings(host="10.0.0.1", port=1, sockets=(os.dup(listening.fileno()),)))
    assert (settings.host, settings.port) == listening.getsockname()
    for sock in (listening, *passed):
        sock.close()
    assert passed_sockets(Settings()) == ([], Settings())


def test_sockets_that_cannot_be_served_are_refused() -> None:
    one, other = socket.socketpair()
    with pytest.raises(SettingsError, match="only TCP"):
        passed_sockets(Settings(sockets=(os.dup(one.fileno()),)))
    with pytest.raises(SettingsError, match="LISTEN_FDS"):
        passed_sockets(Settings(sockets=(9_999,)))
    one.close()
    other.close()
    gc.collect()


@pytest.fixture
def collector() -> Iterator[None]:
    before, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.unfreeze()
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*before)


def test_after_the_start_the_collector_rests(collector: None) -> None:
    settle()
    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold()[0] > 700


def test_after_the_start_the_writer_of_usage_rows_waits_less_than_a_millisecond_for_the_lock(collector: None) -> None:
    settle()
    assert sys.getswitchinterval() <= 0.001


async def test_requests_leave_nothing_for_the_collector(tmp_path: Path, collector: None) -> None:
    async with an_app(tmp_path) as app:
        port = await app.listen()
        await app.start_demo()

        async def ask(count: int) -> None:
            for number in range(count):
                body = {"model": "demo/echo", "stream": number % 2 == 0, "messages": [{"role": "user", "content": "a b c"}]}
                for path in (b"/v1/chat/completions", b"/v1/messages"):
                    raw = msgspec.json.encode({**body, "max_tokens": 9})
                    origin = Origin("http", "127.0.0.1", port)
                    status, _, _ = await app.client.fetch(origin, "POST", path, JSON, raw, limit=1 << 20)
                    assert status == 200

        await ask(4)  # caches fill, connections open
        await app.store.usage.flush()
        gc.collect()
        gc.freeze()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            await ask(10)
            await app.store.usage.flush()
            gc.collect()
            left = Counter(
                type(thing).__qualname__ for thing in gc.garbage if type(thing).__module__.startswith("omniroute")
            )
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
        assert left == {}


def test_run_gives_the_result_with_uvloop_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    async def loop_name() -> str:
        return type(asyncio.get_running_loop()).__module__

    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert run(loop_name()).startswith("asyncio")
    monkeypatch.undo()
    assert run(loop_name()) != ""


@pytest.mark.skipif(sys.platform == "win32", reason="no exec")
def test_a_restart_keeps_process_port_and_arguments_and_refuses_nobody(tmp_path: Path) -> None:
    gateway = Process(tmp_path).start()
    token, port, pid = gateway.token, gateway.port, gateway.pid
    assert gateway.api("POST", "/api/restart") == {"status": "restarting"}
    answered = 0
    while gateway.token == token:
        assert gateway.alive
        answer = _reachable(port)
        answered += answer
        record = tmp_path / "server.json"
        if record.exists():
            gateway.token = json.loads(record.read_bytes())["token"]
    record_now = json.loads((tmp_path / "server.json").read_bytes())
    assert (record_now["port"], record_now["pid"]) == (port, pid)
    assert gateway.api("GET", "/api/auth/status") == {"authenticated": True}
    modes = {
        path.name: oct(path.stat().st_mode & 0o777) for path in (tmp_path, tmp_path / "server.json", tmp_path / "log.txt")
    }
    assert modes == {tmp_path.name: "0o700", "server.json": "0o600", "log.txt": "0o600"}
    assert gateway.stop() == 0
    assert "Traceback" not in (tmp_path / "output.txt").read_text()


def _reachable(port: int) -> bool:
    """Whether a new connection is taken (it must be) and answered (a connection closed as it came may be tried again)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.connect()
    try:
        connection.request("GET", "/api/init")
        return connection.getresponse().status in (200, 503)
    except (http.client.HTTPException, ConnectionError):
        return False
    finally:
        connection.close()
