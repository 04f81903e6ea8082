from __future__ import annotations

import pytest

from omniroute.proto.exchange import Exchange, Refusal, Request


def test_a_request_gives_the_first_value_of_a_field() -> None:
    request = Request("GET", "/a", "x=1", [(b"accept", b"a"), (b"accept", b"b")])
    assert request.header(b"accept") == b"a"
    assert request.header(b"host") is None


def test_a_request_does_not_share_its_fields_with_another() -> None:
    one, other = Request("GET", "/"), Request("GET", "/")
    one.headers.append((b"a", b"b"))
    one.reply_headers.append((b"a", b"b"))
    one.params["a"] = "b"
    assert (other.headers, other.reply_headers, other.params) == ([], [], {})


def test_a_new_exchange_has_said_nothing() -> None:
    exchange = Exchange(Request("GET", "/"))
    assert (exchange.status, exchange.started, exchange.finished, exchange.gone) == (0, False, False, False)


@pytest.mark.parametrize("call", ["end", "abort", "chunks"])
def test_what_sends_is_the_servers_to_provide(call: str) -> None:
    with pytest.raises(NotImplementedError):
        getattr(Exchange(Request("GET", "/")), call)()


def test_a_refusal_is_a_whole_answer() -> None:
    refusal = Refusal(405, [(b"allow", b"GET")])
    assert (refusal.status, refusal.headers, refusal.body) == (405, [(b"allow", b"GET")], b"")
