"""Calls to an authorization server: where they go, and what happens when nobody answers."""

from __future__ import annotations

import asyncio

import pytest

from omniroute.errors import OmniError
from omniroute.proto.headers import Headers
from omniroute.proto.proxy import Proxy
from omniroute.proto.transport import Origin, TransportError
from omniroute.upstream.oauth import OAuthClient, Refused
from omniroute.upstream.token_endpoint import TokenEndpoint, check_url

CLIENT = OAuthClient(
    provider="p", client_id="id", token_url="https://a.test/token?v=1", device_url="https://a.test:8443/device"
)


class FakeFetcher:
    """Answers with ``answer``, or raises it."""

    def __init__(self, answer: tuple[int, Headers, bytes] | Exception | None) -> None:
        self.answer = answer
        self.asked: list[tuple[Origin, str, bytes, bytes]] = []

    async def fetch(
        self, origin: Origin, method: str, path: bytes, headers: Headers, body: bytes = b"", *, limit: int
    ) -> tuple[int, Headers, bytes]:
        self.asked.append((origin, method, path, body))
        if self.answer is None:
            await asyncio.Event().wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        assert self.answer is not None
        return self.answer


def _refusal(fetcher: FakeFetcher, client: OAuthClient = CLIENT, **options: float) -> Refused:
    with pytest.raises(Refused) as caught:
        asyncio.run(TokenEndpoint(fetcher, **options).refresh(client, "rt-secret"))  # type: ignore[arg-type]
    return caught.value


def test_each_request_goes_to_its_address() -> None:
    fetcher = FakeFetcher((200, [], b'{"access_token":"at"}'))
    endpoint = TokenEndpoint(fetcher)
    assert asyncio.run(endpoint.refresh(CLIENT, "rt")).access_token == "at"
    assert asyncio.run(endpoint.exchange(CLIENT, "c", "http://x", "v")).access_token == "at"
    assert asyncio.run(endpoint.poll(CLIENT, "dc")).access_token == "at"
    assert {(asked[0], asked[1], asked[2]) for asked in fetcher.asked} == {
        (Origin("https", "a.test", 443), "POST", b"/token?v=1")
    }
    fetcher.answer = (200, [], b'{"device_code":"d","user_code":"u","verification_uri":"https://v"}')
    assert asyncio.run(endpoint.device_codes(CLIENT, "v")).device_code == "d"
    assert fetcher.asked[-1][0] == Origin("https", "a.test", 8443)


def test_a_call_goes_through_the_proxy_of_its_provider_and_account() -> None:
    proxy = Proxy("http", "p.test", 3128)
    asked: list[tuple[str, str, str]] = []

    def proxy_for(*call: str) -> Proxy:
        asked.append(call)  # type: ignore[arg-type]
        return proxy

    fetcher = FakeFetcher((200, [], b'{"access_token":"at"}'))
    asyncio.run(TokenEndpoint(fetcher, proxy_for=proxy_for).refresh(CLIENT, "rt", "account"))
    assert asked == [("p", "account", "https://a.test/token?v=1")]
    assert fetcher.asked[0][0] == Origin("https", "a.test", 443, proxy)


def test_nobody_answering_is_a_network_error() -> None:
    refusal = _refusal(FakeFetcher(TransportError("refused")))
    assert refusal.error == "network_error"
    assert "a.test" in refusal.description
    refusal = _refusal(FakeFetcher(None), timeout=0.01)
    assert (refusal.error, refusal.description) == ("network_error", "a.test did not answer within 0.01 seconds")


def test_an_address_that_must_not_be_called_is_not() -> None:
    fetcher = FakeFetcher(None)
    client = OAuthClient(provider="p", client_id="id", token_url="http://169.254.169.254/token")
    assert _refusal(fetcher, client).error == "invalid_request"
    assert fetcher.asked == []


@pytest.mark.parametrize("url", ["https://a.test/x?y=1", "http://127.0.0.1:9/t", "http://localhost/t", "http://[::1]:1/"])
def test_urls_over_tls_or_to_this_machine_may_be_called(url: str) -> None:
    check_url(url, allow_private=True)


@pytest.mark.parametrize(
    "url",
    ["http://a.test/t", "ftp://a.test", "http://169.254.169.254/", "https://u:p@a.test/", "https://a.test/?a b", "", "x"],
)
def test_any_other_url_is_refused(url: str) -> None:
    with pytest.raises(OmniError):
        check_url(url, allow_private=True)
