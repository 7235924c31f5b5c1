"""What a lint of routes finds, and that it finds nothing where nothing is odd."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from asgi_multitier import (
    CacheManager,
    CacheMiddleware,
    ConfigError,
    Policy,
    Rule,
    cached,
    invalidates,
)
from asgi_multitier.explain import Finding, Level, RoutesReport
from asgi_multitier.explain import routes as routes_module
from asgi_multitier.explain.effects import changing
from asgi_multitier.explain.findings import LEVELS
from asgi_multitier.manager.routes import routes_of
from asgi_multitier.routing import RouteTable
from asgi_multitier.routing.routes import Leaf


async def get(number: int = 0) -> int:
    """A response."""
    return number


async def put(number: int = 0) -> int:
    """A change."""
    return number


def some_tags(_: Any) -> list[str]:
    """Tags by code."""
    return ["x"]


class PrometheusMiddleware:
    """A layer that counts."""

    def __init__(self, app: Any) -> None:
        self.app = app


def report(*routes: tuple[str, Any], **options: Any) -> RoutesReport:
    """The report of an application with these routes: `("GET /items/{number}", endpoint)`."""
    app = FastAPI()
    for line, endpoint in routes:
        method, _, path = line.partition(" ")
        app.add_api_route(path, endpoint, methods=[method])
    manager = CacheManager(redis_url=None, namespace="lint")
    return routes_of(CacheMiddleware(app, manager, **options))


def fresh(**options: Any) -> Any:
    """An endpoint that is cached for a minute, unless the options say more."""
    lifetime = options.pop("lifetime", 60)

    async def endpoint(number: int = 0, lang: str = "") -> int:
        return number

    return cached(lifetime, **options)(endpoint)


def drops(**options: Any) -> Any:
    """An endpoint that changes something."""

    async def endpoint(number: int = 0) -> int:
        return number

    return invalidates(**options)(endpoint)


ITEM = "GET /items/{number}"
DROP = "PUT /items/{number}"
TAGGED = (ITEM, fresh(tags=["item:{number}"]))

CASES: dict[str, tuple[Callable[[], RoutesReport], list[str]]] = {
    "nothing": (lambda: report(TAGGED, (DROP, put)), []),
    "named and carried": (
        lambda: report(
            (ITEM, fresh(tags=["item:{number}"], lifetime=900)),
            ("POST /orders", drops(tags=["item:{number}"])),
        ),
        [],
    ),
    "a literal that a template may give": (
        lambda: report(TAGGED, ("POST /o", drops(tags=["item:7"]))),
        [],
    ),
    "a template that may give a literal": (
        lambda: report(
            ("GET /all", fresh(tags=["item:all"])), ("POST /o", drops(tags=["item:{number}"]))
        ),
        [],
    ),
    "a misspelt tag": (
        lambda: report(TAGGED, ("POST /o", drops(tags=["items:{number}"]))),
        ["W2"],
    ),
    "a misspelt literal": (
        lambda: report(
            (ITEM, fresh(tags=["items", "item:{number}"])), ("POST /o", drops(tags=["itmes"]))
        ),
        ["W2"],
    ),
    "a path of no cached route": (
        lambda: report(TAGGED, ("POST /o", drops(paths=["/item/{number}"]))),
        ["W2"],
    ),
    "a path of a cached route": (
        lambda: report(TAGGED, ("POST /o", drops(paths=["/items/{number}"]))),
        [],
    ),
    "a pattern of no cached route": (
        lambda: report(TAGGED, ("POST /o", drops(patterns=["/thing*"]))),
        ["W2"],
    ),
    "a pattern of a cached route": (
        lambda: report(TAGGED, ("POST /o", drops(patterns=["*tems/*"]))),
        [],
    ),
    "a pattern of a name": (
        lambda: report(
            (ITEM, fresh(key="thing:{number}")), ("POST /o", drops(patterns=["thing:*"]))
        ),
        [],
    ),
    "a route that is cached": (
        lambda: report((ITEM, fresh()), ("POST /o", drops(routes=["/items/{number}"]))),
        [],
    ),
    "a route that is not": (
        lambda: report((ITEM, get), ("POST /o", drops(routes=["/items/{number}"]))),
        ["W2"],
    ),
    "tags by code": (
        lambda: report((ITEM, fresh(tags=[some_tags])), ("POST /o", drops(tags=["item:{number}"]))),
        ["I1"],
    ),
    "dropped by code": (
        lambda: report(TAGGED, ("POST /o", drops(tags=[some_tags]))),
        ["I1"],
    ),
    "a change that drops nothing": (
        lambda: report((ITEM, fresh()), ("POST /items/{number}/stock", put)),
        ["W1"],
    ),
    "a change of something else": (lambda: report((ITEM, fresh()), ("POST /login", put)), []),
    "a change of its own url": (lambda: report((ITEM, fresh()), (DROP, put)), []),
    "cached for long, and never dropped": (
        lambda: report((ITEM, fresh(lifetime=900)), ("POST /login", put)),
        ["W3"],
    ),
    "cached for long where nothing changes": (
        lambda: report((ITEM, fresh(lifetime=900))),
        ["I2"],
    ),
    "cached for long, and dropped": (lambda: report((ITEM, fresh(lifetime=900)), (DROP, put)), []),
    "cached for very long": (
        lambda: report((ITEM, fresh(lifetime=7_200)), (DROP, put)),
        ["I3"],
    ),
    "cached for very long, spread": (
        lambda: report((ITEM, fresh(lifetime=7_200, jitter=0.1)), (DROP, put)),
        [],
    ),
    "cached for very long, renewed": (
        lambda: report((ITEM, fresh(lifetime=7_200, eager_refresh=0.8)), (DROP, put)),
        [],
    ),
    "many values": (lambda: report((ITEM, fresh(vary=["user-agent"]))), ["W4"]),
    "few values": (lambda: report((ITEM, fresh(vary=["accept-language"]))), []),
    "no place": (lambda: report((ITEM, fresh(tags=["items"]))), ["W5"]),
    "one place": (lambda: report((ITEM, fresh(tags=["items", "item:{number}"]))), []),
    "no place needed": (lambda: report(("GET /items", fresh(tags=["items"]))), []),
    "ignored at the route": (
        lambda: report((ITEM, fresh(tags=["items"], lint_ignore="W5"))),
        [],
    ),
    "another one ignored": (
        lambda: report((ITEM, fresh(tags=["items"], lint_ignore=["W3"]))),
        ["W5"],
    ),
    "ignored at the change": (
        lambda: report((ITEM, fresh()), ("POST /o", drops(tags=["x"], lint_ignore=("W2",)))),
        [],
    ),
    "ignored where nothing is named": (
        lambda: report((ITEM, fresh()), ("POST /items/{number}/x", drops(lint_ignore="W1"))),
        [],
    ),
    "a question": (
        lambda: report((ITEM, fresh()), ("POST /items/find", fresh(methods=["POST"], body=True))),
        [],
    ),
    "by a rule": (
        lambda: report((ITEM, get), ("POST /x", put), rules=[Rule("/items/*", 900)]),
        ["W3"],
    ),
    "by the default": (
        lambda: report((ITEM, get), ("POST /x", put), default=Policy(900)),
        [],
    ),
    "what does not start": (
        lambda: report(("GET /items", fresh(tags=["item:{nubmer}"]))),
        ["E1"],
    ),
}


@pytest.mark.parametrize(
    ("options", "methods"),
    [
        ({"methods": ["POST"], "body": True}, []),
        ({"methods": ["POST"], "body": True, "when": lambda _: True}, ["POST"]),
        ({}, ["POST"]),
    ],
)
def test_what_is_asked_in_a_body_changes_nothing(
    options: dict[str, Any], methods: list[str]
) -> None:
    """Unless a callable decides which requests only ask."""
    leaf = Leaf(None, lambda _: None, fresh(**options), "/find", methods=frozenset({"POST"}))

    assert changing(leaf) == methods


@pytest.mark.parametrize("case", CASES)
def test_findings(case: str) -> None:
    """Of applications that have one thing each."""
    make, codes = CASES[case]
    found = make()

    assert [one.code for one in found.findings] == codes, found.findings
    assert found.failed is any(LEVELS[code] is not Level.INFORMATION for code in codes)
    for one in found.findings:
        assert one.level is LEVELS[one.code]
        assert one.text
        assert one.remedy
        assert not one.text.endswith(".")
    assert json.loads(json.dumps(found.as_json())) == found.as_json()


def test_an_error_says_what_is_expected() -> None:
    """As the application does that does not start for it."""
    app = FastAPI()
    app.post("/a")(cached(60)(put))
    app.add_middleware(CacheMiddleware, cache=CacheManager(redis_url=None))
    (one,) = (each for each in routes_of(app).findings if each.code == "E1")

    assert one.text == "route POST /a (put): @cached does nothing where only POST is taken"
    assert one.remedy.startswith("Expected a route that takes GET")
    assert one.remedy.endswith("Until then the application does not start")


def test_each_code_is_found_somewhere() -> None:
    """By the cases above, by those of the layers below, and by those of stray marks."""
    seen = {code for _, codes in CASES.values() for code in codes}

    assert seen | {"W6", "W7", "I4"} == set(LEVELS)


def test_the_nearest_spelling_is_told() -> None:
    """Of the tags that cached routes carry."""
    (one,) = CASES["a misspelt tag"][0]().findings

    assert one.text == "The tag 'items:{number}' is carried by no cached route"
    assert "Did you mean 'item:{number}'?" in one.remedy
    assert one.route.startswith("route POST /o (")


def layered(*inside: Any, outside: tuple[Any, ...] = (), wraps: bool = False) -> list[Finding]:
    """The findings of an application with these layers."""
    app = FastAPI()
    for kind in reversed(inside):
        app.add_middleware(kind)
    manager = CacheManager(redis_url=None, namespace="lint")
    if wraps:
        whole: Any = CacheMiddleware(app, manager)
        for kind in outside:
            whole = kind(whole)
        return list(routes_of(whole).findings)
    app.add_middleware(CacheMiddleware, cache=manager)
    for kind in outside:
        app.add_middleware(kind)
    return list(routes_of(app).findings)


@pytest.mark.parametrize("wraps", [False, True])
def test_the_order_of_layers(wraps: bool) -> None:
    """Layers that are to see each request stand outside."""
    assert layered(outside=(PrometheusMiddleware, CORSMiddleware), wraps=wraps) == []
    found = layered(PrometheusMiddleware, CORSMiddleware, wraps=wraps)
    assert [(one.code, one.text.split()[0]) for one in found] == [
        ("W6", "PrometheusMiddleware"),
        ("I4", "CORSMiddleware"),
    ]
    assert [one.code for one in layered(outside=(GZipMiddleware,), wraps=wraps)] == ["I4"]
    assert layered(GZipMiddleware, wraps=wraps) == []


def test_the_table() -> None:
    """What is cached, under which key, what drops it, and what a change drops."""
    found = report(
        (ITEM, fresh(tags=["item:{number}"], vary=["accept-language"], query=["number", "lang"])),
        (DROP, drops(tags=["item:{number}"])),
        ("GET /plain", get),
        rules=[Rule("/plain", None)],
    )
    rows = {row.route + " " + ",".join(row.methods): row for row in found.routes}
    item, change = rows["/items/{number} GET"], rows["/items/{number} PUT"]

    assert (item.cached, item.lifetime, item.chosen_by) == (True, 60, "annotation")
    assert item.key == ("query:number", "query:lang", "field:accept-language")
    assert item.tags == ("item:{number}",)
    assert [(one.kind, one.text) for one in item.dropped_by] == [
        ("url", "/items/{number}"),
        ("tag", "item:{number}"),
    ]
    assert not change.cached
    assert [(one.kind, one.text) for one in change.drops] == [("tag", "item:{number}")]
    assert (rows["/plain GET"].cached, rows["/plain GET"].chosen_by) == (False, "no-cache")


def test_nothing_of_the_application_runs() -> None:
    """No engine, no name, no callable; and an application without a cache is refused."""
    found = report((ITEM, fresh(vary_by=lambda _: 1 / 0, tags=[lambda _: 1 / 0])))
    assert found.routes

    with pytest.raises(ConfigError, match="an application with a CacheMiddleware"):
        routes_of(FastAPI())


@pytest.mark.parametrize("code", ["w3", "W", "W0", "X1", "", 3])
def test_what_is_no_code_is_refused(code: Any) -> None:
    """Where it is written."""
    with pytest.raises(ConfigError, match="lint_ignore"):
        cached(60, lint_ignore=code)(get)
    with pytest.raises(ConfigError, match="lint_ignore"):
        invalidates(tags="x", lint_ignore=code)(put)


async def test_a_manager_tells_the_routes_of_its_applications() -> None:
    """Once they have begun."""
    app = FastAPI()
    app.add_api_route("/items/{number}", fresh(tags=["item:{number}"]))
    cache = CacheManager(redis_url=None, namespace="lint")
    middleware = CacheMiddleware(app, cache)
    assert cache.routes().routes == ()
    async with cache:
        middleware.resolve({"type": "http", "method": "GET", "path": "/", "headers": []})
        (row, *_) = [one for one in cache.routes().routes if one.cached]
    assert row.tags == ("item:{number}",)


def mounted(app: Any) -> RoutesReport:
    """The report of an application with one long-lived route and something mounted at its root."""
    routes = [Route("/items", fresh(lifetime=900)), Mount("/", app)]
    cache = CacheManager(redis_url=None, namespace="lint")
    return routes_of(CacheMiddleware(Starlette(routes=routes), cache))


def test_a_mount_that_names_no_methods_changes_nothing(tmp_path: Path) -> None:
    """Static files take no changes, and a mount at the root would drop all others."""
    found = mounted(StaticFiles(directory=tmp_path))

    assert [row.dropped_by for row in found.routes] == [(), ()]
    assert [one.code for one in found.findings] == ["I2"]


def test_a_mount_counts_by_what_it_names() -> None:
    """One that is annotated is a change as any other."""

    @invalidates(paths=["/items"])
    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Never asked."""

    kinds = [(one.kind, one.text) for one in mounted(app).routes[0].dropped_by]
    assert kinds == [("url", "/{path:path}"), ("path", "/items")]


async def test_routes_are_read_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop is free meanwhile, and the report is the same."""
    threads = []
    lint = routes_module.lint

    def noted(routes: Any) -> Any:
        threads.append(threading.get_ident())
        return lint(routes)

    monkeypatch.setattr(routes_module, "lint", noted)
    app = FastAPI()
    app.add_api_route("/items/{number}", fresh(tags=["item:{number}"], lifetime=900))
    async with CacheManager(redis_url=None, namespace="lint") as cache:
        middleware = CacheMiddleware(app, cache)
        middleware.resolve({"type": "http", "method": "GET", "path": "/", "headers": []})
        found = await cache.read_routes()

        assert found == cache.routes()
        assert found.findings
    assert [thread == threading.get_ident() for thread in threads] == [False, True]


def test_a_reading_is_of_the_routes_as_they_were() -> None:
    """It reads none again: that is for the thread that answers requests."""
    app = FastAPI(openapi_url=None)
    app.add_api_route("/items", fresh())
    table = RouteTable(app)
    reading = routes_module.reading_of(table, ((), ()))
    app.add_api_route("/more", fresh())
    table.clear()

    assert [row.route for row in reading().routes] == ["/items"]
    assert table._tree is None
    assert len(routes_module.report_of(table, ((), ())).routes) == 2
