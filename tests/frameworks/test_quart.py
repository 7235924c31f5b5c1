"""What is particular to Quart: its own door, classes of views, hosts, functions before a view."""

from functools import wraps
from typing import Any

import pytest

from asgi_multitier import (
    CacheMiddleware,
    ConfigError,
    Policy,
    Rule,
    cached,
    invalidates,
    no_cache,
)
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


def refuse_or_not() -> None:
    """Runs before each view of a blueprint."""


def nested(before: str, **options: Any) -> Any:
    """An application with a blueprint in another; one of them, or all, has such a function."""
    outer = quart.Blueprint("outer", __name__, url_prefix="/outer")
    inner = quart.Blueprint("inner", __name__, url_prefix="/inner")
    other = quart.Blueprint("outer_too", __name__, url_prefix="/other")
    app = quart.Quart("shop")
    inner.add_url_rule("/a", "a", cached(60, **options)(_view("a")))
    app.add_url_rule("/a", "a", cached(60)(_view("a")))
    {"outer": outer, "inner": inner, "other": other, "app": app}[before].before_request(
        refuse_or_not
    )
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    app.register_blueprint(other)
    return app


@pytest.mark.parametrize("before", ["outer", "inner"])
def test_a_route_behind_a_function_of_its_blueprint_is_refused(before: str) -> None:
    """A hit would not run it; the error says what to write."""
    app = nested(before)
    match = "the before_request function refuse_or_not: a hit runs no authentication"

    with pytest.raises(ConfigError, match=match):
        RouteTable(app).check()
    with pytest.raises(ConfigError, match=r"Rule\('/outer/\*'\).* depends on the before_request"):
        RouteTable(app, rules=[Rule("/outer/*", 60, override=True)]).check()
    assert RouteTable(app).resolve("GET", "/outer/inner/a").reason == "security"
    assert RouteTable(app).resolve("GET", "/a").reason == "annotation"


def test_functions_before_other_routes_or_before_all_refuse_nothing() -> None:
    """Those of the application itself are like a middleware; and there is `public=True`."""
    for app in (nested("other"), nested("app"), nested("inner", public=True)):
        RouteTable(app).check()
        assert RouteTable(app).resolve("GET", "/outer/inner/a").reason == "annotation"


def test_a_function_that_is_added_later_is_seen() -> None:
    """A blueprint's list may grow until the first request."""
    app = nested("other")
    table = RouteTable(app)
    assert table.resolve("GET", "/outer/inner/a").reason == "annotation"
    app.before_request_funcs["outer"].append(refuse_or_not)

    assert table.resolve("GET", "/outer/inner/a").reason == "security"


def of_users(function: Any) -> Any:
    """A decorator as packages for users have it; `functools.wraps` leaves its globals."""
    made: dict[str, Any] = {"__name__": "quart_auth.globals", "wraps": wraps, "function": function}
    text = "@wraps(function)\nasync def wrapper(*args, **kwargs): return await function(**kwargs)"
    exec(text, made)
    return made["wrapper"]


def test_a_decorator_that_asks_for_the_user_is_seen() -> None:
    """Around a view, among the decorators of a class, around one of its methods."""

    class Methods(views.MethodView):  # type: ignore[misc,name-defined]
        @cached(60)
        @of_users
        async def get(self) -> str: ...

    class Change(views.MethodView):  # type: ignore[misc,name-defined]
        @cached(60)
        async def get(self) -> str: ...

        @of_users
        async def put(self) -> str: ...

    class Decorated(views.View):  # type: ignore[misc,name-defined]
        decorators = (cached(60), of_users)

        async def dispatch_request(self) -> str: ...

    class Inside(views.View):  # type: ignore[misc,name-defined]
        @cached(60)
        @of_users
        async def dispatch_request(self) -> str: ...

    for view in (
        of_users(cached(60)(_view("a"))),
        cached(60)(of_users(_view("a"))),
        Methods.as_view("a"),
        Decorated.as_view("a"),
        cached(60)(Inside).as_view("a"),
    ):
        app = quart.Quart("shop")
        app.add_url_rule("/a", "a", view_func=view)
        with pytest.raises(ConfigError, match=r"decorator of quart_auth around .*: a hit runs no"):
            RouteTable(app).check()
        for method in ("GET", "HEAD"):
            assert RouteTable(app).resolve(method, "/a").reason == "security"
    app = quart.Quart("shop")
    app.add_url_rule("/a", view_func=Change.as_view("a"))
    table = RouteTable(app)
    table.check()
    assert [table.resolve(method, "/a").reason for method in ("GET", "HEAD")] == ["annotation"] * 2
    assert table.resolve("PUT", "/a").route == table.resolve("GET", "/a").route == "/a"
