"""What the router will choose, against what real Starlette and FastAPI applications choose."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Match, Mount, Route

from asgi_multitier.errors import ConfigError
from asgi_multitier.routing import RouteTable, cached
from asgi_multitier.routing.routes import route_path

from .applications import endpoint, fastapi_app, lifetime, starlette_app, templates


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
