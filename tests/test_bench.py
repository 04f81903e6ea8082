"""The benchmarks measure correctly: relay and mock give right answers, and wrong ones are noticed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop
from fakes_store import a_store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pins processes to cores and reads their CPU clocks")
if sys.platform == "linux":
    from bench import bodies, books, load, procs, rows, run
    from bench.answers import MARK

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"


@pytest.fixture(scope="module")
def relay() -> Iterator[procs.Process]:
    with procs.upstream() as mock, procs.relay(mock.port) as process:
        yield process


def _shot(relay: procs.Process, path: str, model: str, *, stream: bool = False, times: int = 1) -> load.Shot:
    body = (bodies.chat if path == CHAT else bodies.messages)(model, stream=stream)
    return load.shot(relay.port, path, body, b"tok-" if stream else MARK, times=times)


def test_every_row_has_a_limit_and_every_limit_a_row() -> None:
    assert list(run.limits()) == list(rows.ROWS)


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_whole_answers_come_through_the_relay_unchanged(relay: procs.Process, path: str) -> None:
    result = uvloop.run(load.closed(_shot(relay, path, "gpt-mock"), 8, 100))
    assert (result.count, dict(result.errors)) == (100, {})


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_streams_come_through_the_relay_with_every_event(relay: procs.Process, path: str) -> None:
    result = uvloop.run(load.closed(_shot(relay, path, "events-50", stream=True, times=50), 8, 50))
    assert (result.count, dict(result.errors)) == (50, {})


def test_a_large_body_reaches_the_mock_whole(relay: procs.Process) -> None:
    body = bodies.chat("gpt-mock", agent=True)
    assert 75_000 < len(body) < 95_000
    assert uvloop.run(load.closed(load.shot(relay.port, CHAT, body, MARK), 4, 20)).count == 20


def test_the_open_loop_keeps_its_rate_and_counts_from_the_due_time(relay: procs.Process) -> None:
    result = uvloop.run(load.opened(_shot(relay, CHAT, "gpt-mock"), 8, 500, 0.4))
    assert dict(result.errors) == {}
    assert 120 < result.count < 280
    assert min(result.latencies) > 0


def test_live_streams_tell_events_cpu_and_delays(relay: procs.Process) -> None:
    shot = _shot(relay, CHAT, "paced-120x5ms", stream=True, times=120)
    live = uvloop.run(load.live(shot, 4, 0.1, relay.cpu))
    assert live.events > 20
    assert live.cpu > 0
    assert 0 < live.delays.percentile(0.5) < 1_000_000


def test_silent_streams_stay_open_while_they_are_looked_at(relay: procs.Process) -> None:
    assert uvloop.run(load.hold(_shot(relay, CHAT, "hold", stream=True), 10, relay.rss)) > 1024 * 1024


def test_a_wrong_answer_is_an_error_and_not_a_measurement(relay: procs.Process) -> None:
    wrong = load.shot(relay.port, CHAT, bodies.chat("gpt-mock"), b"something else")
    result = uvloop.run(load.closed(wrong, 2, 4))
    assert result.count == 0
    with pytest.raises(RuntimeError, match="0 of 1"):
        result.check()


def test_a_status_other_than_200_is_an_error(relay: procs.Process) -> None:
    result = uvloop.run(load.closed(load.shot(relay.port, "/nowhere", b"{}", MARK), 2, 4))
    assert dict(result.errors) == {"status 404": 4}


def test_percentiles_are_in_microseconds() -> None:
    result = load.Result(latencies=[n * 1000 for n in range(1, 101)])
    assert (result.percentile(0.5), result.percentile(0.99), load.Result().percentile(0.5)) == (51.0, 100.0, 0.0)


def test_the_table_shows_what_is_over_its_limit(capsys: pytest.CaptureFixture[str]) -> None:
    limit = run.Limit("a row", "×", 3.0)
    good = run.Outcome("a", limit, rows.Reading(2.9, "29 µs", "10 µs"))
    bad = run.Outcome("b", limit, rows.Reading(3.1, "31 µs", "10 µs"))
    assert (good.ok, bad.ok) == (True, False)
    run.report([good, bad])
    assert "OVER" in capsys.readouterr().out
    assert "| a row | 29 µs | 10 µs | 2.90 × | 3 × |" in run.markdown([good])


async def test_the_books_of_the_analytics_row_fit_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "CALLS", 100)
    async with a_store(tmp_path):
        pass
    books.fill(tmp_path)
    async with a_store(tmp_path) as store:
        assert sum(day.requests for day in await store.analytics.totals("day")) == 100
