"""Which responses a change of a route and the name of a route mean."""

import functools

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from asgi_multitier.errors import InvalidationError
from asgi_multitier.routing import RouteTable, cached, invalidates
from asgi_multitier.selectors import Selector

from .applications import View, endpoint, fastapi_app, starlette_app


class TestOfASuccess:
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
