"""Real processes on loopback: the gateway, and a provider that replays recorded exchanges."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import Process
from shared import SHARED


@pytest.fixture(scope="session")
def replay() -> Iterator[str]:
    """The base URL of the replaying provider; the requested model is the id of the recording."""
    if SHARED is None:
        pytest.skip("the recorded provider exchanges are not beside the project")
    command = [sys.executable, str(SHARED / "tools" / "replay_upstream.py"), "--recordings", str(SHARED / "recordings")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    line = process.stdout.readline().decode()
    yield line.split()[-1].strip()
    process.terminate()
    process.wait(10)
    process.stdout.close()


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A gateway shared by tests that do not change it."""
    process = Process(tmp_path_factory.mktemp("gateway"), ALLOW_MULTI_CONNECTIONS_PER_COMPAT_NODE="true").start()
    yield process
    assert process.stop() == 0


@pytest.fixture(scope="session")
def replaying(gateway: Process, replay: str) -> Process:
    """The shared gateway with a node of each wire format for the replaying provider."""
    gateway.add_node("rec-chat", f"{replay}/v1", "openai-compatible")
    gateway.add_node("rec-responses", f"{replay}/v1", "openai-compatible:responses")
    gateway.add_node("rec-messages", f"{replay}/v1", "anthropic-compatible")
    gateway.add_node("rec-gemini", f"{replay}/v1beta", "gemini-compatible")
    gateway.add_node("rec-ollama", replay, "ollama-compatible")
    return gateway


@pytest.fixture
def make_gateway(tmp_path: Path) -> Iterator[Any]:
    """Starts gateways for one test: ``make_gateway(NAME="value")`` sets environment variables."""
    made: list[Process] = []

    def make(**environment: str) -> Process:
        process = Process(tmp_path / "data", ALLOW_MULTI_CONNECTIONS_PER_COMPAT_NODE="true", **environment).start()
        made.append(process)
        return process

    yield make
    for process in made:
        process.stop()


@pytest.fixture(scope="session")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A gateway with timeouts short enough for tests."""
    process = Process(
        tmp_path_factory.mktemp("hasty"),
        ALLOW_MULTI_CONNECTIONS_PER_COMPAT_NODE="true",
        FETCH_TIMEOUT_MS="200",
        STREAM_IDLE_TIMEOUT_MS="200",
        CONNECT_TIMEOUT_MS="1000",
        KEEPALIVE_INTERVAL_MS="50",
    ).start()
    yield process
    assert process.stop() == 0
