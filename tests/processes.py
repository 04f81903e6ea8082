"""A gateway in a process of its own, and what tests ask of it."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

START_SECONDS = 20.0


class Process:
    """A gateway in a process of its own."""

    def __init__(self, data: Path, **environment: str) -> None:
        self.data = data
        self.environment = {**_clean_environment(), "LOG_LEVEL": "warning", **environment}
        self.port = 0
        self.token = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Process:
        (self.data / "server.json").unlink(missing_ok=True)
        command = [sys.executable, "-m", "omniroute", "serve", "--port", "0", "--data-dir", str(self.data)]
        self.data.mkdir(parents=True, exist_ok=True)
        with (self.data / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(command, env=self.environment, stdout=output, stderr=output)
        deadline = time.monotonic() + START_SECONDS
        while not (self.data / "server.json").exists() or not (self.data / "server.json").read_bytes():
            assert self._process.poll() is None, (self.data / "output.txt").read_text()
            assert time.monotonic() < deadline, "the gateway did not start"
            time.sleep(0.02)
        record = json.loads((self.data / "server.json").read_text())
        self.port, self.token = record["port"], record["token"]
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self.wait()

    def wait(self) -> int:
        """The exit status of a process that was told to end."""
        assert self._process is not None
        return self._process.wait(20)

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """One plain HTTP request; *body* is sent as JSON, bytes as they are."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        fields = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        connection.request(method, path, raw, fields)
        answer = connection.getresponse()
        out = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        connection.close()
        return out

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """One management call with the owner's token; fails the test unless it succeeds."""
        status, _, raw = self.request(method, path, body, authorization=f"Bearer {self.token}")
        assert status < 300, (status, raw)
        return json.loads(raw)

    def add_node(self, prefix: str, base_url: str, kind: str = "openai-compatible", *keys: str) -> str:
        """A node (``openai-compatible:responses`` for that API) and its connections; returns the node's id."""
        kind, _, api = kind.partition(":")
        node = {"name": prefix, "prefix": prefix, "type": kind, "baseUrl": base_url}
        if kind == "openai-compatible":
            node["apiType"] = api or "chat"
        node_id: str = self.api("POST", "/api/provider-nodes", node)["node"]["id"]
        for n, key in enumerate(keys or ("k-upstream-1",)):
            self.api("POST", "/api/providers", {"provider": node_id, "apiKey": key, "name": f"acct{n}"})
        return node_id


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
