"""Evaluations: suites of cases, judged answers, runs through the gateway."""

from __future__ import annotations

import asyncio

from msgspec import UNSET, Struct, UnsetType

from .bodies import Name
from .call import Call, Reply
from .eval_runs import Evals, Run, RunView
from .eval_suites import CaseView, Report, Suite, judge, report
from .refusals import Invalid, existing, refused


class EvalBody(Struct, rename="camel", kw_only=True):
    """Judge the given ``outputs`` (by case), or run the suite against ``model``; ``background``: do not wait for the end."""

    suite_id: Name
    outputs: dict[str, str] | UnsetType = UNSET
    model: Name | UnsetType = UNSET
    background: bool = False


class SuiteView(Struct, rename="camel"):
    """A suite without its expected answers."""

    id: str
    name: str
    description: str
    case_count: int
    cases: list[CaseView]


class Started(Struct, rename="camel"):
    run_id: str
    status: str = "running"


class RunList(Struct):
    """Runs, newest first, without results."""

    runs: list[RunView]


class Stopped(Struct, rename="camel"):
    """``stopped`` is false if the run was already over."""

    success: bool
    run_id: str
    stopped: bool


async def list_suites(call: Call) -> Reply:
    """Return all suites, the built-in ones and those in the data directory, without what is expected."""
    suites = await asyncio.to_thread(_evals(call).suites.all)
    return Reply(200, [_view(suite) for suite in suites.values()])


async def read(call: Call) -> Reply:
    """Return one suite with what is expected of each answer.  404 for an unknown id."""
    return Reply(200, await _suite(call, call.params["suiteId"]))


async def run(call: Call) -> Reply:
    """Judge the given outputs, or run the suite against a model."""
    body: EvalBody = call.body
    if body.outputs is UNSET and body.model is UNSET:
        raise Invalid(("outputs", "Outputs is required"))
    suite = await _suite(call, body.suite_id)
    if not isinstance(body.outputs, UnsetType):
        return Reply(200, await asyncio.to_thread(_judge_all, suite, body.outputs))
    started = await _start(call, suite, str(body.model))
    if body.background:
        return Reply(202, Started(started.id))
    await _evals(call).runs.finish(started)
    if started.status != "completed":
        raise refused(500, f"The evaluation was {started.status}")
    return Reply(200, started.report)


async def list_runs(call: Call) -> Reply:
    """Return the runs, newest first, without their single results."""
    return Reply(200, RunList([run.view(whole=False) for run in reversed(_evals(call).runs.list())]))


async def read_run(call: Call) -> Reply:
    """Return one run with its results so far.  404 for an unknown id."""
    return Reply(200, _run(call).view())


async def stop_run(call: Call) -> Reply:
    """Stop a run and discard its results."""
    found = _run(call)
    stopped = await _evals(call).runs.stop(found)
    if stopped:
        await call.audit("eval.cancel", found.suite.id, {"model": found.model, "runId": found.id})
    return Reply(200, Stopped(True, found.id, stopped))


async def _start(call: Call, suite: Suite, model: str) -> Run:
    gateway = call.services.gateway
    if gateway is None:
        raise refused(503, "The data plane is not running")
    started = _evals(call).runs.start(gateway, suite, model)
    await call.audit("eval.run", suite.id, {"model": model, "cases": len(suite.cases), "runId": started.id})
    return started


async def _suite(call: Call, suite_id: str) -> Suite:
    found = (await asyncio.to_thread(_evals(call).suites.all)).get(suite_id)
    if found is None:
        raise refused(404, f"Suite not found: {suite_id}")
    return found


def _run(call: Call) -> Run:
    return existing(_evals(call).runs.get(call.params["runId"]), "Run")


def _judge_all(suite: Suite, outputs: dict[str, str]) -> Report:
    return report(suite, [judge(case, outputs.get(case.id, "")) for case in suite.cases])


def _view(suite: Suite) -> SuiteView:
    names = CaseView.__struct_fields__
    cases = [CaseView(**{name: getattr(case, name) for name in names}) for case in suite.cases]
    return SuiteView(suite.id, suite.name, suite.description, len(cases), cases)


def _evals(call: Call) -> Evals:
    services = call.services
    if services.evals is None:
        services.evals = Evals(services.settings.data_dir / "evals", services.clock)
    return services.evals
