from __future__ import annotations

import json

import msgspec
import pytest
from data_plane import accounts, provider, snapshot
from wires import ANTHROPIC, CHAT, WIRES, Wire

from omniroute.errors import OmniError
from omniroute.gateway.render import (
    Doors,
    answer_fields,
    as_stream,
    failure_of,
    label,
    provider_profile,
    same_wire,
    streams_only,
    translated,
    wire_fields,
)
from omniroute.gateway.resolve import Route, resolve
from omniroute.proto.exchange import Request
from omniroute.translate.events import Failure
from omniroute.translate.formats import FORMATS, RELAYS
from omniroute.translate.peek import Peek, peek

BOTH = pytest.mark.parametrize("wire", WIRES, ids=repr)


def route(wire: Wire, model: str = "m", **about: object) -> Route:
    return resolve(snapshot(provider(wire, **about), accounts("key-1")), f"up/{model}")


def looked(wire: Wire, body: bytes) -> Peek:
    return peek(body, RELAYS[wire.name].members)


@BOTH
def test_on_the_same_wire_only_the_models_name_is_replaced(wire: Wire) -> None:
    body = b'{ "x" : [1,  2], "model":"up/m" ,"messages":[{"role":"user","content":"\\u00fc"}],"unknown":{"a" :1}}'
    sent = same_wire(looked(wire, body), route(wire), wire.name)
    was, now = json.loads(body), json.loads(sent.body)
    assert now.pop("model") == "m"
    was.pop("model")
    assert now == was
    assert b'{"a" :1}' in sent.body
    assert b"\\u00fc" in sent.body
    assert sent.dropped == ()


@BOTH
def test_a_model_that_is_named_first_is_patched_in_place(wire: Wire) -> None:
    body = b'{"model": "up/m", "messages": [1,  2]  }'
    assert same_wire(looked(wire, body), route(wire), wire.name).body == b'{"model": "m", "messages": [1,  2]  }'


def test_a_chat_stream_is_asked_for_its_usage_whoever_asked() -> None:
    plain = same_wire(looked(CHAT, b'{"model":"up/m","stream":true,"messages":[]}'), route(CHAT), CHAT.name)
    assert plain.strip_usage
    assert json.loads(plain.body)["stream_options"] == {"include_usage": True}
    kept = b'{"model":"up/m","stream":true,"messages":[],"stream_options":{"include_usage":true,"x":1}}'
    asked = same_wire(looked(CHAT, kept), route(CHAT), CHAT.name)
    assert not asked.strip_usage
    assert json.loads(asked.body)["stream_options"] == {"include_usage": True, "x": 1}
    shy = same_wire(looked(CHAT, kept), route(CHAT, quirks=frozenset({"no_stream_options"})), CHAT.name)
    assert not shy.strip_usage


def test_a_translated_request_is_in_the_targets_wire() -> None:
    ask = FORMATS["openai-chat"].decode_request(json.dumps(CHAT.ask("up/m", seed=1)).encode())
    sent = translated(ask, route(ANTHROPIC))
    assert json.loads(sent.body)["model"] == "m"
    assert "seed" in sent.dropped


def test_a_door_is_made_once_and_forgotten_with_its_snapshot() -> None:
    doors = Doors()
    first, second = accounts("key-1", "key-2")
    state = snapshot(provider(CHAT), [first, second])
    door = doors.find(state, route(CHAT), first)
    assert doors.find(state, route(CHAT), first) is door
    assert doors.find(state, route(CHAT), second) is not door
    assert doors.find(msgspec.structs.replace(state, version=2), route(CHAT), first) is not door


def test_a_doors_label_is_fit_for_a_header_field() -> None:
    (account,) = accounts("key-1")
    odd = msgspec.structs.replace(account, name="Büro\r\nx: 1, home")
    shown = label(provider(CHAT), odd)
    assert shown.isascii()
    assert shown.startswith("up/B")
    assert not {"\r", "\n", ","} & set(shown)


def test_the_clients_own_fields_do_not_replace_the_accounts() -> None:
    (account,) = accounts("key-1")
    door = Doors().find(
        snapshot(provider(ANTHROPIC), [account]), route(ANTHROPIC, headers=(("anthropic-version", "2023-06-01"),)), account
    )
    sent = [
        (b"anthropic-version", b"1999"),
        (b"anthropic-beta", b"b"),
        (b"openai-organization", b"o"),
        (b"x-api-key", b"k"),
        (b"cookie", b"c"),
    ]
    request = Request("POST", "/v1/messages", "", sent)
    for _ in range(2):  # the second time from what is kept with the head
        assert wire_fields(door, request) == [(b"anthropic-beta", b"b"), (b"openai-organization", b"o")]


def test_of_an_answers_fields_those_for_clients_are_kept() -> None:
    kept = [
        (b"x-ratelimit-limit-requests", b"1"),
        (b"anthropic-ratelimit-x", b"2"),
        (b"request-id", b"3"),
        (b"retry-after", b"4"),
    ]
    other = [
        (b"content-length", b"1"),
        (b"set-cookie", b"x"),
        (b"server", b"y"),
        (b"content-type", b"z"),
        (b"x-request-id", b"w"),
    ]
    assert answer_fields([*kept, *other]) == kept


def test_each_kind_of_provider_has_its_profile() -> None:
    assert provider_profile(provider(CHAT)) == "apikey"
    assert provider_profile(provider(CHAT, local=True)) == "local"
    assert provider_profile(provider(CHAT, auth_type="oauth")) == "oauth"


def test_our_own_refusals_keep_what_they_say() -> None:
    failure = failure_of(OmniError("invalid_request", "Missing model", param="model", code="c", retry_after=3.0))
    assert (failure.status, failure.message, failure.param, failure.code, failure.retry_after) == (
        400,
        "Missing model",
        "model",
        "c",
        3.0,
    )
    assert failure.wire == ""


@pytest.mark.parametrize(
    ("status", "text", "so"),
    [
        (400, "Stream must be set to true", True),
        (400, "`stream` must be true", True),
        (400, "This model only supports streaming", True),
        (400, "This model only support stream mode, please enable the stream parameter to access the model.", True),
        (400, "This model requires streaming.", True),
        (400, "'stream' must be a boolean", False),
        (400, "stream_options may only be set when stream is true", False),
        (500, "Stream must be set to true", False),
    ],
)
def test_a_refusal_to_answer_whole_is_known_by_its_words(status: int, text: str, so: bool) -> None:
    assert streams_only(Failure(status, text)) is so


def test_a_stream_is_asked_for_in_the_words_of_the_wire() -> None:
    body = b'{"model":"m","stream":false,"x":[1, 2]}'
    assert as_stream(route(ANTHROPIC), body) == b'{"model":"m","stream":true,"x":[1, 2]}'
    assert b'"stream_options":{"include_usage":true}' in as_stream(route(CHAT), body)
    quiet = route(CHAT)._replace(quirks=frozenset({"no_stream_options"}))
    assert b"stream_options" not in as_stream(quiet, body)
    assert as_stream(route(CHAT)._replace(wire="gemini"), body) == body
