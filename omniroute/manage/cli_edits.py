"""What the gateway changes in each tool's configuration, and how to undo it.  Pure: parsed documents are changed in place.

Only the gateway's own entries are touched; everything else stays, unknown fields and comments included.  If an entry of the
user must be replaced (a chosen model, a key), ``remember`` returns its value, so that undoing can restore it.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any, Final, NamedTuple

from ..errors import OmniError
from .cli_tools import Tool

Document = MutableMapping[str, Any]
Documents = dict[str, Document]  # by file name
Before = dict[str, Any]

NAME: Final = "omniroute"
TITLE: Final = "OmniRoute"
WRITTEN: Final = "written"  # in the remembered values: the key that the gateway wrote; any other one is the user's
DROID_ID: Final = "custom:OmniRoute-0"
_DROID_OURS: Final = "custom:OmniRoute"
_DROID_LIMIT: Final = 131_072
_SETTINGS, _TOML, _AUTH, _CLAW, _CONTINUE = "settings.json", "config.toml", "auth.json", "openclaw.json", "config.json"

CLAUDE_URL: Final = "ANTHROPIC_BASE_URL"
CLAUDE_RESET: Final = (  # the last one keeps the tool from paying twice for a broken stream
    CLAUDE_URL, "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_DEFAULT_OPUS_MODEL", "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL", "API_TIMEOUT_MS", "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK",
)  # fmt: skip


class Wanted(NamedTuple):
    """What the tool should use.  ``base_url`` ends in ``/v1``; ``env`` is for the tool that is configured by variables."""

    base_url: str = ""
    api_key: str = ""
    model: str = ""
    env: dict[str, str] = {}  # noqa: RUF012 - never changed


class Edit(NamedTuple):
    """``apply`` and ``undo`` change the documents; ``remember`` returns the user's values that ``apply`` would replace."""

    apply: Callable[[Documents, Wanted], None]
    undo: Callable[[Documents, Before], None]
    has_ours: Callable[[Documents], bool]
    remember: Callable[[Documents], Before] = lambda _: {}


def with_version(url: str) -> str:
    """Return *url* with the ``/v1`` to which the tools append their paths."""
    url = url.strip().rstrip("/")
    return url if url.endswith("/v1") else url + "/v1"


def _child(parent: Document, name: str, make: Callable[[], Any] = dict) -> Document:
    """Return the object at *name*, created if absent.  Raises OmniError 409 if something else is there."""
    if parent.get(name) is None:
        parent[name] = make()
    found = parent[name]
    if not isinstance(found, MutableMapping):
        raise OmniError("invalid_request", f'"{name}" is not an object', status=409)
    return found


def _get(document: Any, *path: str) -> Any:
    for name in path:
        document = document.get(name) if isinstance(document, MutableMapping) else None
    return document


def _list(parent: Document, name: str) -> list[Any]:
    if parent.get(name) is None:
        parent[name] = []
    found = parent[name]
    if not isinstance(found, list):
        raise OmniError("invalid_request", f'"{name}" is not an array', status=409)
    return found


def _prune(parent: Any, *path: str) -> None:
    """Remove the objects along *path* that have become empty, innermost first."""
    for depth in range(len(path), 0, -1):
        holder = _get(parent, *path[: depth - 1])
        if isinstance(holder, MutableMapping) and holder.get(path[depth - 1]) == {}:
            del holder[path[depth - 1]]


def _put_back(parent: Document, name: str, before: Any) -> None:
    if before is None:
        parent.pop(name, None)
    else:
        parent[name] = before


# -- claude


def _claude_apply(docs: Documents, wanted: Wanted) -> None:
    env = _child(docs[_SETTINGS], "env")
    env.update(wanted.env)
    if CLAUDE_URL in wanted.env:
        env[CLAUDE_URL] = with_version(wanted.env[CLAUDE_URL])


def _claude_undo(docs: Documents, _: Before) -> None:
    env = _get(docs[_SETTINGS], "env")
    if isinstance(env, MutableMapping):
        for name in CLAUDE_RESET:
            env.pop(name, None)
    _prune(docs[_SETTINGS], "env")


def _claude_ours(docs: Documents) -> bool:
    return bool(_get(docs[_SETTINGS], "env", CLAUDE_URL))


# -- codex


def _codex_apply(docs: Documents, wanted: Wanted) -> None:
    import tomlkit

    config = docs[_TOML]
    config["model"] = wanted.model
    config["model_provider"] = NAME
    # without requires_openai_auth the tool does not send the key in auth.json
    section = {"name": TITLE, "base_url": wanted.base_url, "wire_api": "responses", "requires_openai_auth": True}
    providers = _child(config, "model_providers", lambda: tomlkit.table(is_super_table=True))
    _child(providers, NAME, tomlkit.inline_table if _headless(config) else tomlkit.table).update(section)
    docs[_AUTH]["OPENAI_API_KEY"] = wanted.api_key


def _headless(config: Document) -> bool:
    """Whether the providers have no table headers but are one inline table or dotted keys.

    A header added among dotted keys would capture every line that follows.
    """
    from tomlkit import TOMLDocument
    from tomlkit.items import InlineTable

    dotted = isinstance(config, TOMLDocument) and any(
        key is not None and key.is_dotted() and key.key == "model_providers" for key, _ in config.body
    )
    return dotted or isinstance(config["model_providers"], InlineTable)


def _codex_remember(docs: Documents) -> Before:
    config = docs[_TOML]
    plain = {name: config[name].unwrap() for name in ("model", "model_provider") if name in config}
    if plain.get("model_provider") == NAME:  # the gateway's own entries: the user's choice is not known
        plain = {}
    return {**plain, "OPENAI_API_KEY": docs[_AUTH].get("OPENAI_API_KEY")}


def _codex_undo(docs: Documents, before: Before) -> None:
    config = docs[_TOML]
    if not _codex_ours(docs):
        return
    if config.get("model_provider") == NAME:
        _put_back(config, "model_provider", before.get("model_provider"))
        _put_back(config, "model", before.get("model"))
    providers = config["model_providers"]
    del providers[NAME]
    _prune(config, "model_providers")
    if docs[_AUTH].get("OPENAI_API_KEY") == before.get(WRITTEN, docs[_AUTH].get("OPENAI_API_KEY")):
        _put_back(docs[_AUTH], "OPENAI_API_KEY", before.get("OPENAI_API_KEY"))


def _codex_ours(docs: Documents) -> bool:
    return _get(docs[_TOML], "model_providers", NAME) is not None


# -- droid


def _droid_apply(docs: Documents, wanted: Wanted) -> None:
    models = _list(docs[_SETTINGS], "customModels")
    models[:] = [item for item in models if not _droid_mine(item)]
    models.insert(0, {
        "model": wanted.model,
        "id": DROID_ID,
        "index": 0,
        "baseUrl": wanted.base_url,
        "apiKey": wanted.api_key,
        "displayName": wanted.model,
        "maxOutputTokens": _DROID_LIMIT,
        "noImageSupport": False,
        "provider": "openai",
    })  # fmt: skip


def _droid_undo(docs: Documents, _: Before) -> None:
    models = docs[_SETTINGS].get("customModels")
    if isinstance(models, list) and any(map(_droid_mine, models)):
        models[:] = [item for item in models if not _droid_mine(item)]
        if not models:
            del docs[_SETTINGS]["customModels"]


def _droid_ours(docs: Documents) -> bool:
    models = docs[_SETTINGS].get("customModels")
    return isinstance(models, list) and any(map(_droid_mine, models))


def _droid_mine(item: Any) -> bool:
    return str(_get(item, "id") or "").startswith(_DROID_OURS)


# -- openclaw

_CLAW_MODEL: Final = ("agents", "defaults", "model")


def _claw_apply(docs: Documents, wanted: Wanted) -> None:
    document = docs[_CLAW]
    defaults = _child(_child(document, "agents"), "defaults")
    if isinstance(defaults.get("model"), str):  # the short form of {"primary": …}
        defaults["model"] = {}
    _child(defaults, "model")["primary"] = f"{NAME}/{wanted.model}"
    _child(_child(document, "models"), "providers")[NAME] = {
        "baseUrl": wanted.base_url,
        "apiKey": wanted.api_key,
        "api": "openai-completions",
        "models": [{"id": wanted.model, "name": wanted.model}],
    }


def _claw_remember(docs: Documents) -> Before:
    model = _get(docs[_CLAW], *_CLAW_MODEL)
    primary = model if isinstance(model, str) else _get(model, "primary")
    if str(primary or "").startswith(NAME + "/"):  # the gateway's own entry, as in _codex_remember()
        return {}
    return {"model": model} if isinstance(model, str) else {"primary": primary}


def _claw_undo(docs: Documents, before: Before) -> None:
    document = docs[_CLAW]
    if str(_get(document, *_CLAW_MODEL, "primary") or "").startswith(NAME + "/"):
        _put_back(_get(document, *_CLAW_MODEL), "primary", before.get("primary"))
        if "model" in before:
            _get(document, *_CLAW_MODEL[:-1])["model"] = before["model"]
    if isinstance(providers := _get(document, "models", "providers"), MutableMapping):
        providers.pop(NAME, None)
    _prune(document, "models", "providers")
    _prune(document, *_CLAW_MODEL)


def _claw_ours(docs: Documents) -> bool:
    return _get(docs[_CLAW], "models", "providers", NAME) is not None


# -- continue


def _continue_apply(docs: Documents, wanted: Wanted) -> None:
    models = _list(docs[_CONTINUE], "models")
    ours = {
        "title": TITLE,
        "provider": "openai",
        "model": wanted.model,
        "apiBase": wanted.base_url,
        "apiKey": wanted.api_key,
    }
    places = [place for place, item in enumerate(models) if _get(item, "title") == TITLE]
    if places:
        models[places[0]] = {**models[places[0]], **ours}
    else:
        models.append(ours)


def _continue_undo(docs: Documents, _: Before) -> None:
    models = docs[_CONTINUE].get("models")
    if isinstance(models, list):
        models[:] = [item for item in models if _get(item, "title") != TITLE]


def _continue_ours(docs: Documents) -> bool:
    models = docs[_CONTINUE].get("models")
    return isinstance(models, list) and any(_get(item, "title") == TITLE for item in models)


EDITS: Final[dict[str, Edit]] = {
    "claude": Edit(_claude_apply, _claude_undo, _claude_ours),
    "codex": Edit(_codex_apply, _codex_undo, _codex_ours, _codex_remember),
    "droid": Edit(_droid_apply, _droid_undo, _droid_ours),
    "openclaw": Edit(_claw_apply, _claw_undo, _claw_ours, _claw_remember),
    "continue": Edit(_continue_apply, _continue_undo, _continue_ours),
}


def configured(tool: Tool, documents: Documents, addresses: tuple[str, ...]) -> bool:
    """Whether the tool is set to use a gateway; for tools without an edit here, whether a file names one of *addresses*."""
    if tool.id in EDITS:
        return EDITS[tool.id].has_ours(documents)
    return any(_mentions(document, addresses) for document in documents.values())


def _mentions(value: Any, addresses: tuple[str, ...]) -> bool:
    if isinstance(value, MutableMapping):
        return any(_mentions(item, addresses) for item in value.values())
    if isinstance(value, list):
        return any(_mentions(item, addresses) for item in value)
    return isinstance(value, str) and any(address in value for address in addresses)
