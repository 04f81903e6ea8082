"""Contract section 7.1: which proxy a call takes."""

from __future__ import annotations

import pytest
from fakes_manage import catalog

from omniroute.gateway.outbound import Environment, Names, Outbound, Via, by_provider
from omniroute.gateway.snapshot import Combo, ComboEntry
from omniroute.proto.proxy import Proxy

A, B, C, D, E = (Proxy("http", f"{name}.test", 3128) for name in "abcde")
OPENAI = catalog().providers["openai"]
OLLAMA = next(provider for provider in catalog().providers.values() if provider.local)


def test_the_order_is_connection_combo_provider_everywhere_environment_none() -> None:
    ways = Outbound(D, {"openai": C}, {"openai": Via(B, "combo", "c1")}, {"k1": A}, Environment(E, E))
    assert ways.choose(OPENAI, "openai", "k1") == Via(A, "key", "k1")
    assert ways.choose(OPENAI, "openai", "k2") == Via(B, "combo", "c1")
    ways = Outbound(D, {"openai": C}, environment=Environment(E, E))
    assert ways.choose(OPENAI, "openai", "k2") == Via(C, "provider", "openai")
    ways = Outbound(D, environment=Environment(E, E))
    assert ways.choose(OPENAI, "openai", "k2") == Via(D, "global")
    ways = Outbound(environment=Environment(E, E))
    assert ways.choose(OPENAI, "openai", "k2") == Via(E, "environment")
    assert Outbound().choose(OPENAI, "openai", "k2") is None


def test_servers_on_this_machine_take_only_a_proxy_that_was_chosen_for_them() -> None:
    ways = Outbound(D, {}, {}, {"k1": A}, Environment(E, E))
    assert ways.choose(OLLAMA, OLLAMA.id, "k2") is None
    assert ways.choose(OLLAMA, OLLAMA.id, "k1") == Via(A, "key", "k1")
    ways = Outbound(environment=Environment(E, E))
    assert ways.choose(OPENAI, "openai", "k", "http://127.0.0.1:9/v1") is None
    assert ways.choose(OPENAI, "openai", "k", "http://localhost:9/v1") is None
    assert ways.choose(OPENAI, "openai", "k", "http://[::1]:9/v1") is None


def test_urls_of_no_provider_take_the_global_proxy_and_loopback_none() -> None:
    ways = Outbound(D, {"openai": C}, {}, {"k1": A}, Environment(E, E, ("near.test",)))
    assert ways.elsewhere("https://peer.test:20128") == Via(D, "global")
    assert ways.elsewhere("http://127.0.0.1:20129") is None
    ways = Outbound(environment=ways.environment)
    assert ways.elsewhere("https://peer.test") == Via(E, "environment")
    assert ways.elsewhere("https://near.test") is None


def test_the_environment_has_one_proxy_for_each_scheme() -> None:
    ways = Outbound(environment=Environment(A, B))
    assert [ways.choose(None, "p", "k", f"{scheme}://h.test") for scheme in ("http", "https")] == [
        Via(A, "environment"),
        Via(B, "environment"),
    ]
    assert Outbound(environment=Environment(A)).choose(None, "p", "k", "https://h.test") is None
    assert ways.choose(None, "p", "k", "https://h.test:zz") is None


@pytest.mark.parametrize(
    ("entry", "url", "direct"),
    [
        ("*", "https://api.test", True),
        ("api.test", "https://api.test", True),
        ("API.test", "https://api.test", True),
        ("test", "https://api.test", True),
        (".test", "https://api.test", True),
        ("*.test", "https://api.test", True),
        ("pi.test", "https://api.test", False),
        ("api.test:443", "https://api.test", True),
        ("api.test:8443", "https://api.test", False),
        ("10.0.0.0/8", "http://10.1.2.3", True),
        ("10.0.0.0/8", "http://11.1.2.3", False),
        ("10.1.2.3:80", "http://10.1.2.3", True),
        ("[2001:db8::1]:80", "http://[2001:db8::1]", True),
        ("2001:db8::/32", "http://[2001:db8::1]", True),
    ],
)
def test_no_proxy(entry: str, url: str, direct: bool) -> None:
    ways = Outbound(environment=Environment(A, A, (entry,)))
    assert (ways.choose(None, "p", "k", url) is None) is direct


def combo(name: str, *models: str) -> Combo:
    return Combo(f"id-{name}", name, tuple(ComboEntry(model) for model in models))


def test_a_combos_proxy_is_for_every_provider_in_it_nested_ones_too() -> None:
    combos = {
        "outer": combo("outer", "inner", "oa/gpt", "outer"),
        "inner": combo("inner", "quick", "shared", "outer"),
        "zother": combo("zother", "oa/gpt"),
    }
    names = Names({"oa": "openai", "an": "anthropic"}, {"quick": "an/claude"}, {"shared": ("groq", "together")})
    assert by_provider({"id-outer": A, "zother": B}, combos, names) == dict.fromkeys(
        ("openai", "anthropic", "groq", "together"), Via(A, "combo", "id-outer")
    )
    assert by_provider({}, combos, names) == {}
