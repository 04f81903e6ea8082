"""Programs as people start and stop them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from data_plane import JSON
from processes import Process
from real_gateway import JSON as JSON_TEXT
from real_gateway import SSE, behind
from scripted_upstream import HANG, Answer
from wires import CHAT, SAID, WIRES, Wire

from omniroute.cli.demo import SAMPLES
from omniroute.clock import Clock
from omniroute.proto.transport import Origin, TransportError
from omniroute.settings import Limits
from omniroute.upstream.send import Client


def command(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    return subprocess.run(
        [sys.executable, "-m", "omniroute", *words],
        env={**plain, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_demo_answers_in_every_wire_and_ends(tmp_path: Path) -> None:
    done = command("demo", "--data-dir", str(tmp_path / "data"), "--port", "0", "--once")
    assert done.returncode == 0, done.stderr
    for wire, sample in SAMPLES.items():
        assert f"{wire}  POST {sample.path}" in done.stdout
    assert done.stdout.count("Hello from OmniRoute") == len(SAMPLES)
    assert not (tmp_path / "data" / "server.json").exists()
    assert "Traceback" not in done.stderr


def test_the_demo_runs_again_on_the_same_data(tmp_path: Path) -> None:
    for _ in range(2):
        assert command("demo", "--data-dir", str(tmp_path), "--port", "0", "--once").returncode == 0


@pytest.mark.parametrize("how", ["environment", "option"])
def test_an_open_address_needs_a_password_first(tmp_path: Path, how: str) -> None:
    if how == "environment":
        done = command("serve", "--data-dir", str(tmp_path), "--port", "0", HOST="0.0.0.0")
    else:
        done = command("serve", "--data-dir", str(tmp_path), "--port", "0", "--host", "0.0.0.0")
    assert done.returncode == 1
    assert "password" in done.stderr
    assert "INITIAL_PASSWORD" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_said_plainly(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = command("serve", "--data-dir", str(tmp_path), "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "Cannot listen on 127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["PORT", "FETCH_TIMEOUT_MS", "REQUIRE_API_KEY"])
def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path, name: str) -> None:
    done = command("serve", "--data-dir", str(tmp_path), **{name: "many"})
    assert done.returncode in (1, 2)
    assert name in done.stderr
    assert "Traceback" not in done.stderr


# -- the end


async def refused(http: Client, origin: Origin, path: bytes) -> None:
    """Wait until a new call is refused, by the system or with 503."""
    async with asyncio.timeout(3.0):
        while True:
            try:
                status, _, _ = await http.fetch(origin, "POST", path, JSON, b"{}", limit=1 << 20)
            except TransportError:
                return
            assert status in (400, 503)
            if status == 503:
                return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("client", WIRES, ids=repr)
async def test_a_running_stream_is_finished_and_nothing_new_begun(
    make_gateway: Any, client: Wire, sign: signal.Signals
) -> None:
    gateway: Process = make_gateway(SHUTDOWN_TIMEOUT_MS="5000")
    go = asyncio.Event()
    slow = Answer(200, [*CHAT.stream[:2], go, *CHAT.stream[2:]], SSE, "chunked")
    http = Client(Limits(), Clock())
    origin = Origin("http", "127.0.0.1", gateway.port)
    path = client.path.encode()
    async with behind(gateway, CHAT, slow) as (model, _):
        call = await http.open(origin, "POST", path, JSON, json.dumps(client.ask(model, stream=True)).encode())
        os.kill(gateway.pid, sign)
        await refused(http, origin, path)
        assert gateway.alive
        go.set()
        raw = await call.read(1 << 20)
        assert client.text(raw, True) == SAID
        assert client.errors(raw) == []
        assert await asyncio.to_thread(gateway.wait) == 0
    await http.close()
    gateway.start()  # and what it was used for is in the books, with a probe that came before the signal was seen
    assert gateway.api("GET", "/api/usage/history")["totalRequests"] in (1, 2)


async def test_a_stream_that_does_not_end_is_ended_after_the_shutdown_time(make_gateway: Any) -> None:
    gateway: Process = make_gateway(SHUTDOWN_TIMEOUT_MS="300")
    http = Client(Limits(), Clock())
    for_ever = Answer(200, [*CHAT.stream[:2], HANG], SSE, "chunked")
    async with behind(gateway, CHAT, for_ever) as (model, upstream):
        body = json.dumps(CHAT.ask(model, stream=True)).encode()
        call = await http.open(Origin("http", "127.0.0.1", gateway.port), "POST", CHAT.path.encode(), JSON, body)
        os.kill(gateway.pid, signal.SIGTERM)
        (error,) = CHAT.errors(await call.read(1 << 20))
        assert error["message"] == "Server is shutting down"
        await upstream.requests[0].gone.wait()
        assert await asyncio.to_thread(gateway.wait) == 0
    await http.close()


# -- keys


def test_where_a_key_is_required_and_how_it_may_be_sent(make_gateway: Any) -> None:
    gateway: Process = make_gateway(REQUIRE_API_KEY="true")
    made = gateway.api("POST", "/api/keys", {"name": "agent", "allowedModels": ["demo/*"]})
    key = made["key"]
    for wire in WIRES:
        for fields in (
            {},
            {"authorization": "Bearer sk-wrong"},
            {"x_api_key": "sk-wrong"},
            {"authorization": f"Basic {key}"},
        ):
            status, _, raw = gateway.request("POST", wire.path, wire.ask("demo/echo"), **fields)
            assert status == 401
            assert wire.error_of(raw)["type"] == "authentication_error"
            assert b"sk-wrong" not in raw
        sent: list[tuple[str, dict[str, str]]] = [
            (wire.path, {"authorization": f"Bearer {key}"}),
            (wire.path, {"authorization": f"bearer {key}"}),
            (wire.path, {"x_api_key": key}),
            (wire.path, {"x_goog_api_key": key}),
        ]
        for path, fields in sent:
            status, _, raw = gateway.request("POST", path, wire.ask("demo/echo"), **fields)
            assert status == 400, raw  # let in: but there is no such provider here
            assert "No credentials" in wire.error_of(raw)["message"]
            status, _, raw = gateway.request("POST", path, wire.ask("other/m"), **fields)
            assert status in (400, 403), raw
        status, _, raw = gateway.request("POST", f"{wire.path}?beta=true&key={key}", wire.ask("demo/echo"))
        assert status == 401, raw  # only Gemini's paths take it there
    gateway.api("DELETE", f"/api/keys/{made['id']}")
    status, _, _ = gateway.request("POST", CHAT.path, CHAT.ask("demo/echo"), authorization=f"Bearer {key}")
    assert status == 401  # in force for the next request


def test_without_the_setting_any_key_will_do(gateway: Process) -> None:
    for wire in WIRES:
        status, _, raw = gateway.request("POST", wire.path, wire.ask("nobody/m"), authorization="Bearer whatever")
        assert status == 400
        assert "No credentials" in wire.error_of(raw)["message"]


def test_a_model_that_the_key_does_not_allow_is_forbidden(gateway: Process) -> None:
    key = gateway.api("POST", "/api/keys", {"name": "narrow", "allowedModels": ["narrow/small-*"]})
    node = gateway.add_node("narrow", "http://127.0.0.1:9/v1")
    for wire in WIRES:
        status, _, raw = gateway.request("POST", wire.path, wire.ask("narrow/large"), x_api_key=key["key"])
        assert status == 403
        assert "narrow/large" in wire.error_of(raw)["message"]
        status, _, raw = gateway.request("POST", wire.path, wire.ask("narrow/small-1"), x_api_key=key["key"])
        assert status == 502
    gateway.api("DELETE", f"/api/provider-nodes/{node}")
    gateway.api("DELETE", f"/api/keys/{key['id']}")


async def test_no_key_of_the_client_travels_upstream(gateway: Process) -> None:
    for wire in WIRES:
        async with behind(gateway, wire, Answer(200, [wire.whole], JSON_TEXT)) as (model, upstream):
            for name in ("authorization", "x_api_key", "x_goog_api_key"):
                text = "Bearer sk-client" if name == "authorization" else "sk-client"
                await asyncio.to_thread(
                    gateway.request, "POST", wire.path, wire.ask(model), **{name: text, "cookie": "a=sk-client"}
                )
            for seen in upstream.requests:
                assert "sk-client" not in str(seen.headers)
                assert "k-upstream-1" in str(seen.headers)
