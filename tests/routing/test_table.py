"""The route table against real Starlette and FastAPI applications."""

import functools
import sys
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import fastapi.routing
import pytest
from fastapi import APIRouter, Depends, FastAPI, Query
from pydantic import AliasChoices, BaseModel, create_model
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Host, Match, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles

from asgi_multitier.config.policy import Policy
from asgi_multitier.config.rules import Rule
from asgi_multitier.errors import ConfigError, InvalidationError
from asgi_multitier.routing import RouteTable, cached, invalidates, no_cache, parameters, route_path
from asgi_multitier.selectors import Selector


def templates(table: RouteTable) -> list[str]:
    """The identities of all routes, in the router's order."""
    return [leaf.template for leaf in table.tree.leaves()]


def endpoint(name: str) -> Callable[..., Any]:
    """An endpoint of its own for each route."""

    async def answer(request: Any) -> Response:
        return PlainTextResponse(name)

    answer.__name__ = answer.__qualname__ = name
    return answer


class View(HTTPEndpoint):
    @cached(60, tags="view:{id}")
    async def get(self, request: Any) -> Response:
        return PlainTextResponse("view")

    @invalidates(tags="view:{id}")
    async def put(self, request: Any) -> Response:
        return PlainTextResponse("view")


def starlette_app() -> Starlette:
    inner = Starlette(routes=[Route("/deep/{n:int}", endpoint("deep"), name="deep")])
    return Starlette(
        routes=[
            Route("/", endpoint("home")),
            Route("/p/new", endpoint("new")),
            Route("/p/{id:int}", endpoint("by_number")),
            Route("/p/{name}", endpoint("by_name")),
            Route("/p/{name}", endpoint("change"), methods=["PUT"]),
            Route("/view/{id}", View),
            Route("/f/{ratio:float}", endpoint("ratio")),
            Route("/u/{unit:uuid}", endpoint("unit")),
            Route("/rest/{rest:path}", endpoint("rest")),
            WebSocketRoute("/ws", endpoint("socket")),
            Mount("/m/{tenant}", routes=[Route("/x", endpoint("x"))], name="m"),
            Mount("/inner", app=inner, name="inner"),
            Mount("/inner", routes=[Route("/shadowed", endpoint("shadowed"))]),
            Host("{sub}.example.org", Router([Route("/hosted", endpoint("hosted"))]), name="h"),
            Route("/slash/", endpoint("slash")),
        ]
    )


def fastapi_app() -> FastAPI:
    app = FastAPI()
    products = APIRouter(prefix="/products")

    @products.get("/{id}")
    async def product(id: int) -> str:  # noqa: A002
        return "product"

    @products.put("/{id}")
    async def update(id: int) -> str:  # noqa: A002
        return "update"

    products.add_route("/plain/{x:int}", endpoint("plain"))
    products.mount("/files", Router([Route("/{file}", endpoint("file"))]))
    version = APIRouter(prefix="/v1")
    version.include_router(products, prefix="/shop")
    app.include_router(version, prefix="/api")
    app.include_router(products)
    products.host("files.example.org", Router([Route("/late", endpoint("late"))]))

    sub = FastAPI()
    sub.root_path = "/elsewhere"

    @sub.get("/s/{n}")
    def in_sub(n: str) -> str:
        return "sub"

    other = FastAPI()

    @other.get("/o/{n}")
    def in_other(n: str) -> str:
        return "other"

    app.mount("/sub", sub)
    app.mount("/other", other)
    return app


async def ask(app: Any, method: str, path: str, root_path: str, host: str) -> dict[str, Any]:
    """The scope after the application answered a request."""
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": root_path,
        "scheme": "http",
        "query_string": b"",
        "headers": [(b"host", host.encode())],
        "http_version": "1.1",
        "server": ("test", 80),
        "client": ("test", 1),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            scope["status"] = message["status"]

    await app(scope, receive, send)
    return scope


@functools.cache
def made_once(make: Callable[[], Any]) -> Any:
    """An application that many requests are asked of."""
    return make()


REQUESTS = [
    ("GET", "/", ""),
    ("HEAD", "/p/7", ""),
    ("GET", "/p/new", ""),
    ("GET", "/p/7", ""),
    ("GET", "/p/seven", ""),
    ("PUT", "/p/seven", ""),
    ("PUT", "/p/7", ""),
    ("DELETE", "/p/7", ""),
    ("PUT", "/view/a", ""),
    ("GET", "/f/1.50", ""),
    ("GET", "/u/12345678-1234-5678-1234-567812345678", ""),
    ("GET", "/rest/a/b/c", ""),
    ("GET", "/rest/", ""),
    ("GET", "/ws", ""),
    ("GET", "/m/acme/x", ""),
    ("GET", "/m/acme/y", ""),
    ("GET", "/inner/deep/007", ""),
    ("GET", "/inner/shadowed", ""),
    ("GET", "/hosted", ""),
    ("GET", "/slash", ""),
    ("GET", "/slash/", ""),
    ("GET", "/root/p/7", "/root"),
    ("GET", "/p/7", "/root"),
    ("GET", "/root", "/root"),
    ("GET", "/products/7", ""),
    ("HEAD", "/products/7", ""),
    ("PUT", "/products/7", ""),
    ("GET", "/api/v1/shop/products/7", ""),
    ("DELETE", "/api/v1/shop/products/7", ""),
    ("GET", "/api/v1/shop/products/plain/7", ""),
    ("GET", "/api/v1/shop/products/files/a", ""),
    ("GET", "/products/files/a", ""),
    ("GET", "/products/late", ""),
    ("GET", "/sub/s/1", ""),
    ("GET", "/other/o/1", ""),
    ("GET", "/other/none", ""),
    ("GET", "/root/other/o/1", "/root"),
    ("GET", "/openapi.json", ""),
    ("GET", "/nothing", ""),
]


@pytest.mark.parametrize("host", ["www.example.org", "files.example.org", "example.com:80"])
@pytest.mark.parametrize("make", [starlette_app, fastapi_app])
@pytest.mark.parametrize(("method", "path", "root_path"), REQUESTS)
async def test_the_table_expects_what_the_router_chooses(
    make: Callable[[], Any], method: str, path: str, root_path: str, host: str
) -> None:
    """Endpoint and path parameters are those that the router reports after the request."""
    app = made_once(make)
    scope = await ask(app, method, path, root_path, host)
    table = RouteTable(app)

    resolved = table.resolve(method, path, root_path, host=host)

    chosen = scope["endpoint"] if scope["status"] not in (404, 307) else None
    assert chosen == resolved.endpoint
    assert table.confirms(resolved, chosen)
    if scope["status"] == 200:
        assert scope["path_params"] == resolved.path_params
        assert resolved.route
    if scope["status"] == 405 and resolved.reason == "method":
        assert resolved.route == ""


@pytest.mark.parametrize("root_path", ["", "/own"])
async def test_fastapi_insists_on_its_own_root_path(root_path: str) -> None:
    """An application's `root_path` replaces the scope's, for it and for what it mounts."""
    app = fastapi_app()
    app.root_path = "/own"
    for path in ("/own/products/7", "/products/7", "/own/other/o/1"):
        scope = await ask(app, "GET", path, root_path, "x")

        assert scope.get("endpoint") == RouteTable(app).resolve("GET", path, root_path).endpoint


def test_the_rule_is_matched_against_the_path_that_the_application_sees() -> None:
    """Without the root path, with the mount's."""
    table = RouteTable(starlette_app(), rules=[Rule("/inner/*", 60)])

    assert table.resolve("GET", "/root/inner/deep/7", "/root").reason == "rule"
    assert table.resolve("GET", "/inner/deep/7").reason == "rule"

    assert table.resolve("GET", "/p/7").reason == "no-rule"


def test_the_rule_is_matched_without_the_root_path_that_an_application_insists_on() -> None:
    """The application's own replaces the scope's there, too."""
    app = fastapi_app()
    app.root_path = "/own"
    table = RouteTable(app, rules=[Rule("/products/*", 60)])

    assert table.resolve("GET", "/own/products/7").reason == "rule"


def test_websocket_routes_are_left_out() -> None:
    """They answer no request."""
    app = FastAPI()
    app.add_api_websocket_route("/api-socket", endpoint("socket"))

    assert "/ws" not in templates(RouteTable(starlette_app()))
    assert "/api-socket" not in templates(RouteTable(app))


def test_a_framework_that_takes_routers_apart_itself_is_read_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Earlier versions of FastAPI hold a flat list."""
    monkeypatch.delattr("fastapi.routing.iter_route_contexts", raising=False)
    app = FastAPI()

    @app.get("/p/{id}")
    @cached(60, tags="{id}")
    def product(id: int) -> None: ...  # noqa: A002

    table = RouteTable(app)
    table.check()

    assert table.resolve("GET", "/p/07").texts == {"id": "7"}
    assert lifetime(table, "/p/7") == 60.0


@pytest.mark.parametrize(
    ("path", "root_path", "seen"),
    [
        ("/a/b", "", "/a/b"),
        ("/a/b", "/a", "/b"),
        ("/a", "/a", ""),
        ("/ab", "/a", "/ab"),
        ("/b", "/a", "/b"),
    ],
)
def test_the_root_path_is_taken_off(path: str, root_path: str, seen: str) -> None:
    """Only where it is a prefix of whole segments."""
    assert seen == route_path(path, root_path)


class TestDecorators:
    def test_order_among_fastapi_decorators_does_not_matter(self) -> None:
        """Above or below, on routers and applications, sync and async."""
        app = FastAPI()
        router = APIRouter(prefix="/r")

        @app.get("/below")
        @cached(1)
        async def below() -> None: ...

        @cached(2)
        @app.get("/above")
        def above() -> None: ...

        @cached(3)
        @router.get("/router")
        async def routed() -> None: ...

        app.include_router(router)

        @no_cache
        @app.get("/never")
        async def never() -> None: ...

        table = RouteTable(app, rules=[Rule("*", 60)])
        table.check()

        assert [lifetime(table, path) for path in ("/below", "/above", "/r/router")] == [
            1.0,
            2.0,
            3.0,
        ]
        resolved = table.resolve("GET", "/never")
        assert (resolved.policy, resolved.declared, resolved.reason) == (None, True, "no-cache")

    def test_starlette_endpoints_of_every_kind(self) -> None:
        """Functions, partials, classes and objects."""

        def plain(greeting: str, request: Any) -> Response:
            return PlainTextResponse(greeting)

        class Answer:
            async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

        @cached(4)
        class Whole(HTTPEndpoint):
            async def get(self, request: Any) -> Response:
                return PlainTextResponse("x")

        app = Starlette(
            routes=[
                Route("/function", cached(1)(endpoint("f"))),
                Route("/partial", functools.partial(cached(2)(plain), "hi")),
                Route("/object", cached(3)(Answer())),
                Route("/class", Whole),
                Route("/view/{id}", View),
            ]
        )
        table = RouteTable(app)
        table.check()

        assert [
            lifetime(table, path)
            for path in ("/function", "/partial", "/object", "/class", "/view/7")
        ] == [1.0, 2.0, 3.0, 4.0, 60.0]
        assert table.resolve("POST", "/class").policy is None

    def test_unsafe_methods_get_invalidations_and_safe_ones_policies(self) -> None:
        """One endpoint may say both."""
        table = RouteTable(starlette_app())

        put, get = table.resolve("PUT", "/view/7"), table.resolve("GET", "/view/7")

        assert put.policy is None
        assert put.invalidations is not None
        assert get.policy is not None
        assert get.invalidations is None

    def test_a_safe_method_of_a_mutating_endpoint_drops_nothing(self) -> None:
        """What an endpoint invalidates is invalidated by its unsafe methods."""
        change = invalidates(tags="a")(endpoint("change"))
        table = RouteTable(Starlette(routes=[Route("/x", change, methods=["GET", "PUT"])]))

        assert table.resolve("GET", "/x").invalidations is None
        assert table.resolve("PUT", "/x").invalidations is not None

    def test_a_method_that_the_policy_leaves_out_is_not_cached(self) -> None:
        """An annotation beats a rule there too."""
        app = Starlette(routes=[Route("/x", cached(60, methods="GET")(endpoint("x")))])
        table = RouteTable(app, rules=[Rule("*", 5)])

        resolved = table.resolve("HEAD", "/x")

        assert (resolved.policy, resolved.reason) == (None, "method")

    def test_a_post_has_a_policy_only_where_one_names_it(self) -> None:
        """By default it has none."""
        named = cached(Policy.from_origin(methods=["GET", "POST"]))(endpoint("named"))
        other = cached(Policy.from_origin())(endpoint("other"))
        methods = ["GET", "POST"]
        table = RouteTable(
            Starlette(
                routes=[Route("/n", named, methods=methods), Route("/o", other, methods=methods)]
            )
        )

        assert table.resolve("POST", "/n").policy is not None
        assert table.resolve("POST", "/o").policy is None


def lifetime(table: RouteTable, path: str) -> float | None:
    policy = table.resolve("GET", path).policy
    assert policy is not None
    return policy.lifetime


class TestRules:
    def test_first_rule_wins_and_annotation_beats_it(self) -> None:
        """In order: annotation, rules as they stand, default."""
        app = Starlette(
            routes=[
                Route("/a", cached(1)(endpoint("a"))),
                Route("/b", endpoint("b")),
                Route("/c", endpoint("c")),
                Route("/d", endpoint("d")),
            ]
        )
        table = RouteTable(
            app,
            rules=[Rule("/b", 2), Rule("/c", None), Rule("/[abc]*", 9), Rule("/?", 3)],
            default=Policy.from_origin(),
        )

        assert [lifetime(table, p) for p in ("/a", "/b", "/d", "/none")] == [1.0, 2.0, 3.0, None]
        assert (
            table.resolve("GET", "/c").policy,
            table.resolve("GET", "/c").reason,
        ) == (None, "no-cache")
        assert table.resolve("GET", "/none").reason == "default"
        assert not table.resolve("GET", "/c").declared

    def test_static_files_are_found_by_rules(self, tmp_path: Any) -> None:
        """A mount of something without routes is one route."""
        files = StaticFiles(directory=tmp_path)
        app = Starlette(routes=[Mount("/static", files, name="static")])
        table = RouteTable(app, rules=[Rule("/static/*", 60)])
        resolved = table.resolve("GET", "/static/a/b.js")

        assert ("rule", files) == (resolved.reason, resolved.endpoint)
        assert resolved.route == "/static/{path:path}"
        assert [Selector("route", "/static/{path:path}")] == table.selectors_of("static")
        assert [Selector("path", "/static/a.js")] == table.selectors_of("static", {"path": "a.js"})

    def test_an_application_without_routes_has_rules_and_the_default(self) -> None:
        """Any ASGI application will do."""

        async def app(scope: Any, receive: Any, send: Any) -> None: ...

        table = RouteTable(app, rules=[Rule("/a*", 60)])
        table.check()
        resolved = table.resolve("GET", "/abc")

        assert not table.has_routes
        assert templates(table) == []
        assert (lifetime(table, "/abc"), resolved.route) == (60.0, "")
        assert table.resolve("GET", "/b").reason == "no-rule"
        assert table.confirms(resolved, "anything")

    def test_a_method_that_no_route_takes_resolves_to_nothing(self) -> None:
        """405 is not cached, whatever rules say."""
        table = RouteTable(starlette_app(), rules=[Rule("*", 60)])
        resolved = table.resolve("GET", "/p/x")
        refused = RouteTable(
            Starlette(routes=[Route("/x", endpoint("x"), methods=["PUT"])]), rules=[Rule("*", 60)]
        ).resolve("GET", "/x")

        assert resolved.policy is not None
        assert (refused.policy, refused.invalidations, refused.reason) == (None, None, "method")


class Wrapper:
    """A middleware from elsewhere."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class TestDiscovery:
    def test_the_application_is_found_behind_middleware(self) -> None:
        """By `.app`, as often as it takes, also below a mount."""
        inner = Starlette(routes=[Route("/x", cached(60)(endpoint("x")))])
        table = RouteTable(Wrapper(Wrapper(Starlette(routes=[Mount("/m", Wrapper(inner))]))))

        assert lifetime(table, "/m/x") == 60.0

    def test_what_leads_nowhere_has_no_routes(self) -> None:
        """A wrapper of itself is given up."""
        loop = Wrapper(None)
        loop.app = loop

        assert not RouteTable(loop).has_routes
        assert not RouteTable(Wrapper(None)).has_routes

    def test_behind_a_function_the_scope_names_the_application(self) -> None:
        """Once, and not inside a mount, where it may be the one outside."""

        async def hiding(scope: Any, receive: Any, send: Any) -> None: ...

        app = Starlette(routes=[Route("/x", cached(60)(endpoint("x")))])
        table = RouteTable(hiding)
        table.resolve("GET", "/x")

        assert not table.attach({"type": "lifespan"})
        assert not table.attach({"app": app, "root_path": "/m", "app_root_path": ""})
        assert table.generation == 0
        assert table.attach({"app": app, "root_path": ""})
        assert table.generation == 1
        assert lifetime(table, "/x") == 60.0
        assert table.attach({"app": starlette_app()})
        assert templates(table) == ["/x"]

    def test_endpoints_stand_in_the_order_of_the_router(self) -> None:
        """What an application can be told apart by."""
        first, second = endpoint("first"), endpoint("second")
        app = Starlette(routes=[Route("/b", first), Mount("/m", routes=[Route("/a", second)])])

        assert RouteTable(app).endpoints == (first, second)

    def test_mounting_each_other_ends(self) -> None:
        """A circle of mounts is read to a bounded depth."""
        app = Starlette(routes=[Route("/x", endpoint("x"))])
        app.mount("/again", app)

        table = RouteTable(app)

        assert table.resolve("GET", "/again/again/x").endpoint is not None

    def test_a_route_added_at_run_time_is_seen(self) -> None:
        """The next resolution reads the routes again and says so by the generation."""
        app = starlette_app()
        table = RouteTable(app)
        before = table.resolve("GET", "/late")
        generation = table.generation

        app.router.routes.insert(0, Route("/late", cached(60)(endpoint("late"))))

        assert before.reason == "no-rule"
        assert lifetime(table, "/late") == 60.0
        assert generation < table.generation
        assert not table.confirms(before, app.routes[0].endpoint)  # type: ignore[attr-defined]

    @pytest.mark.skipif(
        not hasattr(fastapi.routing, "iter_route_contexts"),
        reason="this FastAPI copies a router's routes when it is included",
    )
    def test_a_route_added_to_an_included_router_is_seen(self) -> None:
        """By the next request, which asks for what was not there."""
        app, router = FastAPI(), APIRouter(prefix="/r")
        app.include_router(router)
        table = RouteTable(app)
        table.resolve("GET", "/r/x")

        router.add_api_route("/x", cached(1)(lambda: None))
        first = table.resolve("GET", "/r/x")

        assert not table.refresh()
        assert first.policy is not None

    def test_a_route_added_to_a_mounted_app_is_seen(self) -> None:
        """However deep it stands."""
        app, sub = FastAPI(), FastAPI()
        app.mount("/m", sub)
        table = RouteTable(app)
        table.resolve("GET", "/m/x")

        sub.add_api_route("/x", cached(2)(lambda: None))

        assert table.refresh()
        assert lifetime(table, "/m/x") == 2.0

    def test_clear_raises_the_generation(self) -> None:
        """Whoever remembers what was resolved can tell."""
        table = RouteTable(starlette_app())

        table.clear()

        assert table.generation == 1
        assert "not read" in repr(table)
        assert templates(table)
        assert "generation 1" in repr(table)

    def test_no_endpoint_proves_nothing(self) -> None:
        """A middleware that answered itself is no reason to forget the table."""
        table = RouteTable(starlette_app())

        assert table.confirms(table.resolve("GET", "/p/7"), None)
        assert not table.confirms(table.resolve("GET", "/p/7"), endpoint("other"))
        assert not table.confirms(table.resolve("GET", "/nothing"), endpoint("other"))


class Picky(Route):
    """A route that looks at more than method, path and host."""

    def matches(self, scope: Any) -> tuple[Match, Any]:
        if dict(scope["headers"]).get(b"x-version") != b"2":
            return Match.NONE, {}
        return super().matches(scope)


class TestRoutesWithCodeOfTheirOwn:
    def test_nothing_is_cached_where_such_a_route_may_answer(self) -> None:
        """What a plan does not know, it does not guess."""
        app = Starlette(
            routes=[
                Picky("/x", endpoint("picky")),
                Route("/x", cached(60)(endpoint("x"))),
                Route("/y", cached(60)(endpoint("y"))),
            ]
        )
        table = RouteTable(app)
        table.check()
        resolved = table.resolve("GET", "/x")

        assert (resolved.policy, resolved.reason) == (None, "custom-match")
        assert table.confirms(resolved, endpoint("any"))
        assert lifetime(table, "/y") == 60.0

    def test_an_annotation_on_one_is_refused(self) -> None:
        """It would never have an effect."""
        app = Starlette(routes=[Picky("/x", cached(60)(endpoint("picky")))])

        with pytest.raises(ConfigError, match=r"/x \(picky\): @cached cannot work .*Picky.matches"):
            RouteTable(app).check()

    def test_a_mount_with_code_of_its_own_counts_too(self) -> None:
        """Everything below it is uncertain."""

        class PickyMount(Mount):
            matches = Picky.matches

        app = Starlette(routes=[PickyMount("/m", routes=[Route("/x", endpoint("x"))])])

        assert RouteTable(app).resolve("GET", "/m/x").reason == "custom-match"

    def test_a_route_that_says_nothing_of_its_paths_may_take_any(self) -> None:
        """Nothing after it is cached."""

        class Anything(BaseRoute):
            def matches(self, scope: Any) -> tuple[Match, Any]:
                return Match.NONE, {}

        app = Starlette(routes=[Anything(), Route("/x", cached(60)(endpoint("x")))])

        assert RouteTable(app).resolve("GET", "/x").reason == "custom-match"

    def test_a_convertor_that_raises_resolves_to_nothing(self) -> None:
        """The application will answer for it."""
        route = Route("/x/{n:int}", cached(60)(endpoint("x")))

        def broken(value: str) -> int:
            raise LookupError(value)

        route.param_convertors["n"].__dict__["convert"] = broken
        try:
            resolved = RouteTable(Starlette(routes=[route])).resolve("GET", "/x/1")
        finally:
            del route.param_convertors["n"].__dict__["convert"]

        assert (resolved.policy, resolved.reason) == (None, "match-error")


class Colour(Enum):
    RED = "red"


class Filter(BaseModel):
    page: int = 1
    sort: str = "name"
    shop: str | None = None


class TestTemplates:
    def table(self) -> RouteTable:
        app = FastAPI()

        @app.get("/p/{id}/{unit}")
        @cached(60, tags=["p:{id}", "u:{unit}", "q:{q}", "on:{on}", "s:{s}", "{o}", "c:{c}"])
        def product(
            id: int,  # noqa: A002
            unit: UUID,
            search: Annotated[str, Query(alias="q")] = "",
            on: bool = False,
            s: str | None = None,
            o: int | None = None,
            c: Colour = Colour.RED,
        ) -> None: ...

        @app.get("/f")
        @cached(60, tags=["{page}:{sort}"])
        def filtered(filters: Annotated[Filter, Query()]) -> None: ...

        return RouteTable(app)

    @pytest.mark.parametrize(
        ("path", "query", "tags"),
        [
            pytest.param(
                "/p/007/12345678123456781234567812345678",
                b"q=a+b&q=c%2Fd&on=1&s=01&o=08&c=red",
                (
                    "p:7",
                    "u:12345678-1234-5678-1234-567812345678",
                    "q:c/d",
                    "on:True",
                    "s:01",
                    "8",
                    "c:red",
                ),
                id="one-form-for-equal-values",
            ),
            pytest.param(
                "/p/x/y",
                b"on=?",
                ("p:x", "u:y", "q:", "on:?", "s:", "c:red"),
                id="wrong-values-stay",
            ),
            pytest.param("/f", b"page=02&sort=up&shop=x", ("2:up",), id="query-model"),
        ],
    )
    def test_tags_are_filled_as_the_endpoint_reads_its_parameters(
        self, path: str, query: bytes, tags: tuple[str, ...]
    ) -> None:
        """Numbers, truth values and UUIDs in one form; the last of a name; nothing for none."""
        table = self.table()
        table.check()
        resolved = table.resolve("GET", path)

        assert tags == resolved.tags(resolved.values(query), None)

    @pytest.mark.parametrize(
        ("annotation", "default", "sent"),
        [
            pytest.param(str, "en", "en", id="text"),
            pytest.param(int, 7, "07", id="number"),
            pytest.param(float, 1, "1.0", id="number-of-another-kind"),
            pytest.param(bool, False, "0", id="truth-value"),
            pytest.param(Decimal, Decimal("1.50"), "1.50", id="decimal"),
            pytest.param(date, date(2020, 2, 3), "2020-02-03", id="date"),
            pytest.param(datetime, datetime(2020, 2, 3), "2020-02-03T00:00:00", id="time"),
            pytest.param(UUID, UUID(int=1), UUID(int=1).hex, id="uuid"),
            pytest.param(Colour, Colour.RED, "red", id="choice"),
            pytest.param(list[str], ["a", "b"], "a&x=b", id="several"),
        ],
    )
    @pytest.mark.parametrize("place", ["name", "alias", "dependency", "model"])
    def test_a_parameter_not_sent_has_the_default_of_the_signature(
        self, annotation: Any, default: Any, sent: str, place: str
    ) -> None:
        """The same text as if a client had sent it, when cached and when invalidated."""

        query = Annotated[annotation, Query(alias="x")]
        model = create_model("Model", x=(annotation, default))

        def made() -> Callable[..., Any]:
            def plain(x: query = default) -> None: ...  # type: ignore[valid-type]

            def aliased(y: query = default) -> None: ...  # type: ignore[valid-type]

            def below(x: Annotated[Any, Depends(plain)]) -> None: ...

            def by_model(filters: Annotated[model, Query()]) -> None: ...  # type: ignore[valid-type]

            return {"name": plain, "alias": aliased, "dependency": below, "model": by_model}[place]

        app = FastAPI()
        app.get("/p")(cached(60, tags="x:{x}")(made()))
        app.put("/p")(invalidates(tags="x:{x}")(made()))
        table = RouteTable(app)
        table.check()
        got, put = table.resolve("GET", "/p"), table.resolve("PUT", "/p")

        tags = got.tags(got.values(b""), None)
        assert tags == got.tags(got.values(f"x={sent}".encode()), None)
        assert tags is not None
        dropped = table.dropped_by(put, put.values(b""), None)
        assert [Selector("tag", tag) for tag in tags] == dropped

    def test_a_parameter_without_a_stated_default_renders_as_nothing(self) -> None:
        """One that is made anew for each request, and one that several names may mean."""
        app = FastAPI()

        @app.get("/p")
        @cached(60, tags="{none}:{empty}:{made}:{many}:{other}")
        def page(
            made: Annotated[str, Query(default_factory=str)],
            none: str | None = None,
            empty: Annotated[list[str], Query()] = [],  # noqa: B006
            many: Annotated[str, Query(validation_alias=AliasChoices("a", "b"))] = "x",
            other: Annotated[str, Query(validation_alias="another")] = "d",
        ) -> None: ...

        table = RouteTable(app)
        resolved = table.resolve("GET", "/p")

        assert resolved.tags(resolved.values(b"other=1"), None) == ("::::d",)
        assert resolved.tags(resolved.values(b"another=1"), None) == ("::::1",)

    def test_without_validation_texts_stay_as_they_are(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where the framework's validation cannot be asked, nothing is guessed."""
        table = self.table()
        monkeypatch.setitem(sys.modules, "pydantic", None)
        parameters._reader.cache_clear()
        try:
            resolved = table.resolve("GET", "/p/007/x")
        finally:
            parameters._reader.cache_clear()

        assert resolved.texts == {"id": "007", "unit": "x"}

    def test_without_a_route_the_query_is_all_there_is(self) -> None:
        """Rules have templates too."""
        table = RouteTable(rules=[Rule("*", 60, tags="lang:{lang}")])
        resolved = table.resolve("GET", "/x")

        assert resolved.tags(resolved.values(b"lang=fr"), None) == ("lang:fr",)

    def test_tags_beyond_bounds_are_none(self) -> None:
        """The response is not to be stored then."""
        table = RouteTable(Starlette(routes=[Route("/{x}", cached(1, tags="{x}")(endpoint("x")))]))
        resolved = table.resolve("GET", "/" + "a" * 129)

        assert resolved.tags(resolved.values(b""), None) is None
        assert table.resolve("PUT", "/x").tags({}, None) == ()

    def test_callables_get_the_request(self) -> None:
        """What a template cannot say."""
        app = Starlette(routes=[Route("/x", cached(1, tags=lambda r: [r["user"]])(endpoint("x")))])
        table = RouteTable(app)

        assert table.resolve("GET", "/x").tags({}, {"user": "ann"}) == ("ann",)

    def test_mutations_name_what_they_drop(self) -> None:
        """Tags, paths, routes and patterns, each once, filled from the mutation's parameters."""
        app = FastAPI()

        @app.get("/p/{id}")
        @cached(60)
        def product(id: int) -> None: ...  # noqa: A002

        @app.put("/p/{id}")
        @invalidates(
            tags=["p:{id}", "p:{id}"],
            paths=["/p/{id}", "/list", lambda request: "/" + "x" * 9000],
            routes=["product", product],
            patterns="/p/{id}/*",
        )
        def update(id: int) -> None: ...  # noqa: A002

        table = RouteTable(app)
        table.check()
        resolved = table.resolve("PUT", "/p/07")

        assert [
            Selector("tag", "p:7"),
            Selector("path", "/p/7"),
            Selector("path", "/list"),
            Selector("route", "/p/{id}"),
            Selector("glob", "/p/7/*"),
        ] == table.dropped_by(resolved, resolved.values(b""), None)
        assert table.dropped_by(table.resolve("GET", "/p/7"), {}, None) == []

    def test_a_pattern_is_not_widened_by_a_client(self) -> None:
        """A star in the URL is a star."""
        change = invalidates(patterns="/p/{id}*")(endpoint("change"))
        table = RouteTable(Starlette(routes=[Route("/p/{id}", change, methods=["PUT"])]))
        resolved = table.resolve("PUT", "/p/***")

        assert [Selector("glob", r"/p/\*\*\**")] == table.dropped_by(
            resolved, resolved.values(b""), None
        )

    @pytest.mark.parametrize(
        ("mark", "words"),
        [
            pytest.param(cached(60, tags="{idd}"), ["tags='{idd}'", "id, lang"], id="tag"),
            pytest.param(cached(60, key="{idd}"), ["key='{idd}'"], id="key"),
            pytest.param(invalidates(tags="{idd}"), ["tags='{idd}'"], id="invalidates-tag"),
            pytest.param(invalidates(paths="/{idd}"), ["paths='/{idd}'"], id="invalidates-path"),
            pytest.param(invalidates(patterns="{x}*"), ["patterns='{x}*'"], id="pattern"),
            pytest.param(
                invalidates(routes="produkt"), ["routes=", "did you mean product?"], id="route"
            ),
            pytest.param(invalidates(routes=endpoint("qqq")), ["no route 'qqq'"], id="endpoint"),
            pytest.param(
                cached(60, tags="{lang}", query=["page"]),
                ["tags='{lang}'", "query=['page']"],
                id="left-out-of-the-key",
            ),
        ],
    )
    @pytest.mark.parametrize("method", ["GET", "PUT"])
    def test_wrong_templates_fail_at_start_up(
        self, mark: Callable[[Any], Any], words: list[str], method: str
    ) -> None:
        """The message names the route, the option, the value and what is allowed."""
        app = FastAPI()

        async def product(id: int, lang: str = "en") -> None: ...  # noqa: A002

        app.add_api_route("/p/{id}", mark(product), methods=[method])

        with pytest.raises(
            ConfigError, match=rf"route {method} /p/\{{id\}} \(.*product\)"
        ) as error:
            RouteTable(app).check()

        for word in words:
            assert word in str(error.value)

    def test_a_query_parameter_of_a_plain_endpoint_is_declared_by_the_allow_list(self) -> None:
        """Starlette endpoints declare none, so a misspelt one could not be told."""
        good = Route("/g/{x}", cached(60, tags="{x}{lang}", query="lang")(endpoint("good")))
        wrong = Route("/w", cached(60, tags="{lang}")(endpoint("wrong")))

        RouteTable(Starlette(routes=[good])).check()
        with pytest.raises(ConfigError, match=r"/w \(wrong\).*must stand in query="):
            RouteTable(Starlette(routes=[wrong])).check()


class TestRoutePaths:
    def table(self) -> RouteTable:
        return RouteTable(fastapi_app())

    def test_all_parameters_select_paths_one_for_each_place(self) -> None:
        """A router that is included twice has two paths."""
        assert [
            Selector("path", "/api/v1/shop/products/7"),
            Selector("path", "/products/7"),
        ] == self.table().selectors_of("product", {"id": 7})

    def test_no_parameters_select_routes(self) -> None:
        """All that it filled."""
        assert [
            Selector("route", "/api/v1/shop/products/{id}"),
            Selector("route", "/products/{id}"),
        ] == self.table().selectors_of("product")

    def test_some_parameters_select_a_pattern(self) -> None:
        """The others are free."""
        app = Starlette(routes=[Mount("/{tenant}", routes=[Route("/x/{id:int}", endpoint("x"))])])
        table = RouteTable(app)

        assert [Selector("glob", "/acme/x/*")] == table.selectors_of("x", {"tenant": "acme"})
        assert [Selector("path", "/acme/x/7")] == table.selectors_of(
            "x", {"tenant": "acme", "id": 7}
        )

    def test_a_pattern_that_is_too_big_becomes_the_route(self) -> None:
        """More is dropped then, never less."""
        path = "".join(f"/{{p{n}}}" for n in range(10))
        table = RouteTable(Starlette(routes=[Route(path, endpoint("x"))]))

        assert [Selector("route", path)] == table.selectors_of("x", {"p0": 1})

    def test_routes_are_found_by_mounted_name_template_and_endpoint(self) -> None:
        """However the user thinks of them."""
        app = starlette_app()
        table = RouteTable(app)
        home = app.routes[0].endpoint  # type: ignore[attr-defined]
        expected = [Selector("route", "/inner/deep/{n:int}")]

        assert expected == table.selectors_of("inner:deep")
        assert expected == table.selectors_of("/inner/deep/{n:int}")
        assert [Selector("path", "/")] == table.selectors_of(home)
        assert [Selector("path", "/")] == table.selectors_of(functools.wraps(home)(lambda: None))
        assert [Selector("route", "/view/{id}")] == table.selectors_of(View)
        assert [Selector("route", "/view/{id}")] == table.selectors_of(View.get)
        assert [Selector("path", "/hosted")] == table.selectors_of("h:hosted", {"sub": "x"})

    @pytest.mark.parametrize(
        ("name", "params", "words"),
        [
            pytest.param("produkt", {}, ["'produkt'", "did you mean product?"], id="close"),
            pytest.param("zzz", {}, ["'zzz'", "one of"], id="far"),
            pytest.param("product", {"idd": 1}, ["idd", "some of id"], id="parameter"),
            pytest.param("openapi", {"x": 1}, ["x", "none"], id="no-parameters"),
        ],
    )
    def test_what_is_not_there_is_named(
        self, name: str, params: dict[str, object], words: list[str]
    ) -> None:
        """The message names what would do."""
        with pytest.raises(InvalidationError) as caught:
            self.table().selectors_of(name, params)

        for word in words:
            assert word in str(caught.value)

    def test_an_application_without_routes_has_none_to_name(self) -> None:
        """Said, not guessed."""
        with pytest.raises(InvalidationError, match="one of none"):
            RouteTable().selectors_of("x")


class TestARouteInThePlaceOfAnApplication:
    """`Mount("/a", app=Mount("/b", ...))`: each asks its own path."""

    @pytest.mark.parametrize(
        ("inner", "path"),
        [
            (Mount("/o", routes=[Route("/x", endpoint("x"))]), "/n/o/x"),
            (Mount("/o", app=Mount("/p", routes=[Route("/x", endpoint("x"))])), "/n/o/p/x"),
            (Route("/x", endpoint("x")), "/n/x"),
        ],
        ids=["mount", "mount in mount", "route"],
    )
    def test_it_is_expected_below_its_own_path(self, inner: BaseRoute, path: str) -> None:
        """And nowhere else."""
        table = RouteTable(Starlette(routes=[Mount("/n", app=inner)]))

        found = table.resolve("GET", path)

        assert templates(table) == [path]
        assert found.endpoint.__qualname__ == "x"
        assert table.resolve("GET", "/n/y").endpoint is None
        assert table.resolve("GET", "/n/o").endpoint is None
