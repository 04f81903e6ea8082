"""The catalogue that ships: complete, consistent, quick to load, and what docs/providers.md says."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path

import pytest

from omniroute.upstream.base_url import check_base_url
from omniroute.upstream.catalog import load_catalog
from omniroute.upstream.endpoints import CHAT_OPERATION
from omniroute.upstream.providers import EXTRAS, WIRES, Provider

CATALOG = load_catalog()
DOCS = Path(__file__).parents[2] / "docs" / "providers.md"

API_KEY_PROVIDERS = {  # id -> alias
    "openai": "openai", "anthropic": "anthropic", "gemini": "gemini", "openrouter": "openrouter", "deepseek": "ds",
    "groq": "groq", "xai": "xai", "mistral": "mistral", "perplexity": "pplx", "together": "together",
    "fireworks": "fireworks", "cerebras": "cerebras", "cohere": "cohere", "nvidia": "nvidia", "nebius": "nebius",
    "siliconflow": "siliconflow", "hyperbolic": "hyp", "glm": "glm", "kimi": "kimi", "minimax": "minimax",
    "minimax-cn": "minimax-cn", "deepgram": "dg", "assemblyai": "aai", "nanobanana": "nb", "azure-openai": "azure",
    "huggingface": "hf", "github-models": "ghm", "deepinfra": "di", "sambanova": "sn", "dashscope": "qwen-api",
    "zai": "zai", "cloudflare": "cf", "voyage": "voyage", "jina": "jina",
}  # fmt: skip
LOCAL_PROVIDERS = {"ollama": "ollama", "lmstudio": "lms", "vllm": "vllm", "llamacpp": "lcpp"}
SEEDED = """
openai anthropic gemini openrouter deepseek groq xai mistral perplexity together fireworks cerebras cohere nvidia nebius
"""

NAMED = """
chat openai: gpt-4o gpt-4o-mini gpt-4-turbo o1
chat anthropic: claude-sonnet-4-20250514 claude-opus-4-20250514
chat gemini: gemini-2.5-pro gemini-2.5-flash gemini-3-pro-preview
chat openrouter: auto
chat deepseek: deepseek-chat deepseek-reasoner
chat groq: llama-3.3-70b-versatile openai/gpt-oss-120b qwen/qwen3-32b
chat xai: grok-4 grok-3 grok-code-fast-1
chat mistral: mistral-large-latest codestral-latest
chat perplexity: sonar-pro
chat together: meta-llama/Llama-3.3-70B-Instruct-Turbo deepseek-ai/DeepSeek-R1
chat fireworks: accounts/fireworks/models/deepseek-v3p1
chat cerebras: qwen-3-32b
chat cohere: command-a-03-2025
chat nvidia: moonshotai/kimi-k2.5
chat hyperbolic: Qwen/QwQ-32B
chat glm: glm-4.6
chat zai: glm-4.6
chat kimi: kimi-latest
chat minimax: MiniMax-M2.1
chat minimax-cn: MiniMax-M2.1
chat demo: echo
embedding nebius: Qwen/Qwen3-Embedding-8B
embedding openai: text-embedding-3-small
embedding mistral: mistral-embed
embedding together: BAAI/bge-large-en-v1.5
embedding fireworks: nomic-ai/nomic-embed-text-v1.5
embedding nvidia: nvidia/nv-embedqa-e5-v5
image openai: gpt-image-1
image xai: grok-2-image-1212
image nanobanana: nanobanana-pro
audio openai: whisper-1 tts-1-hd
audio groq: whisper-large-v3-turbo
audio deepgram: nova-3
audio assemblyai: universal-2
audio hyperbolic: melo-tts
rerank cohere: rerank-v3.5
rerank together: Salesforce/Llama-Rank-V2
rerank nvidia: nvidia/nv-rerankqa-mistral-4b-v3
rerank fireworks: nomic-rerank-v1
moderation openai: omni-moderation-latest
"""


@pytest.fixture(params=CATALOG.providers.values(), ids=lambda provider: provider.id)
def provider(request: pytest.FixtureRequest) -> Provider:
    found = request.param
    assert isinstance(found, Provider)
    return found


def test_every_provider_of_the_contract_is_there_under_its_alias() -> None:
    expected = API_KEY_PROVIDERS | LOCAL_PROVIDERS | {"demo": "demo"}
    assert {p.id: p.alias for p in CATALOG.providers.values()} == expected


def test_wires_are_known_to_the_translators(provider: Provider) -> None:
    used = {provider.wire} | {model.wire for model in provider.models.values()}
    assert used - {""} <= WIRES
    assert set(CHAT_OPERATION) == WIRES
    assert provider.extras <= EXTRAS
    assert provider.wire or provider.extras


def test_base_urls_are_callable_and_bare(provider: Provider) -> None:
    if provider.base_url:
        check_base_url(provider.base_url.replace("{resource}", "r").replace("{account}", "a"), allow_private=False)
        assert not provider.base_url.endswith(("/", "/chat/completions", "/messages"))
        assert provider.local == provider.base_url.startswith("http://localhost:")


def test_the_environment_variable_follows_from_the_id(provider: Provider) -> None:
    assert provider.env in ("", provider.id.upper().replace("-", "_") + "_API_KEY")
    assert bool(provider.env) == (provider.id in API_KEY_PROVIDERS and "{" not in provider.base_url)


def test_all_named_variables_seed_a_connection() -> None:
    assert all(CATALOG.providers[name].env for name in SEEDED.split())


def test_model_rows_are_plausible(provider: Provider) -> None:
    for model in provider.models.values():
        assert model.context >= 0
        assert model.quirks <= set(CATALOG.quirks)
        if model.price:
            assert all(value is None or 0 <= value <= 600 for value in (model.price.input, model.price.output))
            if model.price.cached is not None and model.price.input:
                assert model.price.cached <= model.price.input


def test_anthropic_wires_send_the_version(provider: Provider) -> None:
    assert (("anthropic-version", "2023-06-01") in provider.headers) == (provider.wire == "anthropic")


def test_provider_quirks_fit_the_wire(provider: Provider) -> None:
    for quirk in provider.quirks:
        meaning = CATALOG.quirks[quirk]
        assert not meaning.startswith("chat:") or provider.wire == "openai-chat"
        assert not meaning.startswith("messages:") or provider.wire == "anthropic"


@pytest.mark.parametrize("row", NAMED.strip().splitlines())
def test_models_named_in_the_contract_are_offered_with_their_kind(row: str) -> None:
    (kind, provider_id), models = row.split(": ")[0].split(), row.split(": ")[1].split()
    offered = CATALOG.providers[provider_id].models
    assert [offered[model].kind for model in models] == [kind] * len(models)


@pytest.mark.parametrize(
    ("provider_id", "model", "dimensions"),
    [
        ("openai", "text-embedding-3-large", 3072),
        ("mistral", "mistral-embed", 1024),
        ("nebius", "Qwen/Qwen3-Embedding-8B", 4096),
    ],
)
def test_embedding_models_know_their_dimensions(provider_id: str, model: str, dimensions: int) -> None:
    assert CATALOG.providers[provider_id].models[model].dimensions == dimensions


def test_main_chat_models_have_limits_prices_and_abilities() -> None:
    for provider_id, model_id in [("openai", "gpt-4o"), ("anthropic", "claude-sonnet-4-5"), ("gemini", "gemini-2.5-pro")]:
        model = CATALOG.providers[provider_id].models[model_id]
        assert model.context > model.max_output > 0
        assert model.price is not None
        assert model.price.input is not None
        assert "tools" in model.abilities


@pytest.mark.parametrize(
    ("prefix", "target"),
    [("cc", "anthropic"), ("cx", "openai"), ("gc", "gemini"), ("qw", "dashscope"), ("kmc", "kimi"), ("gh", "github-models")],
)
def test_reserved_prefixes_lead_to_the_public_api(prefix: str, target: str) -> None:
    assert CATALOG.reserved[prefix] == target
    assert CATALOG.prefixes[prefix] == target
    assert CATALOG.prefixes[CATALOG.reserved_ids[prefix]] == target


@pytest.mark.parametrize("prefix", ["ag", "if", "kr", "cu", "kc", "cl"])
def test_other_reserved_prefixes_lead_nowhere(prefix: str) -> None:
    assert CATALOG.reserved[prefix] == ""
    assert prefix not in CATALOG.prefixes


def test_codex_ids_speak_the_responses_wire() -> None:
    assert CATALOG.reserved_wires["cx"] == "openai-responses"
    for name in ("openai", "azure-openai"):
        known = CATALOG.providers[name]
        assert (known.wire_of("gpt-5-codex"), known.wire_of("gpt-5")) == ("openai-responses", "openai-chat")


def test_the_contracts_renames_are_data() -> None:
    renames = CATALOG.providers["github-models"].renames
    assert renames["claude-opus-4.5"] == "claude-opus-4-5-20251101"
    assert renames["gemini-3-pro"] == "gemini-3-pro-preview"


@pytest.mark.parametrize("provider_id", ["deepgram", "assemblyai", "perplexity", "nanobanana"])
def test_vendors_without_a_model_list_have_a_static_one(provider_id: str) -> None:
    assert not CATALOG.providers[provider_id].lists_models
    assert CATALOG.providers[provider_id].models


def test_it_loads_quickly() -> None:
    import_module("tomllib")  # the one-time import is not what is measured
    best = min(_seconds_to_load() for _ in range(5))
    assert best < 0.015 * 3  # measured at 6 ms on a slow core; three times the budget leaves room for a busy machine


def _seconds_to_load() -> float:
    began = time.process_time()
    load_catalog()
    return time.process_time() - began


def _doc_rows(heading: str) -> list[list[str]]:
    section = DOCS.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows]


def test_the_documented_table_is_the_catalogue() -> None:
    def cells(p: Provider) -> list[str]:
        extras = " ".join(sorted(p.extras)) or "–"
        return [p.id, p.alias, p.wire or "–", p.base_url or "in the process", p.auth, p.env or "–", extras]

    assert _doc_rows("Built in") == [cells(p) for p in CATALOG.providers.values()]


def test_the_documented_quirks_and_reserved_prefixes_are_the_catalogue() -> None:
    assert _doc_rows("Quirks") == [[name, meaning] for name, meaning in CATALOG.quirks.items()]
    assert [row[:2] for row in _doc_rows("Reserved prefixes")] == [[a, i] for a, i in CATALOG.reserved_ids.items()]
