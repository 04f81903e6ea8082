"""The processes of a run: pinned to a core, measured from outside, always terminated."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[1]
_CORES = sorted(os.sched_getaffinity(0))
CLIENT_CORE, SERVER_CORE = _CORES[0], _CORES[-1]  # client and upstream on one, the system under test on the other


def raise_limits() -> None:
    """Raise the limit of open files to the maximum; a thousand streams need three thousand."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _end_with_parent() -> None:
    """In the child: ask for SIGTERM when the parent process ends in any way (``prctl(PR_SET_PDEATHSIG)``)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def load_average() -> float:
    """Return the load average of the last minute."""
    return os.getloadavg()[0]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A child process on one core; ``port`` is where it listens."""

    def __init__(self, command: Sequence[str], core: int, port: int = 0, env: Mapping[str, str] | None = None) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self.child = subprocess.Popen(
            ["taskset", "-c", str(core), sys.executable, *command],
            stdout=subprocess.PIPE if not port else self._log,
            stderr=self._log,
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
            env=os.environ | (env or {}),
            preexec_fn=_end_with_parent,
        )
        if port:
            self.port = port
        else:
            assert self.child.stdout is not None
            line = self.child.stdout.readline()
            if not line.strip().isdigit():
                raise RuntimeError(f"{command}: did not start: {self.log()}")
            self.port = int(line)

    def log(self) -> str:
        """Return the last lines that it wrote."""
        self._log.seek(0)
        return self._log.read()[-3000:].decode(errors="replace")

    def cpu(self) -> int:
        """Return user and system time of all its threads, including ended ones, in nanoseconds.

        ``/proc/<pid>/stat`` has this only in hundredths of a second, so it is read from the process's CPU clock.  Linux
        derives the clock's id from the process id (``MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)``).
        """
        return time.clock_gettime_ns((~self.child.pid << 3) | 2)

    def rss(self) -> int:
        """Return the resident memory in bytes."""
        for line in Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"process {self.child.pid} has no memory: it has ended: {self.log()}")

    def stop(self) -> None:
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(10)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait(10)
        if self.child.stdout is not None:
            self.child.stdout.close()
        self._log.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def upstream() -> Process:
    return Process(["-m", "bench.mock_upstream"], CLIENT_CORE)


def relay(behind: int) -> Process:
    return Process(["-m", "bench.bare_relay", "--upstream", str(behind)], SERVER_CORE)


def proto_relay(behind: int) -> Process:
    return Process(["-m", "bench.proto_relay", "--upstream", str(behind)], SERVER_CORE)


def call(port: int, method: str, path: str, body: object = None, key: str = "") -> Any:
    """Make one JSON call of the management API.  Raises ``RuntimeError`` with the answer's text."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    if key:
        request.add_header("authorization", f"Bearer {key}")
    if body is not None:
        request.data = orjson.dumps(body)
        request.add_header("content-type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return orjson.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from None


class Gateway(Process):
    """OmniRoute with its defaults, except that a gateway key is required."""

    def __init__(self, data: Path) -> None:
        port = free_port()
        self.started = time.monotonic()
        super().__init__(
            ["-m", "omniroute", "serve", "--port", str(port), "--data-dir", str(data), "--no-open"],
            SERVER_CORE,
            port,
            {"REQUIRE_API_KEY": "true", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""},
        )

    def wait(self, limit: float = 20.0) -> Gateway:
        """Wait until it answers."""
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    break
            except OSError:
                if self.child.poll() is not None or time.monotonic() - self.started > limit:
                    raise RuntimeError(f"the gateway did not start: {self.log()}") from None
                time.sleep(0.002)
        call(self.port, "GET", "/api/monitoring/health")
        return self

    def configure(self, mock: int) -> str:
        """Add two nodes that point to the mock, one for each wire; return a new gateway key."""
        for kind, prefix, extra in (
            ("openai-compatible", "mock", {"apiType": "chat"}),
            ("anthropic-compatible", "mocka", {}),
        ):
            row = {"name": prefix, "prefix": prefix, "type": kind, "baseUrl": f"http://127.0.0.1:{mock}/v1", **extra}
            node = call(self.port, "POST", "/api/provider-nodes", row)["node"]
            account = {"provider": node["id"], "name": "bench", "apiKey": "bench-upstream-key"}
            call(self.port, "POST", "/api/providers", account)
        return str(call(self.port, "POST", "/api/keys", {"name": "bench"})["key"])
