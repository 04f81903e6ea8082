"""Providers as data.  SKELETON: the types are fixed, the loader of catalog.toml is to be written."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

AuthScheme = Literal["bearer", "x-api-key", "x-goog-api-key", "api-key", "token", "raw", "none", "optional-bearer"]


class Price(Struct, frozen=True):
    """US dollars per 1,000,000 tokens; None = unknown."""

    input: float | None = None
    output: float | None = None
    cached: float | None = None
    reasoning: float | None = None
    cache_creation: float | None = None


class Model(Struct, frozen=True):
    """One model of one provider; limits in tokens, 0 = unknown."""

    id: str
    name: str = ""
    kind: str = "chat"  # chat, embedding, image, audio, rerank, moderation
    context: int = 0
    max_output: int = 0
    abilities: frozenset[str] = frozenset()
    price: Price | None = None
    wire: str = ""  # overrides the provider's


class Provider(Struct, frozen=True):
    """One provider, built in or a user's node."""

    id: str
    alias: str
    name: str
    wire: str  # key of translate.FORMATS, or "" when it has no chat
    base_url: str  # without a trailing slash, e.g. https://api.openai.com/v1
    auth: AuthScheme = "bearer"
    auth_type: str = "apikey"  # "apikey", "oauth", "free"
    local: bool = False  # keyless servers on this machine
    node: bool = False  # a user's own endpoint
    prefix: str = ""  # of nodes
    quirks: frozenset[str] = frozenset()
    headers: tuple[tuple[str, str], ...] = ()  # sent with every call
    env: str = ""  # the environment variable that seeds a connection
    models: dict[str, Model] = field(default_factory=dict)
    renames: dict[str, str] = field(default_factory=dict)  # model id asked for -> id sent
    pass_through: bool = False  # takes any vendor/model
    lists_models: bool = True
    extras: frozenset[str] = frozenset()
