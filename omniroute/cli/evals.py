"""``omniroute evals``: run suites of test cases through the gateway and show the results."""

from __future__ import annotations

from typing import IO, Any, Final
from urllib.parse import quote

import click
import msgspec

from ..settings import Settings
from .backend import Api, connect
from .output import as_json, bad, fail, good, only, pause, progress, shared, table

SECONDS: Final = 0.5  # between polls of a run
_NO_RUNS: Final = "No runs. Only a running gateway keeps them. Start one: omniroute evals run golden-set openai/gpt-4o-mini"


@click.group()
def evals() -> None:
    """Evaluate the answers of models with suites of test cases."""


@evals.command("list")
@shared
def list_(settings: Settings, json_out: bool) -> None:
    """List the suites."""
    with connect(settings) as api:
        found = api("GET", "/api/evals")
    if json_out:
        as_json(found)
        return
    rows = [(suite["id"], suite["caseCount"], suite["name"], suite["description"]) for suite in found]
    table(("SUITE", "CASES", "NAME", "DESCRIPTION"), rows, "No suites.")


@evals.command()
@click.argument("suite")
@shared
def cases(settings: Settings, suite: str, json_out: bool) -> None:
    """Show the cases of a suite and the answers they expect."""
    with connect(settings) as api:
        found = api("GET", _path(suite))
    if json_out:
        as_json(found)
        return
    rows = [
        (case["id"], case["name"], case["expected"]["strategy"], case["expected"]["value"], ", ".join(case["tags"]))
        for case in found["cases"]
    ]
    table(("CASE", "NAME", "STRATEGY", "EXPECTED", "TAGS"), rows, "No cases.")


@evals.command()
@click.argument("suite")
@click.argument("model", required=False)
@click.option(
    "--outputs", type=click.File("rb"), help="Call no model: check the answers in this JSON file ({case: text}); - is stdin."
)
@shared
def run(settings: Settings, suite: str, model: str | None, outputs: IO[bytes] | None, json_out: bool) -> None:
    """Send each case of SUITE to MODEL and check the answers. The exit status is 1 when a case failed."""
    if (model is None) == (outputs is None):
        raise click.UsageError("Give a MODEL to call, or --outputs with the answers to check.")
    body: dict[str, Any] = {"suiteId": suite}
    body |= {"model": model} if outputs is None else {"outputs": _texts(outputs)}
    with connect(settings) as api:
        report = _ask(api, body) if outputs is None else api("POST", "/api/evals", body)
    _show(report, json_out)
    if report["summary"]["failed"]:
        raise SystemExit(1)


@evals.command()
@shared
def runs(settings: Settings, json_out: bool) -> None:
    """List the runs of the running gateway, newest first."""
    with connect(settings) as api:
        found = api("GET", "/api/evals/runs")["runs"]
    if json_out:
        as_json(found)
        return
    rows = [
        (one["runId"][:8], one["suiteId"], one["model"], one["status"], f"{one['done']}/{one['total']}", one["passed"],
         one["startedAt"]) for one in found
    ]  # fmt: skip
    table(("RUN", "SUITE", "MODEL", "STATUS", "DONE", "PASSED", "STARTED"), rows, _NO_RUNS)


@evals.command()
@click.argument("run")
@shared
def show(settings: Settings, run: str, json_out: bool) -> None:
    """Show the result of a run. RUN is its ID or the beginning of it."""
    with connect(settings) as api:
        found = api("GET", _path("runs", find(api, run)["runId"]))
    if json_out:
        as_json(found)
    elif "result" in found:
        _show(found["result"], json_out=False)
    else:
        table(("STATUS", "DONE", "PASSED"), [(found["status"], f"{found['done']}/{found['total']}", found["passed"])], "")


def find(api: Api, wanted: str) -> dict[str, Any]:
    """The run whose ID begins with *wanted*.  Ends the command unless there is exactly one."""
    found: list[dict[str, Any]] = [one for one in api("GET", "/api/evals/runs")["runs"] if one["runId"].startswith(wanted)]
    return only(found, wanted, "run", "omniroute evals runs")


def _texts(file: IO[bytes]) -> dict[str, str]:
    try:
        return msgspec.json.decode(file.read(), type=dict[str, str])
    except msgspec.MsgspecError as error:
        fail(f"--outputs: expected a JSON object of texts by case ({error})")


def _ask(api: Api, body: dict[str, Any]) -> Any:
    """Run an evaluation and return its report.  Ctrl-C stops the run."""
    label = f"{body['suiteId']} with {body['model']} …"
    if api.here:
        with progress(label):
            return api("POST", "/api/evals", body)
    path = _path("runs", api("POST", "/api/evals", {**body, "background": True})["runId"])
    try:
        with progress(label):
            while (state := api("GET", path))["status"] == "running":
                pause(SECONDS)
    except KeyboardInterrupt:
        api("DELETE", path)
        raise
    if "result" not in state:
        fail(f"The evaluation was {state['status']}")
    return state["result"]


def _show(report: dict[str, Any], json_out: bool) -> None:
    if json_out:
        as_json(report)
        return
    rows = [
        (result["caseId"], result["caseName"], "passed" if result["passed"] else "failed", f"{result['durationMs']} ms",
         "" if result["passed"] else _why(result)) for result in report["results"]
    ]  # fmt: skip
    table(("CASE", "NAME", "RESULT", "TIME", "WHY"), rows, "No cases.")
    summary = report["summary"]
    model = f" by {report['model']}" if report.get("model") else ""
    tell = bad if summary["failed"] else good
    tell(f"{report['suiteName']}{model}: {summary['passed']} of {summary['total']} passed ({summary['passRate']} %)")


def _why(result: dict[str, Any]) -> str:
    """The reason of a failure on one line: the error, or the actual answer and the expected one."""
    if error := result.get("error"):
        return str(error)
    details = result.get("details") or {}
    said = details.get("actual", details.get("actualSnippet", ""))
    wanted = details.get("expected") or details.get("searchTerm") or details.get("pattern") or ""
    return " ".join(f"'{said}' instead of '{wanted}'".split())


def _path(*parts: str) -> str:
    return "/".join(("/api/evals", *(quote(part, safe="") for part in parts)))
