"""Secrets that can be recognised are planted everywhere; afterwards none of them lies where it must not."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest
from processes import Process
from real_gateway import JSON, SSE
from scripted_upstream import Answer, Raw, ScriptedUpstream, Seen
from wires import ANTHROPIC, CHAT, WIRES, Wire

from omniroute.manage.routes import MANAGE_ROUTES

# Not in any vendor's manner, so that no pattern recognises them: only who knows them can take them out.
PROVIDER_KEY = "Kanarienvogel/Provider+7f3a9c51d2e8b604"
PASSWORD = "Kanarienvogel-Password-19c4e7a2"
PROMPT = "Kanarienvogel prompt 5d21e0"
SYSTEM = "Kanarienvogel system text 77b3c9"


def said(seen: Seen) -> str:
    """The key that came, as an unkind upstream repeats it."""
    return seen.headers.get("authorization", "").removeprefix("Bearer ") or seen.headers.get("x-api-key", "")


def json_error(status: int) -> Callable[[Seen], Answer]:
    def answer(seen: Seen) -> Answer:
        text = f"Incorrect API key provided: {said(seen)}.\nAuthorization: Bearer {said(seen)}"
        body = {"error": {"message": text, "type": said(seen), "param": said(seen), "code": said(seen)}}
        fields = [*JSON, ("request-id", said(seen)), ("x-ratelimit-key", said(seen))]
        return Answer(status, [json.dumps(body).encode()], fields)

    return answer


def escaped_error(seen: Seen) -> Answer:
    """JSON lets a slash be written with a backslash."""
    text = json.dumps({"error": {"message": f"bad {said(seen)}", "type": "x"}}).replace("/", "\\/")
    return Answer(401, [text.encode()], JSON)


def html_error(seen: Seen) -> Answer:
    return Answer(
        502, [f"<html><pre>GET / Authorization: {said(seen)}</pre></html>".encode()], [("content-type", "text/html")]
    )


def text_error(seen: Seen) -> Answer:
    return Answer(400, [f"invalid key {said(seen)}".encode()], [("content-type", "text/plain")])


def error_with_200(seen: Seen) -> Answer:
    return Answer(200, [json.dumps({"error": {"message": f"bad key {said(seen)}", "type": "auth"}}).encode()], JSON)


def error_first(wire: Wire) -> Callable[[Seen], Answer]:
    def answer(seen: Seen) -> Answer:
        return Answer(200, [wire.error_event.replace(b"Overloaded, try later", said(seen).encode())], SSE, "chunked")

    return answer


def error_later(wire: Wire) -> Callable[[Seen], Answer]:
    def answer(seen: Seen) -> Answer:
        last = wire.error_event.replace(b"Overloaded, try later", said(seen).encode())
        return Answer(200, [*wire.opening, wire.first, last], SSE, "chunked")

    return answer


def broken_head(seen: Seen) -> Raw:
    return Raw([f"HTTP/1.1 200 OK\r\n{said(seen)} broken\r\n\r\n".encode()])


def broken_json(seen: Seen) -> Answer:
    return Answer(200, [f'{{"key": "{said(seen)}", '.encode()], JSON)


def broken_stream(seen: Seen) -> Answer:
    return Answer(200, [f'data: {{"key": "{said(seen)}", \n\n'.encode()], SSE, "chunked")


def redirect(seen: Seen) -> Answer:
    return Answer(302, [said(seen).encode()], [("location", f"http://127.0.0.1:9/?key={said(seen)}")])


def misdeeds(wire: Wire) -> list[Any]:
    """Everything an upstream may do with the key it was sent."""
    statuses = [json_error(status) for status in (400, 401, 402, 403, 404, 422, 429, 500, 503, 529)]
    return [
        *statuses, escaped_error, html_error, text_error, error_with_200, error_first(wire), error_later(wire), broken_head,
        broken_json, broken_stream, redirect,
        Answer(200, [wire.whole], JSON), Answer(200, wire.stream, SSE, "chunked"),
    ]  # fmt: skip


class Watched:
    """A gateway all of whose answers are kept."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.heard: list[tuple[str, bytes]] = []

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        status, fields, answer = await asyncio.to_thread(self.process.request, method, path, body, **headers)
        head = "".join(f"{name}: {value}\n" for name, value in fields.items())
        self.heard.append((f"{method} {path} {status}", head.encode("latin-1", "replace") + answer))
        return status, answer


def forms(secret: str) -> dict[str, bytes]:
    """How a secret may have been written."""
    return {
        "plain": secret.encode(),
        "quoted": quote(secret, safe="").encode(),
        "escaped": secret.replace("/", "\\/").encode(),
        "base64": base64.b64encode(secret.encode()),
        "hexadecimal": secret.encode().hex().encode(),
        "half": secret[: len(secret) * 2 // 3].encode(),
    }


def find(secret: str, data: bytes) -> str:
    return next((name for name, form in forms(secret).items() if form in data), "")


@asynccontextmanager
async def providers(process: Process, wire: Wire) -> AsyncIterator[tuple[str, ScriptedUpstream, str]]:
    async with ScriptedUpstream() as upstream:
        node = process.add_node(f"canary-{wire.name}", f"{upstream.url}/v1", wire.kind, PROVIDER_KEY)
        yield f"canary-{wire.name}/m", upstream, node


async def misuse(gateway: Watched, key: str) -> None:
    """What clients do wrong, with secrets in places where they do not belong."""
    for path in (f"/v1/models?key={key}", f"/nowhere?api_key={key}", f"/{key}", f"/v1/models/{key}", f"/api/keys/{key}"):
        await gateway.ask("GET", path)
    await gateway.ask("POST", "/api/auth/login", {"password": PASSWORD + "x"})
    await gateway.ask("POST", "/api/auth/login", {"pass": PASSWORD})
    await gateway.ask("POST", "/api/auth/login", b'{"password": "' + PASSWORD.encode())
    await gateway.ask("POST", "/api/auth/login", {"password": PASSWORD})
    manager = f"Bearer {gateway.process.token}"
    await gateway.ask("POST", "/api/providers", {"provider": PROVIDER_KEY, "apiKey": PROVIDER_KEY}, authorization=manager)
    await gateway.ask(
        "POST", "/api/providers", {"provider": "openai", "apiKey": [PROVIDER_KEY], "name": 5}, authorization=manager
    )
    await gateway.ask("POST", "/api/providers", b'{"apiKey": "' + PROVIDER_KEY.encode(), authorization=manager)
    await gateway.ask("POST", CHAT.path, b'{"model": "x", "messages": "' + PROMPT.encode(), x_api_key=key)


async def drive(gateway: Watched, key: str, wire: Wire) -> None:
    async with providers(gateway.process, wire) as (model, upstream, node):
        manager = f"Bearer {gateway.process.token}"
        account = next(c["id"] for c in gateway.process.api("GET", "/api/providers")["connections"] if c["provider"] == node)
        for misdeed in misdeeds(wire):
            upstream.script[:] = [misdeed]
            for client in WIRES:
                for stream in (False, True):
                    await gateway.ask("DELETE", "/api/monitoring/health", authorization=manager)
                    body = client.ask(model, stream=stream, messages=[{"role": "user", "content": PROMPT}])
                    if client is ANTHROPIC:
                        body["system"] = SYSTEM
                    await gateway.ask("POST", client.path, body, authorization=f"Bearer {key}")
            await gateway.ask("POST", "/v1/messages/count_tokens", body, x_api_key=key)
            await gateway.ask("POST", f"/api/providers/{account}/test", {}, authorization=manager)
            await gateway.ask("GET", f"/api/providers/{account}/models", authorization=manager)
            trial = {"type": wire.kind, "apiType": "chat", "baseUrl": f"{upstream.url}/v1", "apiKey": PROVIDER_KEY}
            await gateway.ask("POST", "/api/provider-nodes/validate", trial, authorization=manager)
        await gateway.ask("POST", client.path, body, authorization=f"Bearer {key}")  # nobody is free: the last error is told
        for route in MANAGE_ROUTES:
            if route.method == "GET":
                path = route.path.replace("{id}", account).replace("{connectionId}", account).replace("{page*}", "x")
                await gateway.ask("GET", path.replace("{file*}", "catalog.json"), authorization=manager)


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("bodies", [False, True], ids=["default", "bodies logged"])
async def test_no_secret_is_found_in_answers_logs_or_the_database(make_gateway: Any, log_format: str, bodies: bool) -> None:
    process = make_gateway(
        LOG_LEVEL="debug", LOG_FORMAT=log_format, INITIAL_PASSWORD=PASSWORD, FETCH_TIMEOUT_MS="2000", REQUIRE_API_KEY="true"
    )
    gateway = Watched(process)
    key = process.api("POST", "/api/keys", {"name": "canary"})["key"]
    process.api("PATCH", "/api/settings", {"enableRequestLogs": bodies})
    for wire in WIRES:
        await drive(gateway, key, wire)
    await misuse(gateway, key)
    assert process.stop() == 0
    heard = [(what, answer) for what, answer in gateway.heard]
    files = [(file.name, file.read_bytes()) for file in process.data.rglob("*") if file.is_file()]
    assert any("log.txt" in name for name, _ in files)
    assert b"Incorrect API key" in b"".join(data for _, data in files)  # the error itself is kept
    places = {PROVIDER_KEY: heard + files, PASSWORD: heard + files, key: files}
    if not bodies:  # else the owner has asked for them
        places |= {PROMPT: files, SYSTEM: files}
    leaks = [
        (secret.split()[0], form, where, data[max(0, data.find(forms(secret)[form]) - 80) :][:240])
        for secret, searched in places.items()
        for where, data in searched
        if (form := find(secret, data)) and not (secret == key and form == "half")
    ]
    assert leaks == []
    assert all(b"Traceback" not in data for _, data in heard + files)
    lines = next(data for name, data in files if name == "log.txt").decode().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d |\{", line) for line in lines), "an upstream forged a line"
