"""The loader of the catalogue: how rows are read, and which are refused."""

from __future__ import annotations

import pytest

from omniroute.upstream.catalog import CatalogError, parse_catalog
from omniroute.upstream.providers import Model, Price

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


def test_what_is_not_counted_in_tokens_has_its_price_among_the_words() -> None:
    line = "pic  -  -  2  -  -  -  -  image image=0.04\nvoice  -  -  -  -  -  -  -  speech mchar=15 second=0.5 search=1\n"
    table = parse_catalog(ROW + f"[provider.two]\nname = \"Two\"\nmodels = '''\n{line}'''\n").providers["two"].models
    assert table["pic"].price == Price(2.0, per_image=0.04)
    assert table["voice"].price == Price(per_second=0.5, per_million_characters=15.0, per_search=1.0)


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
