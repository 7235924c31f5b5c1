"""Which rule holds for a request: annotation, rule or default."""

import functools
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from asgi_multitier.config.policy import Policy
from asgi_multitier.config.rules import Rule
from asgi_multitier.routing import RouteTable, cached, invalidates, no_cache
from asgi_multitier.selectors import Selector

from .applications import View, endpoint, fastapi_app, lifetime, starlette_app, templates


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
