"""Following the calls of a gateway, and its log file without one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from omniroute.cli import logs
from omniroute.gateway.usage import CallRecord

Command = Callable[..., Result]


class Pauses:
    """What happens between two looks, one step at each; then Ctrl-C."""

    def __init__(self, *steps: Callable[[], Any]) -> None:
        self._steps: Iterator[Callable[[], Any]] = iter(steps)

    def __call__(self, seconds: float) -> None:
        step = next(self._steps, None)
        if step is None:
            raise KeyboardInterrupt
        step()


def a_call(id: str, status: int = 200, model: str = "gpt-4o", error: str = "") -> CallRecord:
    return CallRecord(
        id, 1_750_000_000.0, "POST", "/v1/chat/completions", status, "openai", model, model, "c", "main", "", "",
        "openai-chat", "openai-chat", False, 12.0, 3.0, 7, 9, error=error,
    )  # fmt: skip


def answers(*rounds: list[str]) -> Any:
    """An API whose call log holds these ids, oldest first, at each look."""
    looks = iter(rounds)
    return lambda method, path: [{"id": id} for id in reversed(next(looks))]


def test_each_call_is_shown_once_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "pause", Pauses(lambda: None, lambda: None))
    api = answers(["a", "b", "c"], ["b", "c", "d", "e"], ["c", "d", "x", "e", "f"])
    shown: list[str] = []
    with suppress(KeyboardInterrupt):
        for call in logs.calls(api, {}, 2, True):
            shown.append(call["id"])  # noqa: PERF401 - what was shown before the interrupt counts
    assert shown == ["b", "c", "d", "e", "x", "f"]


def test_an_invalid_status_is_refused_instead_of_showing_all_calls(omniroute: Callable[..., Any]) -> None:
    for word in ("timeout", "4xx", "99999"):
        answer = omniroute("logs", "--status", word)
        assert (answer.exit_code, "a number like 429, ok or error" in answer.stderr) == (2, True)


def test_filters_go_to_the_gateway() -> None:
    asked: list[str] = []

    def api(method: str, path: str) -> list[Any]:
        asked.append(path)
        return []

    assert list(logs.calls(api, {"model": "a/b", "status": "error"}, 5, False)) == []  # type: ignore[arg-type]
    assert asked == ["/api/usage/call-logs?model=a%2Fb&status=error&limit=500"]


def test_a_running_gateways_calls_are_followed_until_ctrl_c(
    omniroute: Command, make_gateway: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway()

    async def put(call: CallRecord) -> None:
        gateway.app.store.usage.put(call)

    gateway._run(put(a_call("one")))
    gateway._run(put(a_call("two", 429, error="slow down")))
    monkeypatch.setattr(logs, "pause", Pauses(lambda: gateway._run(put(a_call("three", model="o1")))))
    done = omniroute("logs", "-f", "-n", "1")
    assert done.exit_code == 0
    first, second = done.stdout.splitlines()
    assert "429  openai/gpt-4o  main  12 ms  7→9 tokens  two  slow down" in first
    assert "200  openai/o1" in second
    assert json.loads(omniroute("logs", "--json", "--status", "error").stdout)["requestId"] == "two"
    assert omniroute("logs", "--model", "o1").stdout.count("\n") == 1


def test_without_a_gateway_the_log_file_is_read_and_followed(
    omniroute: Command, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.data_dir.mkdir(parents=True)
    path: Path = settings.data_dir / "log.txt"
    path.write_text("one openai\ntwo\nthree openai\nfour openai\nhalf a l")

    def turned_over() -> None:
        path.rename(path.with_suffix(".1"))
        path.write_text("anew openai\n")

    def more() -> None:
        with path.open("a") as file:
            file.write("ine openai\n")

    monkeypatch.setattr(logs, "pause", Pauses(more, turned_over))
    done = omniroute("logs", "-f", "-n", "2", "--provider", "openai")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == ["three openai", "four openai", "half a line openai", "anew openai"]
    assert "No gateway runs here" in done.stderr
    assert [json.loads(line) for line in omniroute("logs", "--json", "-n", "1").stdout.splitlines()] == [
        {"line": "anew openai"}
    ]


def test_without_a_gateway_and_without_a_file_it_says_so(omniroute: Command) -> None:
    done = omniroute("logs")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "there is no log file" in done.stderr
    assert "LOG_TO_FILE=false" in omniroute("logs", LOG_TO_FILE="false").stderr


def test_control_characters_in_calls_do_not_reach_the_terminal() -> None:
    call = {
        "timestamp": "t", "status": 500, "provider": "p", "model": "m\x1b[2J", "account": None, "duration": 1,
        "tokens": {"in": None, "out": None}, "id": "r", "requestId": None, "error": "bad\x07",
    }  # fmt: skip
    line = logs.call_line(call, {"p": "mine"})
    assert "\x1b[2J" not in line
    assert "\x07" not in line
    assert " mine/m" in line  # a node goes by its prefix
