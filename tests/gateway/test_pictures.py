from __future__ import annotations

import pytest
from data_plane import until
from media_plane import media_snapshot
from proxies import AProxy
from scripted_upstream import HANG, Answer, ScriptedUpstream

from omniroute.clock import Clock
from omniroute.errors import OmniError
from omniroute.gateway import pictures
from omniroute.gateway.job import Gateway
from omniroute.gateway.live import Live
from omniroute.gateway.outbound import Via
from omniroute.gateway.pictures import Way, fetch_all, locate
from omniroute.proto.transport import Origin
from omniroute.settings import Limits
from omniroute.upstream.send import Client

PNG = [("content-type", "image/png")]


def direct(_: str) -> None:
    return None


async def fetched(upstream: ScriptedUpstream, url: str = "/a.png", way: Way = direct) -> bytes:
    clock = Clock()
    client = Client(Limits(), clock)
    gateway = Gateway(Live(clock, media_snapshot("openai", upstream.url), lambda record: None), client, Limits(), clock)
    url = url if "//" in url else upstream.url + url
    try:
        return (await fetch_all(gateway, (url,), upstream.origin, way))[url]
    finally:
        await client.close()


async def failure(upstream: ScriptedUpstream, url: str = "/a.png", way: Way = direct) -> OmniError:
    with pytest.raises(OmniError) as caught:
        await fetched(upstream, url, way)
    return caught.value


async def test_a_picture_at_the_providers_own_origin_is_fetched_without_credentials() -> None:
    async with ScriptedUpstream(Answer(200, [b"png"], PNG)) as upstream:
        assert await fetched(upstream, "/a b.png?sig=a%2Fb") == b"png"
        seen = upstream.requests[0]
        assert seen.path == "/a%20b.png?sig=a%2Fb"
        assert set(seen.headers) == {"host", "accept", "user-agent"}


async def test_loopback_of_another_port_and_a_name_that_leads_to_loopback_are_refused() -> None:
    async with ScriptedUpstream(Answer(200, [b"png"], PNG)) as upstream, ScriptedUpstream() as other:
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
            error = await failure(other, f"http://{host}:{upstream.port}/")
            assert error.status == 502
        assert upstream.requests == []


async def test_a_picture_elsewhere_takes_the_accounts_proxy_that_resolves_the_name() -> None:
    async with ScriptedUpstream(Answer(200, [b"png"], PNG)) as upstream, AProxy() as proxy:
        proxy.hosts["pictures.example.com"] = "127.0.0.1"
        asked: list[str] = []

        def way(url: str) -> Via:
            asked.append(url)
            return Via(proxy.proxy(), "global")

        url = f"http://pictures.example.com:{upstream.port}/a.png"
        assert await fetched(upstream, url, way) == b"png"
        assert (asked, proxy.asked) == ([url], [f"GET {url}"])


@pytest.mark.parametrize("host", ["127.0.0.1", "0x7f.1", "[::1]", "localhost", "intranet", "nas.local", "db.corp.internal."])
async def test_a_proxy_is_not_used_for_internal_names(host: str) -> None:
    async with ScriptedUpstream() as upstream, AProxy() as proxy:
        error = await failure(upstream, f"http://{host}:1/", lambda _: Via(proxy.proxy(), "global"))
        assert (error.status, proxy.asked) == (502, [])
        assert "may not be connected to" in error.message


async def test_a_redirect_is_followed_on_the_same_host_only() -> None:
    async with ScriptedUpstream(Answer(302, headers=[("location", "/b.png")]), Answer(200, [b"png"], PNG)) as upstream:
        assert await fetched(upstream) == b"png"
        assert upstream.requests[1].path == "/b.png"
    async with ScriptedUpstream(Answer(302, headers=[("location", "http://localhost/b.png")])) as upstream:
        assert "another host" in (await failure(upstream)).message
    async with ScriptedUpstream(Answer(302, headers=[("location", "/a.png")])) as upstream:
        assert "too many redirects" in (await failure(upstream)).message
    async with ScriptedUpstream(Answer(302, headers=[("location", "http://[a.test/")])) as upstream:
        assert "not an http or https URL" in (await failure(upstream)).message


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, [b"no"]),
        Answer(200, [b"{}"], [("content-type", "application/json")]),
        Answer(200, [], PNG),
        Answer(200, [b"x"], PNG, length=pictures.PICTURE_BYTES + 1),
    ],
)
async def test_what_is_no_picture_or_too_large_is_refused(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    if answer.length:
        monkeypatch.setattr(pictures, "PICTURE_BYTES", 10)
        answer = Answer(200, [bytes(11)], PNG)
    async with ScriptedUpstream(answer) as upstream:
        assert (await failure(upstream)).status == 502


async def test_a_picture_that_does_not_come_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "SECONDS", 0.02)
    async with ScriptedUpstream(Answer(200, [b"x", HANG], PNG, length=9)) as upstream:
        assert (await failure(upstream)).status == 504
        await until(upstream.requests[0].gone.is_set)


@pytest.mark.parametrize(
    "url", ["ftp://a.test/", "http:///x", "http://u:p@a.test/", "http://a.test:99999/", "//a.test", "x"]
)
def test_only_plain_http_urls_are_accepted(url: str) -> None:
    with pytest.raises(OmniError):
        locate(url)


def test_places() -> None:
    assert locate("https://a.test") == (Origin("https", "a.test", 443), b"/")
    assert locate("http://a.test:81/ü?q=ä%20#f") == (Origin("http", "a.test", 81), b"/%C3%BC?q=%C3%A4%20")
