from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from omniroute.cli import evals

Command = Callable[..., Result]
SUITE = {
    "id": "own", "name": "Own cases", "cases": [
        {"id": name, "name": f"Case {name}", "input": {"messages": [{"role": "user", "content": name}]},
         "expected": {"strategy": "contains", "value": wanted}, "tags": ["t"]}
        for name, wanted in (("a", "yes"), ("b", "no"))
    ],
}  # fmt: skip


@pytest.fixture
def suite(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "evals"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "own.json").write_text(json.dumps(SUITE))


@pytest.mark.usefixtures("either_way", "suite")
def test_suites_and_their_cases_are_shown(omniroute: Command) -> None:
    shown = omniroute("evals", "list")
    assert shown.exit_code == 0
    assert "golden-set" in shown.stdout
    assert "Own cases" in shown.stdout
    assert [one["id"] for one in json.loads(omniroute("evals", "list", "--json").stdout)][-1] == "own"
    lines = omniroute("evals", "cases", "own").stdout.splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["a", "Case", "a", "contains", "yes", "t"], ["b", "Case", "b", "contains", "no", "t"],
    ]  # fmt: skip
    assert json.loads(omniroute("evals", "cases", "own", "--json").stdout)["cases"][0]["expected"]["value"] == "yes"
    missing = omniroute("evals", "cases", "../x")
    assert (missing.exit_code, missing.stderr) == (1, "Error: Suite not found: ../x\n")


@pytest.mark.usefixtures("either_way", "suite")
def test_given_answers_are_checked_without_a_model(omniroute: Command, tmp_path: Path) -> None:
    file = tmp_path / "outputs.json"
    file.write_text('{"a": "Yes!", "b": "perhaps"}')
    told = omniroute("evals", "run", "own", "--outputs", str(file))
    assert told.exit_code == 1
    assert "'perhaps' instead of 'no'" in told.stdout
    assert "Own cases: 1 of 2 passed (50 %)" in told.stderr
    good = omniroute("evals", "run", "own", "--outputs", "-", "--json", input='{"a": "yes", "b": "no"}')
    assert good.exit_code == 0
    assert json.loads(good.stdout)["summary"] == {"total": 2, "passed": 2, "failed": 0, "passRate": 100}


@pytest.mark.usefixtures("either_way", "suite")
def test_a_model_gets_each_case_and_failures_set_the_exit_code(omniroute: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evals, "SECONDS", 0.01)
    told = omniroute("evals", "run", "own", "openai/gpt-4o", "--json")
    assert told.exit_code == 1
    report = json.loads(told.stdout)
    assert (report["model"], report["summary"]["failed"]) == ("openai/gpt-4o", 2)
    assert "No credentials" in report["results"][0]["error"]


@pytest.mark.usefixtures("suite")
def test_runs_of_the_running_gateway_are_listed_and_shown(
    omniroute: Command, make_gateway: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evals, "SECONDS", 0.01)
    assert "No runs" in omniroute("evals", "runs").stdout
    make_gateway()
    for _ in range(2):
        omniroute("evals", "run", "own", "openai/gpt-4o")
    listed = json.loads(omniroute("evals", "runs", "--json").stdout)
    assert [(one["suiteId"], one["status"], one["done"]) for one in listed] == [("own", "completed", 2)] * 2
    assert listed[0]["runId"][:8] in omniroute("evals", "runs").stdout
    shown = omniroute("evals", "show", listed[0]["runId"][:8])
    assert shown.exit_code == 0
    assert "No credentials" in shown.stdout
    assert json.loads(omniroute("evals", "show", listed[0]["runId"], "--json").stdout)["result"]["suiteId"] == "own"
    for wanted, word in (("zz", "No run 'zz'"), ("", "fits 2 runs")):
        wrong = omniroute("evals", "show", wanted)
        assert wrong.exit_code == 1
        assert word in wrong.stderr


@pytest.mark.usefixtures("suite")
def test_what_cannot_be_run_is_reported(omniroute: Command) -> None:
    for words in (("own",), ("own", "m", "--outputs", "-")):
        assert omniroute("evals", "run", *words, input="{}").exit_code == 2
    wrong = omniroute("evals", "run", "own", "--outputs", "-", input="[]")
    assert wrong.exit_code == 1
    assert "expected a JSON object" in wrong.stderr
    assert "Suite not found: zz" in omniroute("evals", "run", "zz", "openai/gpt-4o").stderr


def test_a_run_that_is_interrupted_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def api(method: str, path: str, body: Any = None) -> Any:
        asked.append((method, path))
        return {"runId": "r", "status": "running"}

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(evals, "pause", interrupted)
    api.here = False  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        evals._ask(api, {"suiteId": "own", "model": "m"})  # type: ignore[arg-type]
    assert asked[-1] == ("DELETE", "/api/evals/runs/r")
