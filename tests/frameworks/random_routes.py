"""Random sets of routes for each framework, and random requests."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

KINDS = ("str", "int", "path")
WORDS = ("a", "b", "ab", "7")


@dataclass(frozen=True)
class Route:
    """One route.

    Attributes:
        segments: Words, or kinds of places in angle brackets.
        methods: What it takes.
        slash: Whether its path ends with a slash.
        below: How many of its segments belong to a group of routes: a controller, a blueprint, an
            included list of patterns.
    """

    segments: tuple[str, ...]
    methods: tuple[str, ...]
    slash: bool
    below: int

    def path(self, place: Callable[[str, str], str], *, begin: int = 0, end: int = 99) -> str:
        """Its path, or a part of it, with each place as `place(kind, name)` writes it."""
        parts = [
            place(part[1:-1], f"p{number}") if part[0] == "<" else part
            for number, part in enumerate(self.segments)
        ]
        return "/".join(parts[begin:end])


SEGMENTS = st.lists(
    st.sampled_from([*WORDS, *(f"<{kind}>" for kind in KINDS)]), min_size=1, max_size=3
).map(lambda parts: tuple(parts[: [*parts, "<path>"].index("<path>") + 1]))

METHODS = st.sampled_from([("GET",), ("PUT",), ("GET", "PUT"), ("POST",)])

ROUTES = st.lists(
    st.builds(Route, SEGMENTS, METHODS, st.booleans(), st.integers(0, 2)), min_size=1, max_size=6
)

PATHS = st.lists(st.sampled_from([*WORDS, "8", "x-y", ""]), max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)

REQUESTS = st.lists(
    st.tuples(st.sampled_from(["GET", "HEAD", "PUT", "POST", "OPTIONS"]), PATHS),
    min_size=1,
    max_size=12,
)


@dataclass
class Made:
    """An application whose endpoints say that they ran.

    Attributes:
        app: The application.
        ran: What ran, in order: the number of a route, and its path parameters as texts.
    """

    app: Any
    ran: list[tuple[int, dict[str, str]]]


def litestar(routes: Sequence[Route]) -> Made:
    from litestar import Controller, Litestar, Request, Router, route

    ran: list[tuple[int, dict[str, str]]] = []
    handlers: list[Any] = []

    def place(kind: str, name: str) -> str:
        return "{" + f"{name}:{kind}" + "}"

    for number, one in enumerate(routes):

        async def endpoint(request: Request[Any, Any, Any], number: int = number) -> None:
            ran.append((number, {n: str(v) for n, v in request.path_params.items()}))

        endpoint.__qualname__ = f"endpoint_{number}"

        def of_controller(endpoint: Any = endpoint) -> Any:
            async def method(self: Any, request: Request[Any, Any, Any]) -> None:
                await endpoint(request)

            method.__qualname__ = endpoint.__qualname__
            return method

        def alone(endpoint: Any = endpoint) -> Any:
            async def function(request: Request[Any, Any, Any]) -> None:
                await endpoint(request)

            function.__qualname__ = endpoint.__qualname__
            return function

        rest, base = one.path(place, begin=one.below), one.path(place, end=one.below)
        options: Any = {"http_method": list(one.methods), "status_code": 200}
        if one.below == 1:
            made = route(rest or "/", **options)(of_controller())
            handlers.append(type("C", (Controller,), {"path": base, "method": made}))
        elif one.below:
            handlers.append(Router(base, route_handlers=[route(rest or "/", **options)(alone())]))
        else:
            handlers.append(route(rest, **options)(alone()))
    return Made(Litestar(handlers, logging_config=None, openapi_config=None), ran)


def quart(routes: Sequence[Route]) -> Made:
    from quart import Blueprint, Quart, request
    from quart.views import MethodView

    ran: list[tuple[int, dict[str, str]]] = []
    app = Quart("random", static_folder=None)

    def place(kind: str, name: str) -> str:
        return f"<{kind.replace('str', 'string')}:{name}>"

    for number, one in enumerate(routes):

        async def endpoint(number: int = number, **params: Any) -> str:
            ran.append((number, {name: str(value) for name, value in params.items()}))
            return ""

        endpoint.__qualname__ = f"endpoint_{number}"
        end = "/" if one.slash else ""
        if one.below == 1:
            kind = type("V", (MethodView,), {"methods": list(one.methods)})
            for method in one.methods:

                async def answer(self: Any, *, _to: Any = endpoint, **params: Any) -> Any:
                    assert request.method
                    return await _to(**params)

                setattr(kind, method.lower(), answer)
            view = kind.as_view(f"v{number}")  # type: ignore[attr-defined]
            view.__qualname__ = endpoint.__qualname__
            app.add_url_rule(f"/{one.path(place)}{end}", view_func=view)
        elif one.below:
            base = one.path(place, end=one.below)
            rest = one.path(place, begin=one.below)
            blueprint = Blueprint(f"b{number}", __name__, url_prefix=f"/{base}")
            blueprint.add_url_rule(
                f"/{rest}{end if rest else ''}", "e", endpoint, methods=list(one.methods)
            )
            app.register_blueprint(blueprint)
        else:
            path = f"/{one.path(place)}{end}"
            app.add_url_rule(path, f"e{number}", endpoint, methods=list(one.methods))
    return Made(app, ran)


def django(routes: Sequence[Route]) -> Made:
    from django.core.handlers.asgi import ASGIHandler
    from django.http import HttpRequest, HttpResponse
    from django.urls import include, path, re_path
    from django.views import View

    ran: list[tuple[int, dict[str, str]]] = []
    patterns: list[Any] = []

    def place(kind: str, name: str) -> str:
        return f"<{kind}:{name}>"

    def in_regex(kind: str, name: str) -> str:
        return f"(?P<{name}>{ {'int': '[0-9]+', 'str': '[^/]+', 'path': '.+'}[kind] })"

    for number, one in enumerate(routes):

        async def endpoint(request: HttpRequest, number: int = number, **params: Any) -> Any:
            ran.append((number, {name: str(value) for name, value in params.items()}))
            return HttpResponse("")

        endpoint.__qualname__ = f"endpoint_{number}"
        end = "/" if one.slash else ""
        if one.below == 1:
            kind: Any = type("V", (View,), {})
            for method in one.methods:

                async def answer(
                    self: Any, request: HttpRequest, _to: Any = endpoint, **params: Any
                ) -> Any:
                    return await _to(request, **params)

                setattr(kind, method.lower(), answer)
            view = kind.as_view()
            view.__qualname__ = endpoint.__qualname__
            patterns.append(path(f"{one.path(place)}{end}", view))
        elif one.below:
            base, rest = one.path(place, end=one.below), one.path(place, begin=one.below)
            inner = [path(f"{rest}{end}", endpoint)]
            patterns.append(path(f"{base}/", include(inner)))
        else:
            anchor = "$" if one.slash else ""
            patterns.append(re_path(f"^{one.path(in_regex)}{end}{anchor}", endpoint))
    return Made(rooted(patterns, ASGIHandler), ran)


def falcon(routes: Sequence[Route]) -> Made:
    import falcon.asgi

    ran: list[tuple[int, dict[str, str]]] = []
    app = falcon.asgi.App()

    def place(kind: str, name: str) -> str:
        return "{" + (name if kind == "str" else f"{name}:{kind}") + "}"

    for number, one in enumerate(routes):
        kind = type("Resource", (), {})
        for method in one.methods:

            async def respond(
                self: Any, req: Any, resp: Any, *, number: int = number, **params: Any
            ) -> None:
                ran.append((number, {name: str(value) for name, value in params.items()}))

            respond.__qualname__ = f"endpoint_{number}"
            setattr(kind, f"on_{method.lower()}", respond)
        app.add_route(f"/{one.path(place)}", kind())
    return Made(app, ran)


def rooted(patterns: Sequence[Any], kind: Callable[[], Any]) -> Any:
    """An application of Django with these patterns as its root URL configuration."""
    from django.conf import settings
    from django.urls import clear_url_caches

    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": tuple(patterns)})
    clear_url_caches()
    return kind()


def configured() -> None:
    """Set Django up once."""
    import django as framework
    from django.conf import settings

    if not settings.configured:
        settings.configure(ROOT_URLCONF=None, SECRET_KEY="x", ALLOWED_HOSTS=["*"], MIDDLEWARE=[])
        framework.setup()
    logging.getLogger("django.request").setLevel(logging.CRITICAL)
