"""The loader's checks, price look-up, and providers made from users' nodes."""

from __future__ import annotations

import pytest

from omniroute.errors import OmniError
from omniroute.upstream.providers import (
    CatalogError,
    Model,
    Price,
    Provider,
    Served,
    load_catalog,
    node_base_url,
    node_provider,
    parse_catalog,
    quirks_of,
    serves,
)

HEAD = """
[quirks]
top_k = "chat: takes top_k"
[reserved]
"""
ROW = (
    HEAD
    + """
[provider.one]
name = "One"
alias = "o"
base_url = "https://one.example/v1"
wire = "openai-chat"
models = '''
# a comment
big    128000  16384  2.5  10  1.25  -  15  tools vision top_k
small  -       -      -    -   -     -  -
vec    8191    -      0.1  0   -     -  -   embedding dim=1536
resp   -       -      -    -   -     -  -   wire=openai-responses
say    -       -      -    -   -     -  -   speech
'''
"""
)


def test_a_model_line_becomes_a_model() -> None:
    models = parse_catalog(ROW).providers["one"].models
    assert models["big"] == Model(
        "big",
        context=128000,
        max_output=16384,
        abilities=frozenset({"tools", "vision"}),
        price=Price(2.5, 10.0, 1.25, 15.0, None),
        quirks=frozenset({"top_k"}),
    )
    assert models["small"] == Model("small")
    assert (models["vec"].kind, models["vec"].dimensions) == ("embedding", 1536)
    assert models["resp"].wire == "openai-responses"
    assert (models["say"].kind, models["say"].abilities) == ("audio", frozenset({"speech"}))


def test_ids_aliases_and_reserved_prefixes_resolve_to_provider_ids() -> None:
    text = ROW.replace("[reserved]", '[reserved]\nrr = { id = "reserved-one", provider = "one" }\nnn = { id = "nobody" }')
    catalog = parse_catalog(text)
    assert catalog.prefixes == {"one": "one", "o": "one", "rr": "one", "reserved-one": "one"}
    assert catalog.reserved == {"rr": "one", "reserved-one": "one", "nn": "", "nobody": ""}
    assert catalog.reserved_ids == {"rr": "reserved-one", "nn": "nobody"}


def test_bare_model_ids_name_all_their_providers_in_file_order() -> None:
    second = '[provider.two]\nname = "Two"\nmodels_of = "one"\nbase_url = "https://two.example"\n'
    catalog = parse_catalog(ROW + second)
    assert catalog.models_by_id["big"] == ("one", "two")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("vision top_k", "vision frobnicate"), "provider one: model big: unknown word frobnicate"),
        (("wire=openai-responses", "wire=telex"), "provider one: model resp: unknown wire telex"),
        (("dim=1536", "speed=9"), "unknown setting speed"),
        (("embedding dim", "embedding rerank dim"), "more than one kind: embedding, rerank"),
        (("vec    8191", "big    8191"), "model big listed twice"),
        (("small  -       -  ", "small  -       many"), "a model line needs an id and seven numbers or dashes"),
        (("vec    8191    -      0.1  0   -     -  -   embedding dim=1536", "vec 8191"), "a model line needs"),
        (('wire = "openai-chat"', 'wire = "telex"'), "provider one: unknown wire telex"),
        (('name = "One"', 'name = "One"\nquirks = ["odd"]'), "provider one: unknown quirk odd"),
        (('name = "One"', 'name = "One"\nextras = ["odd"]'), "provider one: unknown extra odd"),
        (('name = "One"', 'name = "One"\nauth = "odd"'), "Invalid enum value 'odd'"),
        (('name = "One"', 'name = "One"\nodd = 1'), "unknown field `odd`"),
        (('name = "One"', 'name = "One"\ncheck = "odd"'), "check is one of"),
        (('name = "One"', 'name = "One"\nmodels_of = "later"'), "models_of names later"),
        (("one.example/v1", "one.example/v1/"), "must not end with a slash"),
        (("[reserved]", '[reserved]\no = { id = "x" }'), "reserved o: o already belongs to one"),
        (("[reserved]", '[reserved]\nr = { id = "x", provider = "nobody" }'), "reserved r: unknown provider nobody"),
        (("[reserved]", '[reserved]\nr = { id = "x", wire = "telex" }'), "reserved r: unknown wire telex"),
        (("[provider.one]", "[provider.one"), "catalog: "),
    ],
)
def test_a_wrong_row_is_named(change: tuple[str, str], message: str) -> None:
    text = ROW.replace(*change)
    assert text != ROW
    with pytest.raises(CatalogError) as caught:
        parse_catalog(text)
    assert message in str(caught.value)


def test_an_alias_belongs_to_one_provider() -> None:
    second = '[provider.two]\nname = "Two"\nalias = "o"\n'
    with pytest.raises(CatalogError, match="provider two: alias o already belongs to one"):
        parse_catalog(ROW + second)


@pytest.mark.parametrize(
    ("provider", "model", "dollars"),
    [
        ("openai", "gpt-4o", 2.5),
        ("ds", "deepseek-chat", 0.28),  # by alias
        ("deepseek", "deepseek/deepseek-chat", 0.28),  # by the last segment
        ("minimax-cn", "MiniMax-M2.1", 0.3),
        ("cc", "claude-sonnet-4-5", 3.0),  # by reserved prefix
        ("anthropic", "claude-sonnet-4.5", 3.0),  # by rename
        ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", 1.04),
    ],
)
def test_prices_are_found(provider: str, model: str, dollars: float) -> None:
    price = load_catalog().price(provider, model)
    assert price is not None
    assert price.input == dollars


@pytest.mark.parametrize(("provider", "model"), [("openai", "never-heard-of"), ("nobody", "gpt-4o"), ("openai", "dall-e-3")])
def test_unknown_prices_are_none(provider: str, model: str) -> None:
    assert load_catalog().price(provider, model) is None


def test_the_price_of_the_china_twin_falls_back_to_the_main_row() -> None:
    twin = '[provider.one-cn]\nname = "Twin"\nbase_url = "https://cn.example"\n'
    price = parse_catalog(ROW + twin).price("one-cn", "big")
    assert price == Price(2.5, 10.0, 1.25, 15.0, None)


def test_a_models_quirks_add_to_the_providers() -> None:
    provider = Provider("p", "p", "P", "openai-chat", "https://p.example", quirks=frozenset({"a"}))
    provider.models["m"] = Model("m", quirks=frozenset({"b"}))
    assert quirks_of(provider, "m") == {"a", "b"}
    assert quirks_of(provider, "other") == {"a"}


@pytest.mark.parametrize(
    ("node_type", "api_type", "wire", "auth"),
    [
        ("openai-compatible", "chat", "openai-chat", "optional-bearer"),
        ("openai-compatible", "responses", "openai-responses", "optional-bearer"),
        ("anthropic-compatible", None, "anthropic", "x-api-key"),
        ("gemini-compatible", None, "gemini", "x-goog-api-key"),
        ("ollama-compatible", None, "ollama", "optional-bearer"),
    ],
)
def test_a_node_becomes_a_provider(node_type: str, api_type: str | None, wire: str, auth: str) -> None:
    node = node_provider("node-1", node_type, "Mine", "mine", "https://mine.example/v1/", api_type)
    assert (node.id, node.alias, node.prefix, node.name, node.node) == ("node-1", "mine", "mine", "Mine", True)
    assert (node.wire, node.auth, node.base_url, node.pass_through) == (wire, auth, "https://mine.example/v1", True)
    assert dict(node.headers).get("anthropic-version") == ("2023-06-01" if wire == "anthropic" else None)


@pytest.mark.parametrize(
    ("node_type", "api_type", "message"),
    [
        ("openai-compatible", None, "Invalid OpenAI compatible API type"),
        ("openai-compatible", "smoke", "Invalid OpenAI compatible API type"),
        ("fax-compatible", "chat", "Invalid provider node type"),
    ],
)
def test_an_unknown_node_type_is_refused(node_type: str, api_type: str | None, message: str) -> None:
    with pytest.raises(OmniError, match=message) as caught:
        node_provider("n", node_type, "N", "n", "", api_type)
    assert caught.value.kind == "invalid_request"


@pytest.mark.parametrize(
    ("node_type", "given", "url"),
    [
        ("openai-compatible", "", "https://api.openai.com/v1"),
        ("openai-compatible", " http://127.0.0.1:8000/v1/ ", "http://127.0.0.1:8000/v1"),
        ("openai-compatible", "http://h/v1/chat/completions", "http://h/v1"),
        ("anthropic-compatible", "", "https://api.anthropic.com/v1"),
        ("anthropic-compatible", "https://h/v1/messages/", "https://h/v1"),
        ("anthropic-compatible", "https://h/api/anthropic/v1//", "https://h/api/anthropic/v1"),
        ("gemini-compatible", "", "https://generativelanguage.googleapis.com/v1beta"),
        ("ollama-compatible", "", "http://localhost:11434"),
        ("ollama-compatible", "http://box:11434/api/", "http://box:11434"),
    ],
)
def test_node_base_urls_are_normalised(node_type: str, given: str, url: str) -> None:
    assert node_base_url(node_type, given) == url


def test_what_is_not_counted_in_tokens_has_its_price_among_the_words() -> None:
    line = "pic  -  -  2  -  -  -  -  image image=0.04\nvoice  -  -  -  -  -  -  -  speech mchar=15 second=0.5 search=1\n"
    table = parse_catalog(ROW + f"[provider.two]\nname = \"Two\"\nmodels = '''\n{line}'''\n").providers["two"].models
    assert table["pic"].price == Price(2.0, per_image=0.04)
    assert table["voice"].price == Price(per_second=0.5, per_million_characters=15.0, per_search=1.0)


def test_a_provider_serves_an_operation_in_its_own_format_or_its_wires() -> None:
    providers = load_catalog().providers
    assert serves(providers["openai"], "embeddings") == Served("openai")
    assert serves(providers["gemini"], "embeddings") == Served("gemini")
    assert serves(providers["cohere"], "rerank") == Served("cohere", "https://api.cohere.com/v2/rerank")
    assert serves(providers["anthropic"], "embeddings") is None
    node = node_provider("n", "ollama-compatible", "N", "n")
    assert (serves(node, "embeddings"), serves(node, "images")) == (Served("ollama"), None)


@pytest.mark.parametrize(
    ("media", "message"),
    [
        ('{ singing = "x" }', "unknown operation singing"),
        ('{ rerank = "" }', 'media says "codec" or "codec path"'),
        ('{ rerank = "a b c" }', 'media says "codec" or "codec path"'),
    ],
)
def test_a_wrong_media_row_is_named(media: str, message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        parse_catalog(ROW + f'[provider.two]\nname = "Two"\nmedia = {media}\n')
