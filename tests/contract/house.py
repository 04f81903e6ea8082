"""A complete gateway in this process, a provider that plays every external server, and the preparations that rows need."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import Callable, Coroutine, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeVar

from contract.row import Form
from fakes_exchange import FakeExchange
from fakes_store import a_call
from scripted_upstream import RESET, Answer, ScriptedUpstream, Seen
from wires import CHAT_USAGE, DONE, chat_message, chunk

from omniroute.app import App
from omniroute.gateway.retry import judge
from omniroute.proto.exchange import Refusal, Request
from omniroute.settings import Settings

T = TypeVar("T")
PASSWORD: Final = "correct horse"
TOKEN: Final = "the token of both gateways"
_JSON: Final = [("content-type", "application/json")]
_TOKENS: Final = {"access_token": "at-1", "refresh_token": "rt-1", "token_type": "Bearer", "expires_in": 3600}
_DEVICE: Final = {"device_code": "d-1", "user_code": "ABCD", "verification_uri": "http://127.0.0.1/go", "expires_in": 600}
ANSWERS: Final[dict[str, Any]] = {
    "/v1/models": {"object": "list", "data": [{"id": "m1", "object": "model"}]},
    "/v1/embeddings": {
        "object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}],
        "model": "m1", "usage": {"prompt_tokens": 2, "total_tokens": 2},
    },
    "/v1/images/generations": {"created": 1_750_000_000, "data": [{"url": "http://127.0.0.1/i.png"}]},
    "/v1/audio/transcriptions": {"text": "hello", "task": "transcribe", "language": "en", "duration": 12.5},
    "/v1/moderations": {"id": "modr-1", "model": "m1", "results": [{"flagged": False, "categories": {}}]},
    "/v1/rerank": {"id": "r-1", "results": [{"index": 0, "relevance_score": 0.9}]},
    "/token": _TOKENS,
    "/device": _DEVICE,
    "/ip": {"ip": "203.0.113.9"},
}  # fmt: skip


def vendor(seen: Seen) -> Answer:
    """OpenAI's endpoints, an OAuth server and a proxy.  The key ``sk-bad`` is refused; models ``down`` and ``cut`` fail."""
    if "sk-bad" in str(seen.headers):
        return Answer(401, [b'{"error":{"message":"no such key"}}'], _JSON)
    path = re.sub(r"^https?://[^/]+", "", seen.path).partition("?")[0]
    if path.endswith("/audio/speech"):
        return Answer(200, [b"ID3sound"], [("content-type", "audio/mpeg")])
    if path.endswith("/chat/completions"):
        return _chat(json.loads(seen.body))
    if path == "/token" and b"wait-1" in seen.body:
        return Answer(400, [b'{"error":"authorization_pending"}'], _JSON)
    if path == "/token" and b"denied-1" in seen.body:
        return Answer(400, [b'{"error":"access_denied"}'], _JSON)
    found = ANSWERS.get(path)
    if found is not None and b"base64" in seen.body:
        found = found | {"data": [{"object": "embedding", "index": 0, "embedding": "AAAAPwAAgL4="}]}
    return Answer(404 if found is None else 200, [json.dumps(found).encode()], _JSON)


def _chat(body: dict[str, Any]) -> Answer:
    if body["model"] == "down":
        return Answer(500, [b'{"error":{"message":"out of order"}}'], _JSON)
    if not body.get("stream"):
        return Answer(200, [chat_message({"role": "assistant", "content": "Hi."})], _JSON)
    if body["model"] == "cut":
        return Answer(
            200, [chunk({"role": "assistant", "content": "Hi."}), RESET], [("content-type", "text/event-stream")], "chunked"
        )
    pieces = [chunk({"role": "assistant", "content": "Hi."}), chunk({}, "stop"), chunk(None, usage=CHAT_USAGE), DONE]
    return Answer(200, pieces, [("content-type", "text/event-stream")], "chunked")


def encoded(body: Any) -> tuple[dict[str, str], bytes]:
    """Header fields and bytes of a request body: JSON, a form, or bytes declared as JSON."""
    if isinstance(body, Form):
        begin = "--b0\r\nContent-Disposition: form-data; name="
        model = f'{begin}"model"\r\n\r\n{body.model}\r\n' if body.model else ""
        text = f'{model}{begin}"{body.field}"; filename="{body.filename}"\r\n\r\n{body.content}\r\n--b0--\r\n'
        return {"content-type": "multipart/form-data; boundary=b0"}, text.encode("latin-1")
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return {} if body is None else {"content-type": "application/json"}, raw


class House:
    """The gateway under test; ``known`` maps each ``{name}`` in the requests of a row to its value."""

    def __init__(self, runner: asyncio.Runner, folder: Path, settings: Mapping[str, Any]) -> None:
        self.runner = runner
        self.upstream = ScriptedUpstream(vendor)
        self.run(self.upstream.__aenter__())
        self.known = {
            "upstream": self.upstream.url,
            "port": str(self.upstream.port),
            "password": PASSWORD,
            "folder": str(folder),
        }
        self.peer: App | None = None
        chosen = {name: self.filled(value) for name, value in settings.items()}
        paths = {name: Path(chosen.pop(name)) for name in ("cli_home",) if name in chosen}
        self.app: App = self.run(App.open(Settings(data_dir=folder, **{**chosen, **paths})))
        self._folder = folder

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def close(self) -> None:
        for app in (self.app, self.peer):
            if app is not None:
                self.run(app.close())
        self.run(self.upstream.stop())

    def filled(self, value: Any) -> Any:
        """*value* with every ``{name}`` replaced."""
        if isinstance(value, str):
            return re.sub(r"\{([\w-]+)\}", lambda found: self.known.get(found[1], found[0]), value)
        if isinstance(value, dict):
            return {
                key if not isinstance(key, str) else self.filled(key): self.filled(inner) for key, inner in value.items()
            }
        if isinstance(value, tuple) and hasattr(value, "_make"):
            return value._make(self.filled(inner) for inner in value)
        if isinstance(value, list | tuple):
            return type(value)(self.filled(inner) for inner in value)
        return value

    def credentials(self, who: str) -> dict[str, str]:
        """Header fields of a caller: ``nobody``, ``cookie``, or a key named by its scopes."""
        if who == "cookie":
            if "cookie" not in self.known:
                answer = self.ask("POST", "/api/auth/login", {"password": PASSWORD}, who="nobody")
                self.known["cookie"] = (answer.header(b"set-cookie") or b"").decode().partition(";")[0]
            return {"cookie": self.known["cookie"]}
        if who in ("inference", "manage"):
            if who not in self.known:
                scopes = ("inference", "manage") if who == "manage" else ("inference",)
                self.known[who] = self.run(self.app.store.keys.create(f"key to {who}", scopes=scopes))[1]
            return {"authorization": f"Bearer {self.known[who]}"}
        return {"authorization": "Bearer sk-none"} if who == "stranger" else {}

    def ask(
        self, method: str, target: str, body: Any = None, *, who: str = "cookie", sends: Mapping[str, str] | None = None
    ) -> FakeExchange:
        """Send a request through the edge; ``sends`` may include ``peer``, the client's address."""
        path, _, query = target.partition("?")
        kind, raw = encoded(body)
        fields = {"host": "127.0.0.1:20128", **kind, **self.credentials(who), **(sends or {})}
        peer = fields.pop("peer", "127.0.0.1")
        headers = [(name.encode(), value.encode()) for name, value in fields.items()]
        request = Request(method, path, query, headers, raw, peer=peer)
        exchange = FakeExchange(request, [raw])
        try:
            self.app.edge.admit(request)
        except Refusal as refusal:
            exchange.respond(refusal.status, refusal.headers, refusal.body)
        else:
            self.run(self.app.edge.handle(exchange))
        return exchange

    def made(self, path: str, body: Any, *within: str, method: str = "POST") -> Any:
        """The response of a request that must succeed, or a member of it."""
        answer = self.ask(method, path, self.filled(body))
        assert answer.status in (200, 201), (path, answer.text)
        found = answer.json
        for name in within:
            found = found[name]
        return found

    def give(self, name: str) -> None:
        """Prepare what a row needs."""
        found = PREPARED[name](self)
        if found:
            self.known |= {name: found, "id": found}


def _connection(house: House) -> str:
    body = {"provider": "openai", "name": "main", "apiKey": "sk-good-1"}
    return str(house.made("/api/providers", body, "connection", "id"))


def _node(house: House) -> str:
    body = {"name": "Up", "prefix": "up", "apiType": "chat", "baseUrl": "{upstream}/v1"}
    return str(house.made("/api/provider-nodes", body, "node", "id"))


def _account(house: House) -> str:
    house.give("node")
    body = {"provider": "{node}", "name": "acct", "apiKey": "sk-good-1"}
    return str(house.made("/api/providers", body, "connection", "id"))


def _combo(house: House) -> str:
    return str(house.made("/api/combos", {"name": "pair", "models": ["up/m1", {"model": "up/down", "weight": 30}]}, "id"))


def _key(house: House) -> str:
    return str(house.made("/api/keys", {"name": "laptop"}, "id"))


def _alias(house: House) -> None:
    house.made("/api/models/alias", {"model": "openai/gpt-4o", "alias": "fast"}, method="PUT")


def _custom_model(house: House) -> None:
    house.made("/api/provider-models", {"provider": "openai", "modelId": "cm-1", "modelName": "CM"})


def _backup(house: House) -> str:
    return str(house.made("/api/db-backups", None, "filename", method="PUT"))


def _call(house: House) -> None:
    """A call in the usage history."""
    usage = house.app.store.usage

    async def enter() -> None:
        usage.put(a_call("call-1", at=house.app.clock.time()))
        await usage.flush()

    house.run(enter())


def _failing(house: House) -> None:
    """An account that its provider has just rate-limited."""
    rule = judge(429, "Too many requests").rule
    assert rule is not None

    async def fail() -> None:
        known = house.known["connection"]
        house.app.live.health.fail(known, "openai", "gpt-4o", rule, status=429, message="Too many requests")

    house.run(fail())


def _chat_done(house: House) -> None:
    """A successful call, with everything that it leaves in logs and counters."""
    body = {"model": "up/m1", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}
    assert house.ask("POST", "/v1/chat/completions", body, who="inference").status == 200
    house.run(house.app.store.usage.flush())


def _client(house: House) -> None:
    """The operator's OAuth client at the scripted server."""
    urls = {"authorizeUrl": "{upstream}/auth", "tokenUrl": "{upstream}/token", "deviceAuthorizationUrl": "{upstream}/device"}
    house.made("/api/oauth/openai/client", {"clientId": "app-1", "scopes": ["chat"], **urls}, method="PUT")


def _account_of_login(house: House) -> str:
    house.give("client")
    body = {"accessToken": "at-0", "refreshToken": "rt-0", "expiresAt": "2030-01-01T00:00:00.000Z"}
    return str(house.made("/api/oauth/openai/import", body, "connection", "id"))


def _peer(house: House) -> None:
    """Another gateway with the same sync token."""
    folder = house._folder.parent / f"{house._folder.name}-peer"
    house.peer = house.run(App.open(Settings(data_dir=folder, port=0, cloud_sync_token=TOKEN)))
    port = house.run(house.peer.listen())
    house.made("/api/settings", {"cloudUrl": f"http://127.0.0.1:{port}"}, method="PUT")


def _export(house: House) -> None:
    """A valid database, a damaged one and one of another program, as Latin-1 text."""
    content = house.ask("GET", "/api/db-backups/export").text
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript("CREATE TABLE combos (a); CREATE TABLE api_keys (a);")
        other = db.serialize()
    damaged = content[:8192] + bytes([255]) * 8192 + content[16384:]
    found = {"export": content, "other": other, "damaged": damaged}
    house.known |= {name: data.decode("latin-1") for name, data in found.items()}


def _proxied(house: House) -> None:
    """A call through a proxy: the scripted provider also acts as one."""
    proxy = {"type": "http", "host": "127.0.0.1", "port": house.upstream.port}
    house.made("/api/settings/proxy", {"level": "global", "proxy": proxy}, method="PUT")
    _chat_done(house)


def _keyless(house: House) -> str:
    return house.run(house.app.store.connections.create("openai", name="keyless")).id


def _orphan(house: House) -> str:
    """A connection of a provider that no longer exists."""
    return house.run(house.app.store.connections.create("gone", name="orphan", api_key="k")).id


def _narrow(house: House) -> None:
    """A key that is allowed only models of another provider."""
    house.known["narrow"] = house.made("/api/keys", {"name": "narrow", "allowedModels": ["other/*"]}, "key")


def _poor(house: House) -> None:
    """A key whose budget is spent."""
    made = house.made("/api/keys", {"name": "poor"})
    house.known |= {"poor": made["id"], "poor-key": made["key"]}


def _draining(house: House) -> None:
    house.app.live.draining = True


def _deepseek(house: House) -> str:
    return str(
        house.made("/api/providers", {"provider": "deepseek", "name": "d", "apiKey": "sk-good-2"}, "connection", "id")
    )


def _spoilt(house: House) -> str:
    """A damaged backup."""
    path = Path(house.known["folder"]) / "db_backups" / "db_2020-01-02T00-00-00-000Z_manual.sqlite"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"SQLite format 3\0" + bytes([255]) * 8192)
    return path.name


def _tools(house: House) -> None:
    """Programs with the names of the tools, and one with another name."""
    for name in ("claude", "codex", "droid", "openclaw", "other"):
        path = Path(f"{house.known['folder']}-tools/bin/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\nexit 0\n")
        path.chmod(0o755)


def _listed(house: House) -> None:
    """A model of the account's node that appears in lists."""
    house.made("/api/provider-models", {"provider": "{node}", "modelId": "m1"})


PREPARED: Final[dict[str, Callable[[House], str | None]]] = {
    "connection": _connection, "node": _node, "account": _account, "combo": _combo, "key": _key, "alias": _alias,
    "custom-model": _custom_model, "backup": _backup, "call": _call, "failing": _failing, "chat": _chat_done,
    "client": _client, "login": _account_of_login, "peer": _peer, "export": _export, "proxied": _proxied, "listed": _listed,
        "keyless": _keyless,
    "orphan": _orphan, "narrow": _narrow, "poor": _poor, "draining": _draining, "deepseek": _deepseek, "spoilt": _spoilt,
        "tools": _tools,
}  # fmt: skip
