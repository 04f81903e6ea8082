from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes_store import a_store

from omniroute.gateway.retry import Profile
from omniroute.store.config import DEFAULTS, FIELDS, PROFILE_FIELDS, check, sound


def test_defaults_pass_their_own_check() -> None:
    assert {name: check(name, value) for name, value in DEFAULTS.items() if check(name, value)} == {}


def test_profile_fields_are_those_of_the_data_plane() -> None:
    assert tuple(field for field, _ in PROFILE_FIELDS.values()) == Profile._fields


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("theme", ["", "dark", "x" * 50], ["x" * 51, 1, None]),
        ("corsOrigins", ["https://a.example", "x" * 500], ["x" * 501]),
        ("requireLogin", [True, False], [1, 0, "true", None]),
        ("logRetentionDays", [1, 365], [0, 366, "7", 1.5, True]),
        ("stickyRoundRobinLimit", [0, 1000], [-1, 1001]),
        ("blockedProviders", [[], ["openai"]], ["openai", [1], {}]),
        ("fallbackStrategy", ["fill-first", "p2c", "least-used"], ["fastest", "", None, []]),
        (
            "wildcardAliases",
            [[], [{"pattern": "gpt-*", "target": "openai/gpt-4o"}]],
            [[{}], [{"pattern": "", "target": "x"}], ["x"]],
        ),
        ("systemPrompt", [{}, {"enabled": True}], [[], "x"]),
    ],
)
def test_types_and_ranges(name: str, good: list[Any], bad: list[Any]) -> None:
    assert [value for value in good if check(name, value) is not None] == []
    assert [value for value in bad if not check(name, value)] == []


def test_what_is_damaged_or_unknown_is_not_relied_on() -> None:
    stored = {"fallbackStrategy": "fastest", "stickyRoundRobinLimit": 7, "unknown": 1, "theme": "dark"}
    assert sound(stored) == {**DEFAULTS, "stickyRoundRobinLimit": 7, "theme": "dark"}


async def test_a_new_store_has_the_defaults(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        assert await store.config.all() == DEFAULTS
        assert await store.config.get("requireLogin") is True
        assert await store.config.get("theme") is None
        assert await store.config.get("theme", "light") == "light"
        assert await store.config.get("requireLogin", False) is False


async def test_stored_values_go_over_defaults_and_none_brings_the_default_back(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await store.config.set_many({"fallbackStrategy": "p2c", "theme": "dark", "requireLogin": False})
        assert await store.config.get("fallbackStrategy", "random") == "p2c"
        assert await store.config.get("requireLogin", True) is False
        assert store.snapshot.settings.fallback_strategy == "p2c"
        await store.config.set_many({"fallbackStrategy": None})
        assert await store.config.all() == {**DEFAULTS, "theme": "dark", "requireLogin": False}


async def test_all_or_nothing_is_stored(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        with pytest.raises(TypeError):
            await store.config.set_many({"theme": "dark", "language": object()})
        assert await store.config.all() == DEFAULTS


async def test_the_passwords_hash_is_not_among_the_settings(tmp_path: Path) -> None:
    async with a_store(tmp_path) as store:
        await store.config.set_many({"password": "scrypt:1:2"})
        assert "password" not in await store.config.all()
        assert await store.config.get("password") == "scrypt:1:2"


def test_only_what_has_no_route_of_its_own_is_writable_through_settings() -> None:
    assert not FIELDS["comboDefaults"].writable
    assert FIELDS["theme"].writable
