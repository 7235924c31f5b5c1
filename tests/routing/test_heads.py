"""Routes are found by how their paths begin; what may take a path is never left out."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Host, Match, Mount, Route

from asgi_multitier.routing import RouteTable
from asgi_multitier.routing.heads import Heads, head_of
from asgi_multitier.routing.reading import build
from asgi_multitier.routing.routes import Branch, RouteNode


async def endpoint(request: Request) -> Response:
    """Never asked."""
    return Response(request.url.path)


class OneOf(Convertor[str]):
    """A convertor whose regular expression has an alternative."""

    regex = "a|b"

    def convert(self, value: str) -> str:
        """As it stands."""
        return value

    def to_string(self, value: str) -> str:
        """As it stands."""
        return value


register_url_convertor("one_of", OneOf())


class Own(Route):
    """A route that decides by itself."""

    def matches(self, scope: Any) -> tuple[Match, Any]:
        """Takes everything."""
        return Match.FULL, {"endpoint": self.endpoint, "path_params": {}}


def regex_of(text: str, flags: int = 0) -> Route:
    """A route whose regular expression was replaced."""
    route = Route("/things", endpoint)
    route.path_regex = re.compile(text, flags)
    return route


def replaced() -> Route:
    """A route whose `matches` was replaced."""
    route = Route("/things", endpoint)
    route.matches = Own("/", endpoint).matches  # type: ignore[method-assign]
    return route


HEADS: list[tuple[BaseRoute, str]] = [
    (Route("/things", endpoint), "/things"),
    (Route("/things/{id:int}/edit", endpoint), "/things/"),
    (Route("/{id}", endpoint), "/"),
    (Route("/a.b-c~d e/é+/{id}", endpoint), "/a.b-c~d e/é+/"),
    (Route("/things/{id:one_of}", endpoint), ""),
    (Mount("/static", Response("")), "/static/"),
    (Mount("", Response("")), "/"),
    (Mount("/t/{tenant}", routes=[Route("/x", endpoint)]), "/t/"),
    (Host("example.com", Response("")), ""),
    (Own("/things", endpoint), ""),
    (regex_of("^/things?$"), ""),
    (regex_of("/things$"), ""),
    (regex_of("^/things$", re.IGNORECASE), ""),
    (regex_of("^/(things)$"), ""),
    (replaced(), ""),
]


@pytest.mark.parametrize(("route", "head"), HEADS, ids=lambda value: repr(value)[:40])
def test_the_text_before_the_first_place(route: BaseRoute, head: str) -> None:
    """It is taken from what the route asks; where that is not certain, it is empty."""
    assert head_of(route.matches) == head


def nodes(app: Any) -> Iterator[RouteNode]:
    """All nodes of an application."""
    level = list(build(app).children)
    while level:
        yield from level
        level = [one for node in level if isinstance(node, Branch) for one in node.inner.children]


def test_included_routers_have_heads() -> None:
    """Also where FastAPI puts an object in the place of a route."""
    router = APIRouter()
    router.add_api_route("/things/{id}", endpoint)
    app = FastAPI(openapi_url=None)
    app.include_router(router, prefix="/api")
    app.mount("/inner", Starlette(routes=[Route("/x", endpoint)]))

    assert [node.head for node in nodes(app)] == ["/api/things/", "/inner/", "/x"]


def test_places_stand_in_order() -> None:
    """Those of which any of the texts begins with theirs, each once."""
    heads = Heads(["/a/b", "", "/a", "/c", "/a/b", "/a/b/c"])

    assert heads.beginning(["/a/b"]) == [0, 1, 2, 4]
    assert heads.beginning(["/a", "/c/d"]) == [1, 2, 3]
    assert heads.beginning([""]) == [1]
    assert Heads([]).beginning(["/a"]) == []


@pytest.mark.parametrize("root_path", ["", "/root"])
def test_few_of_many_routes_are_asked(root_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that begin otherwise are not."""
    asked = []
    matches = Route.matches

    def counted(self: Route, scope: Any) -> Any:
        asked.append(self.path)
        return matches(self, scope)

    counted.__qualname__, counted.__module__ = "Route.matches", "starlette.routing"
    monkeypatch.setattr(Route, "matches", counted)
    routes = [Route(f"/things{number}/{{id}}", endpoint) for number in range(500)]
    table = RouteTable(Starlette(routes=[*routes, Route("/{rest:path}", endpoint)]))

    assert table.resolve("GET", f"{root_path}/things77/1", root_path).label == "/things77/{id}"
    assert table.resolve("GET", f"{root_path}/none", root_path).label == "/{rest:path}"
    assert set(asked) == {"/things77/{id}", "/{rest:path}"}
