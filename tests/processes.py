"""A gateway in a separate process, and the requests of tests to it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

START_SECONDS = 20.0


class Process:
    """A gateway in a separate process."""

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
        """Wait for the process to end; return its exit status."""
        assert self._process is not None
        return self._process.wait(20)

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Make one plain HTTP request; *body* is sent as JSON, bytes unchanged."""
        with Line(self.port) as line:
            return line.request(method, path, body, **headers)

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Make one management call with the owner's token; the test fails unless it succeeds."""
        status, _, raw = self.request(method, path, body, authorization=f"Bearer {self.token}")
        assert status < 300, (status, raw)
        return json.loads(raw)

    def add_node(self, prefix: str, base_url: str, kind: str = "openai-compatible", *keys: str) -> str:
        """Add a node (``openai-compatible:responses`` for that API) and its connections; return the node's id."""
        kind, _, api = kind.partition(":")
        node = {"name": prefix, "prefix": prefix, "type": kind, "baseUrl": base_url}
        if kind == "openai-compatible":
            node["apiType"] = api or "chat"
        node_id: str = self.api("POST", "/api/provider-nodes", node)["node"]["id"]
        for n, key in enumerate(keys or ("k-upstream-1",)):
            self.api("POST", "/api/providers", {"provider": node_id, "apiKey": key, "name": f"acct{n}"})
        return node_id


class Line:
    """A persistent connection, for tests that send thousands of requests."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sock: socket.socket | None = None
        self._buffer = b""
        self._heard = False

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self._hang_up()

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """As :meth:`Process.request`."""
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        fields = {"host": f"127.0.0.1:{self._port}", "accept-encoding": "identity", "content-type": "application/json"}
        if raw is not None or method in ("POST", "PUT", "PATCH"):
            fields["content-length"] = str(len(raw or b""))
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        asked = "\r\n".join([*lines, "\r\n"]).encode("latin-1") + (raw or b"")
        kept, self._heard = self._sock is not None, False
        try:
            return self._ask(method, asked)
        except ConnectionError:
            self._hang_up()
            if self._heard or not kept:
                raise
        return self._ask(method, asked)  # the server has closed the connection meanwhile

    def _ask(self, method: str, asked: bytes) -> tuple[int, dict[str, str], bytes]:
        if self._sock is None:
            self._sock = socket.create_connection(("127.0.0.1", self._port), timeout=20)
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(BrokenPipeError):  # the server may answer without reading the whole body
            self._sock.sendall(asked)
        begin, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status = begin.split(" ", 2)[:2]
        assert version == "HTTP/1.1", begin
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = self._body(method, int(status), fields)
        if fields.get("connection", "").lower() == "close":
            self._hang_up()
        return int(status), fields, body

    def _body(self, method: str, status: int, fields: dict[str, str]) -> bytes:
        if method == "HEAD" or status in (204, 304):
            return b""
        if "transfer-encoding" not in fields:
            return self._take(int(fields["content-length"]))
        out = []
        while size := int(self._until(b"\r\n").partition(b";")[0], 16):
            out.append(self._take(size))
            assert self._take(2) == b"\r\n"
        assert self._until(b"\r\n") == b""
        return b"".join(out)

    def _until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            self._more()
        before, _, self._buffer = self._buffer.partition(end)
        return before

    def _take(self, size: int) -> bytes:
        pieces, length = [self._buffer], len(self._buffer)
        while length < size:
            self._buffer = b""
            self._more()
            pieces.append(self._buffer)
            length += len(self._buffer)
        whole = b"".join(pieces)
        self._buffer = whole[size:]
        return whole[:size]

    def _more(self) -> None:
        assert self._sock is not None
        data = self._sock.recv(65536)
        if not data:
            raise ConnectionResetError("the gateway closed the connection")
        self._buffer += data
        self._heard = True

    def _hang_up(self) -> None:
        if self._sock is not None:
            self._sock.close()
        self._sock, self._buffer = None, b""


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
