"""Property test over the API document: whatever is sent, no answer is a 500, and each success has the form it says."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from fakes_exchange import FakeExchange
from fakes_manage import Admin
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from jsonschema import Draft202012Validator

from omniroute.gateway.routes import DATA_ROUTES
from omniroute.manage.openapi import document
from omniroute.manage.routes import MANAGE_ROUTES

schemathesis = pytest.importorskip("schemathesis")
EXAMPLES = 3  # of each kind, fitting and not, for each operation
DOCUMENT = document(MANAGE_ROUTES, DATA_ROUTES)
TOKEN = "t" * 43
NO_PEER = b"it is not part of this gateway"  # the one of these tests has no cloud service
PROMISED = {"POST /api/db-backups": (b"Invalid backup ID", b"Backup not found")}  # the contract wants a 500 here
MANAGE = {route.handler: (route.method, route.path.replace("*}", "}")) for route in reversed(MANAGE_ROUTES)}


def operations() -> list[Any]:
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    chosen = set(MANAGE.values())
    found = [result.ok() for result in schema.get_all_operations()]
    return [operation for operation in found if (operation.method.upper(), operation.path) in chosen]


def ids(admin: Admin) -> dict[str, str]:
    """Something of each kind, by the word in the paths that lead to it."""
    key, _ = admin.run(admin.store.keys.create("k"))
    return {"providers": admin.connection()["id"], "provider-nodes": admin.node(), "keys": key.id}


def raw(body: Any) -> bytes | None:
    """What a case's body is on the wire."""
    if isinstance(body, bytes):
        return body
    try:
        return json.dumps(body, default=str).encode("utf-8", "surrogatepass")
    except (TypeError, ValueError):
        return None


def ask(admin: Admin, case: Any, known: str | None) -> FakeExchange:
    """Send *case* with every right there is; with *known* in the place of its id."""
    values = {name: quote(str(value), safe="") or "x" for name, value in (case.path_parameters or {}).items()}
    if known is not None:
        values = {name: known if name in ("id", "connectionId") else value for name, value in values.items()}
    path = case.operation.path
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", value if value not in (".", "..") else "x")
    if case.query:
        path += "?" + urlencode({str(name): str(value) for name, value in case.query.items()})
    body = raw(case.body) if type(case.body).__name__ != "NotSet" else None
    return admin.send(case.method.upper(), path, body=body, headers={"authorization": f"Bearer {TOKEN}"})


@pytest.fixture
def open_admin(make_admin: Callable[..., Admin], tmp_path: Path) -> Admin:
    admin = make_admin(cli_home=tmp_path / "home")
    admin.services.local_token = TOKEN
    return admin


@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(120)
def test_no_request_is_answered_with_a_server_error(open_admin: Admin) -> None:
    known, failures = ids(open_admin), []
    for operation in operations():
        here = known.get(operation.path.split("/")[2]) if operation.path.count("/") > 1 else None
        for mode in schemathesis.GenerationMode:
            failures += failing(open_admin, operation, mode, here)
    assert not failures, "\n".join(map(repr, failures))


def failing(admin: Admin, operation: Any, mode: Any, known: str | None) -> list[Any]:
    """The requests to *operation* that were answered with 500, or with what the document does not say."""
    found: list[Any] = []
    schema = operation.definition.raw["responses"]["2XX"]["content"].get("application/json", {}).get("schema", {})
    reply = Draft202012Validator({**schema, "components": DOCUMENT["components"]})
    name = f"{operation.method.upper()} {operation.path}"

    @seed(1)
    @settings(max_examples=EXAMPLES, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode), real=st.booleans())
    def run(case: Any, real: bool) -> None:
        answer = ask(admin, case, known if real else None)
        if answer.status == 500 and not any(text in answer.text for text in (NO_PEER, *PROMISED.get(name, ()))):
            found.append((name, case.query, case.body, answer.status, answer.text[:200]))
        if answer.status < 300 and answer.header(b"content-type") == b"application/json" and answer.text:
            found.extend((name, error.json_path, error.message[:200]) for error in reply.iter_errors(answer.json))

    with warnings.catch_warnings(), suppress(Unsatisfiable):  # where nothing is described, nothing can be wrong
        warnings.simplefilter("ignore")
        run()
    return found[:3]
