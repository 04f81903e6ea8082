from __future__ import annotations

from typing import Any

from attempts import BOTH, ready, run
from data_plane import JSON
from fakes_gateway import fake_gateway, one_provider
from wires import CHAT, SAID, WIRES, Wire

from omniroute.gateway.answer_events import stamp
from omniroute.gateway.render import Prepared


def test_the_stamp_has_what_an_upstream_may_not_say() -> None:
    gateway = fake_gateway(one_provider(CHAT))
    made = ready(gateway, CHAT, stream=True)
    mark = stamp(gateway, made, Prepared(b"", (), {"a": "b"}, False))
    assert (mark.id, mark.created, mark.model) == ("0f8fad5bd9cb469fa16570867728950e", int(gateway.hands.now), "up/m")
    assert (mark.include_usage, mark.names) == (True, {"a": "b"})


@BOTH
async def test_a_whole_answer_to_a_stream_request_is_streamed_with_its_usage(wire: Wire) -> None:
    for client in WIRES:
        gateway = fake_gateway(one_provider(wire), (200, JSON, wire.whole))
        made = ready(gateway, client, stream=True)
        assert await run(gateway, made) is None
        exchange: Any = made.exchange
        assert client.text(exchange.text, True) == SAID
        assert exchange.header(b"content-type").startswith(b"text/event-stream")
        assert made.usage is not None
