"""What no client should send: a 4xx that names the field, in the client's wire, and a process that goes on serving."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from processes import Process
from real_gateway import behind, whole
from wires import ANTHROPIC, CHAT, SAID, WIRES, Wire

CLIENTS = pytest.mark.parametrize("client", WIRES, ids=repr)
TURN = {"role": "user", "content": "hi"}


@pytest.fixture(scope="module")
def closed(gateway: Process) -> Iterator[Process]:
    """Behind ``bad-chat/`` and ``bad-messages/`` nobody listens: a request that gets there ends in 502, not in 4xx."""
    nodes = [gateway.add_node("bad-chat", "http://127.0.0.1:9/v1", CHAT.kind)]
    nodes.append(gateway.add_node("bad-messages", "http://127.0.0.1:9/v1", ANTHROPIC.kind))
    yield gateway
    for node in nodes:
        gateway.api("DELETE", f"/api/provider-nodes/{node}")


def same_wire(client: Wire) -> str:
    return "bad-chat/m" if client is CHAT else "bad-messages/m"


def other_wire(client: Wire) -> str:
    return "bad-messages/m" if client is CHAT else "bad-chat/m"


def refused(gateway: Process, client: Wire, body: Any, field: str, status: int = 400) -> str:
    """Send *body*; the error's message.  *field* is named by ``param`` where the wire has it, and in the message."""
    got, headers, raw = gateway.request("POST", client.path, body)
    assert got == status, raw
    assert headers["content-type"] == "application/json"
    error = client.error_of(raw)
    assert error["type"] == "invalid_request_error"
    if client is CHAT:
        assert error["param"] == field or field == "body", raw
    assert field in error["message"], raw
    return str(error["message"])


def with_model(client: Wire, text: bytes) -> bytes:
    return text.replace(b"MODEL", same_wire(client).encode())


NOT_JSON = {
    "empty": b"",
    "blank": b"  \r\n",
    "an open brace": b"{",
    "a cut string": b'{"model": "MODEL", "messages": [{"role": "us',
    "text": b"hello",
    "an array": b"[]",
    "null": b"null",
    "a string": b'"MODEL"',
    "a number": b"5",
    "two values": b'{"model": "MODEL", "messages": []} {}',
    "a trailing comma": b'{"model": "MODEL", "messages": [],}',
    "single quotes": b"{'model': 'MODEL'}",
    "a comment": b'{"model": "MODEL", /* x */ "messages": []}',
    "NaN": b'{"model": "MODEL", "messages": [], "temperature": NaN}',
    "Infinity": b'{"model": "MODEL", "messages": [], "temperature": -Infinity}',
    "a leading zero": b'{"model": "MODEL", "messages": [], "temperature": 01}',
    "a control character": b'{"model": "MODEL", "messages": [{"role": "user", "content": "a\x01b"}]}',
    "UTF-8 that is none": b'{"model": "MODEL", "messages": [{"role": "user", "content": "\xff\xfe"}]}',
    "UTF-8 cut short": b'{"model": "MODEL", "messages": [{"role": "user", "content": "\xe2\x82"}]}',
    "a surrogate as UTF-8": b'{"model": "MODEL", "messages": [{"role": "user", "content": "\xed\xa0\x80"}]}',
    "UTF-16": '{"model": "MODEL"}'.encode("utf-16"),
    "gzip": gzip.compress(b'{"model": "MODEL", "messages": []}'),
    "deep arrays": b'{"model": "MODEL", "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"model": "MODEL", "x": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
    "deep and cut": b"[" * 200_000,
}


@CLIENTS
@pytest.mark.parametrize("case", NOT_JSON)
def test_what_is_no_json_object(closed: Process, client: Wire, case: str) -> None:
    message = refused(closed, client, with_model(client, NOT_JSON[case]), "body")
    assert "Invalid JSON body" in message
    assert "Traceback" not in message


@CLIENTS
@pytest.mark.parametrize("name", ["model", "messages", "stream", "x"])
def test_a_member_given_twice(closed: Process, client: Wire, name: str) -> None:
    body = json.dumps({"model": same_wire(client), "messages": [TURN], "stream": False, "x": 1})
    for extra in (json.dumps({name: 1})[1:-1], json.dumps({name: 1}, separators=(",", ":"))[1:-1]):
        refused(closed, client, f"{body[:-1]}, {extra}}}".encode(), name)


WRONG: dict[str, tuple[Any, ...]] = {
    "model": (5, True, [], {}),
    "messages": ("hi", 5, {}, True),
    "stream": ("yes", 1, [], {}),
    "max_tokens": ("10", [], True),
    "temperature": ("hot", {}, False),
    "top_p": ("1",),
    "tools": ({}, "none", 5),
}
WRONG_HERE: dict[Wire, dict[str, tuple[Any, ...]]] = {
    CHAT: {
        "tool_choice": (5, []),
        "response_format": ("json", []),
        "stream_options": (True, []),
        "stop": (5, {}),
        "n": ("2",),
    },
    ANTHROPIC: {
        "system": (5, {}),
        "tool_choice": ("auto", []),
        "thinking": ("on", True),
        "stop_sequences": ("x",),
        "top_k": ("x",),
    },
}


@CLIENTS
@pytest.mark.parametrize("other", [False, True], ids=["same wire", "translated"])
def test_a_member_of_the_wrong_type(closed: Process, client: Wire, other: bool) -> None:
    model = other_wire(client) if other else same_wire(client)
    for name, values in {**WRONG, **WRONG_HERE[client]}.items():
        for value in values:
            refused(closed, client, {**client.ask(model), name: value}, name)


@CLIENTS
def test_a_member_that_is_missing(closed: Process, client: Wire) -> None:
    for name in ("model", "messages"):
        for model in (same_wire(client), other_wire(client)):
            body = client.ask(model)
            del body[name]
            refused(closed, client, body, name)
    for nothing in ("", "   ", None):
        refused(closed, client, client.ask(model) | {"model": nothing}, "model")


DEEPER: dict[str, dict[str, Any]] = {
    "messages.0": {"messages": [5]},
    "messages.1": {"messages": [TURN, "hi"]},
    "messages.0.role": {"messages": [{"content": "hi"}]},
    "messages.0.content": {"messages": [{"role": "user", "content": 5}]},
    "messages.0.content.0": {"messages": [{"role": "user", "content": [5]}]},
    "messages.0.content.0.text": {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]},
    "tools.0": {"tools": ["f"]},
}


@CLIENTS
@pytest.mark.parametrize("path", DEEPER)
def test_deeper_in_the_request_the_path_is_named(closed: Process, client: Wire, path: str) -> None:
    """Where it must be translated; on the same wire the vendor has the last word."""
    refused(closed, client, {**client.ask(other_wire(client)), **DEEPER[path]}, path)


NUMBERS = (b"1e400", b"-1e400", b"1" * 400, b"99999999999999999999", b"-1", b"0.5", b"1e-400")


@CLIENTS
@pytest.mark.parametrize("name", ["max_tokens", "temperature", "n", "seed", "top_k", "top_p"])
def test_numbers_beyond_measure_never_break_anything(closed: Process, client: Wire, name: str) -> None:
    for model in (same_wire(client), other_wire(client)):
        for number in NUMBERS:
            rest = json.dumps({key: value for key, value in client.ask(model).items() if key != name}).encode()
            closed.api("DELETE", "/api/monitoring/health")
            status, _, raw = closed.request("POST", client.path, rest[:-1] + b', "%b": %b}' % (name.encode(), number))
            assert status in (400, 502), raw  # 502: it was sent, and nobody listens
            client.error_of(raw)


@CLIENTS
def test_half_of_a_surrogate_pair_is_no_crash(closed: Process, client: Wire) -> None:
    for model in (same_wire(client), other_wire(client)):
        closed.api("DELETE", "/api/monitoring/health")
        body = json.dumps(client.ask(model)).encode().replace(b"Greet me", b"\\ud800 x")
        status, _, raw = closed.request("POST", client.path, body)
        assert status in (400, 502), raw
        client.error_of(raw)
        refused(closed, client, json.dumps(client.ask("x")).encode().replace(b'"x"', b'"\\ud800/m"'), "body")


@CLIENTS
def test_models_that_lead_nowhere(closed: Process, client: Wire) -> None:
    for model, words in {
        "no-such-provider/m": "No credentials for provider: no-such-provider",
        "no-such-model-at-all": "No credentials for provider: openai",
        "openai/gpt-4o": "No credentials for provider: openai",
        "../etc/passwd": "Invalid model format",
        "bad-chat/../m": "Invalid model format",
        "bad-chat/m\n": "Invalid model format",
        "x" * 600: "Invalid model format",
        "/": "Invalid model format",
        "openai/": "Invalid model format",
    }.items():
        got, _, raw = closed.request("POST", client.path, client.ask(model))
        assert got == 400, (model, raw)
        error = client.error_of(raw)
        assert words in error["message"]
        assert client is ANTHROPIC or error["param"] == "model"


def raw_request(gateway: Process, head: str, *pieces: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as sock:
        sock.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        try:
            for piece in pieces:
                sock.sendall(piece)
            sock.shutdown(socket.SHUT_WR)
            out = b""
            while data := sock.recv(65536):
                out += data
        except ConnectionError:
            pass
        return out


@CLIENTS
def test_a_body_beyond_the_limit_is_refused_before_it_is_read(closed: Process, client: Wire) -> None:
    answer = raw_request(closed, f"POST {client.path} HTTP/1.1\nhost: localhost\ncontent-length: 40000000")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert client.error_of(body)["message"]


@CLIENTS
def test_a_chunked_body_beyond_the_limit_is_refused(make_gateway: Any, client: Wire) -> None:
    gateway = make_gateway(MAX_BODY_SIZE_BYTES="100000")
    piece = b"%x\r\n%b\r\n" % (60_000, b" " * 60_000)
    answer = raw_request(gateway, f"POST {client.path} HTTP/1.1\nhost: localhost\ntransfer-encoding: chunked", piece, piece)
    assert answer.startswith(b"HTTP/1.1 413 ")
    status, _, raw = gateway.request("POST", client.path, b" " * 100_001)
    assert status == 413
    assert client.error_of(raw)["type"] in ("payload_too_large", "request_too_large")


def test_a_body_that_breaks_off_disturbs_nobody(closed: Process) -> None:
    for _ in range(20):
        raw_request(closed, "POST /v1/messages HTTP/1.1\nhost: localhost\ncontent-length: 1000", b'{"model": ')
        raw_request(closed, "POST /v1/messages HTTP/1.1\nhost: localhost\ntransfer-encoding: chunked", b"5\r\nab")
    assert closed.request("GET", "/v1/models")[0] == 200


def test_wrong_methods_and_paths(closed: Process) -> None:
    status, headers, _ = closed.request("GET", "/v1/chat/completions")
    assert (status, headers["allow"]) == (405, "OPTIONS, POST")
    for path in (
        "/V1/chat/completions",
        "/v1/chat/completions/",
        "/v1//chat/completions",
        "/v1/chat",
        "/v1/%63hat/completions",
    ):
        status, _, raw = closed.request("POST", path, {})
        assert status == 404
        CHAT.error_of(raw)
    status, _, raw = closed.request("POST", "/v1/messages/batches", {})
    assert status == 404
    assert ANTHROPIC.error_of(raw)["type"] == "not_found_error"


async def test_after_all_that_the_process_still_serves(closed: Process) -> None:
    for wire in WIRES:
        async with behind(closed, wire, whole(wire.whole)) as (model, _):
            for client in WIRES:
                status, _, raw = await asyncio.to_thread(closed.request, "POST", client.path, client.ask(model))
                assert status == 200
                assert client.text(raw, False) == SAID
    assert closed.alive
