"""Evaluations: suites, judged answers, runs."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec
import pytest
from data_plane import JSON
from fakes_gateway import FakeClient
from fakes_manage import Admin, fields_of
from wires import CHAT, SAID

from omniroute.gateway.job import Gateway

PATH = "/api/evals"
SUITES = ["golden-set", "coding-proficiency", "reasoning-logic", "multilingual"]


@pytest.fixture
def upstream(admin: Admin) -> FakeClient:
    """What the data plane asks; the model ``one/m`` is there, and a suite ``own`` of ten cases."""
    client = FakeClient(admin.clock, [(200, JSON, CHAT.whole)])
    admin.services.gateway = Gateway(
        admin.live, cast(Any, client), admin.settings.limits, cast(Any, admin.clock), require_key=True
    )
    admin.store.on_publish = lambda snapshot: setattr(admin.live, "snapshot", snapshot)
    admin.connection(admin.node("one"), "one")
    cases = [
        {
            "id": f"c{number}", "name": f"Case {number}", "input": {"messages": [{"role": "user", "content": f"{number}?"}]},
            "expected": {"strategy": "contains", "value": SAID if number else "something else"},
        }
        for number in range(10)
    ]  # fmt: skip
    folder = admin.settings.data_dir / "evals"
    folder.mkdir()
    (folder / "own.json").write_bytes(msgspec.json.encode({"id": "own", "name": "Own", "cases": cases}))
    return client


@pytest.fixture
def gate(upstream: FakeClient, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Until it is set the upstream answers nobody."""
    opened, answer = asyncio.Event(), upstream.whole_as

    async def late(*args: Any, **more: Any) -> Any:
        await opened.wait()
        return await answer(*args, **more)

    monkeypatch.setattr(upstream, "whole_as", late)
    return opened


def test_suites_are_listed_without_what_is_expected(admin: Admin) -> None:
    found = admin.send("GET", PATH).json
    assert [suite["id"] for suite in found] == SUITES
    first = found[0]
    assert set(first) == {"id", "name", "description", "caseCount", "cases"}
    assert first["caseCount"] == len(first["cases"]) == 8
    assert all(set(case) == {"id", "name", "model", "input", "tags"} for case in first["cases"])


def test_one_suite_shows_what_is_expected(admin: Admin) -> None:
    found = admin.send("GET", f"{PATH}/golden-set").json
    assert set(found) == {"id", "name", "description", "cases"}
    assert found["cases"][1]["expected"] == {"strategy": "regex", "value": r"\b132\b"}
    answer = admin.send("GET", f"{PATH}/zz")
    assert (answer.status, answer.json) == (404, {"error": "Suite not found: zz"})


def test_outputs_that_are_given_are_judged(admin: Admin) -> None:
    answer = admin.send(
        "POST", PATH, {"suiteId": "golden-set", "outputs": {"gs-01": "Lighthouse!", "gs-99": "no such case"}}
    )
    assert answer.status == 200
    found = answer.json
    assert (found["suiteId"], found["suiteName"]) == ("golden-set", "Golden set")
    assert found["summary"] == {"total": 8, "passed": 1, "failed": 7, "passRate": 12}
    assert found["results"][0] == {
        "caseId": "gs-01", "caseName": "Repeat a word", "passed": True, "durationMs": 0,
        "details": {"actualSnippet": "Lighthouse!", "searchTerm": "lighthouse"},
    }  # fmt: skip
    assert admin.audit() == []


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["suiteId"]), ({"outputs": {}}, ["suiteId"]), ({"suiteId": "golden-set"}, ["outputs"]),
        ({"suiteId": "golden-set", "outputs": []}, ["outputs"]), ({"suiteId": "golden-set", "outputs": {"a": 1}}, None),
        ({"suiteId": " ", "model": "m"}, ["suiteId"]), ({"suiteId": "golden-set", "model": ""}, ["model"]),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(admin: Admin, body: dict[str, Any], fields: list[str] | None) -> None:
    found = [*fields_of(admin.send("POST", PATH, body))]
    assert found == fields or fields is None


def test_an_unknown_suite_and_a_missing_data_plane(admin: Admin) -> None:
    answer = admin.send("POST", PATH, {"suiteId": "zz", "outputs": {}})
    assert (answer.status, answer.json) == (404, {"error": "Suite not found: zz"})
    assert admin.send("POST", PATH, {"suiteId": "golden-set", "model": "m"}).status == 503


def test_a_model_is_asked_through_the_gateway(admin: Admin, upstream: FakeClient) -> None:
    answer = admin.send("POST", PATH, {"suiteId": "own", "model": "one/m"})
    assert answer.status == 200, answer.text
    found = answer.json
    assert (found["model"], found["summary"]) == ("one/m", {"total": 10, "passed": 9, "failed": 1, "passRate": 90})
    assert [result["caseId"] for result in found["results"]] == [f"c{number}" for number in range(10)]
    assert found["results"][0]["details"]["actualSnippet"] == SAID
    assert sorted(msgspec.json.decode(bytes(sent))["messages"][0]["content"] for sent in upstream.sent) == [
        f"{number}?" for number in range(10)
    ]
    assert admin.audit()[-1] == "eval.run"
    admin.run(admin.store.usage.flush())
    assert admin.run(admin.store.db.fetch("SELECT count(*) AS n FROM call_logs"))[0]["n"] == 10


def test_a_model_that_fails_fails_each_case_with_the_reason(admin: Admin, upstream: FakeClient) -> None:
    found = admin.send("POST", PATH, {"suiteId": "own", "model": "nobody/m"}).json
    assert found["summary"]["failed"] == 10
    assert all("nobody" in result["error"] for result in found["results"])


def test_in_the_background_progress_is_shown_and_then_the_result(admin: Admin, gate: asyncio.Event) -> None:
    answer = admin.send("POST", PATH, {"suiteId": "own", "model": "one/m", "background": True})
    assert answer.status == 202
    one = f"{PATH}/runs/{answer.json['runId']}"
    assert answer.json == {"runId": one.rpartition("/")[2], "status": "running"}
    found = admin.send("GET", one).json
    assert (found["status"], found["total"], found["suiteId"], found["model"]) == ("running", 10, "own", "one/m")
    assert "result" not in found
    assert admin.services.evals is not None
    (run,) = admin.services.evals.runs.list()
    gate.set()
    admin.run(admin.services.evals.runs.finish(run))
    found = admin.send("GET", one).json
    assert (found["status"], found["done"], found["passed"]) == ("completed", 10, 9)
    assert found["result"]["summary"]["passRate"] == 90
    (listed,) = admin.send("GET", f"{PATH}/runs").json["runs"]
    assert listed == {name: value for name, value in found.items() if name != "result"}
    assert admin.send("DELETE", one).json == {"success": True, "runId": run.id, "stopped": False}


def test_a_run_can_be_ended(admin: Admin, gate: asyncio.Event) -> None:
    run_id = admin.send("POST", PATH, {"suiteId": "own", "model": "one/m", "background": True}).json["runId"]
    one = f"{PATH}/runs/{run_id}"
    assert admin.send("DELETE", one).json == {"success": True, "runId": run_id, "stopped": True}
    found = admin.send("GET", one).json
    assert found["status"] == "cancelled"
    assert "result" not in found
    assert admin.audit()[-2:] == ["eval.run", "eval.cancel"]
    for method in ("GET", "DELETE"):
        gone = admin.send(method, f"{PATH}/runs/none")
        assert (gone.status, gone.json) == (404, {"error": "Run not found"})
