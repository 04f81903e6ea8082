"""A control plane on a real store in a temporary folder; tests use it without a network and without asyncio."""

from __future__ import annotations

import asyncio
import json as jsonlib
from collections.abc import Coroutine, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from fakes import FakeClock
from fakes_exchange import FakeExchange

from omniroute.gateway.live import Live
from omniroute.gateway.retry import judge
from omniroute.manage.call import Services
from omniroute.manage.oauth_pending import OAuth
from omniroute.manage.plane import ControlPlane
from omniroute.manage.routes import MANAGE_ROUTES
from omniroute.manage.tokens import TokenKeeper
from omniroute.proto.exchange import Request
from omniroute.proto.proxy import Proxy
from omniroute.proto.routes import RouteTable
from omniroute.settings import Settings
from omniroute.store.store import Store
from omniroute.upstream.catalog import load_catalog
from omniroute.upstream.probe import Validation
from omniroute.upstream.providers import Catalog, Provider
from omniroute.upstream.send import Client
from omniroute.upstream.token_endpoint import TokenEndpoint
from omniroute.upstream.verdict import Diagnosis

T = TypeVar("T")
PASSWORD = "correct horse"


@cache
def catalog() -> Catalog:
    return load_catalog()


class FakeProbe:
    """A probe for which every key works except those with ``bad``; it keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.models: list[dict[str, Any]] | Exception = [{"id": "m1", "object": "model"}]
        self.failure: Exception | None = None
        self.proxies: list[Proxy] = []

    def by(self, proxy: Proxy) -> FakeProbe:
        self.proxies.append(proxy)
        return self

    async def validate(
        self, provider: Provider, secret: str, base_url: str = "", data: Mapping[str, Any] | None = None
    ) -> Validation:
        self.asked.append((provider.id, secret, base_url))
        if self.failure is not None:
            raise self.failure
        if "unsupported" in secret:
            text = "Provider validation not supported"
            return Validation(False, text, None, 0, Diagnosis("unsupported", "validation", text))
        if "bad" in secret:
            found = Diagnosis("upstream_auth_error", "upstream", "Invalid API key", "401")
            return Validation(False, "Invalid API key", 401, 7, found)
        return Validation(True, None, 200, 12, Diagnosis("ok", "upstream", "The key works", "200"))

    async def list_models(
        self, provider: Provider, secret: str, base_url: str = "", data: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        self.asked.append((provider.id, secret, base_url))
        if isinstance(self.models, Exception):
            raise self.models
        return self.models


class Admin:
    """One gateway's management API.  Cookies from answers are kept and sent, as a browser does."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        self.settings = Settings(data_dir=folder, **settings)
        self.probe = FakeProbe()
        self.events: list[str] = []
        self.cookie = ""
        self.store: Store = self.run(Store.open(self.settings, self.clock, catalog()))
        self.live = Live(self.clock, self.store.snapshot, self.store.usage.put)
        self.client = Client(self.settings.limits, self.clock)
        endpoint = TokenEndpoint(self.client)
        self.oauth = OAuth(self.clock, endpoint, TokenKeeper(self.store, self.live, self.clock, endpoint))
        self.live.tokens.refresher = self.oauth.keeper.refresh
        self.services = Services(
            store=self.store,
            live=self.live,
            settings=self.settings,
            clock=self.clock,
            catalog=catalog(),
            probe=self.probe,
            restart=lambda: self.events.append("restart"),
            shutdown=lambda: self.events.append("shutdown"),
            started_at=self.clock.time() - 60,
            oauth=self.oauth,
        )
        self.plane = ControlPlane(self.services)
        self.table = RouteTable(MANAGE_ROUTES)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def advance(self, seconds: float) -> None:
        """Let time pass, without the store's scheduled work."""
        self.clock.now += seconds

    def close(self) -> None:
        self.run(self.oauth.close())
        self.run(self.client.close())
        self.run(self.store.close())
        self.runner.close()

    def send(self, method: str, path: str, json: Any = None, *, anonymous: bool = False, **more: Any) -> FakeExchange:
        """Send a request through the route table and the plane; the route must exist.  *more*: see ``_exchange``."""
        exchange = self._exchange(method, path, json, anonymous=anonymous, **more)
        self.run(self.plane.handle(exchange))
        for value in exchange.header_list(b"set-cookie"):
            name, _, rest = value.decode().partition("=")
            if name == "auth_token" and not anonymous:
                self.cookie = rest.partition(";")[0]
        return exchange

    def at_once(self, *asked: tuple[str, str, Any]) -> list[FakeExchange]:
        """Send requests (method, path, JSON body) that run at the same time."""
        exchanges = [self._exchange(*one) for one in asked]

        async def all_of_them() -> None:
            await asyncio.gather(*map(self.plane.handle, exchanges))

        self.run(all_of_them())
        return exchanges

    def _exchange(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        peer: str = "127.0.0.1",
        scheme: str = "http",
        anonymous: bool = False,
        upload: list[bytes] | None = None,
    ) -> FakeExchange:
        path, _, query = path.partition("?")
        fields = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        if json is not None:
            body = jsonlib.dumps(json).encode()
            fields.append((b"content-type", b"application/json"))
        if self.cookie and not anonymous:
            fields.append((b"cookie", f"other=1; auth_token={self.cookie}".encode()))
        request = Request(method, path, query, fields, body or b"", peer=peer, scheme=scheme)
        request.id = "req-1"
        found = self.table.find(path)
        assert found is not None, f"no route at {path}"
        request.route, request.params = found[0][method], found[1]
        return FakeExchange(request, upload)

    def login(self, password: str = PASSWORD) -> None:
        assert self.send("POST", "/api/auth/login", {"password": password}).status == 200

    def audit(self) -> list[str]:
        """Return the audited actions so far, oldest first."""
        return [row.action for row in reversed(self.run(self.store.audit.list(1000)))]

    def key(self, *scopes: str) -> str:
        """Create a gateway key and return its text."""
        _, text = self.run(self.store.keys.create("k", scopes=scopes or ("inference",)))
        return text

    def fail(self, connection_id: str, provider: str = "openai", status: int = 429, model: str = "m") -> None:
        """Record a failed call of this account, as the data plane does."""
        rule = judge(status, "Too many requests").rule
        assert rule is not None
        self.live.health.fail(connection_id, provider, model, rule, status=status, message="Too many requests")

    def node(self, prefix: str = "mock", **fields: str) -> str:
        """Create a node and return its id."""
        body = {"name": "Mock", "prefix": prefix, "apiType": "chat", "baseUrl": "http://127.0.0.1:9/v1", **fields}
        return str(self.send("POST", "/api/provider-nodes", body).json["node"]["id"])

    def connection(self, provider: str = "openai", name: str = "main", **fields: Any) -> dict[str, Any]:
        """Create a connection and return the answer's view of it."""
        answer = self.send("POST", "/api/providers", {"provider": provider, "name": name, "apiKey": "sk-good-1", **fields})
        assert answer.status == 201, answer.text
        made: dict[str, Any] = answer.json["connection"]
        return made


def fields_of(answer: FakeExchange) -> dict[str, str]:
    """Return the details of a validation error by field, after checking its shape."""
    assert answer.status == 400, answer.text
    error = answer.json["error"]
    assert error["message"] == "Invalid request"
    return {item["field"]: item["message"] for item in error["details"]}
