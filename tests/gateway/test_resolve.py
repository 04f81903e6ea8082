from __future__ import annotations

import timeit

import msgspec
import pytest

from omniroute.errors import OmniError
from omniroute.gateway.combos import Lineups
from omniroute.gateway.resolve import alias_target, find_combo, resolve, specificity
from omniroute.gateway.snapshot import Combo, ComboEntry, Connection, GatewaySettings, Snapshot
from omniroute.upstream.providers import Model, Provider


def provider(id_: str, alias: str = "", wire: str = "openai-chat", **more: object) -> Provider:
    return Provider(id_, alias or id_, id_.title(), wire, f"https://{id_}.example/v1", **more)  # type: ignore[arg-type]


def models(*ids: str) -> dict[str, Model]:
    return {id_: Model(id_) for id_ in ids}


ALPHA = provider("alpha", models=models("a-1", "shared", "vendor/a-2"))
BETA = provider("beta", "bt", models={"shared": Model("shared"), "b-codex": Model("b-codex", wire="openai-responses")})
GAMMA = provider("gamma", "gm", models=models("only-gamma", "g-new"), renames={"g-old": "g-new"})
NODE = provider("node-1", "", node=True, prefix="home")
MEDIA = provider("media", wire="")


def build(*, active: tuple[str, ...] = (), **settings: object) -> Snapshot:
    providers = {p.id: p for p in (ALPHA, BETA, GAMMA, NODE, MEDIA)}
    return Snapshot(
        default_provider="alpha",
        providers=providers,
        prefixes={
            "alpha": "alpha",
            "beta": "beta",
            "bt": "beta",
            "gamma": "gamma",
            "gm": "gamma",
            "home": "node-1",
            "media": "media",
        },
        connections={id_: (Connection(f"c-{id_}", id_, "one"),) for id_ in active},
        models={"a-1": ("alpha",), "shared": ("beta", "gamma"), "both": ("alpha", "beta"), "only-gamma": ("gamma",)},
        aliases={"fast": "bt/shared", "loop": "loop2", "loop2": "loop", "self": "self"},
        settings=GatewaySettings(**settings),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("name", "provider_id", "model"),
    [
        ("alpha/a-1", "alpha", "a-1"),
        ("bt/shared", "beta", "shared"),
        ("alpha/vendor/a-2", "alpha", "vendor/a-2"),
        ("home/qwen:7b", "node-1", "qwen:7b"),
        ("gm/g-old", "gamma", "g-new"),
        ("fast", "beta", "shared"),
        ("a-1", "alpha", "a-1"),
        ("only-gamma", "gamma", "only-gamma"),
        ("never-heard-of", "alpha", "never-heard-of"),
        ("both", "alpha", "both"),
        ("self", "alpha", "self"),
    ],
)
def test_names_resolve(name: str, provider_id: str, model: str) -> None:
    route = resolve(build(), name)
    assert (route.provider.id, route.model) == (provider_id, model)


def test_a_bare_name_offered_by_several_is_ambiguous_until_one_has_an_account() -> None:
    with pytest.raises(OmniError, match=r"Ambiguous model 'shared'\. Use provider/model prefix") as error:
        resolve(build(), "shared")
    assert error.value.param == "model"
    assert resolve(build(active=("gamma",)), "shared").provider.id == "gamma"
    assert resolve(build(active=("beta",)), "both").provider.id == "beta"


def test_a_provider_that_is_blocked_or_gone_makes_no_name_ambiguous() -> None:
    both = build(active=("beta", "gamma"), blocked_providers=frozenset({"beta"}))
    assert resolve(both, "shared").provider.id == "gamma"
    with pytest.raises(OmniError, match="Provider 'gamma' is blocked"):
        resolve(build(blocked_providers=frozenset({"gamma"})), "only-gamma")
    left = msgspec.structs.replace(build(), models={"mine": ("node-2",), "shared": ("node-2", "beta")})
    assert resolve(left, "shared").provider.id == "beta"
    assert resolve(left, "mine").via == "default", "the node that had it was deleted"


def test_an_unknown_prefix_has_no_credentials() -> None:
    with pytest.raises(OmniError, match="No credentials for provider: zeta"):
        resolve(build(), "zeta/m")


@pytest.mark.parametrize("name", ["../etc", "a/..\\b", "a\nb", "a\x00", "a\x85", "x" * 513, "alpha/", "/m", "/"])
def test_dangerous_names_and_halves_of_names_are_refused(name: str) -> None:
    with pytest.raises(OmniError, match="Invalid model format"):
        resolve(build(), name)


@pytest.mark.parametrize("name", ["", "  "])
def test_a_missing_model_is_named(name: str) -> None:
    with pytest.raises(OmniError, match="Missing model"):
        resolve(build(), name)


def test_a_circle_of_aliases_ends_in_an_error() -> None:
    with pytest.raises(OmniError, match="circle"):
        resolve(build(), "loop")


def test_the_most_specific_wildcard_alias_wins_and_exact_aliases_go_first() -> None:
    snapshot = build(
        wildcard_aliases=(("*", "alpha/a-1"), ("gpt-*", "gm/only-gamma"), ("GPT-4?", "bt/shared"), ("fast", "gm/x"))
    )
    assert resolve(snapshot, "gpt-5").provider.id == "gamma"
    assert resolve(snapshot, "gpt-4o").model == "shared"
    assert resolve(snapshot, "other/thing").model == "a-1"
    assert resolve(snapshot, "fast").provider.id == "beta"


def test_specificity_follows_its_formula() -> None:
    assert specificity("gpt-4?") == 10 * 5 - 5 + 6
    assert specificity("a/*") == 10 * 1 - 50 + 3


def test_a_models_own_wire_wins_over_its_providers() -> None:
    assert resolve(build(), "beta/b-codex").wire == "openai-responses"


def test_a_prefix_may_have_another_wire_than_its_provider() -> None:
    snapshot = Snapshot(providers={"beta": BETA}, prefixes={"beta": "beta", "b2": "beta"}, wires={"b2": "openai-responses"})
    wires = [resolve(snapshot, name).wire for name in ("b2/shared", "b2/b-codex", "beta/shared")]
    assert wires == ["openai-responses", "openai-responses", "openai-chat"]


def test_part_of_a_models_name_may_select_its_wire() -> None:
    one = provider("one", wires={"-codex": "openai-responses"})
    snapshot = Snapshot(providers={"one": one}, prefixes={"one": "one"})
    assert [resolve(snapshot, f"one/{model}").wire for model in ("x-codex-mini", "x")] == ["openai-responses", "openai-chat"]


def test_blocked_and_chatless_providers_are_refused() -> None:
    with pytest.raises(OmniError, match="blocked"):
        resolve(build(blocked_providers=frozenset({"beta"})), "bt/shared")
    with pytest.raises(OmniError, match="no chat models"):
        resolve(build(), "media/x")


def test_dedicated_routes_add_the_prefix_and_refuse_a_foreign_one() -> None:
    snapshot = build()
    assert resolve(snapshot, "shared", only="bt").provider.id == "beta"
    assert resolve(snapshot, "beta/shared", only="beta").model == "shared"
    assert resolve(snapshot, "vendor/a-2", only="alpha").model == "vendor/a-2"
    assert resolve(snapshot, "meta/llama", only="alpha").model == "meta/llama"
    with pytest.raises(OmniError, match=r'Model "bt/shared" does not belong to provider "alpha"\. Expected prefix: alpha/'):
        resolve(snapshot, "bt/shared", only="alpha")
    with pytest.raises(OmniError, match="Unknown provider: nobody"):
        resolve(snapshot, "x", only="nobody")


# -- fallback chains and combos that are switched off


def chained(*chain: str, active: tuple[str, ...] = (), name: str = "shared", **settings: object) -> Snapshot:
    return msgspec.structs.replace(build(active=active, **settings), chains={name: chain})


def test_a_chain_decides_between_several_that_offer_a_model() -> None:
    assert resolve(chained("gamma", "beta"), "shared").provider.id == "gamma"
    found = resolve(chained("nobody", "alpha", "beta"), "shared")
    assert (found.provider.id, found.via) == ("beta", "fallback chain")
    blocked = chained("beta", "gamma", blocked_providers=frozenset({"beta"}))
    assert resolve(blocked, "shared").provider.id == "gamma"
    assert resolve(chained("beta", active=("gamma",)), "shared").provider.id == "gamma", "one account decides first"


def test_a_model_that_nobody_lists_goes_to_the_first_of_its_chain_that_has_an_account() -> None:
    state = chained("alpha", "beta", active=("beta",), name="my-own")
    assert resolve(state, "my-own").provider.id == "beta"
    assert resolve(chained("alpha", name="my-own"), "my-own").via == "default"


def test_a_combo_that_is_switched_off_leads_nowhere() -> None:
    state = msgspec.structs.replace(build(), inactive_combos=frozenset({"coding", "shared", "beta/b-1"}))
    with pytest.raises(OmniError, match="Combo 'coding' is not active"):
        resolve(state, "coding")
    assert resolve(state, "beta/b-1").model == "b-1", "what it hid is there again"


def test_a_combo_is_found_by_its_name_or_what_leads_to_it() -> None:
    combo = Combo("1", "beta/x")
    state = msgspec.structs.replace(
        build(wildcard_aliases=(("co*", "mine"),)), combos={"beta/x": combo}, aliases={"mine": "beta/x", "a": "b", "b": "a"}
    )
    assert [find_combo(state, name) for name in ("beta/x", "mine", "CODING", "beta/y", "a", "none")] == [
        combo, combo, combo, None, None, None,
    ]  # fmt: skip
    assert find_combo(build(), "beta/x") is None


@pytest.mark.parametrize(
    ("name", "model"),
    [("fast:latest", "shared"), ("only-gamma:latest", "only-gamma"), ("new:latest", "new"), ("own:latest", "own:latest")],
)
def test_a_tag_that_a_client_added_to_a_bare_name_does_not_matter(name: str, model: str) -> None:
    state = build()
    state = msgspec.structs.replace(state, models={**state.models, "own:latest": ("node-1",)})
    assert resolve(state, name).model == model


def test_a_combo_is_found_under_its_name_with_a_tag() -> None:
    mine, hidden = Combo("1", "mine"), Combo("2", "own")
    state = msgspec.structs.replace(
        build(),
        combos={"mine": mine, "own": hidden},
        aliases={"my": "mine", "own:latest": "mine"},
        models={"mine:latest": ("node-1",)},
    )
    assert [find_combo(state, name) for name in ("my:latest", "own:latest", "mine:latest", "home/own:latest")] == [
        mine, mine, None, None,
    ]  # fmt: skip
    assert find_combo(msgspec.structs.replace(state, models={}), "mine:latest") == mine


def test_a_name_among_many_is_resolved_in_microseconds() -> None:
    """500 connections, 100 combos, 1,000 aliases: 15 µs on the reference machine, and ten times that anywhere."""
    providers = {f"p{n}": provider(f"p{n}", models=models(f"m{n}")) for n in range(50)}
    accounts = {id: tuple(Connection(f"{id}-{n}", id, "x") for n in range(10)) for id in providers}
    state = Snapshot(
        providers=providers,
        prefixes={id: id for id in providers},
        connections=accounts,
        models={f"m{n}": (f"p{n}",) for n in range(50)},
        aliases={f"alias-{n}": f"p{n % 50}/m{n % 50}" for n in range(1000)},
        combos={f"combo-{n}": Combo(str(n), f"combo-{n}", (ComboEntry("p1/m1"), ComboEntry("m2"))) for n in range(100)},
    )
    for name in ("p7/m7", "m7", "alias-77"):
        assert min(timeit.repeat(lambda name=name: resolve(state, name), number=200, repeat=5)) / 200 < 150e-6  # type: ignore[misc]
    lineups = Lineups()
    assert min(timeit.repeat(lambda: lineups.find(state, "combo-5"), number=200, repeat=5)) / 200 < 150e-6


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("gpt-4o", "one"), ("GPT-4o", "one"), ("gpt-4", "two"), ("gpt-x", "two"), ("my-gpt", "three"), ("x", None),
        ("same-1", "first"), ("STRASSE-9", "four"), ("a/b", "five"),
    ],
)  # fmt: skip
def test_wildcards_match_whatever_their_case_and_the_first_of_equals_wins(name: str, target: str | None) -> None:
    aliases = (
        ("*gpt", "three"), ("gpt-*", "two"), ("gpt-4?", "one"), ("same-?", "first"), ("same-?", "second"),
        ("strasse-*", "four"), ("?/b", "five"),
    )  # fmt: skip
    assert alias_target(build(wildcard_aliases=aliases), name) == target


def test_no_name_causes_catastrophic_backtracking() -> None:
    assert alias_target(build(wildcard_aliases=(("*a" * 6 + "b", "target"),)), "a" * 512) is None


def test_a_name_among_many_wildcards_is_resolved_in_microseconds() -> None:
    aliases = tuple((f"family-{n}-*", "alpha/a-1") for n in range(1000))
    state = build(wildcard_aliases=aliases)
    assert resolve(state, "family-77-x").model == "a-1"
    assert min(timeit.repeat(lambda: resolve(state, "family-77-x"), number=200, repeat=5)) / 200 < 100e-6
