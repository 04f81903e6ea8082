"""Gemini requests, read (the vendor's reference, "GenerateContentRequest").

Unknown members are kept in ``Ask.extra``, those of ``generationConfig`` and ``toolConfig`` as an object under that name;
unknown tools are server tools.  The path says model and stream mode, so the caller sets them.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw

from .conversation import Ask, Reasoning, ResponseFormat, Tool, ToolChoice
from .gemini_contents import fields, items, read_system, read_turns, text_of
from .gemini_error import WIRE
from .jsonio import BOOL, FLOAT, INT, STRING, STRINGS, Shape, bad, decode_object, encode, join, missing
from .request_fields import Reader
from .schema_restore import restore

_WORD: Final[Shape[str | int]] = Shape(str | int)
_WORDS: Final[Shape[list[str | int]]] = Shape(list[str | int])
_JSON: Final = "application/json"


def decode_request(body: bytes) -> Ask:
    """Read a whole request.  Raises ``OmniError("invalid_request")`` naming the member."""
    top = fields(body, "")
    if "contents" not in top:
        raise missing("contents")
    ask = Ask(wire=WIRE)
    for name, raw in top.items():
        read = _TOP.get(name)
        if read is not None:
            read(ask, raw)
        else:
            ask.extra[name] = bytes(raw)
    return ask


def _model(ask: Ask, raw: Raw) -> None:
    ask.model = STRING.read(raw, "model").removeprefix("models/")


def _contents(ask: Ask, raw: Raw) -> None:
    ask.turns = read_turns(raw)


def _system(ask: Ask, raw: Raw) -> None:
    ask.system = read_system(raw)


# -- tools

_DECLARED: Final = frozenset({"name", "description", "parameters", "parametersJsonSchema"})


def _tools(ask: Ask, raw: Raw) -> None:
    for place, entry in enumerate(items(raw, "tools")):
        path = join("tools", place)
        for name, value in fields(entry, path).items():
            at = join(path, name)
            if name == "functionDeclarations":
                ask.tools += [_function(one, join(at, number)) for number, one in enumerate(items(value, at))]
            else:
                ask.tools.append(Tool(name, kind="server", wire=WIRE, raw=encode({name: value})))


def _function(raw: Raw, path: str) -> Tool:
    given = fields(raw, path)
    name = text_of(given, "name", path)
    if name is None:
        raise missing(join(path, "name"))
    rest = {key: value for key, value in given.items() if key not in _DECLARED}
    return Tool(
        name,
        text_of(given, "description", path),
        _schema(given, "parametersJsonSchema", "parameters", path),
        wire=WIRE if rest else "",
        raw=encode(rest) if rest else None,
        extra=tuple(rest),
    )


def _schema(given: dict[str, Raw], standard: str, subset: str, path: str) -> bytes | None:
    """Return the schema as JSON Schema.  The wire has one member for JSON Schema and one for its own subset."""
    if standard in given:
        decode_object(given[standard], join(path, standard))
        return bytes(given[standard])
    if subset not in given:
        return None
    value = decode_object(given[subset], join(path, subset))
    try:
        restored = restore(value)
        return bytes(given[subset]) if restored == value else encode(restored)
    except RecursionError:
        raise bad(join(path, subset), "JSON is nested too deeply") from None


_MODES: Final = {"AUTO": "auto", "ANY": "required", "NONE": "none", "VALIDATED": "auto"}
# the numbers of the vendor's enums, which its Vertex SDKs write
_MODE_NUMBER: Final = {0: "MODE_UNSPECIFIED", 1: "AUTO", 2: "ANY", 3: "NONE", 4: "VALIDATED", 5: "VALIDATED"}
_MODALITY_NUMBER: Final = {1: "text", 2: "image", 3: "audio", 4: "video"}


def _tool_config(ask: Ask, raw: Raw) -> None:
    config = fields(raw, "toolConfig")
    if "functionCallingConfig" in config:
        path = "toolConfig.functionCallingConfig"
        calling = fields(config["functionCallingConfig"], path)
        given = _WORD.read(calling.get("mode", Raw(b'""')), join(path, "mode"))
        mode = given.upper() if isinstance(given, str) else _MODE_NUMBER.get(given, str(given))
        known = {"mode", "allowedFunctionNames"}
        ask.tool_choice = _choice(_MODES.get(mode), calling, path)
        if calling.keys() <= known and mode != "VALIDATED" and (mode in _MODES or mode in ("", "MODE_UNSPECIFIED")):
            del config["functionCallingConfig"]  # nothing of it is left to keep
    if config:
        ask.extra["toolConfig"] = encode(config)


def _choice(mode: Any, calling: dict[str, Raw], path: str) -> ToolChoice | None:
    names: tuple[str, ...] = ()
    if "allowedFunctionNames" in calling:
        names = tuple(STRINGS.read(calling["allowedFunctionNames"], join(path, "allowedFunctionNames")))
    if mode is None or not names or mode == "none":
        return ToolChoice(mode) if mode is not None else None
    if mode == "required" and len(names) == 1:
        return ToolChoice("tool", names)
    return ToolChoice("allowed", names, required=mode == "required")


# -- generationConfig

_CONFIG: Final[dict[str, tuple[Shape[Any], str]]] = {
    "temperature": (FLOAT, "temperature"),
    "topP": (FLOAT, "top_p"),
    "topK": (INT, "top_k"),
    "seed": (INT, "seed"),
    "presencePenalty": (FLOAT, "presence_penalty"),
    "frequencyPenalty": (FLOAT, "frequency_penalty"),
    "candidateCount": (INT, "n"),
    "responseLogprobs": (BOOL, "logprobs"),
    "logprobs": (INT, "top_logprobs"),
}


def _generation_config(ask: Ask, raw: Raw) -> None:
    config = fields(raw, "generationConfig")
    path = "generationConfig"
    for name in [name for name in config if name in _CONFIG]:
        shape, attribute = _CONFIG[name]
        setattr(ask.sampling, attribute, shape.read(_whole(config.pop(name), shape), join(path, name)))
    if "maxOutputTokens" in config:
        ask.max_tokens = INT.read(_whole(config.pop("maxOutputTokens"), INT), join(path, "maxOutputTokens"))
    if "stopSequences" in config:
        ask.stop = STRINGS.read(config.pop("stopSequences"), join(path, "stopSequences"))
    if "responseModalities" in config:
        given = _WORDS.read(config.pop("responseModalities"), join(path, "responseModalities"))
        ask.modalities = [w.lower() if isinstance(w, str) else _MODALITY_NUMBER.get(w, str(w)) for w in given]
    if not _FORMAT.isdisjoint(config):
        _response_format(ask, config, path)
    if "thinkingConfig" in config:
        _thinking(ask, config, join(path, "thinkingConfig"))
    if config:
        ask.extra["generationConfig"] = encode(config)


def _whole(raw: Raw, shape: Shape[Any]) -> Raw:
    """Accept ``40.0`` for ``40``: languages without an integer type send it, and so the API accepts it."""
    text = bytes(raw)
    return Raw(text[:-2]) if shape is INT and text.endswith(b".0") else raw


_FORMAT: Final = frozenset({"responseMimeType", "responseJsonSchema", "responseSchema"})


def _response_format(ask: Ask, config: dict[str, Raw], path: str) -> None:
    mime = text_of(config, "responseMimeType", path)
    schema = _schema(config, "responseJsonSchema", "responseSchema", path)
    if mime in (_JSON, "text/plain", "") or (mime is None and schema is not None):
        config.pop("responseMimeType", None)
    for name in ("responseJsonSchema", "responseSchema"):
        config.pop(name, None)
    if schema is not None:
        ask.response_format = ResponseFormat("schema", schema)
    elif mime == _JSON:
        ask.response_format = ResponseFormat("json")


def _thinking(ask: Ask, config: dict[str, Raw], path: str) -> None:
    given = fields(config["thinkingConfig"], path)
    show = BOOL.read(given["includeThoughts"], join(path, "includeThoughts")) if "includeThoughts" in given else None
    level = text_of(given, "thinkingLevel", path)
    budget = None
    if "thinkingBudget" in given:
        budget = INT.read(_whole(given["thinkingBudget"], INT), join(path, "thinkingBudget"))
    if level is None and budget is None and not show:
        return  # asks for nothing that another wire could switch on, so it is kept as it is
    config.pop("thinkingConfig")
    word = None if level in (None, "THINKING_LEVEL_UNSPECIFIED") else str(level).lower()
    reasoning = Reasoning(enabled=budget != 0, effort=word, show=None if show is None else "auto" if show else "omitted")
    if budget is not None and budget < 0:
        reasoning.adaptive = True  # the model chooses its own budget
    else:
        reasoning.budget = budget
    ask.reasoning = reasoning


_TOP: Final[dict[str, Reader]] = {
    "model": _model,
    "contents": _contents,
    "systemInstruction": _system,
    "tools": _tools,
    "toolConfig": _tool_config,
    "generationConfig": _generation_config,
}
