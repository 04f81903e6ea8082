from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec
import pytest
from fakes import FakeClock
from msgspec import Struct

from omniroute.gateway.edge import Edge, Plane, RequestIds
from omniroute.gateway.ip_filter import IpFilter
from omniroute.gateway.live import Live
from omniroute.gateway.snapshot import GatewaySettings, Snapshot
from omniroute.proto.exchange import Exchange, Refusal, Request

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class DataRow(Struct):
    method: str
    path: str
    body_limit: int | None = None
    stream_body: bool = False


class ManageRow(DataRow):
    pass


async def nothing(exchange: Exchange) -> None:
    exchange.status = 200


def edge(
    *, in_flight: int = 10, origins: tuple[str, ...] = (), hosts: tuple[str, ...] = ("gate.example",), **settings: Any
) -> Edge:
    live = Live(FakeClock(), Snapshot(settings=GatewaySettings(**settings)), lambda record: None)
    data = [DataRow("POST", "/v1/messages"), DataRow("GET", "/v1/models"), DataRow("GET", "/v1/models/{id*}")]
    manage = [ManageRow("GET", "/api/keys"), ManageRow("POST", "/api/keys", 5)]
    planes = [Plane(data, nothing, 32, True), Plane(manage, nothing, 10, False)]
    return Edge(planes, live, hosts=hosts, origins=origins, in_flight=in_flight)


def request(method: str = "GET", path: str = "/v1/models", *headers: tuple[bytes, bytes]) -> Request:
    return Request(method, path, "", [(b"host", b"127.0.0.1:20128"), *headers])


def refused(target: Edge, asked: Request) -> tuple[int, dict[bytes, bytes], Any]:
    with pytest.raises(Refusal) as caught:
        target.admit(asked)
    body = msgspec.json.decode(caught.value.body) if caught.value.body else None
    return caught.value.status, dict(caught.value.headers), body


def test_each_request_gets_a_uuid_and_a_clients_own_id_is_echoed() -> None:
    target, asked = edge(), request()
    target.admit(asked)
    assert UUID4.fullmatch(asked.id)
    assert asked.reply_headers == [(b"x-request-id", asked.id.encode())]
    own = request("GET", "/v1/models", (b"x-request-id", b"my-id.7"))
    target.admit(own)
    assert own.id == "my-id.7"


@pytest.mark.parametrize("bad", [b"a b", b"x" * 129, b"<script>", b""])
def test_an_unfit_request_id_is_replaced(bad: bytes) -> None:
    asked = request("GET", "/v1/models", (b"x-request-id", bad))
    edge().admit(asked)
    assert UUID4.fullmatch(asked.id)


def test_request_ids_differ_across_refills() -> None:
    ids = RequestIds()
    assert len({ids.next() for _ in range(1000)}) == 1000


def test_body_limits_come_from_the_row_or_its_plane() -> None:
    target = edge()
    assert target.admit(request("POST", "/v1/messages")).body_limit == 32
    assert target.admit(request("POST", "/api/keys")).body_limit == 5
    assert target.admit(request("GET", "/api/keys")).body_limit == 10


@pytest.mark.parametrize("host", [b"127.0.0.1", b"localhost:20128", b"LOCALHOST", b"[::1]:20128", b"gate.example:1"])
def test_known_hosts_pass(host: bytes) -> None:
    assert edge().admit(Request("GET", "/v1/models", "", [(b"host", host)])).path == "/v1/models"


@pytest.mark.parametrize(
    ("host", "known"), [(b"10.1.2.3:20128", True), (b"[fd00::1]:20128", True), (b"evil.example", False), (b"", False)]
)
def test_where_all_addresses_are_bound_any_of_them_will_do_but_no_name(host: bytes, known: bool) -> None:
    target = edge(hosts=("*",))
    asked = Request("GET", "/v1/models", "", [(b"host", host)])
    if known:
        target.admit(asked)
    else:
        assert refused(target, asked)[2]["error"]["code"] == "host_not_allowed"


@pytest.mark.parametrize("host", [b"evil.example", b"127.0.0.1.evil.example", b"localhost.evil.example:20128", b"[::2]"])
def test_dns_rebinding_is_refused_on_every_route(host: bytes) -> None:
    for path in ("/v1/models", "/api/keys", "/nowhere"):
        status, _, body = refused(edge(), Request("GET", path, "", [(b"host", host)]))
        assert (status, body["error"]["code"]) == (403, "host_not_allowed")


def test_a_foreign_origin_is_refused_without_cors_fields() -> None:
    status, headers, body = refused(edge(), request("POST", "/v1/messages", (b"origin", b"https://evil.example")))
    assert status == 403
    assert body["error"]["code"] == "origin_not_allowed"
    assert not any(name.startswith(b"access-control") for name in headers)


def test_the_own_origin_passes_without_cors_fields() -> None:
    asked = request("POST", "/v1/messages", (b"origin", b"http://127.0.0.1:20128"))
    edge().admit(asked)
    assert len(asked.reply_headers) == 1


@pytest.mark.parametrize("how", ["environment", "setting", "any", "typed otherwise"])
def test_a_listed_origin_gets_cors_fields_on_answers_and_preflight(how: str) -> None:
    origin = b"https://app.example"
    target = {
        "environment": edge(origins=("https://app.example",)),
        "setting": edge(cors_origins=("https://app.example",)),
        "any": edge(origins=("*",)),
        "typed otherwise": edge(origins=("https://App.Example/",)),
    }[how]
    asked = request("POST", "/v1/messages", (b"origin", origin))
    target.admit(asked)
    fields = dict(asked.reply_headers)
    assert fields[b"access-control-allow-origin"] == origin
    shown = fields[b"access-control-expose-headers"].split(b", ")
    assert {b"x-omniroute-route", b"x-omniroute-cache", b"x-omniroute-idempotent", b"x-omniroute-session-id"} <= {*shown}
    preflight = request("OPTIONS", "/v1/messages", (b"origin", origin), (b"access-control-request-headers", b"x-custom"))
    status, headers, _ = refused(target, preflight)
    assert status == 204
    assert headers[b"access-control-allow-headers"] == b"x-custom"
    assert headers[b"vary"] == b"Origin"


def test_a_cross_site_state_change_without_origin_is_refused_and_a_navigation_is_not() -> None:
    site = (b"sec-fetch-site", b"cross-site")
    assert refused(edge(), request("POST", "/api/keys", site))[0] == 403
    edge().admit(request("GET", "/api/keys", site))
    edge().admit(request("POST", "/api/keys", (b"sec-fetch-site", b"same-origin")))


@pytest.mark.parametrize(
    "path",
    [
        "/V1/models",
        "/v1/models/",
        "/v1//models",
        "/v1%2Fmodels",
        "/v1/./models",
        "/api/v1/keys",
        "/api/keys/",
        "//api/keys",
        "",
    ],
)
def test_what_is_not_in_the_table_does_not_exist(path: str) -> None:
    found = refused(edge(), request("GET", path))
    assert found[0] == 404
    assert refused(edge(), request("HEAD", path))[2] == found[2]  # so that the lengths are equal (RFC 9110 section 8.6)


def test_a_compressed_body_is_refused_by_its_name_and_a_word_that_is_no_coding_is_not() -> None:
    status, headers, body = refused(edge(), request("POST", "/v1/messages", (b"content-encoding", b"GZip")))
    assert (status, headers[b"accept-encoding"], body["error"]["code"]) == (415, b"identity", "unsupported_content_encoding")
    assert "GZip" in body["error"]["message"]
    for method, path, coding in (("POST", "/v1/messages", b"utf-8"), ("GET", "/v1/models", b"gzip")):
        edge().admit(request(method, path, (b"content-encoding", coding)))


def test_a_wrong_method_names_the_right_ones() -> None:
    status, headers, body = refused(edge(), request("DELETE", "/v1/models"))
    assert (status, body) == (405, {"error": "Method not allowed"})
    assert headers[b"allow"] == b"GET, HEAD, OPTIONS"


def test_options_without_origin_and_head_are_fine() -> None:
    status, headers, _ = refused(edge(), request("OPTIONS", "/v1/messages"))
    assert (status, headers[b"allow"]) == (204, b"OPTIONS, POST")
    edge().admit(request("HEAD", "/v1/models"))


def test_options_may_ask_about_the_server_as_a_whole() -> None:
    status, headers, _ = refused(edge(), request("OPTIONS", "*"))
    assert (status, headers[b"allow"]) == (204, b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")


def test_variables_are_decoded() -> None:
    asked = request("GET", "/v1/models/open%2Fgpt")
    edge().admit(asked)
    assert asked.params == {"id": "open/gpt"}


async def test_overload_and_drain_answer_503_at_once_but_management_still_answers() -> None:
    target = edge(in_flight=1)
    release = asyncio.Event()

    class Waiting(DataRow):
        pass

    async def wait(exchange: Exchange) -> None:
        await release.wait()

    target = Edge(
        [Plane([Waiting("POST", "/v1/messages")], wait, 1, True), Plane([ManageRow("GET", "/api/keys")], nothing, 1, False)],
        target._live,
        in_flight=1,
    )
    asked = request("POST", "/v1/messages")
    target.admit(asked)
    running = asyncio.ensure_future(target.handle(Exchange(asked)))
    target._live.running += 1  # as the data plane's own coroutine does
    await asyncio.sleep(0)
    status, headers, body = refused(target, request("POST", "/v1/messages"))
    assert (status, headers[b"retry-after"], body["type"]) == (503, b"1", "error")
    target.admit(request("GET", "/api/keys"))
    release.set()
    await running
    target._live.running -= 1
    target.admit(request("POST", "/v1/messages"))
    target._live.draining = True
    assert refused(target, request("POST", "/v1/messages"))[2]["error"]["message"] == "Server is shutting down"


def test_the_servers_own_refusals_speak_the_paths_dialect() -> None:
    target = edge()
    _, body = target.refuse(request("POST", "/v1/messages"), 413, "Too large")
    assert msgspec.json.decode(body) == {
        "type": "error",
        "error": {"message": "Too large", "type": "request_too_large", "code": "PAYLOAD_TOO_LARGE"},
    }
    headers, body = target.refuse(None, 400, "Bad")
    assert UUID4.fullmatch(dict(headers)[b"x-request-id"].decode())
    assert msgspec.json.decode(body)["error"]["type"] == "invalid_request_error"
    _, body = target.refuse(Request("POST", "/v1beta/models/x:generateContent"), 413, "Too large")
    assert msgspec.json.decode(body)["error"] == {"code": 413, "message": "Too large", "status": "INVALID_ARGUMENT"}


@pytest.mark.parametrize("site", [b"cross-site", b"same-site"])
@pytest.mark.parametrize("path", ["/v1/models", "/api/keys"])
def test_another_sites_page_may_link_to_us_but_not_load_us(site: bytes, path: str) -> None:
    for mode in (b"no-cors", b"cors", b"websocket"):
        asked = request("GET", path, (b"sec-fetch-site", site), (b"sec-fetch-mode", mode))
        assert refused(edge(), asked)[2]["error"]["code"] == "origin_not_allowed"
    edge().admit(request("GET", path, (b"sec-fetch-site", site), (b"sec-fetch-mode", b"navigate")))


def test_a_star_lists_every_origin_for_the_data_plane_only() -> None:
    origin = (b"origin", b"https://any.example")
    target = edge(origins=("*",))
    target.admit(request("POST", "/v1/messages", origin))
    for method in ("POST", "GET", "OPTIONS"):
        status, headers, _ = refused(target, request(method, "/api/keys", origin))
        assert status == 403
        assert not any(name.startswith(b"access-control") for name in headers)
    assert refused(target, request("GET", "/nowhere", origin))[0] == 403


def test_hosts_that_were_refused_are_not_remembered_without_end() -> None:
    target = edge()
    for number in range(20_000):
        refused(target, Request("GET", "/v1/models", "", [(b"host", b"h%d.example" % number)]))
    refused(target, Request("GET", "/v1/models", "", [(b"host", b"h" * 10_000)]))
    assert len(target._known_hosts) <= 256
    target.admit(request())


def filtered(*, trusted: tuple[str, ...] = ()) -> Edge:
    """10.0.0.0/8 may not call."""
    gate = IpFilter("blacklist", ("10.0.0.0/8",), (), {})
    live = Live(FakeClock(), Snapshot(ip_filter=gate), lambda record: None)
    plane = Plane([DataRow("GET", "/v1/models")], nothing, 32, True)
    return Edge([plane, Plane([ManageRow("GET", "/api/keys")], nothing, 10, False)], live, trusted_proxies=trusted)


@pytest.mark.parametrize("path", ["/v1/models", "/api/keys", "/nowhere"])
def test_a_filtered_address_reaches_nothing(path: str) -> None:
    asked = request("GET", path)
    asked.peer = "::ffff:10.0.0.1"
    status, headers, body = refused(filtered(), asked)
    assert (status, body) == (403, {"error": "IP blacklisted"})
    assert headers[b"x-request-id"] == asked.id.encode()


def test_the_word_of_a_trusted_proxy_counts_for_the_filter_and_for_all_that_follows() -> None:
    asked = request("GET", "/v1/models", (b"x-forwarded-for", b"1.1.1.1"), (b"x-forwarded-for", b"10.0.0.1"))
    asked.peer = "192.168.0.1"
    filtered().admit(asked)
    assert asked.peer == "192.168.0.1"
    status, _, body = refused(filtered(trusted=("192.168.0.0/16",)), asked)
    assert (status, body, asked.peer) == (403, {"error": "IP blacklisted"}, "10.0.0.1")
    asked.peer = "192.168.0.1"
    filtered(trusted=("192.168.0.0/16", "10.0.0.0/8")).admit(asked)
    assert asked.peer == "1.1.1.1"


def again(first: Request) -> Request:
    """What the server makes of a head that equals the one before on its connection."""
    return Request(first.method, first.path, first.query, list(first.headers), known=first.known)


def test_a_head_that_was_admitted_is_admitted_again_with_an_id_of_its_own() -> None:
    target, first = edge(), request("GET", "/v1/models/a%2Fb")
    entry = target.admit(first)
    second = again(first)
    assert target.admit(second) is entry
    assert (second.route, second.params) == (first.route, {"id": "a/b"})
    assert second.id != first.id
    assert second.reply_headers == [(b"x-request-id", second.id.encode())]


def test_overload_a_new_snapshot_and_a_filter_count_for_heads_that_were_admitted_too() -> None:
    live = Live(FakeClock(), Snapshot(), lambda record: None)
    target = Edge([Plane([DataRow("GET", "/v1/models")], nothing, 32, True)], live, in_flight=1)
    first = request()
    target.admit(first)
    live.running = 1
    assert refused(target, again(first))[0] == 503
    live.running = 0
    live.snapshot = Snapshot(ip_filter=IpFilter("blacklist", ("127.0.0.0/8",), (), {}))
    assert refused(target, again(first))[0] == 403


def test_what_depends_on_more_than_the_head_is_looked_at_each_time() -> None:
    target = edge()
    for head in ((b"x-request-id", b"mine"), (b"origin", b"http://127.0.0.1:20128")):
        asked = request("GET", "/v1/models", head)
        target.admit(asked)
        assert "admitted" not in asked.known
