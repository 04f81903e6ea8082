from __future__ import annotations

import asyncio
from typing import Any

from omniroute.proto.proxy import Proxy
from omniroute.proto.transport import Origin
from omniroute.upstream.fetcher import Through

PROXY = Proxy("http", "p.test", 3128)


def test_only_the_way_to_the_origin_changes() -> None:
    asked: list[Any] = []

    class Client:
        async def fetch(self, *request: Any, limit: int) -> tuple[int, list[Any], bytes]:
            asked.extend([*request, limit])
            return 200, [], b"yes"

    fetched = Through(Client(), PROXY).fetch(Origin("https", "h", 443), "POST", b"/a", [(b"b", b"c")], b"d", limit=9)
    assert asyncio.run(fetched) == (200, [], b"yes")
    assert asked == [Origin("https", "h", 443, PROXY), "POST", b"/a", [(b"b", b"c")], b"d", 9]
