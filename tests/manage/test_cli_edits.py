"""What is written for each tool, and that undoing leaves what was there before."""

from __future__ import annotations

import copy
import tomllib
from typing import Any

import pytest

from omniroute.errors import OmniError
from omniroute.manage.cli_edits import EDITS, Documents, Wanted, configured, with_version
from omniroute.manage.cli_text import parse, render
from omniroute.manage.cli_tools import TOOLS

URL = "http://127.0.0.1:20128/v1"
WANTED = Wanted(URL, "sk-key", "openai/gpt-4o", {"ANTHROPIC_BASE_URL": "http://127.0.0.1:20128", "API_TIMEOUT_MS": "600000"})
CODEX_TOML = """# my settings
model = "gpt-5" # the best
approval_policy = "on-request"

[mcp_servers.files]
command = "files" # mine
"""

# tool -> what may be in its files already
EXISTING: dict[str, Documents] = {
    "claude": {"settings.json": {"permissions": {"allow": ["x"]}, "env": {"MINE": "1"}}},
    "droid": {"settings.json": {"customModels": [{"id": "custom:Mine-0", "model": "m"}], "theme": "dark"}},
    "openclaw": {
        "openclaw.json": {
            "agents": {"defaults": {"model": {"primary": "anthropic/x", "fallbacks": ["y"]}}},
            "models": {"providers": {"mine": {"baseUrl": "u"}}},
        }
    },
    "continue": {"config.json": {"models": [{"title": "Mine"}], "other": 1}},
}


def documents(id: str, texts: dict[str, str] | None = None) -> Documents:
    """A tool's documents, of *texts* by file name; without them what may be there."""
    if texts is None and id in EXISTING:
        return copy.deepcopy(EXISTING[id])
    texts = texts if texts is not None else {"config.toml": CODEX_TOML, "auth.json": '{"tokens":{"id":"t"}}'}
    return {file.name: parse(file, texts.get(file.name)) for file in TOOLS[id].files}


def plain(docs: Documents) -> Any:
    return {name: tomllib.loads(render(TOOLS["codex"].files[0], doc)) if name.endswith("toml") else doc
            for name, doc in docs.items()}  # fmt: skip


@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
def test_the_version_is_in_the_address_once(url: str) -> None:
    assert with_version(url) == "http://h:1/v1"


@pytest.mark.parametrize("id", EDITS)
def test_undoing_leaves_the_rest_as_it_was(id: str) -> None:
    docs, edit = documents(id), EDITS[id]
    before = plain(copy.deepcopy(docs))
    found = edit.remember(docs)
    assert not edit.has_ours(docs)
    edit.apply(docs, WANTED)
    assert edit.has_ours(docs)
    assert configured(TOOLS[id], docs, ())
    edit.undo(docs, found)
    assert not edit.has_ours(docs)
    assert plain(docs) == before


@pytest.mark.parametrize("id", EDITS)
def test_writing_twice_is_writing_once(id: str) -> None:
    once, twice = documents(id), documents(id)
    EDITS[id].apply(once, WANTED)
    for _ in range(2):
        EDITS[id].apply(twice, WANTED)
    assert plain(once) == plain(twice)


@pytest.mark.parametrize("id", EDITS)
def test_undoing_without_anything_of_ours_changes_nothing(id: str) -> None:
    docs = documents(id)
    before = plain(copy.deepcopy(docs))
    EDITS[id].undo(docs, {})
    assert plain(docs) == before


@pytest.mark.parametrize("id", EDITS)
def test_a_new_file_is_empty_again_afterwards(id: str) -> None:
    docs = documents(id, {})
    EDITS[id].apply(docs, WANTED)
    EDITS[id].undo(docs, {})
    rest = {name: doc for name, doc in plain(docs).items() if doc}
    assert rest in ({}, {"config.json": {"models": []}})


def test_claude_gets_variables_with_the_version_in_the_address() -> None:
    docs = documents("claude")
    EDITS["claude"].apply(docs, WANTED)
    assert docs["settings.json"] == {
        "permissions": {"allow": ["x"]},
        "env": {"MINE": "1", "ANTHROPIC_BASE_URL": URL, "API_TIMEOUT_MS": "600000"},
    }


def test_codex_gets_a_provider_and_its_comments_stay() -> None:
    docs = documents("codex")
    EDITS["codex"].apply(docs, WANTED)
    text = render(TOOLS["codex"].files[0], docs["config.toml"])
    assert text.startswith("# my settings\n")
    assert 'command = "files" # mine' in text
    found = tomllib.loads(text)
    assert (found["model"], found["model_provider"], found["approval_policy"]) == (
        "openai/gpt-4o",
        "omniroute",
        "on-request",
    )
    section = {"name": "OmniRoute", "base_url": URL, "wire_api": "responses", "requires_openai_auth": True}
    assert found["model_providers"] == {"omniroute": section}
    assert docs["auth.json"] == {"tokens": {"id": "t"}, "OPENAI_API_KEY": "sk-key"}


def test_codex_keeps_other_providers_and_gets_its_old_choice_and_key_back() -> None:
    toml = 'model_provider = "mine"\nmodel = "m"\n[model_providers.mine]\nname = "Mine"\n'
    docs = documents("codex", {"config.toml": toml, "auth.json": '{"OPENAI_API_KEY":"sk-mine"}'})
    found = EDITS["codex"].remember(docs)
    EDITS["codex"].apply(docs, WANTED)
    assert set(plain(docs)["config.toml"]["model_providers"]) == {"mine", "omniroute"}
    EDITS["codex"].undo(docs, {**found, "written": "sk-key"})
    assert render(TOOLS["codex"].files[0], docs["config.toml"]) == toml
    assert docs["auth.json"] == {"OPENAI_API_KEY": "sk-mine"}


@pytest.mark.parametrize(
    "toml",
    [
        'model_providers = { mine = { name = "Mine" } }\nmodel = "m"\n',
        "model_providers = {}\n",
        'model_providers.mine.name = "Mine"\nmodel = "m"\n[tools]\nweb_search = true\n',
        'model = "m"\nmodel_providers.mine.name = "Mine"\n[tools]\nweb_search = true\n',
        '[model_providers]\nmine.name = "Mine"\n[tools]\nweb_search = true\n',
        '[model_providers.mine]\nname = "Mine"\n[tools]\nweb_search = true\n[model_providers.more]\nname = "More"\n',
    ],
)
def test_codex_means_the_same_as_before_in_whichever_way_its_providers_are_written(toml: str) -> None:
    docs, edit = documents("codex", {"config.toml": toml}), EDITS["codex"]
    before = tomllib.loads(toml)
    found = edit.remember(docs)
    edit.apply(docs, WANTED)
    section = {"name": "OmniRoute", "base_url": URL, "wire_api": "responses", "requires_openai_auth": True}
    providers = {**before.get("model_providers", {}), "omniroute": section}
    chosen = {"model": "openai/gpt-4o", "model_provider": "omniroute", "model_providers": providers}
    assert plain(docs)["config.toml"] == {**before, **chosen}
    again = {**docs, "config.toml": parse(TOOLS["codex"].files[0], render(TOOLS["codex"].files[0], docs["config.toml"]))}
    edit.undo(again, found)
    before.pop("model_providers") if not before["model_providers"] else None
    assert plain(again)["config.toml"] == before


def test_codex_keeps_a_key_and_a_choice_that_the_user_made_since() -> None:
    docs = documents("codex")
    EDITS["codex"].apply(docs, WANTED)
    docs["config.toml"]["model_provider"] = "other"
    docs["auth.json"]["OPENAI_API_KEY"] = "sk-later"
    EDITS["codex"].undo(docs, {"written": "sk-key"})
    assert plain(docs)["config.toml"]["model_provider"] == "other"
    assert plain(docs)["config.toml"]["model"] == "openai/gpt-4o"
    assert docs["auth.json"]["OPENAI_API_KEY"] == "sk-later"


def test_droid_gets_the_first_custom_model() -> None:
    docs = documents("droid")
    EDITS["droid"].apply(docs, WANTED)
    first, second = docs["settings.json"]["customModels"]
    assert first == {
        "model": "openai/gpt-4o", "id": "custom:OmniRoute-0", "index": 0, "baseUrl": URL, "apiKey": "sk-key",
        "displayName": "openai/gpt-4o", "maxOutputTokens": 131072, "noImageSupport": False, "provider": "openai",
    }  # fmt: skip
    assert second["id"] == "custom:Mine-0"


def test_openclaw_gets_a_provider_and_a_default_model() -> None:
    docs = documents("openclaw")
    EDITS["openclaw"].apply(docs, WANTED)
    found = docs["openclaw.json"]
    assert found["agents"]["defaults"]["model"] == {"primary": "omniroute/openai/gpt-4o", "fallbacks": ["y"]}
    assert found["models"]["providers"]["omniroute"] == {
        "baseUrl": URL, "apiKey": "sk-key", "api": "openai-completions",
        "models": [{"id": "openai/gpt-4o", "name": "openai/gpt-4o"}],
    }  # fmt: skip


def test_openclaws_short_form_of_the_model_comes_back() -> None:
    docs = documents("openclaw", {"openclaw.json": '{"agents":{"defaults":{"model":"anthropic/x"}}}'})
    found = EDITS["openclaw"].remember(docs)
    EDITS["openclaw"].apply(docs, WANTED)
    EDITS["openclaw"].undo(docs, found)
    assert docs["openclaw.json"] == {"agents": {"defaults": {"model": "anthropic/x"}}}


@pytest.mark.parametrize(
    ("id", "text"),
    [
        ("claude", '{"env": []}'),
        ("droid", '{"customModels": {}}'),
        ("openclaw", '{"models": "x"}'),
        ("continue", '{"models": 1}'),
    ],
)
def test_a_file_of_another_shape_is_refused(id: str, text: str) -> None:
    docs = documents(id, {TOOLS[id].files[0].name: text})
    with pytest.raises(OmniError, match="is not an") as caught:
        EDITS[id].apply(docs, WANTED)
    assert caught.value.status == 409
    EDITS[id].undo(docs, {})
    assert not EDITS[id].has_ours(docs)


def test_a_tool_that_is_not_edited_is_configured_when_it_names_our_address() -> None:
    docs: Documents = {"globalState.json": {"a": [{"openAiBaseUrl": "http://127.0.0.1:20128/v1"}]}}
    assert configured(TOOLS["cline"], docs, ("127.0.0.1:20128",))
    assert not configured(TOOLS["cline"], docs, ("127.0.0.1:1",))
