from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omniroute.errors import OmniError
from omniroute.gateway.media_resolve import resolve
from omniroute.gateway.snapshot import Connection, GatewaySettings, Snapshot
from omniroute.media.operations import EMBEDDINGS, IMAGES, SPEECH, TRANSCRIPTIONS, MediaOperation
from omniroute.upstream.providers import Model, Provider, Served


def provider(id_: str, *models: Model, **more: Any) -> Provider:
    about = {"alias": id_, "extras": frozenset({"embeddings"}), **more}
    known = {model.id: model for model in models}
    return Provider(id_, name=id_.title(), wire="openai-chat", base_url=f"https://{id_}.example/v1", models=known, **about)


def embedding(id_: str) -> Model:
    return Model(id_, kind="embedding")


ALPHA = provider("alpha", embedding("shared"), embedding("v/e-1"), Model("talk"), alias="al", renames={"old": "v/e-1"})
BETA = provider("beta", embedding("shared"), embedding("beta/own"), media={"embeddings": Served("cohere")})
MUTE = provider("mute", extras=frozenset())
SOUND = provider(
    "sound",
    Model("hear", kind="audio", abilities=frozenset({"transcription"})),
    Model("say", kind="audio", abilities=frozenset({"speech"})),
    extras=frozenset({"speech", "transcriptions"}),
)
EMPTY = provider("empty", embedding("lonely"))


def build(*active: str, default: str = "", **settings: Any) -> Snapshot:
    providers = {p.id: p for p in (ALPHA, BETA, MUTE, SOUND, EMPTY)}
    offers: dict[str, tuple[str, ...]] = {}
    for p in providers.values():
        for model in p.models:
            offers[model] = (*offers.get(model, ()), p.id)
    return Snapshot(
        default_provider=default,
        providers=providers,
        prefixes={**{id_: id_ for id_ in providers}, "al": "alpha"},
        connections={id_: (Connection(f"c-{id_}", id_, "one"),) for id_ in active or ("alpha", "beta", "mute", "sound")},
        models={**offers, "mine": ("alpha",)},
        aliases={"fast": "beta/shared", "loop": "loop2", "loop2": "loop"},
        settings=GatewaySettings(**settings),
    )


@pytest.mark.parametrize(
    ("name", "operation", "provider_id", "model", "codec"),
    [
        ("alpha/shared", EMBEDDINGS, "alpha", "shared", "openai"),
        ("al/v/e-1", EMBEDDINGS, "alpha", "v/e-1", "openai"),
        ("alpha/old", EMBEDDINGS, "alpha", "v/e-1", "openai"),
        ("beta/shared", EMBEDDINGS, "beta", "shared", "cohere"),
        ("beta/own", EMBEDDINGS, "beta", "beta/own", "cohere"),  # the vendor's name is part of the model's
        ("beta/beta/own", EMBEDDINGS, "beta", "beta/own", "cohere"),
        ("fast", EMBEDDINGS, "beta", "shared", "cohere"),
        ("v/e-1", EMBEDDINGS, "alpha", "v/e-1", "openai"),  # a bare id with a slash in it
        ("mine", EMBEDDINGS, "alpha", "mine", "openai"),  # the owner's own model: its kind is not known
        ("v/e-1:latest", EMBEDDINGS, "alpha", "v/e-1", "openai"),
        ("hear", TRANSCRIPTIONS, "sound", "hear", "openai"),
        ("say", SPEECH, "sound", "say", "openai"),
    ],
)
def test_names_lead_to_a_provider_and_its_format(
    name: str, operation: MediaOperation, provider_id: str, model: str, codec: str
) -> None:
    route = resolve(build(), operation, name)
    assert (route.provider.id, route.model, route.wire) == (provider_id, model, codec)


def test_a_bare_id_of_several_providers_goes_to_the_one_with_an_account() -> None:
    assert resolve(build("beta"), EMBEDDINGS, "shared").provider.id == "beta"
    assert resolve(build(default="alpha"), EMBEDDINGS, "shared").provider.id == "alpha"
    with pytest.raises(OmniError, match=r"Ambiguous model 'shared'\. Use provider/model prefix"):
        resolve(build(), EMBEDDINGS, "shared")


def test_a_blocked_provider_makes_no_name_ambiguous_and_a_chain_decides_between_the_others() -> None:
    assert resolve(build(blocked_providers=frozenset({"alpha"})), EMBEDDINGS, "shared").provider.id == "beta"
    chained = msgspec.structs.replace(build(), chains={"shared": ("sound", "beta", "alpha")})
    assert resolve(chained, EMBEDDINGS, "shared").provider.id == "beta"


@pytest.mark.parametrize(
    ("name", "operation", "status", "text"),
    [
        ("", EMBEDDINGS, 400, "Missing model"),
        ("zzz", EMBEDDINGS, 400, "Invalid embedding model: zzz. Use format: provider/model"),
        ("talk", EMBEDDINGS, 400, "Invalid embedding model: talk. Use format: provider/model"),
        ("hear", SPEECH, 400, "Invalid speech model: hear. Use format: provider/model"),
        ("nobody/zzz", EMBEDDINGS, 400, "No credentials for embedding provider: nobody"),
        ("nobody/zzz", IMAGES, 400, "Invalid image model: nobody/zzz. Use format: provider/model"),
        ("nobody/zzz", TRANSCRIPTIONS, 400, "Invalid transcription model: nobody/zzz. Use format: provider/model"),
        ("empty/lonely", EMBEDDINGS, 400, "No credentials for embedding provider: empty"),
        ("lonely", EMBEDDINGS, 400, "No credentials for embedding provider: empty"),
        ("mute/m", EMBEDDINGS, 400, "Invalid embedding model: mute/m. Provider 'mute' has no embedding endpoint"),
        ("loop", EMBEDDINGS, 400, "Alias 'loop2' leads in a circle or too deep (limit 5)"),
        ("a\nb", EMBEDDINGS, 400, "Invalid model format"),
    ],
)
def test_names_that_lead_nowhere_are_refused_in_the_contracts_words(
    name: str, operation: MediaOperation, status: int, text: str
) -> None:
    with pytest.raises(OmniError) as caught:
        resolve(build(), operation, name)
    assert (caught.value.status, caught.value.message) == (status, text)


def test_a_blocked_provider_is_refused() -> None:
    with pytest.raises(OmniError, match="Provider 'alpha' is blocked in the settings"):
        resolve(build(blocked_providers=frozenset({"alpha"})), EMBEDDINGS, "alpha/shared")


@pytest.mark.parametrize(
    ("only", "name", "model"),
    [
        ("al", "shared", "shared"),
        ("alpha", "al/shared", "shared"),
        ("alpha", "v/e-1", "v/e-1"),
        ("beta", "beta/own", "beta/own"),
    ],
)
def test_a_dedicated_route_adds_the_prefix(only: str, name: str, model: str) -> None:
    assert resolve(build(), EMBEDDINGS, name, only=only).model == model


@pytest.mark.parametrize(
    ("only", "name", "text"),
    [
        ("nobody", "m", "Unknown provider: nobody"),
        ("alpha", "beta/shared", 'Model "beta/shared" does not belong to provider "alpha". Expected prefix: al/'),
    ],
)
def test_a_dedicated_route_refuses_other_providers(only: str, name: str, text: str) -> None:
    with pytest.raises(OmniError) as caught:
        resolve(build(), EMBEDDINGS, name, only=only)
    assert (caught.value.status, caught.value.message) == (400, text)
