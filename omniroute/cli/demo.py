"""``omniroute demo``: the gateway with an offline provider, and one streamed request through every wire."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import msgspec

from ..app import App
from ..proto.h1_client import Origin
from ..proto.ndjson import NDJSONReader
from ..proto.sse import SSEReader
from ..settings import Settings
from ..translate.collect import collect
from ..translate.conversation import Text
from ..translate.formats import FORMATS
from .output import bad, console, good
from .serve import start

MODEL: Final = "demo/echo"
_QUESTION: Final = "Hello from OmniRoute: one endpoint, every wire."


class Sample(NamedTuple):
    """One wire's path and request."""

    path: str
    body: dict[str, Any]


_MESSAGES: Final = [{"role": "user", "content": _QUESTION}]
SAMPLES: Final[dict[str, Sample]] = {
    "openai-chat": Sample("/v1/chat/completions", {"model": MODEL, "stream": True, "messages": _MESSAGES}),
    "anthropic": Sample("/v1/messages", {"model": MODEL, "stream": True, "max_tokens": 256, "messages": _MESSAGES}),
}


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 picks a free one.")
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where database, keys and logs live.")
@click.option("--once", is_flag=True, help="Stop after the answers instead of leaving the gateway running.")
@click.pass_obj
def demo(settings: Settings, port: int | None, data_dir: Path | None, once: bool) -> None:
    """Start the gateway with the offline provider demo/echo and ask it something in every wire format."""
    changes = {name: value for name, value in (("port", port), ("data_dir", data_dir)) if value is not None}
    failed: list[str] = []

    async def ask_all(app: App, port: int) -> None:
        await app.start_demo()
        for wire, sample in SAMPLES.items():
            answer = await ask(app, port, wire, sample)
            console.print(f"\n[bold]{wire}[/bold]  POST {sample.path}  model {MODEL}")
            if answer == _QUESTION:
                good(answer)
            else:
                bad(f"unexpected answer: {answer}")
                failed.append(wire)
        if once:
            app.stop()
        else:
            _what_next(port)

    start(dataclasses.replace(settings, **changes), ask_all)
    if failed:
        raise SystemExit(1)


def _what_next(port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    body = '{"model":"demo/echo","messages":[{"role":"user","content":"hi"}]}'
    console.print(f"\nThe gateway keeps running. Try it, and stop it with Ctrl+C:\n  curl {url}/v1/chat/completions -d '{body}'")


async def ask(app: App, port: int, wire: str, sample: Sample) -> str:
    """Send the sample to our own port and read the streamed answer's text."""
    form = FORMATS[wire]
    headers = [(b"content-type", b"application/json")]
    body = msgspec.json.encode(sample.body)
    call = await app.client.open(Origin("http", "127.0.0.1", port), "POST", sample.path.encode(), headers, body)
    raw = await call.read(1024 * 1024)
    if call.status != 200:
        return f"{call.status} {raw.decode('utf-8', 'replace')}"
    reader = SSEReader() if form.framing == "sse" else NDJSONReader()
    decoder = form.stream_decoder()
    events = [event for name, data in (*reader.feed(raw), *reader.finish()) for event in decoder.feed(name, data)]
    blocks = collect([*events, *decoder.eof()]).blocks
    return "".join(block.text for block in blocks if isinstance(block, Text))
