"""A headless browser, driven through its debugging pipe without a package or an open port."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SECONDS = 20.0
_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-pipe",
]  # fmt: skip
# Descriptors 3 and 4 may be in use in this process, so the pipes are moved there just before the browser starts.
_MOVE = """
import os, sys
from fcntl import F_DUPFD, fcntl
for number, pipe in enumerate([fcntl(int(text), F_DUPFD, 10) for text in sys.argv[1:3]], 3):
    os.dup2(pipe, number)
os.execv(sys.argv[3], sys.argv[3:])
"""


class PageLeft(Exception):
    """The page was left while a script ran."""


class Browser:
    """One page.  The browser reads commands from descriptor 3 and writes to 4, each message ended by a zero byte."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()
        command = [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _MOVE, str(to_read), str(to_write), *command],
            pass_fds=(to_read, to_write), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self._buffer = b""
        self._count = 0
        self._context = ""
        self.begin()

    def begin(self, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        """Close the page and open one that shares nothing with it."""
        self._session = ""
        self._origin = ""
        self.complaints: list[str] = []  # console errors, uncaught exceptions, refusals by the content security policy
        self.elsewhere: list[str] = []  # requests to other hosts
        if self._context:
            self._call("Target.disposeBrowserContext", browserContextId=self._context)
        self._context = self._call("Target.createBrowserContext")["browserContextId"]
        target = self._call("Target.createTarget", url="about:blank", browserContextId=self._context)["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")
        self.resize(width, height, dark)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._to)  # the browser ends when its pipe does
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        os.close(self._from)

    def resize(self, width: int, height: int, dark: bool = False) -> None:
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._call("Emulation.setEmulatedMedia", features=features)

    def open(self, url: str) -> None:
        self._origin = "/".join(url.split("/")[:3])
        self._call("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page; None if the page was left before."""
        try:
            answer = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        except PageLeft:
            return None
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, script: str) -> Any:
        """Wait until the expression is true."""
        deadline = time.monotonic() + SECONDS
        while not (value := self.run(script)):
            assert time.monotonic() < deadline, f"never true: {script}\n{self.text()}\n{self.complaints}"
            select.select([self._from], [], [], 0.05)
        return value

    def text(self) -> str:
        return str(self.run("document.body.innerText"))

    def sees(self, text: str) -> None:
        self.until(f"document.body?.innerText.includes({json.dumps(text)})")  # there is no body while a page is loaded

    def click(self, label: str) -> None:
        """Click the last visible button or link with this text: a dialog's come after the page's."""
        named = f"e.textContent === {json.dumps(label)} && !e.disabled"
        found = f"[...document.querySelectorAll('button, a')].filter(e => {named})"
        self.until(f"{found}.length > 0")
        self.run(f"{found}.at(-1).click()")

    def fill(self, label: str, value: str) -> None:
        """Type into the control with this label."""
        named = f"e.firstChild?.textContent === {json.dumps(label)}"
        find = f"[...document.querySelectorAll('label')].filter(e => {named}).at(-1)"
        self.until(f"!!{find}")
        self.run(
            f"(() => {{ const c = document.getElementById({find}.htmlFor); c.focus(); c.value = {json.dumps(value)}; "
            "for (const kind of ['input', 'change']) c.dispatchEvent(new Event(kind, {bubbles: true})); })()"
        )

    def screenshot(self, path: Path, whole: bool = False) -> None:
        data = self._call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                if "error" in answer and "navigated" in answer["error"]["message"]:
                    raise PageLeft(method)
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + SECONDS
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            piece = os.read(self._from, 65536)
            assert piece, "the browser has ended"
            self._buffer += piece
        raw, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(raw)
        return message

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("sessionId", "") != self._session:
            return  # the last word of a page that was closed
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"].get("exception", {}).get("description")))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error" and params["entry"]["source"] != "network":
            self.complaints.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if self._origin and not url.startswith((self._origin, "data:", "about:")):
                self.elsewhere.append(url)
