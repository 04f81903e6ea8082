"""The description of the whole API (OpenAPI 3.1), generated from the route tables and their types."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Any, Final, NotRequired, Protocol, TypedDict, get_args

import msgspec

from .. import __version__
from .call import ErrorForm, Reply, Route
from .openapi_notes import ERRORS, JSON, MEDIA, MODEL_SUMMARIES, QUERY, REPLIES, REQUESTS, WIRES

_VARIABLE: Final = re.compile(r"\{(\w+)\*?\}")
_END: Final = re.compile(r".*[/:]")
_CHAT_ENDS: Final = frozenset(
    {"completions", "responses", "messages", "generateContent", "streamGenerateContent", "chat", "generate"}
)
_REF: Final = "#/components/schemas/{name}"
_SCHEMES: Final[dict[str, Any]] = {
    "cookie": {"type": "apiKey", "in": "cookie", "name": "auth_token", "description": "Of POST /api/auth/login."},
    "manageKey": {"type": "http", "scheme": "bearer", "description": "A gateway key with the scope manage."},
    "gatewayKey": {"type": "http", "scheme": "bearer", "description": "A gateway key."},
    "syncToken": {"type": "http", "scheme": "bearer", "description": "CLOUD_SYNC_TOKEN of both gateways."},
    "gatewayKeyHeader": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "A gateway key."},
}
_ADMIN: Final[list[dict[str, list[str]]]] = [{"cookie": []}, {"manageKey": []}]
_CLIENT: Final[list[dict[str, list[str]]]] = [{"gatewayKey": []}, {"gatewayKeyHeader": []}]
_PEER: Final[list[dict[str, list[str]]]] = [{"syncToken": []}]
_SECURITY: Final[dict[str, list[dict[str, list[str]]]]] = {"P": [], "M": _ADMIN, "L": _ADMIN, "B": _CLIENT, "S": _PEER}
_ACCESS: Final = {
    "P": "Public.",
    "M": "Management: a login, or a key with the scope manage. Not needed if the login is off, or from this machine while "
    "there is no password.",
    "L": "A login or a key with the scope manage, always.",
    "B": "A gateway key, always.",
    "S": "The sync token that both gateways share.",
}
_DATA_ACCESS: Final = "A gateway key, if the gateway requires one."
_FORMS: Final[dict[ErrorForm, str]] = {"": "Problem", "text": "Problem", "typed": "TypedProblem"}


class Problem(TypedDict):
    """An error; for invalid fields see InvalidFields."""

    error: str


class Explained(TypedDict):
    message: str
    type: str


class TypedProblem(TypedDict):
    error: Explained


class Coded(TypedDict):
    code: str
    message: str
    correlation_id: str


class CodedProblem(TypedDict):
    """A refusal with a code; ``correlation_id`` is the request's id, as in the header X-Request-Id and in the log."""

    error: Coded


class WrongField(TypedDict):
    """``field`` is a dotted path, empty for the body as a whole."""

    field: str
    message: str


class Wrong(TypedDict):
    message: str
    details: list[WrongField]


class InvalidFields(TypedDict):
    """Every invalid field."""

    error: Wrong


class Unexpected(TypedDict):
    error: str
    correlation_id: NotRequired[str]


class VendorError(TypedDict):
    """An error in the shape of the wire: OpenAI's, Anthropic's, Gemini's or Ollama's."""

    error: Any


_ERRORS: Final = (Problem, TypedProblem, CodedProblem, InvalidFields, Unexpected, VendorError)


class DataRow(Protocol):
    """The fields of a data-plane route that are used here."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def wire(self) -> str: ...
    @property
    def handler(self) -> Any: ...


async def serve(manage: tuple[Route, ...], data: tuple[DataRow, ...]) -> Reply:
    """Return the document.  It is public, since it tells no more than the source code."""
    made = await asyncio.to_thread(_encoded, manage, data)
    return Reply(200, made, [(b"content-type", b"application/json"), (b"cache-control", b"no-cache")])


@cache
def _encoded(manage: tuple[Route, ...], data: tuple[DataRow, ...]) -> bytes:
    return msgspec.json.encode(document(manage, data))


def document(manage: Sequence[Route], data: Sequence[DataRow]) -> dict[str, Any]:
    """Return the whole description as a JSON value."""
    schemas = _Schemas([*_types(manage), *_ERRORS, *(kind for kind, _ in WIRES.values())])
    paths: dict[str, dict[str, Any]] = {}
    for route in manage:
        paths.setdefault(_template(route.path), {})[route.method.lower()] = _management(route, schemas)
    for row in data:
        paths.setdefault(_template(row.path), {})[row.method.lower()] = _model_request(row, schemas)
    for name, example in ERRORS.items():
        schemas.components[name]["examples"] = [example]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OmniRoute",
            "version": __version__,
            "description": "One local endpoint for every large language model, and its management.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in sorted({*map(_group, manage), *(row.wire for row in data)})],
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": _SCHEMES},
    }


def _types(manage: Iterable[Route]) -> list[Any]:
    kinds = (kind for route in manage for kind in (route.request, route.reply))
    return [part for kind in kinds for part in _choices(kind)]


def _choices(kind: Any) -> tuple[Any, ...]:
    """Return the member types of a union, or *kind* itself; nothing for None."""
    if kind is None:
        return ()
    return get_args(kind) if isinstance(kind, UnionType) else (kind,)


class _Schemas:
    """The schemas of all types; the module's name distinguishes types of the same name."""

    def __init__(self, kinds: Iterable[Any]) -> None:
        distinct = [*{repr(kind): kind for kind in kinds}.values()]
        found, components = msgspec.json.schema_components(distinct, ref_template=_REF)
        self._found = {repr(kind): schema for kind, schema in zip(distinct, found, strict=True)}
        self.components: dict[str, Any] = dict(components)

    def of(self, kind: Any) -> dict[str, Any]:
        """Return the schema of *kind*, or one that accepts anything."""
        found = [self._found[repr(part)] for part in _choices(kind)]
        return {"anyOf": found} if len(found) > 1 else found[0] if found else {}


def _management(route: Route, schemas: _Schemas) -> dict[str, Any]:
    name = f"{route.method} {route.path}"
    operation = _operation(route.method, route.path, _group(route), route.summary)
    operation |= {"description": _ACCESS[route.access], "security": _SECURITY[route.access], "x-access": route.access}
    operation["parameters"] += [
        {"name": query, "in": "query", "description": text, "schema": {"type": "string"}}
        for query, text in QUERY.get(name, {}).items()
    ]
    if route.stream_body:
        media: dict[str, Any] = {"application/octet-stream": {}, "multipart/form-data": {}}
        operation["requestBody"] = {"required": True, "content": media}
    elif route.request is not None or name in REQUESTS:
        body = _media(JSON, schemas.of(route.request), REQUESTS.get(name))
        operation["requestBody"] = {"required": True, "content": body}
    media_type = MEDIA.get(name, JSON)
    answer = _media(media_type, schemas.of(route.reply) if media_type == JSON else {}, REPLIES.get(name))
    operation["responses"] = {"2XX": {"description": "Done", "content": answer}, **_refusals(route)}
    return operation


def _model_request(row: DataRow, schemas: _Schemas) -> dict[str, Any]:
    operation = _operation(row.method, row.path, row.wire, _summary(row))
    operation |= {"description": _DATA_ACCESS, "security": [{}, *_CLIENT], "x-wire": row.wire}
    if row.method == "POST":
        kind, example = WIRES[row.wire] if _is_chat(row) else (None, None)
        operation["requestBody"] = {"required": True, "content": _media(JSON, schemas.of(kind), example)}
    operation["responses"] = {
        "2XX": {"description": "The answer on the client's wire; a stream of events if requested", "content": {
            JSON: {}, "text/event-stream": {}, "application/x-ndjson": {},
        }},
        "default": _problem("An error in the shape of the wire", "VendorError"),
    }  # fmt: skip
    return operation


def _summary(row: DataRow) -> str:
    ends = [end for end in MODEL_SUMMARIES if row.method == "POST" and row.path.endswith(end)]
    if ends:
        return MODEL_SUMMARIES[max(ends, key=len)]
    text: str = row.handler.__doc__ or row.handler.__name__
    return text.strip().partition("\n")[0].replace("`", "")


def _is_chat(row: DataRow) -> bool:
    """Whether the route takes the wire's main kind of request, whose type is known here."""
    return row.wire in WIRES and _END.sub("", row.path) in _CHAT_ENDS


def _operation(method: str, path: str, group: str, summary: str) -> dict[str, Any]:
    words = re.sub(r"\W+", "_", _template(path)).strip("_") or "home"
    if path.endswith("/") and path != "/":
        words += "_"  # the path without it is another operation
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _VARIABLE.findall(path)
    ]
    return {
        "operationId": f"{method.lower()}_{words}",
        "summary": summary,
        "tags": [group],
        "parameters": parameters,
    }


def _refusals(route: Route) -> dict[str, Any]:
    plain = _FORMS[route.errors]
    unknown = "TypedProblem" if route.errors == "typed" else "CodedProblem"
    refusals: dict[str, Any] = {
        "4XX": _problem("Refused", plain, "InvalidFields", "CodedProblem"),
        "5XX": _problem("Failed", "Unexpected", plain, "CodedProblem"),
    }
    if route.access != "P":
        refusals["401"] = _problem("No valid login or key", unknown, "Problem")
        refusals["403"] = _problem("A key without the required scope, or a request from another site", plain, "VendorError")
    return refusals


def _problem(text: str, *names: str) -> dict[str, Any]:
    schemas = [{"$ref": _REF.format(name=name)} for name in dict.fromkeys(names)]
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return {"description": text, "content": {JSON: {"schema": schema}}}


def _media(media_type: str, schema: Mapping[str, Any], example: Any) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": schema} if schema else {}
    if example is not None:
        media["example"] = example
    return {media_type: media}


def _template(path: str) -> str:
    return _VARIABLE.sub(r"{\1}", path)


def _group(route: Route) -> str:
    """Return the first segment below ``/api``; ``pages`` for other paths."""
    words = route.path.split("/")
    return words[2].removesuffix(".json") if words[1] == "api" else "pages"
