"""The house: what may import what, and what may stand where.

`WINGS` lists folders and loose modules from the ground up; each imports only what stands before it.
A failure names the import and says what to do about it.
"""

import ast
import re
from functools import cached_property
from pathlib import Path

import pytest

import asgi_multitier
from asgi_multitier.policy.cache_status import CACHE

pytestmark = pytest.mark.no_cover  # it reads the package and runs nothing of it

ROOT = Path(asgi_multitier.__file__).parent

WINGS = (
    ("_about", "_loading", "_types", "errors"),
    ("tracing",),
    ("events",),
    ("breaker", "compression", "entry", "selectors", "serializers", "strategy", "streams"),
    ("policy",),
    ("config",),
    ("tiers",),
    ("coherence",),
    ("redis", "workers"),
    ("routing",),
    ("engine",),
    ("instances", "metrics", "warming"),
    ("explain",),
    ("openapi",),
    ("shadow",),
    ("admin",),
    ("manager",),
    ("asgi",),
    ("fastapi", "testing", "uvicorn"),
    ("cli",),
    ("__init__", "__main__"),
)
"""From the ground up. Imports point to an earlier row, or stay inside of a folder."""

MAX_LOOSE = 16
"""Modules that stand outside of the folders."""

ROW_OF = {name: number for number, names in enumerate(WINGS) for name in names}

FIELD_NAMES_ELSEWHERE = {
    "compression.compressors": "the codings that it makes",
    "config.contradictions": "fields that two options cannot both decide about",
    "config.policy": "the defaults of options that name fields",
    "config.process": "what to write instead of calling a credential harmless",
    "admin.application": "where the page is",
    "admin.entries": "the fields of which values are shown",
    "admin.hosts": "what a browser says of the page that sends a request",
    "admin.inside": "what it sends to the application in its own process",
    "admin.reading": "what the content of a request is",
    "admin.replies": "the fields of its own answers",
    "admin.rights": "what an operator sends",
    "asgi.replies": "the length of an answer that has no content",
    "asgi.fill.keeping": "the validator that is kept",
    "asgi.admission": "credentials that responses themselves decide about",
    "asgi.read_your_writes": "the cookie that carries a client's place in the log",
    "asgi.instead": "the field that asks for a part",
    "asgi.replay": "the fields that choose a part, and the age",
    "metrics.endpoint": "the fields of its own answers, and what a scraper sends",
    "asgi.own_client": "the host that a client asks",
    "warming.targets": "the same, which has its own place in a target",
    "explain.lint": "request fields with many values",
    "explain.question": "the fields that a server passes on, and what a proxy says",
    "testing.detector": "what belongs to one message and not to its answer",
    "testing.inputs": "where the inputs of a request stand",
    "routing.security": "where schemes of a framework read from",
    "routing.table": "the host, in the scope that it asks routes with",
}
"""Modules outside `policy/` that spell field names, and which."""

IN_THE_CALLERS_CONTEXT = {
    "asgi.capture": "sends what was held to a client",
    "admin.watching": "watches whether a client is there",
    "asgi.fill.attempt": "the patience of a run of the application",
    "asgi.guarded.miss": "runs the application",
    "asgi.receiving": "watches whether a client is there",
    "engine.flights.table": "runs the application",
    "engine.flights.waiting_list": "the patience of a request",
    "engine.placed": "awaited at once",
    "manager.invalidation": "awaited by a request, or by its end",
    "manager.lifecycle": "the same",
    "redis.cluster": "awaited at once",
    "testing.shared": "of a test",
    "uvicorn.connection": "of a connection, as the server's own",
}
"""Modules of which tasks or timers stand in the context in which they are begun, and why."""

PURE = {"policy", "entry", "tiers.codec", "tiers.metadata", "breaker", "shadow"}


class Module:
    """One source file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.package = path.relative_to(ROOT).parts[:-1]
        self.name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        self.name = self.name.removesuffix(".__init__")
        self.unit = self.name.partition(".")[0]

    @cached_property
    def tree(self) -> ast.Module:
        """What it says; read when the first test asks, as each process that runs tests is here."""
        return ast.parse(self.path.read_text())

    def inner_imports(self) -> set[str]:
        """The files of this package that it imports, by name; for type checkers alone too."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                above = self.package[: len(self.package) - node.level + 1]
                base = ".".join((*above, *(node.module.split(".") if node.module else ())))
                for alias in node.names:
                    whole = f"{base}.{alias.name}".lstrip(".")
                    found.add(whole if whole in NAMES else base)
        return found - {self.name}

    def outer_imports(self) -> set[str]:
        """The distributions and standard modules that it imports."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.partition(".")[0])
        return found

    def literals(self) -> set[bytes]:
        """Its bytes literals; of those with spaces, the words."""
        constants = (n.value for n in ast.walk(self.tree) if isinstance(n, ast.Constant))
        return {word for value in constants if isinstance(value, bytes) for word in value.split()}


def _calls(node: ast.AST) -> set[str]:
    """Names of what is called below a node, as written."""
    return {ast.unparse(inner.func) for inner in ast.walk(node) if isinstance(inner, ast.Call)}


MODULES = [Module(path) for path in sorted(ROOT.rglob("*.py"))]
NAMES = {module.name: module for module in MODULES}


def test_every_file_belongs_to_a_wing() -> None:
    """A folder, or a loose module, that is listed above."""
    homeless = [module.name for module in MODULES if module.unit not in ROW_OF]

    assert homeless == [], (
        "move it into the folder whose subject it is"
        f" ({', '.join(name for names in WINGS for name in names)})"
    )


def test_imports_point_down() -> None:
    """Every file imports from earlier wings only, or from its own."""
    above = [
        f"{module.name} imports {name}, which stands above it: move what both need down to"
        f" {module.unit} or below, or {module.name} up to {unit}"
        for module in MODULES
        for name in module.inner_imports()
        if (unit := name.partition(".")[0]) != module.unit
        and ROW_OF.get(unit, 99) >= ROW_OF.get(module.unit, 99)
    ]

    assert above == []


def _circle(name: str, path: tuple[str, ...], done: set[str]) -> tuple[str, ...]:
    """A path of imports that comes back to where it was, or nothing."""
    if name in path:
        return (*path[path.index(name) :], name)
    if name in done:
        return ()
    for inner in sorted(NAMES[name].inner_imports()):
        if circle := _circle(inner, (*path, name), done):
            return circle
    done.add(name)
    return ()


def test_no_files_import_each_other_in_a_circle() -> None:
    """Inside of folders too, and also where only a type checker imports."""
    done: set[str] = set()
    circles = [circle for name in NAMES if (circle := _circle(name, (), done))]

    assert circles == [], "move what they share into a file that imports neither"


def test_the_top_of_the_package_holds_folders() -> None:
    """A loose module is for what every wing knows, or for what a user imports by that name."""
    loose = [module.name for module in MODULES if not module.package]

    assert len(loose) <= MAX_LOOSE, f"move one of {loose} into the wing whose subject it is"
    assert set(ROW_OF) == {module.unit or "__init__" for module in MODULES}


def test_only_the_redis_package_imports_redis() -> None:
    """All others use tiers, a log and streams."""
    assert not [m.name for m in MODULES if m.unit != "redis" and "redis" in m.outer_imports()]


def test_the_core_needs_no_framework() -> None:
    """Only the module that is named after a framework imports it."""
    frameworks = {"starlette", "fastapi", "pydantic", "uvicorn"}

    assert not [m.name for m in MODULES if m.outer_imports() & (frameworks - {m.unit})]


def test_pure_modules_import_no_loop_no_log_and_no_clock() -> None:
    """Values and `now` in, a decision out."""
    impure = {"asyncio", "logging", "time", "random", "socket", "os", "contextvars"}
    clocks = (".now", ".utcnow", ".today")
    pure = [m for m in MODULES if m.unit in PURE or m.name in PURE]

    assert {m.unit for m in pure} | {m.name for m in pure} >= PURE
    assert not [m.name for m in pure if m.outer_imports() & impure]
    assert not [(m.name, call) for m in pure for call in _calls(m.tree) if call.endswith(clocks)]


def test_nothing_unpickles_or_evaluates() -> None:
    """Bytes from elsewhere are parsed, never run."""
    banned = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle"}
    run = {"eval", "exec", "compile", "__import__"}

    assert not [m.name for m in MODULES if m.outer_imports() & banned]
    assert not [m.name for m in MODULES if run & _calls(m.tree)]


FIELD_NAME = re.compile(rb"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def test_only_the_policy_package_spells_field_names() -> None:
    """What a header field means is decided in one place."""
    vocabulary = {
        literal
        for module in MODULES
        if module.unit == "policy"
        for literal in module.literals()
        if len(literal) > 2 and FIELD_NAME.fullmatch(literal)
    } - {CACHE}
    spelt = {m.name: m.literals() & vocabulary for m in MODULES if m.unit != "policy"}
    elsewhere = {name for name, names in spelt.items() if names}

    assert {name: spelt[name] for name in elsewhere - set(FIELD_NAMES_ELSEWHERE)} == {}
    assert set(FIELD_NAMES_ELSEWHERE) - elsewhere == set(), "need not be listed any more"


def test_a_broad_except_stands_at_a_border_and_says_why() -> None:
    """Each carries its reason, and none passes in silence."""
    for module in MODULES:
        _check_handlers(module)


def _check_handlers(module: Module) -> None:
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


_BEGINS = ("create_task", "call_later", "call_at", "add_reader")


def test_what_is_done_for_all_stands_in_no_request() -> None:
    """Tasks and timers get an empty context: a request's would stay in memory, and be logged."""
    found = {
        module.name
        for module in MODULES
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith(_BEGINS)
        and not any(keyword.arg == "context" for keyword in node.keywords)
    }

    assert found - set(IN_THE_CALLERS_CONTEXT) == set(), "write context=Context()"
    assert set(IN_THE_CALLERS_CONTEXT) - found == set(), "need not be listed any more"


def test_public_names_are_there() -> None:
    """`__all__` is sorted out by hand and every name in it exists."""
    for name in asgi_multitier.__all__:
        assert getattr(asgi_multitier, name) is not None


MAX_LINES = 400
MAX_CLASS = 250
WHOLE = re.compile(r"\bone (story|table|class)\b")


def _length(node: ast.ClassDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno


def test_long_files_and_classes_say_why() -> None:
    """What is longer is one story or one table, and its head says so."""
    unsaid = []
    for module in MODULES:
        head = ast.get_docstring(module.tree) or ""
        if len(module.path.read_text().splitlines()) > MAX_LINES and not WHOLE.search(head):
            unsaid.append(module.name)
        unsaid += [
            f"{module.name}.{node.name}"
            for node in ast.walk(module.tree)
            if isinstance(node, ast.ClassDef)
            and _length(node) > MAX_CLASS
            and not WHOLE.search(head + (ast.get_docstring(node) or ""))
        ]

    assert unsaid == [], "split it by subject, or say in its head that it is one story"
