"""The architecture, as data.  A wrong arrow, a cycle, a provider's name in the wrong place or a banned call fails here."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "omniroute"
BASE = {"errors", "settings", "clock", "tasks", "log"}
DATA = {"proto", "translate", "upstream", "gateway"}

# part of the package -> the parts it may import, beside itself
ALLOWED: dict[str, set[str]] = {
    "__init__": set(),
    **dict.fromkeys(BASE, BASE),
    "proto": BASE,
    "translate": {"errors"},
    "media": {"errors", "translate"},
    "upstream": BASE | {"proto", "translate"},
    "gateway": BASE | {"proto", "translate", "media", "upstream"},
    "store": BASE | DATA,
    "manage": BASE | DATA | {"store"},
    "app": BASE | DATA | {"store", "manage"},
    "cli": BASE | DATA | {"store", "manage", "app"},
    "__main__": {"cli"},
}
EVERYONE = {"__init__"}  # the version

# Modules that a pure module must not import: event loop, clock, randomness, log, operating system.
IMPURE = {"asyncio", "datetime", "logging", "os", "pathlib", "random", "secrets", "socket", "threading", "time", "uuid"}

# Names of wires as well as of providers; the translation and the tables of wires need them.
WIRE_WORDS = {"openai", "anthropic", "gemini", "ollama"}
# Provider ids that are also English words: they count only if a string is exactly the id.
PLAIN_WORDS = {"demo", "fireworks", "perplexity", "together", "voyage"}
# A codec, or the tap of its wire, may know the deviations of the vendors of that wire.
CODEC = re.compile(
    r"translate\.(relay_)?(openai_chat|openai_responses|anthropic|gemini|ollama)(_\w+)?"
    r"|media\.(codecs|embeddings|images|rerank|moderations|speech|transcriptions)(_\w+)?"
)
# module -> {provider id: why it may be named there}
NAMED_ELSEWHERE: dict[str, dict[str, str]] = {
    "app": {"demo": "the built-in provider is served by a function, not an address; here the two are joined"},
    "cli.demo": {"demo": "the command that shows it"},
    "cli.main": {"demo": "the name of that command"},
    "log": {"xai": "how its keys begin, to take them out of logs"},
}

LONGEST_FILE = 600
LONGEST_FUNCTION = 60

MODULES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def modules() -> dict[str, ast.Module]:
    """``"proto.h1_server"`` -> its syntax tree; packages as ``"proto.__init__"``."""
    return {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}


def part(module: str) -> str:
    return module.partition(".")[0]


def _absolute(module: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = ["omniroute", *module.split(".")][: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


def _inside(name: str) -> str | None:
    """Return the module of this package with the dotted *name*; None if there is none."""
    if name == "omniroute":
        return "__init__"
    tail = name.removeprefix("omniroute.")
    if tail == name:
        return None
    return tail if tail in MODULES else f"{tail}.__init__" if f"{tail}.__init__" in MODULES else None


def _for_types(tree: ast.Module) -> set[int]:
    """The ids of all nodes under ``if TYPE_CHECKING``."""
    found: set[int] = set()
    for node in ast.walk(tree):
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                found |= {id(inner) for inner in ast.walk(node)}
    return found


@cache
def imports(module: str, *, types: bool = True) -> tuple[tuple[str, int], ...]:
    """(imported module of this package, line) for every import, even deferred; *types*: also those for type checkers."""
    return tuple(_imports(module, set() if types else _for_types(modules()[module])))


def _imports(module: str, skip: set[int]) -> Iterator[tuple[str, int]]:
    tree = modules()[module]
    for node in ast.walk(tree):
        if id(node) in skip:
            continue
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            # `from .package import module` is an import of the module, not of the package
            targets = [f"{base}.{alias.name}" if _inside(f"{base}.{alias.name}") else base for alias in node.names]
        else:
            continue
        yield from ((target, node.lineno) for name in targets if (target := _inside(name)))


def foreign(module: str) -> set[str]:
    """The top-level names of what *module* imports from outside."""
    names: set[str] = set()
    for node in ast.walk(modules()[module]):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").partition(".")[0])
    return names - {"omniroute"}


def test_every_part_of_the_package_has_a_place_in_the_table() -> None:
    assert {part(module) for module in modules()} <= set(ALLOWED)


def test_imports_follow_the_arrows() -> None:
    wrong = [
        f"omniroute/{module.replace('.', '/')}.py:{line} imports {target}"
        for module in modules()
        for target, line in imports(module)
        if part(target) not in ALLOWED[part(module)] | EVERYONE | {part(module)}
    ]
    assert wrong == []


def test_no_module_imports_the_init_of_its_own_package() -> None:
    wrong = [
        f"{module}:{line}"
        for module in modules()
        for target, line in imports(module)
        if target == f"{part(module)}.__init__" and module != target
    ]
    assert wrong == []


def test_imports_have_no_cycle() -> None:
    graph = {module: {target for target, _ in imports(module, types=False)} - {module} for module in modules()}
    while free := [module for module, targets in graph.items() if not targets & graph.keys()]:
        for module in free:
            del graph[module]
    in_a_cycle = {module for module in graph if any(module in targets for targets in graph.values())}
    assert in_a_cycle == set()


def test_the_version_module_imports_nothing() -> None:
    assert foreign("__init__") == set()


@pytest.mark.parametrize("module", [name for name in MODULES if part(name) in ("translate", "media")])
def test_translation_is_pure(module: str) -> None:
    assert foreign(module) & IMPURE == set()


def _reads_environment(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="os"), attr="environ" | "getenv" | "environb"):
            return True
        case ast.ImportFrom(module="os", names=names):
            return any(alias.name in {"environ", "getenv", "environb"} for alias in names)
    return False


def _imports_time(node: ast.AST) -> bool:
    match node:
        case ast.Import(names=names):
            return any(alias.name == "time" for alias in names)
        case ast.ImportFrom(module="time", level=0):
            return True
        case ast.Attribute(value=ast.Name(id="datetime"), attr="now" | "utcnow" | "today"):
            return True
    return False


def _creates_task(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(attr="create_task" | "ensure_future"):
            return True
        case ast.ImportFrom(module="asyncio", names=names):
            return any(alias.name in {"create_task", "ensure_future"} for alias in names)
    return False


@pytest.mark.parametrize(
    ("does", "home"), [(_reads_environment, "settings"), (_imports_time, "clock"), (_creates_task, "tasks")]
)
def test_one_module_alone_reads_the_environment_the_clock_and_creates_tasks(does: object, home: str) -> None:
    assert callable(does)
    found = {
        f"{module}:{getattr(node, 'lineno', 0)}"
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if does(node)
    }
    assert {place for place in found if not place.startswith(f"{home}:")} == set()
    assert found  # the check itself still works


def _providers() -> set[str]:
    catalogue = PACKAGE / "upstream" / "catalog.toml"
    rows = tomllib.loads(catalogue.read_text("utf-8"))
    providers = rows.get("providers", rows.get("provider", rows))
    return {row["id"] for row in providers} if isinstance(providers, list) else set(providers)


def _words(tree: ast.Module) -> Iterator[tuple[str, bool, int]]:
    """Yield (text, whether it is a whole string, line) of every name and string, without comments and docstrings."""
    prose = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=text, lineno=line) | ast.Attribute(attr=text, lineno=line):
                yield text.replace("_", " "), False, line
            case ast.FunctionDef(name=text, lineno=line) | ast.AsyncFunctionDef(name=text, lineno=line):
                yield text.replace("_", " "), False, line
            case ast.ClassDef(name=text, lineno=line):
                yield text, False, line
            case ast.Constant(value=str(text), lineno=line) if id(node) not in prose:
                yield text, True, line
            case ast.Constant(value=bytes(data), lineno=line):
                yield data.decode("latin-1"), True, line


def _named(text: str, whole: bool, providers: set[str]) -> set[str]:
    words = set(re.findall(r"[a-z0-9][a-z0-9-]*", text.lower()))
    return (words & (providers - PLAIN_WORDS)) | ({text} & providers if whole else set())


def test_providers_are_named_in_the_catalogue_alone() -> None:
    providers = _providers()
    assert len(providers) > 10
    wrong = [
        f"omniroute/{module.replace('.', '/')}.py:{line} names {name}"
        for module, tree in modules().items()
        if part(module) != "upstream" and not CODEC.fullmatch(module)
        for text, whole, line in _words(tree)
        for name in _named(text, whole, providers - WIRE_WORDS)
        if name not in NAMED_ELSEWHERE.get(module, {})
    ]
    assert wrong == []


def test_the_protocol_layer_has_never_heard_of_a_model_vendor() -> None:
    wrong = [
        f"{module}:{line} {text!r}"
        for module, tree in modules().items()
        if part(module) == "proto"
        for text, whole, line in _words(tree)
        if _named(text, whole, WIRE_WORDS)
    ]
    assert wrong == []


@pytest.mark.parametrize("module", MODULES)
def test_files_and_functions_stay_short(module: str) -> None:
    path = PACKAGE.joinpath(*module.split(".")).with_suffix(".py")
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_FILE
    long = {
        node.name: length
        for node in ast.walk(modules()[module])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > LONGEST_FUNCTION
    }
    assert long == {}
