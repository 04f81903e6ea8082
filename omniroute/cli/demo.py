"""``omniroute demo``: the gateway with an offline provider, and one streamed request in every wire format."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import click
import msgspec

from ..app import App
from ..errors import OmniError
from ..proto.headers import Headers
from ..proto.ndjson import NDJSONReader
from ..proto.sse import SSEReader
from ..proto.transport import Origin, TransportError
from ..settings import Settings
from ..translate.collect import collect
from ..translate.conversation import Text
from ..translate.formats import FORMATS
from .output import as_json, bad, good, say, shared
from .serve import start, tell

MODEL: Final = "demo/echo"
_QUESTION: Final = "Hello from OmniRoute: one endpoint, every wire."
_LARGEST: Final = 1024 * 1024


class Sample(NamedTuple):
    """The path and body of one wire format's request."""

    path: str
    body: dict[str, Any]


class Result(NamedTuple):
    """The outcome of one sample; ``ok`` when the expected answer came back."""

    wire: str
    path: str
    ok: bool
    answer: str


_MESSAGES: Final = [{"role": "user", "content": _QUESTION}]
_INPUT: Final = [{"role": "user", "content": [{"type": "input_text", "text": _QUESTION}]}]
_CONTENTS: Final = [{"role": "user", "parts": [{"text": _QUESTION}]}]
SAMPLES: Final[dict[str, Sample]] = {
    "openai-chat": Sample("/v1/chat/completions", {"model": MODEL, "stream": True, "messages": _MESSAGES}),
    "openai-responses": Sample("/v1/responses", {"model": MODEL, "stream": True, "input": _INPUT}),
    "anthropic": Sample("/v1/messages", {"model": MODEL, "stream": True, "max_tokens": 256, "messages": _MESSAGES}),
    "gemini": Sample(f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse", {"contents": _CONTENTS}),
    "ollama": Sample("/api/chat", {"model": MODEL, "messages": _MESSAGES}),
    "ollama-generate": Sample("/api/generate", {"model": MODEL, "prompt": _QUESTION}),
}


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 picks a free one.")
@click.option("--once", is_flag=True, help="Stop after the answers instead of keeping the gateway running.")
@shared
def demo(settings: Settings, port: int | None, once: bool, json_out: bool) -> None:
    """Start the gateway with an offline provider and send it a request in every wire format.

    Nothing leaves this machine.
    """
    # plain HTTP on loopback, whatever HOST and the TLS settings say
    settings = dataclasses.replace(settings, host="127.0.0.1", tls_cert="", tls_key="")
    if port is not None:
        settings = dataclasses.replace(settings, port=port)
    results: list[Result] = []

    def announce(app: App, port: int, guarded: bool) -> None:
        if not json_out:
            tell(app.settings, port, guarded, json_out=False)

    async def ask_all(app: App, port: int) -> None:
        await app.start_demo()
        async with _key(app) as headers:
            for wire in SAMPLES:
                results.append(await ask(app, port, wire, headers))
                if not json_out:
                    _show(results[-1])
        if json_out:
            as_json([result._asdict() for result in results])
        elif not once:
            _what_next(app, port)
        if once:
            app.stop()

    start(settings, announce, ask_all)
    if any(not result.ok for result in results):
        raise SystemExit(1)


def _show(result: Result) -> None:
    say()
    say(f"{result.wire}  POST {result.path}  model {MODEL}", bold=True)
    if result.ok:
        good(result.answer)
    else:
        bad(f"unexpected answer: {result.answer}")


def _what_next(app: App, port: int) -> None:
    key = ' -H "Authorization: Bearer <key>"' if app.settings.require_api_key else ""
    body = '{"model":"demo/echo","messages":[{"role":"user","content":"hi"}]}'
    say("\nThe gateway keeps running. Try it, and stop it with Ctrl+C:")
    say(f"  curl http://127.0.0.1:{port}/v1/chat/completions{key} -d '{body}'")


@asynccontextmanager
async def _key(app: App) -> AsyncIterator[Headers]:
    """The header fields with a temporary key, deleted after the block; none where the gateway requires no key."""
    if not app.settings.require_api_key:
        yield []
        return
    row, text = await app.store.keys.create("demo")
    try:
        yield [(b"authorization", b"Bearer " + text.encode())]
    finally:
        await app.store.keys.delete(row.id)


async def ask(app: App, port: int, wire: str, headers: Headers) -> Result:
    """Send the sample of *wire* to the gateway on *port* and read the streamed answer."""
    path, body = SAMPLES[wire]
    origin = Origin("http", "127.0.0.1", port)
    fields = [(b"content-type", b"application/json"), *headers]
    try:
        call = await app.client.open(origin, "POST", path.encode(), fields, msgspec.json.encode(body))
        raw = await call.read(_LARGEST)
        answer = _text(wire, raw) if call.status == 200 else f"{call.status} {raw.decode('utf-8', 'replace')}"
    except (TransportError, OmniError) as error:
        answer = str(error)
    return Result(wire, path, answer == _QUESTION, answer)


def _text(wire: str, raw: bytes) -> str:
    form = FORMATS[wire]
    reader = SSEReader() if form.framing == "sse" else NDJSONReader()
    decoder = form.stream_decoder()
    events = [event for name, data in (*reader.feed(raw), *reader.finish()) for event in decoder.feed(name, data)]
    blocks = collect([*events, *decoder.eof()]).blocks
    return "".join(block.text for block in blocks if isinstance(block, Text))
