"""The house: what may import what, and what may stand where.

A new module needs a row in `FLOORS`. A row is moved up when its module needs more below it; if that
is not possible, a piece of it stands on the wrong floor.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import asgi_multitier
from asgi_multitier.policy.cache_status import CACHE

ROOT = Path(asgi_multitier.__file__).parent

FLOORS: tuple[tuple[str, ...], ...] = (
    (
        "_types",
        "errors",
        "events",
        "fleet",
    ),
    ("selectors",),
    (
        "breaker",
        "entry",
        "environment",
        "framework",
        "identity",
        "policy",
        "serializers",
        "sqlite_worker",
        "strategy",
        "templates",
    ),
    (
        "capture",
        "codec",
        "coherence",
        "mutation",
        "options",
        "position",
        "replay",
        "tiers",
    ),
    (
        "coalescing",
        "config",
        "inbox",
        "layers",
        "redis",
        "sqlite_log",
        "stack",
        "stale",
        "testing",
    ),
    (
        "engine",
        "nearby",
        "routing",
        "streams",
    ),
    (
        "assembly",
        "health",
        "plan",
        "values",
    ),
    (
        "backends",
        "functions",
        "request",
    ),
    (
        "draft",
        "lifecycle",
        "sync",
    ),
    (
        "fill",
        "manager",
        "posted",
    ),
    (
        "builder",
        "exchange",
        "fastapi",
    ),
    ("middleware",),
    ("__init__",),
)
"""Modules and packages, from the ground up. Imports point down; siblings do not know each other."""

FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}

FIELD_NAMES_ELSEWHERE = {
    "config": "the defaults of options that name fields",
    "exchange": "the length of an answer that has no content",
    "fill.head": "the length of stored content that does not say it",
    "fill.keeping": "the validator that is kept",
    "middleware": "credentials that responses themselves decide about",
    "position": "the cookie that carries a client's place in the log",
    "replay": "the fields that choose a part, and the age",
    "routing.security": "where schemes of a framework read from",
    "routing.table": "the host, in the scope that it asks routes with",
}
"""Modules outside `policy/` that spell field names, and which."""

PURE = ("policy", "entry", "codec", "breaker")


class Module:
    """One source file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.package = path.relative_to(ROOT).parts[:-1]
        self.name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        self.name = self.name.removesuffix(".__init__")
        self.unit = self.name.partition(".")[0]
        self.tree = ast.parse(path.read_text())

    def nodes(self) -> Iterator[ast.AST]:
        """All nodes that run: what only a type checker imports is left out."""
        return _running(self.tree)

    def inner_imports(self) -> set[str]:
        """The units of this package that it imports."""
        found = set()
        for node in self.nodes():
            if isinstance(node, ast.ImportFrom) and node.level:
                above = self.package[: len(self.package) - node.level + 1]
                whole = [*above, *(node.module.split(".") if node.module else [])]
                found.update(whole[:1] or [alias.name for alias in node.names])
        return found - {self.unit}

    def outer_imports(self) -> set[str]:
        """The distributions and standard modules that it imports."""
        found = set()
        for node in self.nodes():
            if isinstance(node, ast.Import):
                found.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.partition(".")[0])
        return found

    def literals(self) -> set[bytes]:
        """Its bytes literals."""
        constants = (n.value for n in ast.walk(self.tree) if isinstance(n, ast.Constant))
        return {value for value in constants if isinstance(value, bytes)}


def _calls(node: ast.AST) -> set[str]:
    """Names of what is called below a node, as written."""
    return {ast.unparse(inner.func) for inner in ast.walk(node) if isinstance(inner, ast.Call)}


def _running(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _running(child)


MODULES = [Module(path) for path in sorted(ROOT.rglob("*.py"))]


def by_name(module: Module) -> str:
    """How a test case is called."""
    return module.name


@pytest.mark.parametrize("module", MODULES, ids=by_name)
def test_imports_point_down(module: Module) -> None:
    """Every module stands on a floor and imports from lower ones only."""
    assert module.unit in FLOOR_OF, f"{module.name} needs a row in FLOORS"
    wrong = {
        f"{name} (floor {FLOOR_OF.get(name)})"
        for name in module.inner_imports()
        if FLOOR_OF.get(name, 99) >= FLOOR_OF[module.unit]
    }

    assert wrong == set(), f"{module.name} stands on floor {FLOOR_OF[module.unit]}"


def test_floors_name_only_what_is_there() -> None:
    """A row whose module is gone is taken out."""
    assert set(FLOOR_OF) - {module.unit for module in MODULES} == set()


@pytest.mark.parametrize("module", MODULES, ids=by_name)
def test_only_the_redis_package_imports_redis(module: Module) -> None:
    """Everybody else speaks to tiers, a log and streams."""
    assert module.unit == "redis" or "redis" not in module.outer_imports()


@pytest.mark.parametrize("module", MODULES, ids=by_name)
def test_the_core_needs_no_framework(module: Module) -> None:
    """Only the module that is named after a framework imports it."""
    frameworks = {"starlette", "fastapi", "pydantic", "uvicorn"}

    assert module.outer_imports() & frameworks <= {module.unit}


@pytest.mark.parametrize("module", [m for m in MODULES if m.unit in PURE], ids=by_name)
def test_pure_modules_import_no_loop_no_log_and_no_clock(module: Module) -> None:
    """Values and `now` in, a decision out."""
    outer = module.outer_imports()

    assert not outer & {"asyncio", "logging", "time", "random", "socket", "os", "contextvars"}
    assert not {
        call for call in _calls(module.tree) if call.endswith((".now", ".utcnow", ".today"))
    }


@pytest.mark.parametrize("module", MODULES, ids=by_name)
def test_nothing_unpickles_or_evaluates(module: Module) -> None:
    """Bytes from elsewhere are parsed, never run."""
    banned = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle"}
    run = {"eval", "exec", "compile", "__import__"}

    assert not module.outer_imports() & banned
    assert not run & _calls(module.tree)


FIELD_NAME = re.compile(rb"[a-z][a-z0-9]*(-[a-z0-9]+)*")
VOCABULARY = {
    literal
    for module in MODULES
    if module.unit == "policy"
    for literal in module.literals()
    if len(literal) > 2 and FIELD_NAME.fullmatch(literal)
} - {CACHE}


@pytest.mark.parametrize("module", [m for m in MODULES if m.unit != "policy"], ids=by_name)
def test_only_the_policy_package_spells_field_names(module: Module) -> None:
    """What a header field means is decided in one place."""
    spelt = module.literals() & VOCABULARY
    if module.name in FIELD_NAMES_ELSEWHERE:
        assert spelt, f"{module.name} need not be listed any more"
    else:
        assert spelt == set()


@pytest.mark.parametrize("module", MODULES, ids=by_name)
def test_a_broad_except_stands_at_a_border_and_says_why(module: Module) -> None:
    """Each carries its reason, and none passes in silence."""
    lines = module.path.read_text().splitlines()
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        kinds = ast.unparse(node.type) if node.type is not None else ""
        silent = all(isinstance(statement, ast.Pass) for statement in node.body)
        raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
        broad = not kinds or kinds in ("Exception", "BaseException")

        assert not (silent and broad), f"{module.name}:{node.lineno}"
        logged = any(call.endswith("logger.exception") for call in _calls(node))
        if broad and not raises and not logged:
            assert "noqa: BLE001" in lines[node.lineno - 1], f"{module.name}:{node.lineno}"
            assert lines[node.lineno - 1].count("#") + lines[node.lineno - 1].count(" - ") > 1


def test_public_names_are_there() -> None:
    """`__all__` is sorted out by hand and every name in it exists."""
    for name in asgi_multitier.__all__:
        assert getattr(asgi_multitier, name) is not None
