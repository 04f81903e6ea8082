from __future__ import annotations

from typing import Any

import msgspec
import pytest
from data_plane import accounts, provider, snapshot
from fakes_exchange import FakeExchange
from fakes_gateway import fake_gateway
from wires import CHAT

from omniroute.errors import OmniError
from omniroute.gateway import auth, models
from omniroute.gateway.models import COMBO, catalogue, gemini_page, may_use, one, page
from omniroute.gateway.snapshot import Combo, GatewayKey, GatewaySettings, Snapshot
from omniroute.proto.exchange import Request
from omniroute.upstream.providers import Model

LARGE = Model("large", name="Large", context=200_000, max_output=8_000)
MODELS = {"large": LARGE, "small": Model("small"), "embed": Model("embed", kind="embedding")}
SECRET = b"s" * 32


def state(**more: Any) -> Snapshot:
    return snapshot(provider(CHAT, models=MODELS), accounts("key-1"), **more)


def get(snapshot_: Snapshot, query: str = "", wanted: str | None = None, *headers: tuple[bytes, bytes]) -> FakeExchange:
    request = Request("GET", "/v1/models", query, [*headers])
    if wanted is not None:
        request.params["id"] = wanted
    exchange = FakeExchange(request)
    models.serve(fake_gateway(snapshot_), exchange)
    return exchange


def test_the_list_satisfies_both_vendors_clients() -> None:
    body = get(state()).json
    assert (body["object"], body["has_more"], body["first_id"], body["last_id"]) == ("list", False, "up/large", "up/embed")
    entry = body["data"][0]
    assert (entry["id"], entry["object"], entry["type"], entry["owned_by"]) == ("up/large", "model", "model", "up")
    assert (entry["display_name"], entry["created_at"]) == ("Large", "2025-01-01T00:00:00.000Z")
    assert (entry["context_length"], entry["max_output_tokens"]) == (200_000, 8_000)
    assert isinstance(entry["created"], int)
    assert body["data"][2]["type"] == "embedding"


def test_only_providers_with_an_account_are_listed() -> None:
    assert get(snapshot(provider(CHAT, models=MODELS), [])).json["data"] == []
    blocked = GatewaySettings(blocked_providers=frozenset({"node-up"}))
    assert get(state(settings=blocked)).json["data"] == []


def test_custom_and_default_models_are_listed_too() -> None:
    (account,) = accounts("key-1", default_model="vendor/mine")
    made = snapshot(provider(CHAT, models=MODELS), [account], custom_models={"node-up": ("extra",)})
    found = {entry["id"]: entry for entry in catalogue(made)}
    assert found["up/extra"]["custom"]
    assert "up/vendor/mine" in found


def test_googles_packages_get_geminis_form_at_every_path() -> None:
    google = (b"x-goog-api-client", b"google-genai-sdk/1.0 gl-python/3.11")
    listed = get(state(), "", None, google).json["models"]
    assert [model["name"] for model in listed] == ["models/up/large", "models/up/small"]
    assert get(state(), "", "up/large", google).json["inputTokenLimit"] == 200_000
    assert "data" in get(state(), "", None, (b"x-goog-api-key", b"any")).json


def test_a_built_in_provider_is_listed_under_alias_and_id() -> None:
    built_in = provider(CHAT, models={"large": LARGE}, node=False, prefix="", alias="u")
    made = snapshot(built_in, accounts("key-1"))
    assert [(entry["id"], entry["parent"]) for entry in catalogue(made)] == [("u/large", None), ("node-up/large", "u/large")]


@pytest.mark.parametrize(
    ("query", "ids", "more"),
    [
        ("", ["a", "b", "c"], False),
        ("limit=2", ["a", "b"], True),
        ("limit=1000", ["a", "b", "c"], False),
        ("limit=1&after_id=a", ["b"], True),
        ("after_id=c", [], False),
        ("before_id=c", ["a", "b"], False),
        ("limit=1&before_id=c", ["b"], True),
        ("limit=1&before_id=b", ["a"], False),
        ("limit=1&after_id=a&before_id=b", [], False),
        ("after_id=unknown", ["a", "b", "c"], False),
        ("beta=true", ["a", "b", "c"], False),
    ],
)
def test_pages(query: str, ids: list[str], more: bool) -> None:
    body = page([{"id": name} for name in "abc"], query)
    assert [entry["id"] for entry in body["data"]] == ids
    assert body["has_more"] is more
    assert (body["first_id"], body["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "1.5", "9" * 5000])
def test_an_invalid_page_size_is_refused(limit: str) -> None:
    with pytest.raises(OmniError, match="limit") as caught:
        page([], f"limit={limit}")
    assert caught.value.param == "limit"
    assert get(state(), f"limit={limit}").status == 400


@pytest.mark.parametrize(
    ("query", "names", "token"),
    [
        ("", ["a", "b", "c"], None),
        ("pageSize=2", ["a", "b"], "2"),
        ("pageSize=2&pageToken=2", ["c"], None),
        ("pageToken=7", [], None),
        ("pageSize=0", ["a", "b", "c"], None),
    ],
)
def test_geminis_pages(query: str, names: list[str], token: str | None) -> None:
    entries = list(catalogue(snapshot(provider(CHAT, models={n: Model(n) for n in "abc"}), accounts("k"))))
    body = gemini_page(entries, query)
    assert [model["baseModelId"] for model in body["models"]] == names
    assert body.get("nextPageToken") == token


@pytest.mark.parametrize("query", ["pageSize=-1", "pageSize=x", "pageToken=x", f"pageToken={'9' * 5000}"])
def test_an_invalid_gemini_page_is_refused(query: str) -> None:
    with pytest.raises(OmniError, match="pageSize"):
        gemini_page([], query)


def test_one_model_by_its_id_or_its_bare_name() -> None:
    entries = list(catalogue(state()))
    assert one(entries, "up/small")["id"] == "up/small"
    assert one(entries, "small")["id"] == "up/small"
    exchange = get(state(), wanted="up/none")
    assert exchange.status == 404
    assert exchange.json["error"]["code"] == "model_not_found"


def test_a_key_sees_what_it_may_use() -> None:
    known = GatewayKey("k1", "agent", auth.digest(SECRET, "sk-1"), allowed_models=("up/small",))
    made = state(key_secret=SECRET, keys={known.digest: known})
    assert [entry["id"] for entry in get(made, "", None, (b"x-api-key", b"sk-1")).json["data"]] == ["up/small"]


def test_a_key_that_names_the_provider_in_another_way_sees_the_model_it_may_ask_for() -> None:
    entry = {"id": "up/small", "root": "small", "owned_by": "up"}
    combo = {"id": "up/combo", "root": "up/combo", "owned_by": COMBO}
    for pattern, model, group in (
        ("node-up/small", True, False), ("up/*", True, True), ("small", False, False), ("up/combo", False, True),
    ):  # fmt: skip
        assert (may_use(state(), (pattern,), entry), may_use(state(), (pattern,), combo)) == (model, group), pattern


def test_the_list_can_be_closed_to_those_without_a_key() -> None:
    closed = state(settings=GatewaySettings(require_auth_for_models=True))
    exchange = get(closed)
    assert exchange.status == 401
    assert exchange.json["error"]["code"] == "invalid_api_key"
    assert get(msgspec.structs.replace(closed, settings=GatewaySettings())).status == 200


def test_models_of_other_kinds_come_after_those_for_chat_and_say_what_they_are() -> None:
    made = {
        "speak": Model("speak", kind="audio", abilities=frozenset({"speech"})),
        "rank": Model("rank", kind="rerank"),
        "embed": Model("embed", kind="embedding", dimensions=1024),
        "large": LARGE,
    }
    found = list(catalogue(snapshot(provider(CHAT, models=made), accounts("key-1"))))
    assert [entry["root"] for entry in found] == ["large", "embed", "rank", "speak"]
    assert [entry["type"] for entry in found] == ["model", "embedding", "rerank", "audio"]
    assert (found[1]["dimensions"], found[3]["subtype"]) == (1024, "speech")
    assert "dimensions" not in found[0]


def test_one_kind_alone_can_be_listed() -> None:
    exchange = FakeExchange(Request("GET", "/v1/embeddings"))
    models.serve(fake_gateway(state()), exchange, kind="embedding")
    assert [entry["id"] for entry in exchange.json["data"]] == ["up/embed"]


def test_combos_come_first_and_are_owned_by_combo() -> None:
    made = state(combos={"team/b": Combo("2", "team/b"), "a": Combo("1", "a")})
    body = get(made).json
    assert [entry["id"] for entry in body["data"][:3]] == ["a", "team/b", "up/large"]
    assert (body["data"][0]["owned_by"], body["data"][0]["type"], body["data"][0]["parent"]) == ("combo", "model", None)
    assert get(made, wanted="team/b").json["id"] == "team/b"
