"""Provider nodes: a user's own endpoints."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from ..store.nodes import API_TYPES, TYPES, NodeRow
from ..upstream.base_url import check_base_url
from ..upstream.providers import node_provider
from .bodies import Name, ShortName, clean_key
from .call import Call, Reply, Success, log, one_at_a_time
from .connection_health import start_afresh
from .connection_view import Validity
from .probes import probe_for_new
from .refusals import Invalid, existing, refused

_PREFIX: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_URL = Annotated[str, Meta(min_length=1, max_length=2000, pattern=r"\S")]
_TEXTS: Final = {"type": "Invalid provider node type", "apiType": "Invalid OpenAI compatible API type"}


class NodeBody(Struct, rename="camel", kw_only=True):
    TEXTS: ClassVar = _TEXTS
    name: Name
    prefix: ShortName
    type: str = "openai-compatible"
    api_type: str | None = None
    base_url: str | None = None


class NodeChange(Struct, rename="camel", kw_only=True):
    """PUT: name, prefix and base URL are required."""

    TEXTS: ClassVar = _TEXTS
    name: Name
    prefix: ShortName
    base_url: _URL
    api_type: str | None = None


class NodePatch(Struct, rename="camel", kw_only=True):
    """PATCH: every field is optional."""

    TEXTS: ClassVar = _TEXTS
    name: Name | UnsetType = UNSET
    prefix: ShortName | UnsetType = UNSET
    base_url: _URL | UnsetType = UNSET
    api_type: str | UnsetType | None = UNSET


class NodeCheck(Struct, rename="camel", kw_only=True):
    TEXTS: ClassVar = {"baseUrl": "Base URL and API key required", "apiKey": "Base URL and API key required", **_TEXTS}
    base_url: _URL
    api_key: Annotated[str, Meta(min_length=1, max_length=10_000)]
    type: str = "openai-compatible"
    api_type: str | None = None


class NodeView(Struct, rename="camel", kw_only=True):
    """A node as the API shows it; ``chatPath`` and ``modelsPath`` are always null."""

    id: str
    type: str
    name: str
    prefix: str
    api_type: str | None
    base_url: str
    chat_path: None = None
    models_path: None = None
    created_at: str
    updated_at: str


class OneNode(Struct, omit_defaults=True):
    node: NodeView
    warning: str = ""


class NodeList(Struct):
    nodes: list[NodeView]


def view(row: NodeRow) -> NodeView:
    """The row as the API shows it."""
    return NodeView(
        id=row.id, type=row.type, name=row.name, prefix=row.prefix, api_type=row.api_type, base_url=row.base_url,
        created_at=row.created_at, updated_at=row.updated_at,
    )  # fmt: skip


async def list_nodes(call: Call) -> Reply:
    """Return all nodes, oldest first."""
    return Reply(200, NodeList([view(row) for row in await call.store.nodes.list()]))


async def create(call: Call) -> Reply:
    """Add a node; ``warning`` says when another one has the same prefix.  400 for an unusable type, prefix or address."""
    body: NodeBody = call.body
    _check_type(body.type, body.api_type)
    _check_prefix(call, body.prefix)
    base_url = (body.base_url or "").strip()
    if base_url:
        check_base_url(base_url, call.services.settings.allow_private_urls)
    row = await call.store.nodes.create(
        type=body.type, name=body.name.strip(), prefix=body.prefix.strip(), base_url=base_url, api_type=body.api_type
    )
    await call.audit("node.create", row.id, {"name": row.name, "type": row.type, "baseUrl": row.base_url})
    return Reply(201, OneNode(view(row), await _shared_prefix(call, row)))


async def change(call: Call) -> Reply:
    """PUT and PATCH: change a node, and with it its connections."""
    body: NodeChange | NodePatch = call.body
    before = existing(await call.store.nodes.get(call.params["id"]), "Provider node")
    if body.prefix is not UNSET and body.prefix.strip() != before.prefix:
        _check_prefix(call, body.prefix)
    if body.base_url is not UNSET:
        check_base_url(body.base_url.strip(), call.services.settings.allow_private_urls)
    api_type = body.api_type if before.type == "openai-compatible" and body.api_type is not UNSET else None
    if api_type is not None:
        _check_type(before.type, api_type)
    after = await call.store.nodes.update(
        before.id,
        name=body.name.strip() if body.name is not UNSET else None,
        prefix=body.prefix.strip() if body.prefix is not UNSET else None,
        base_url=body.base_url.strip() if body.base_url is not UNSET else None,
        api_type=api_type,
    )
    row = existing(after, "Provider node")
    if (row.base_url, row.api_type) != (before.base_url, before.api_type):
        for connection in await call.store.connections.list(provider=row.id):
            await start_afresh(call, connection, moved=True)
    await call.audit("node.update", row.id, {"name": row.name, "baseUrl": row.base_url})
    return Reply(200, OneNode(view(row), await _shared_prefix(call, row)))


async def _shared_prefix(call: Call, row: NodeRow) -> str:
    """Return a warning, also logged, if another node has the same prefix; else ""."""
    others = [node.name for node in await call.store.nodes.list() if node.prefix == row.prefix and node.id != row.id]
    snapshot = call.snapshot
    leads_to = snapshot.prefixes.get(row.prefix)
    if not others or leads_to is None:
        return ""
    now = snapshot.providers[leads_to].name
    text = f'The prefix "{row.prefix}" is also that of the node "{others[0]}": at present its models are those of "{now}"'
    log.warning("%s", text, extra={"request_id": call.request_id})
    return text


@one_at_a_time
async def delete(call: Call) -> Reply:
    """Delete a node with its accounts and custom models.  404 for an unknown id."""
    id_ = call.params["id"]
    connections = await call.store.connections.list(provider=id_)
    if not await call.store.nodes.delete(id_):
        raise refused(404, "Provider node not found")
    for row in connections:
        call.live.forget(row.id)
    await call.audit("node.delete", id_, {"connections": len(connections)})
    return Reply(200, Success())


async def validate(call: Call) -> Reply:
    """Check whether a key works at an endpoint that is not stored yet."""
    body: NodeCheck = call.body
    _check_type(body.type, body.api_type or "chat")
    check_base_url(body.base_url.strip(), call.services.settings.allow_private_urls)
    provider = node_provider("node", body.type, "node", "node", body.base_url, body.api_type or "chat")
    outcome = await probe_for_new(call, provider).validate(provider, clean_key(body.api_key))
    return Reply(200, Validity(outcome.valid, outcome.error))


def _check_type(node_type: str, api_type: str | None) -> None:
    if node_type not in TYPES:
        raise Invalid(("type", _TEXTS["type"]))
    if node_type == "openai-compatible" and api_type not in API_TYPES:
        raise Invalid(("apiType", _TEXTS["apiType"]))


def _check_prefix(call: Call, prefix: str) -> None:
    """Check a prefix: it is the first part of model names, so it must be one path segment and not a built-in name."""
    text = prefix.strip()
    if not _PREFIX.fullmatch(text):
        raise Invalid(("prefix", "Prefix can only contain letters, numbers, -, _ and ."))
    catalog = call.services.catalog
    if text in catalog.prefixes or catalog.reserved.get(text):  # a login that nothing serves leaves its name free
        raise Invalid(("prefix", f'Prefix "{text}" is already used by a built-in provider'))
