from __future__ import annotations

import asyncio
from typing import Any

import pytest
from data_plane import JSON, until
from fakes_gateway import FakeGateway, fake_gateway, one_provider
from wires import CHAT

from omniroute.errors import OmniError
from omniroute.manage import eval_runs
from omniroute.manage.eval_runs import Runs
from omniroute.manage.eval_suites import Case, Expected, Input, Suite
from omniroute.tasks import running, spawn

SUITE = Suite(
    id="s",
    name="S",
    cases=[
        Case(id=f"c{n}", name="C", input=Input([{"role": "user", "content": "?"}]), expected=Expected("contains", "x"))
        for n in range(12)
    ],
)


class Waiting:
    """An upstream that answers when told to."""

    def __init__(self) -> None:
        self.asked = self.most = self.now = 0
        self.go = asyncio.Event()

    async def whole_as(self, *args: Any, **more: Any) -> Any:
        self.asked, self.now = self.asked + 1, self.now + 1
        self.most = max(self.most, self.now)
        try:
            await self.go.wait()
            raise OmniError("upstream_failed", "no", status=502)
        finally:
            self.now -= 1


def waiting() -> tuple[FakeGateway, Waiting]:
    gateway, upstream = fake_gateway(one_provider(CHAT)), Waiting()
    gateway.client = upstream  # type: ignore[assignment]
    return gateway, upstream


async def test_four_cases_at_a_time_over_all_runs() -> None:
    gateway, upstream = waiting()
    runs = Runs(gateway.hands)
    both = [runs.start(gateway, SUITE, "up/m") for _ in range(2)]
    await until(lambda: upstream.asked == 4)
    upstream.go.set()
    for run in both:
        await runs.finish(run)
    assert upstream.most <= 4
    assert [len(run.results) for run in both] == [12, 12]


async def test_who_stops_waiting_stops_the_run_and_leaves_nothing_behind() -> None:
    gateway, upstream = waiting()
    runs, before = Runs(gateway.hands), running()
    run = runs.start(gateway, SUITE, "up/m")
    client = spawn(runs.finish(run), "client")
    await until(lambda: upstream.asked == 4)
    client.cancel()
    await until(client.done)
    assert (run.status, upstream.now) == ("cancelled", 0)
    await until(lambda: running() == before)


async def test_a_case_without_an_answer_in_time_has_failed() -> None:
    gateway, upstream = waiting()
    runs = Runs(gateway.hands)
    run = runs.start(gateway, Suite(id="s", name="S", cases=SUITE.cases[:1]), "up/m")
    await until(lambda: upstream.asked == 1)
    gateway.hands.advance(61.0)
    await runs.finish(run)
    assert run.report.results[0].error == "No answer within 60 seconds"
    assert run.report.summary.failed == 1


async def test_only_so_many_run_and_only_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eval_runs, "MOST_KEPT", 5)
    gateway, _ = waiting()
    runs = Runs(gateway.hands)
    busy = [runs.start(gateway, SUITE, "up/m") for _ in range(4)]
    with pytest.raises(OmniError) as refusal:
        runs.start(gateway, SUITE, "up/m")
    assert refusal.value.status == 429
    await runs.close()
    assert {run.status for run in busy} == {"cancelled"}
    for _ in range(4):
        await runs.stop(runs.start(gateway, SUITE, "up/m"))
    kept = runs.list()
    assert len(kept) == 5
    assert runs.get(busy[0].id) is None
    assert kept[0] is busy[3]


async def test_no_run_goes_before_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eval_runs, "MOST_KEPT", 5)
    gateway, _ = waiting()
    runs = Runs(gateway.hands)
    made = [runs.start(gateway, SUITE, "up/m")]
    for _ in range(4):
        await runs.stop(made[-1])
        made.append(runs.start(gateway, SUITE, "up/m"))
    await runs.stop(made[-1])
    assert runs.list() == made


async def test_a_bug_in_one_case_fails_the_run(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("planted")

    monkeypatch.setattr(eval_runs, "judge", broken)
    gateway = fake_gateway(one_provider(CHAT), (200, JSON, CHAT.whole))
    runs = Runs(gateway.hands)
    run = runs.start(gateway, SUITE, "up/m")
    await runs.finish(run)
    assert (run.status, run.view().result) == ("failed", None)
    assert "planted" in caplog.text
