from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import Result

from omniroute.cli import demo
from omniroute.settings import Settings
from omniroute.translate.formats import FORMATS

Command = Callable[..., Result]
pytestmark = pytest.mark.usefixtures("ends_at_once")


def test_there_is_a_sample_for_every_wire() -> None:
    assert demo.SAMPLES.keys() == FORMATS.keys()


def test_every_wire_answers_and_the_next_steps_are_shown(omniroute: Command, settings: Settings) -> None:
    result = omniroute("demo", "--port", "0")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("✓ Hello from OmniRoute") == len(demo.SAMPLES)
    assert "curl http://127.0.0.1:" in result.stdout
    assert not (settings.data_dir / "server.json").exists()


def test_json_lists_the_answers(omniroute: Command) -> None:
    result = omniroute("demo", "--once", "--json", "--port", "0")
    answers = json.loads(result.stdout)
    assert {answer["wire"]: answer["ok"] for answer in answers} == dict.fromkeys(demo.SAMPLES, True)


def test_it_runs_whatever_the_environment_says_and_leaves_no_key_behind(omniroute: Command) -> None:
    result = omniroute("demo", "--once", "--port", "0", HOST="0.0.0.0", REQUIRE_API_KEY="true", TLS_CERT="/nowhere.pem")
    assert result.exit_code == 0, result.output
    assert "http://127.0.0.1" in result.stdout
    assert json.loads(omniroute("keys", "list", "--json").stdout) == []


@pytest.mark.parametrize(
    ("path", "said"), [("/v1/chat/completions", "something else"), ("/nowhere", "404")], ids=["another answer", "an error"]
)
def test_a_wrong_answer_fails_the_command(omniroute: Command, monkeypatch: pytest.MonkeyPatch, path: str, said: str) -> None:
    body = {"model": "demo/echo", "stream": True, "messages": [{"role": "user", "content": "something else"}]}
    monkeypatch.setattr(demo, "SAMPLES", {"openai-chat": demo.Sample(path, body)})
    result = omniroute("demo", "--once", "--port", "0")
    assert result.exit_code == 1
    assert f"unexpected answer: {said}" in result.stderr
