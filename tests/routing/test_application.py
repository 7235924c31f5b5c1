"""Where an application is found, and when its routes are read again."""

from typing import Any

import fastapi.routing
import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from asgi_multitier.routing import RouteTable, cached

from .applications import endpoint, lifetime, starlette_app, templates


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

        assert templates(RouteTable(loop)) == []
        assert templates(RouteTable(Wrapper(None))) == []

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
        """A caller that remembers what was resolved can tell."""
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
