"""Proxies on loopback: HTTP (CONNECT and forwarding, also over TLS) and SOCKS5, which record their requests."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from omniroute.proto.proxy import Proxy


class AProxy:
    """``asked``: the targets, as the client named them.  ``hosts`` maps names to addresses."""

    def __init__(self, scheme: str = "http", user: str = "", password: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.scheme = scheme
        self.credentials = (user, password)
        self.asked: list[str] = []
        self.hosts: dict[str, str] = {}
        self.refuses = 0  # status to answer with
        self.port = 0
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    def proxy(self, host: str = "127.0.0.1", **changes: str) -> Proxy:
        return Proxy(self.scheme, host, self.port, *self.credentials)._replace(**changes)  # type: ignore[arg-type]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await (self._socks if self.scheme == "socks5" else self._http)(reader, writer)
        except (OSError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        self.asked.append(f"{method} {target}")
        wanted = b"Basic " + b64encode(":".join(self.credentials).encode())
        if any(self.credentials) and b"proxy-authorization: " + wanted not in head:
            self.refuses = 407
        if self.refuses:
            writer.write(b"HTTP/1.1 %d No\r\ncontent-length: 0\r\n\r\n" % self.refuses)
            return
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            there = await self._open(host.strip("[]"), int(port))
            writer.write(b"HTTP/1.1 200 OK\r\nvia: test\r\n\r\n")
            await self._join(reader, writer, *there)
            return
        url = urlsplit(target)
        there = await self._open(url.hostname or "", url.port or 80)
        plain = head.replace(f"{url.scheme}://{url.netloc}".encode(), b"", 1)
        lines = [line for line in plain.split(b"\r\n") if not line.startswith(b"proxy-")]
        there[1].write(b"\r\n".join(lines))
        await self._join(reader, writer, *there)

    async def _socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        method = 2 if any(self.credentials) else 0
        if method not in methods:
            writer.write(b"\x05\xff")
            return
        writer.write(bytes((5, method)))
        if method:
            _, length = await reader.readexactly(2)
            user = (await reader.readexactly(length)).decode()
            password = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
            good = (user, password) == self.credentials
            writer.write(b"\x01\x00" if good else b"\x01\x01")
            if not good:
                return
        kind = (await reader.readexactly(4))[3]
        host = await self._socks_host(reader, kind)
        port = int.from_bytes(await reader.readexactly(2), "big")
        self.asked.append(f"{host}:{port}")
        writer.write(bytes((5, self.refuses, 0, 1)) + bytes(6))
        if not self.refuses:
            await self._join(reader, writer, *await self._open(host, port))

    async def _socks_host(self, reader: asyncio.StreamReader, kind: int) -> str:
        if kind == 3:
            return (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        raw = await reader.readexactly(4 if kind == 1 else 16)
        return ".".join(map(str, raw)) if kind == 1 else raw.hex()

    async def _open(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(self.hosts.get(host, host), port)
        self._writers.add(writer)
        return reader, writer

    async def _join(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        self._writers.discard(far_writer)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
