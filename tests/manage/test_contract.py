"""The management contract, row by row: ``tests/contract`` holds the rows as data, this sends their requests.

Each row is checked on a whole gateway: the method (every other one is 405 with ``Allow``), the access class, and each of its
requests, the refused ones too, in both forms where the documentation and the reference differ.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import pytest
from contract import (
    backups,
    cli_tools,
    combos,
    conventions,
    gateway,
    login,
    models,
    monitoring,
    oauth,
    providers,
    rules,
    settings,
    usage,
)
from contract import document as contract_document
from contract.house import PASSWORD, House
from contract.row import NOT_A_MANAGER, NOT_LOGGED_IN, Ask, Fact, Row, error, said, typed
from contract.shape import Some, either, misfits
from fakes_exchange import FakeExchange
from fakes_manage import catalog
from shared import SHARED, needs_shared

from omniroute.app import App
from omniroute.proto.transport import Origin
from omniroute.settings import Limits, Settings

ROWS: Final[tuple[Row, ...]] = (
    *login.ROWS,
    *providers.CONNECTIONS,
    *providers.NODES,
    *providers.CUSTOM_MODELS,
    *oauth.ROWS,
    *models.MODELS,
    *combos.ENDPOINTS,
    *models.KEYS,
    *models.PRICING,
    *usage.USAGE,
    *usage.BUDGET,
    *settings.SETTINGS,
    *settings.PROXY,
    *monitoring.ROWS,
    *backups.BACKUPS,
    *backups.SYNC,
    *cli_tools.ENDPOINTS,
    *rules.RESILIENCE,
    *rules.EVALS,
    *rules.POLICIES,
    *rules.CHAINS,
    *rules.AUDIT,
    *monitoring.SYSTEM,
    *gateway.CHAT,
    *gateway.LISTS,
    *gateway.MEDIA,
)
FACTS: Final[tuple[Fact, ...]] = (
    *conventions.CLASSES,
    *conventions.ERRORS,
    *conventions.HEADERS,
    *conventions.PATHS,
    *combos.FIELDS,
    *settings.KEYS,
    *cli_tools.TOOL_ROWS,
)
OVER_THE_WIRE: Final = {"body over limit, 413"}  # shown by a test of its own
JSON: Final = [(b"content-type", b"application/json")]
DOCUMENT: Final = """
## Things
| endpoint | errors |
| --- | --- |
| `GET /api/things` | 404 `POST /api/never` |
| `POST` · `PUT` (also `PATCH`) `/{id}` · `DELETE` same | – |

| field | rule |
| --- | --- |
| `colour` | `GET /api/never` |
| `size` | – |

- `GET/POST /api/other?limit=1`, `GET /api/x/{a|b}`, `{"not":"one"}`
"""
CASES: Final = [(method, row) for row in ROWS for method in row.methods.split()]
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE")
CALLERS: Final = {"P": "nobody", "M": "cookie", "L": "cookie", "B": "inference", "K": "inference", "S": "sync"}
_BAD_KEY: Final = {
    name: said(f"{name} API key", "authentication_error", "invalid_api_key") for name in ("Missing", "Invalid")
}
_NO_MANAGER: Final = either(NOT_A_MANAGER, typed("Invalid management token", "invalid_api_key"))
# class -> who is refused how; a row's own body for strangers goes before the 401 here
REFUSED: Final[dict[str, dict[str, tuple[int, Any]]]] = {
    "P": {},
    "M": {"nobody": (401, NOT_LOGGED_IN), "stranger": (401, NOT_LOGGED_IN), "inference": (403, _NO_MANAGER)},
    "L": {"nobody": (401, NOT_LOGGED_IN), "stranger": (401, NOT_LOGGED_IN), "inference": (403, _NO_MANAGER)},
    "B": {"nobody": (401, error("Missing API key")), "stranger": (401, error("Invalid API key"))},
    "K": {"nobody": (401, _BAD_KEY["Missing"]), "stranger": (401, _BAD_KEY["Invalid"])},
}
Build = Callable[..., House]


@pytest.fixture(scope="module", autouse=True)
def one_catalogue() -> Iterator[None]:
    """The catalogue is read once, and not by each gateway."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("omniroute.app.load_catalog", catalog)
        yield


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module")
def empty(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the tables made."""
    folder = tmp_path_factory.mktemp("empty") / "data"
    app = runner.run(App.open(Settings(data_dir=folder)))
    runner.run(app.close())
    return folder


@pytest.fixture
def build(runner: asyncio.Runner, empty: Path, tmp_path: Path) -> Iterator[Build]:
    """A gateway with a password, and with what the rows' requests need."""
    built: list[House] = []

    def make(settings: dict[str, Any], *given: str) -> House:
        shutil.copytree(empty, tmp_path / "data")
        built.append(House(runner, tmp_path / "data", {"initial_password": PASSWORD, **settings}))
        for name in given:
            built[-1].give(name)
        return built[-1]

    yield make
    for house in built:
        house.close()


def check(house: House, answer: FakeExchange, status: int, shape: Any, gives: dict[str, Any] | None = None) -> None:
    request = answer.request
    what = f"{request.method} {request.path}?{request.query} {request.body[:300]!r}"
    assert answer.status == status, (what, answer.text[:600])
    is_json = (answer.header(b"content-type") or b"").startswith(b"application/json")
    value = answer.json if is_json else answer.text.decode("utf-8", "replace")
    assert [*misfits(value, house.filled(shape))] == [], what
    for name, expected in (gives or {}).items():
        found = (answer.header(name.encode()) or b"").decode()
        assert [*misfits(found, expected, name)] == [], what
    assert answer.header(b"x-request-id"), what


def send(house: House, ask: Ask, method: str, path: str, who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One request of a row, as often as it says."""
    if ask.at and not ask.at.startswith("?"):
        method, path = ask.at.split(" ", 1)
    else:
        path += ask.at
    kept, house.known = house.known, {**house.known, **house.filled(dict(ask.ids))}
    path, body = house.filled(path), house.filled(ask.body)
    house.known = kept
    house.credentials(ask.who or who)
    with monkeypatch.context() as patch:
        if ask.breaks:
            place, name = ask.breaks.rsplit(".", 1)
            patch.setattr(type(attrgetter(place)(house.app.services)), name, _broken)
        for name, value in ask.patches.items():
            patch.setattr(name, value)
        for _ in range(ask.times):
            answer = house.ask(method, path, body, who=ask.who or who, sends=house.filled(dict(ask.sends)))
            check(house, answer, ask.status, ask.shape, dict(ask.gives))
    for name, place in ask.keep.items():
        found = answer.json
        for step in place.split("."):
            found = found[int(step) if step.isdigit() else step]
        house.known[name] = str(found)


async def _broken(*_: object, **__: object) -> None:
    raise sqlite3.OperationalError("disk I/O error")


def check_method(house: House, method: str, path: str) -> None:
    """The method is there, and what ``Allow`` does not name is refused."""
    answer = house.ask("OPTIONS", path)
    allowed = (answer.header(b"allow") or b"").decode().split(", ")
    assert answer.status == 204
    assert method in allowed
    for other in METHODS:
        if other not in allowed:
            check(
                house, house.ask(other, path), 405, {"error": "Method not allowed"}, {"allow": re.compile(rf"\b{method}\b")}
            )


@pytest.mark.parametrize(("method", "row"), CASES, ids=[f"{method} {row.path}" for method, row in CASES])
def test_a_row_is_answered_as_promised(build: Build, monkeypatch: pytest.MonkeyPatch, method: str, row: Row) -> None:
    house = build(dict(row.settings), *row.given)
    path = re.sub(r"\{\w+\}", "x1", house.filled(row.path))
    if not row.delivered:
        assert house.ask(method, path).status == 404
        return
    check_method(house, method, path)
    for who, (status, shape) in REFUSED[row.access].items():
        body = row.asks[0].body
        shape = row.denied if row.denied is not None and status == 401 else shape
        check(house, house.ask(method, path, house.filled(body), who=who), status, shape)
    for ask in row.asks:
        send(house, ask, method, row.path, CALLERS[row.access], monkeypatch)


@pytest.mark.parametrize("fact", FACTS, ids=[fact.name for fact in FACTS])
def test_a_fact_is_as_promised(build: Build, monkeypatch: pytest.MonkeyPatch, fact: Fact) -> None:
    house = build(dict(fact.settings), *fact.given)
    assert fact.asks
    for ask in fact.asks:
        send(house, ask, "", "", "cookie", monkeypatch)


def test_a_body_over_the_limit_is_413_on_both_planes(build: Build) -> None:
    house = build({"limits": Limits(manage_body=1000, gateway_body=1000), "port": 0})
    origin = Origin("http", "127.0.0.1", house.run(house.app.listen()))
    for path in (b"/api/keys", b"/v1/chat/completions"):
        status, _, body = house.run(house.app.client.fetch(origin, "POST", path, JSON, b"{}" * 600, limit=1 << 20))
        assert status == 413
        shape = {"error": {"message": str, "type": "payload_too_large", "code": "PAYLOAD_TOO_LARGE"}}
        assert [*misfits(json.loads(body), shape)] == []


@needs_shared
def test_every_row_of_every_table_of_the_contract_has_an_entry() -> None:
    """Endpoints by method and path, also those outside of tables; rows of other tables by their first cell."""
    assert SHARED is not None
    document = (SHARED / "contract" / "management-api.md").read_text(encoding="utf-8")
    endpoints, names = contract_document.entries(document)
    covered = {re.sub(r"\{\w+\}", "{}", f"{method} {row.path}") for method, row in CASES}
    assert len(endpoints) > 150
    assert {name for name in endpoints if re.sub(r"\{\w+\}", "{}", name) not in covered} == set()
    assert len(names) > 40
    shown = {fact.name for fact in FACTS} | OVER_THE_WIRE
    assert {name for name in names if name not in shown} == set()


@pytest.mark.parametrize(
    ("shape", "fits", "fails"),
    [
        (
            {"a": int, "b?": str, "!c": 0},
            [{"a": 1}, {"a": 1, "b": "x", "d": 1}],
            [{}, {"a": 1, "b": 2}, {"a": 1, "c": 1}, []],
        ),
        ({"a": 1, str: bool}, [{"a": 1}, {"a": 1, "x": True}], [{"a": 1, "x": 1}]),
        ([int], [[1, 2]], [[], [1, "x"], {}, None]),
        ([], [[]], [[1], None]),
        ((int, "x"), [[1, "x"]], [[1], [1, "y"], [1, "x", 2], None]),
        (Some({"a": 1}), [[{}, {"a": 1}]], [[], [{"a": 2}], {"a": 1}]),
        (either("a", int), ["a", 3], ["b", None]),
        (int | None, [1, None], [True, 1.5, "1"]),
        (bool, [True], [1, None]),
        (re.compile("^a"), ["ab"], ["b", None, 1]),
        (1, [1, 1.0], [True, 2, "1", None]),
        (None, [None], [0, False, ""]),
    ],
)
def test_what_fits_a_shape(shape: Any, fits: list[Any], fails: list[Any]) -> None:
    assert [value for value in fits if [*misfits(value, shape)]] == []
    assert [value for value in fails if not [*misfits(value, shape)]] == []


def test_the_endpoints_of_a_document_are_found_in_all_their_spellings() -> None:
    endpoints, names = contract_document.entries(DOCUMENT)
    assert sorted(endpoints) == [
        "DELETE /api/things/{id}", "GET /api/other", "GET /api/things", "GET /api/x/a", "GET /api/x/b",
            "PATCH /api/things/{id}",
        "POST /api/other", "POST /api/things", "PUT /api/things/{id}",
    ]  # fmt: skip
    assert names == {"colour", "size"}
