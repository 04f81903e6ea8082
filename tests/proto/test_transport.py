from __future__ import annotations

import pytest

from omniroute.proto.proxy import Proxy
from omniroute.proto.transport import Origin, TransportError, forwards


@pytest.mark.parametrize(
    ("scheme", "proxy", "forwarded"),
    [
        ("http", Proxy("http", "p", 8080), True),
        ("http", Proxy("https", "p", 8080), True),
        ("http", Proxy("socks5", "p", 1080), False),
        ("https", Proxy("http", "p", 8080), False),
        ("http", None, False),
    ],
)
def test_only_plain_http_goes_through_an_http_proxy_without_a_tunnel(
    scheme: str, proxy: Proxy | None, forwarded: bool
) -> None:
    assert forwards(Origin(scheme, "h", 80, proxy)) is forwarded


def test_an_error_without_a_message_is_named_by_its_reason() -> None:
    assert str(TransportError("refused")) == "refused"
    assert str(TransportError("reset", "connection reset")) == "connection reset"
