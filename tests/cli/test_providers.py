from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from omniroute.cli.providers import KINDS
from omniroute.upstream.probe import Prober, Validation
from omniroute.upstream.providers import NODE_TYPES, Provider
from omniroute.upstream.verdict import Diagnosis

Command = Callable[..., Result]
REFUSED = Diagnosis("upstream_auth_error", "upstream", "Invalid API key", "401")
UNREACHED = Diagnosis("network_error", "upstream", "Could not reach it")
OWN = ("providers", "add", "--url", "http://127.0.0.1:9/v1", "--prefix", "mine")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key works but ``bad`` ones; ``nowhere`` cannot be reached."""

    async def validate(self: Prober, provider: Provider, secret: str, *_: Any, **__: Any) -> Validation:
        if "bad" in secret:
            return Validation(False, "Invalid API key", 401, 7, REFUSED)
        if "nowhere" in secret:
            return Validation(False, "Could not reach it", None, 7, UNREACHED)
        return Validation(True, None, 200, 12, Diagnosis("ok", "upstream", "The key works", "200"))

    monkeypatch.setattr(Prober, "validate", validate)


def listed(omniroute: Command) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(omniroute("providers", "list", "--json").stdout)
    return found


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(
    ("words", "typed"), [(("--key", "sk-1"), None), ((), "sk-1\n"), (("--key", "sk-1", "--name", "default"), None)]
)
def test_an_account_is_added_with_a_key_from_the_option_or_from_standard_input(
    omniroute: Command, words: tuple[str, ...], typed: str | None
) -> None:
    added = omniroute("providers", "add", "openai", *words, input=typed)
    assert added.exit_code == 0
    assert "Added openai account 'default'" in added.stdout
    assert "sk-1" not in added.output
    (row,) = listed(omniroute)
    assert (row["provider"], row["name"]) == ("openai", "default")
    assert row["id"][:8] in omniroute("providers", "list").stdout


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("kind", KINDS)
def test_an_endpoint_of_ones_own_of_every_kind(omniroute: Command, kind: str) -> None:
    added = json.loads(omniroute(*OWN, "--type", kind, "--key", "k", "--json").stdout)
    assert added["name"] == "mine"
    assert len(listed(omniroute)) == 1


def test_every_kind_of_node_can_be_added() -> None:
    assert {kind.partition(":")[0] for kind in KINDS} == NODE_TYPES.keys()


def test_an_endpoint_needs_no_key(omniroute: Command) -> None:
    assert omniroute(*OWN, input="").exit_code == 0


def test_an_endpoint_whose_account_fails_leaves_nothing_behind(omniroute: Command) -> None:
    assert omniroute(*OWN, "--key", "k", "--name", "x" * 300).exit_code == 1
    assert omniroute(*OWN, "--key", "k").exit_code == 0  # the prefix is still free


def test_an_account_at_an_endpoint_of_ones_own_goes_by_its_prefix(omniroute: Command) -> None:
    assert "Added mine account 'lab'" in omniroute(*OWN, "--key", "k", "--name", "lab").stdout
    assert "openai-compatible" not in omniroute("providers", "list").stdout
    assert "Removed mine/lab" in omniroute("providers", "remove", "mine/lab").stdout


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("openai", "--url", "http://127.0.0.1:9"),
        ("--url", "http://127.0.0.1:9"),
        ("openai", "--prefix", "x"),
        ("--type", "no"),
    ],
)
def test_options_that_exclude_each_other_are_usage_errors(omniroute: Command, words: tuple[str, ...]) -> None:
    refused = omniroute("providers", "add", *words, "--key", "k")
    assert refused.exit_code == 2
    assert "Usage:" in refused.stderr


@pytest.mark.usefixtures("either_way")
def test_errors_of_the_gateway_are_shown_unchanged(omniroute: Command) -> None:
    refused = omniroute("providers", "add", "nosuch", "--key", "k", "--json")
    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: Invalid provider 'nosuch'. An endpoint of your own: --url")
    assert refused.stdout == ""
    long = omniroute("providers", "add", "openai", "--key", "k", "--name", "x" * 300)
    assert long.stderr.startswith("Error: name: ")


@pytest.mark.parametrize(("typed", "meant"), [("grok", "groq"), ("OpenAI", "openai"), ("ds", "deepseek")])
def test_a_misspelt_provider_gets_a_suggestion(omniroute: Command, typed: str, meant: str) -> None:
    assert f"Did you mean '{meant}'?" in omniroute("providers", "add", typed, "--key", "k").stderr


def test_a_prefix_in_use_is_reported(omniroute: Command) -> None:
    assert omniroute(*OWN, "--key", "k").stderr == ""
    again = omniroute(*OWN, "--key", "k", "--name", "other", "--json")
    assert 'The prefix "mine" is also that of the node "mine"' in again.stderr
    assert json.loads(again.stdout)["name"] == "other"


def test_missing_parts_of_an_address_are_given_with_the_account(omniroute: Command) -> None:
    azure = ("providers", "add", "azure-openai", "--key", "k")
    lacking = omniroute(*azure)
    assert lacking.exit_code == 2
    assert "azure-openai needs --set resource=…" in lacking.stderr
    added = json.loads(omniroute(*azure, "--set", "resource=mine", "--json").stdout)
    assert added["providerSpecificData"] == {"resource": "mine"}
    again = json.loads(omniroute(*azure, "--json").stdout)  # a new key for the same place
    assert (again["id"], again["providerSpecificData"]) == (added["id"], {"resource": "mine"})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("azure-openai", "--set", "account=1"), "azure-openai has no 'account'; it has only: resource"),
        (("openai", "--set", "resource=x"), "openai has no 'resource'"),
        (("cloudflare", "--set", "account"), "FIELD=VALUE"),
        (("--url", "http://127.0.0.1:9/v1", "--prefix", "p", "--set", "a=b"), "--url is a whole one"),
    ],
)
def test_a_field_that_is_not_the_providers_is_a_usage_error(omniroute: Command, words: tuple[str, ...], said: str) -> None:
    answer = omniroute("providers", "add", "--key", "k", *words)
    assert answer.exit_code == 2
    assert said in answer.stderr


def test_reusing_a_name_is_reported_as_a_replacement(omniroute: Command) -> None:
    omniroute("providers", "add", "openai", "--key", "a")
    again = omniroute("providers", "add", "openai", "--key", "b").stdout
    assert "Replaced what was stored for openai account 'default'" in again
    assert "another --name" in again
    assert "Added openai account 'b'" in omniroute("providers", "add", "openai", "--key", "b", "--name", "b").stdout


@pytest.mark.parametrize(
    ("provider", "asked"), [("openai", "API key"), ("vllm", "API key (Enter for none)"), ("ollama", "")]
)
def test_a_key_is_asked_for_only_where_there_is_one(
    omniroute: Command, monkeypatch: pytest.MonkeyPatch, provider: str, asked: str
) -> None:
    questions: list[str] = []

    def prompt(text: str, **options: Any) -> str:
        questions.append(text)
        assert (options["default"] is None) == (provider == "openai")  # click asks again and again then
        return "k"

    monkeypatch.setattr("omniroute.cli.providers._on_terminal", lambda: True)
    monkeypatch.setattr("click.prompt", prompt)
    assert omniroute("providers", "add", provider).exit_code == 0
    assert "".join(questions) == asked


@pytest.mark.usefixtures("either_way")
def test_accounts_are_tested_one_or_all_and_one_that_fails_fails_the_command(omniroute: Command) -> None:
    assert omniroute("providers", "test").exit_code == 0  # there is nothing to fail
    omniroute("providers", "add", "openai", "--key", "good")
    omniroute("providers", "add", "groq", "--key", "bad", "--name", "work")
    one = omniroute("providers", "test", "openai")
    assert (one.exit_code, one.stdout) == (0, "✓ openai/default: works (12 ms)\n")
    both = omniroute("providers", "test")
    assert both.exit_code == 1
    assert "✗ groq/work: Invalid API key" in both.stderr
    data = omniroute("providers", "test", "--json")
    assert data.exit_code == 1
    assert {item["provider"]: item["valid"] for item in json.loads(data.stdout)} == {"openai": True, "groq": False}


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("wanted", ["openai", "work", "openai/work", "ID"])
def test_an_account_goes_by_provider_name_both_or_id(omniroute: Command, wanted: str) -> None:
    omniroute("providers", "add", "openai", "--key", "k", "--name", "work")
    omniroute("providers", "add", "groq", "--key", "k", "--name", "home")
    (row,) = [row for row in listed(omniroute) if row["provider"] == "openai"]
    removed = omniroute("providers", "remove", row["id"][:8] if wanted == "ID" else wanted)
    assert (removed.exit_code, removed.stdout) == (0, "✓ Removed openai/work\n")
    assert [row["provider"] for row in listed(omniroute)] == ["groq"]


def test_a_word_that_fits_several_accounts_or_none_removes_nothing(omniroute: Command) -> None:
    for name in ("a", "b"):
        omniroute("providers", "add", "openai", "--key", name, "--name", name)
    assert "fits 2 accounts" in omniroute("providers", "remove", "openai").stderr
    assert "No account 'groq'" in omniroute("providers", "test", "groq").stderr
    assert len(listed(omniroute)) == 2


def test_control_characters_in_names_do_not_reach_the_terminal(omniroute: Command) -> None:
    omniroute("providers", "add", "openai", "--key", "k", "--name", "[red]x[/red]")
    assert "'[red]x[/red]'" in omniroute("providers", "add", "groq", "--key", "k", "--name", "[red]x[/red]").stdout
    assert "[red]x[/red]" in omniroute("providers", "list").stdout
