"""A hundred megabytes of sound go through a real gateway and leave its memory as it was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path

from processes import Process

from omniroute.clock import Clock
from omniroute.proto.transport import Origin
from omniroute.settings import Limits
from omniroute.upstream.request import Source
from omniroute.upstream.send import Client

PIECE = bytes(range(256)) * 1024  # a quarter of a megabyte
PIECES = 400
HEAD = b'--X\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\x00\x00\x00\x00WAVE'
TAIL = b'\r\n--X\r\nContent-Disposition: form-data; name="model"\r\n\r\n%s\r\n--X--\r\n'
ANSWER = json.dumps({"text": "Hello.", "language": "english", "duration": 1.0}).encode()


class Sink:
    """An upstream that counts what comes and keeps nothing."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        left = int(head.lower().partition(b"content-length:")[2].split()[0])
        self.sizes.append(left)
        while left:
            left -= len(await reader.read(min(left, 1 << 20)))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER))
        writer.write(ANSWER)
        writer.close()


def memory(pid: int, name: str) -> int:
    """KiB: ``VmRSS`` in use, ``VmHWM`` at the highest (proc_pid_status(5))."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1])


def forget_highest(pid: int) -> None:
    """Let ``VmHWM`` be measured from here."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


async def send(client: Client, gateway: Process, model: str, pieces: int) -> bytes:
    tail = TAIL % model.encode()

    async def form() -> AsyncGenerator[bytes, None]:
        yield HEAD
        for _ in range(pieces):
            yield PIECE
        yield tail

    body = Source(len(HEAD) + pieces * len(PIECE) + len(tail), form)
    fields = [(b"content-type", b"multipart/form-data; boundary=X")]
    origin = Origin("http", "127.0.0.1", gateway.port)
    _, _, answer = await client.fetch(origin, "POST", b"/v1/audio/transcriptions", fields, body, limit=99_999)
    return answer


async def test_a_hundred_megabytes_of_sound_leave_memory_as_it_was(gateway: Process) -> None:
    sink = Sink()
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0, limit=1 << 20)
    port = server.sockets[0].getsockname()[1]
    node = gateway.add_node("sink", f"http://127.0.0.1:{port}/v1", "openai-compatible", "k-sink")
    client = Client(Limits(), Clock())
    try:
        await send(client, gateway, "sink/whisper-1", 8)  # what is loaded once is loaded now
        forget_highest(gateway.pid)
        before = memory(gateway.pid, "VmRSS")
        answer = json.loads(await send(client, gateway, "sink/whisper-1", PIECES))
        assert answer == {"text": "Hello.", "task": "transcribe", "language": "english", "duration": 1.0}
        assert sink.sizes[1] > PIECES * len(PIECE)
        assert memory(gateway.pid, "VmHWM") - before < 20 * 1024
    finally:
        server.close()
        await client.close()
        gateway.api("DELETE", f"/api/provider-nodes/{node}")
