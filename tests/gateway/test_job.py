from __future__ import annotations

import pytest
from fakes_gateway import exchange, fake_gateway, one_provider
from wires import CHAT, WIRES, Wire

from omniroute.gateway.job import ChatJob, Line


@pytest.mark.parametrize("wire", WIRES, ids=repr)
def test_a_job_begins_knowing_nothing_but_its_wire(wire: Wire) -> None:
    made = ChatJob(exchange(wire, {}), Line(wire.name, "only"), 5.0)
    assert (made.wire, made.format.name, made.line.only, made.began) == (wire.name, wire.name, "only", 5.0)
    assert (made.attempts, made.status, made.requested, made.notes, made.dropped) == (0, 0, "", "", ())
    assert not made.complete
    for name in ("peek", "ask", "key", "route", "account", "usage", "first_byte", "failure"):
        assert getattr(made, name) is None


def test_what_calls_share_is_made_once() -> None:
    gateway = fake_gateway(one_provider(CHAT), require_key=True)
    assert gateway.require_key
    assert gateway.live.snapshot.prefixes == {"up": "node-up"}
