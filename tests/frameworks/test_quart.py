"""What is particular to Quart: its own door, classes of views, hosts, functions before a view."""

from typing import Any

import pytest

from asgi_multitier import CacheMiddleware, ConfigError, Policy, cached, invalidates, no_cache
from asgi_multitier.routing import RouteTable
from tests.support import Client

from .support import asked, logging_as_before, memory, served

__all__ = ["logging_as_before"]

quart = pytest.importorskip("quart")
views = pytest.importorskip("quart.views")


def marked(app: Any, path: str = "/a") -> None:
    """Add a cached route."""

    @app.get(path)
    @cached(60, tags=["all"])
    async def view(**_: Any) -> str:
        return "a"


async def hits(client: Client, path: str = "/a", *lines: tuple[str, str]) -> list[bool]:
    """Whether two requests of a path were hits."""
    return [(await client.request("GET", path, lines)).hit for _ in range(2)]


async def test_in_the_place_of_its_own_door() -> None:
    """`app.asgi_app = CacheMiddleware(app.asgi_app)`, as Quart's documentation wraps."""
    app = quart.Quart("shop")
    marked(app)
    app.asgi_app = CacheMiddleware(app.asgi_app, memory())
    async with served(app) as client:
        assert await hits(client) == [False, True]


async def test_the_marks_of_a_class_of_views() -> None:
    """On a method, on the class, among its decorators; of a class with a function of its own."""

    class Whole(views.View):  # type: ignore[misc,name-defined]
        async def dispatch_request(self) -> str:
            return "whole"

    class Decorated(Whole):
        decorators = (cached(60),)

    class Methods(views.MethodView):  # type: ignore[misc,name-defined]
        @no_cache
        async def get(self) -> str:
            return "methods"

    app = quart.Quart("shop")
    app.add_url_rule("/whole", view_func=cached(60)(Whole).as_view("whole"))
    app.add_url_rule("/decorated", view_func=Decorated.as_view("decorated"))
    app.add_url_rule("/methods", view_func=Methods.as_view("methods"))
    async with served(CacheMiddleware(app, memory(), default=Policy(60))) as client:
        found = [await hits(client, path) for path in ("/whole", "/decorated", "/methods")]

    assert found == [[False, True], [False, True], [False, False]]


def test_the_path_templates() -> None:
    """Converters that take a slash are told from those that take one segment."""
    app = quart.Quart("shop", static_folder=None)
    for rule in ("/a/<x>", "/b/<int:x>", "/c/<path:x>", "/d/<any(p, q):x>/<uuid:y>", "/e/"):
        app.add_url_rule(rule, rule, lambda **_: "")
    paths = [leaf.path for leaf in RouteTable(app).tree.leaves()]

    assert paths == ["/a/{x}", "/b/{x}", "/c/{x:path}", "/d/{x}/{y}", "/e/"]


async def test_hosts() -> None:
    """Where rules have hosts, the host decides; with the scheme's own port that is not known."""
    app = quart.Quart("shop", host_matching=True, static_host="static")
    app.add_url_rule("/a", "one", cached(60)(_view("one")), host="one.example")
    app.add_url_rule("/a", "two", _view("two"), host="two.example")
    table = RouteTable(app)
    routes = [table.resolve("GET", "/a", host=host).route for host in _HOSTS]

    assert routes == ["//one.example/a", "//two.example/a", "", ""]
    async with served(CacheMiddleware(app, memory())) as client:
        assert await hits(client, "/a", ("host", "one.example")) == [False, True]
        assert await hits(client, "/a", ("host", "two.example")) == [False, False]


_HOSTS = ("one.example", "two.example", "three.example", "one.example:80")


def _view(name: str) -> Any:
    async def view() -> str:
        return name

    return view


async def test_what_a_function_before_the_view_answers() -> None:
    """It is the answer of the route, as a middleware's would be."""
    app = quart.Quart("shop")
    marked(app)
    app.before_request(_view("before"))
    async with served(CacheMiddleware(app, memory())) as client:
        replies = [await client.get("/a") for _ in range(2)]

    assert [(reply.hit, reply.body) for reply in replies] == [(False, b"before"), (True, b"before")]


async def test_another_view_than_expected_is_not_stored() -> None:
    """A request class of the user's own gives the router another path."""

    class Moved(quart.Request):  # type: ignore[misc,name-defined]
        def __init__(self, method: str, scheme: str, path: str, *args: Any, **more: Any) -> None:
            super().__init__(method, scheme, "/b", *args, **more)

    app = quart.Quart("shop")
    app.request_class = Moved
    marked(app)
    app.add_url_rule("/b", "other", _view("b"))
    async with served(CacheMiddleware(app, manager := memory())) as client:
        replies = [await client.get("/a") for _ in range(2)]
        assert manager.stats().failures["route-mismatch"] > 0

    assert [(reply.hit, reply.body) for reply in replies] == [(False, b"b")] * 2


def test_a_table_that_serves_nothing_listens_to_nothing() -> None:
    """A lint reads the routes, and the application stays as it is."""
    app = quart.Quart("shop")
    marked(app)
    table = RouteTable(app)
    list(table.tree.leaves())
    assert not quart.signals.request_started.has_receivers_for(app)
    table.resolve("GET", "/a")

    assert quart.signals.request_started.has_receivers_for(app)


def test_guarded_is_refused() -> None:
    """It stands behind dependencies of FastAPI, and would silently do nothing here."""
    app = quart.Quart("shop")
    app.add_url_rule("/a", "a", cached(60, guarded=True)(_view("a")))

    with pytest.raises(ConfigError, match="guarded= works with routes of Starlette and FastAPI"):
        RouteTable(app).check()


async def test_what_a_view_says_of_its_arguments_is_dropped() -> None:
    """A template over an argument, which the view is given by its rule."""
    app = quart.Quart("shop")
    app.add_url_rule("/p/<int:id>", "p", cached(60, tags=["p:{id}"])(_numbered))

    @app.post("/q/<int:id>")
    @invalidates(tags=["p:{id.real}"])
    async def change(id: int) -> str:  # noqa: A002
        return ""

    async with served(CacheMiddleware(app, memory())) as client:
        assert await hits(client, "/p/1") == [False, True]
        await asked(client, "POST", "/q/1")
        assert await hits(client, "/p/1") == [False, True]


async def _numbered(id: int) -> str:  # noqa: A002
    return str(id)
