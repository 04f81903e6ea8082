"""Evaluations through the gateway: each case of a suite is sent to a model, a few at a time, and its answer judged.

Runs are kept in memory, only the newest ones, and are lost when the process ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal
from uuid import uuid4

from msgspec import Struct

from ..clock import Clock, iso
from ..gateway.inside import send_chat
from ..gateway.job import Gateway
from ..tasks import cancel, spawn
from .eval_suites import Case, Report, Result, Suite, Suites, failed, judge, report
from .refusals import refused

AT_ONCE: Final = 4  # cases, of all runs together
CASE_SECONDS: Final = 60.0
MOST_RUNNING: Final = 4
MOST_KEPT: Final = 50

Status = Literal["running", "completed", "cancelled", "failed"]


class RunView(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """A run's progress, in cases; ``result`` is set once it has completed."""

    run_id: str
    suite_id: str
    model: str
    status: Status
    total: int
    done: int
    passed: int
    started_at: str
    finished_at: str | None = None
    result: Report | None = None


class Run:
    """One suite run against one model."""

    def __init__(self, suite: Suite, model: str, started: float) -> None:
        self.id = str(uuid4())
        self.suite = suite
        self.model = model
        self.status: Status = "running"
        self.started = started
        self.finished: float | None = None
        self.results: dict[str, Result] = {}
        self.task: asyncio.Task[None] | None = None

    @property
    def report(self) -> Report:
        """The results so far, in the order of the suite."""
        ordered = (self.results.get(case.id) for case in self.suite.cases)
        return report(self.suite, (result for result in ordered if result is not None), self.model)

    def view(self, *, whole: bool = True) -> RunView:
        """The run as the API shows it; without its single results unless *whole*."""
        return RunView(
            run_id=self.id,
            suite_id=self.suite.id,
            model=self.model,
            status=self.status,
            total=len(self.suite.cases),
            done=len(self.results),
            passed=sum(result.passed for result in self.results.values()),
            started_at=iso(self.started),
            finished_at=None if self.finished is None else iso(self.finished),
            result=self.report if whole and self.status == "completed" else None,
        )


class Runs:
    """The runs of this process, oldest first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._runs: dict[str, Run] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)

    def list(self) -> list[Run]:
        """All runs that are kept, oldest first."""
        return [*self._runs.values()]

    def get(self, run_id: str) -> Run | None:
        """One run; None for an unknown id."""
        return self._runs.get(run_id)

    def start(self, gateway: Gateway, suite: Suite, model: str) -> Run:
        """Start a run and return at once.  Raises OmniError 429 if too many are running."""
        if sum(run.status == "running" for run in self._runs.values()) >= MOST_RUNNING:
            raise refused(429, f"At most {MOST_RUNNING} evaluations run at a time")
        run = Run(suite, model, self._clock.time())
        self._runs[run.id] = run
        ended = [run for run in self._runs.values() if run.status != "running"]
        for old in ended[: max(0, len(self._runs) - MOST_KEPT)]:
            del self._runs[old.id]
        run.task = spawn(self._perform(gateway, run), "evaluation")
        return run

    async def finish(self, run: Run) -> None:
        """Wait for the end of *run*; cancelling the wait stops the run."""
        assert run.task is not None
        try:
            await asyncio.wait([run.task])
        finally:
            if not run.task.done():
                await self.stop(run)

    async def stop(self, run: Run) -> bool:
        """Stop *run*; return False if it was already over."""
        if run.task is None or run.task.done():
            return False
        await cancel(run.task)
        self._over(run, "cancelled")  # a task cancelled before its first step never runs its own cleanup
        return True

    async def close(self) -> None:
        """Stop all runs."""
        for run in self.list():
            await self.stop(run)

    async def _perform(self, gateway: Gateway, run: Run) -> None:
        waiting = iter(run.suite.cases)
        workers = [spawn(self._work(gateway, run, waiting), "evaluation worker") for _ in range(AT_ONCE)]
        try:
            await asyncio.wait(workers)
            self._over(run, "completed" if len(run.results) == len(run.suite.cases) else "failed")
        finally:
            for worker in workers:
                if not worker.done():
                    await cancel(worker)
            self._over(run, "cancelled")

    def _over(self, run: Run, status: Status) -> None:
        if run.status == "running":
            run.status, run.finished = status, self._clock.time()

    async def _work(self, gateway: Gateway, run: Run, waiting: Iterator[Case]) -> None:
        for case in waiting:  # all workers share one iterator, so each takes the next case
            async with self._turn:
                run.results[case.id] = await self._try(gateway, case, run.model)

    async def _try(self, gateway: Gateway, case: Case, model: str) -> Result:
        answer = await send_chat(gateway, {"model": model, "messages": case.input.messages}, CASE_SECONDS)
        took = round(answer.seconds * 1000)
        if not answer.ok:
            return failed(case, answer.error, took)
        return await asyncio.to_thread(judge, case, answer.text, took)


class Evals:
    """What the handlers share: the suites (built in and in *folder*) and the runs."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.suites = Suites(folder)
        self.runs = Runs(clock)
