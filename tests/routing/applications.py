"""Applications of Starlette and FastAPI, and what a table says of them."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.security import HTTPBearer
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute

from asgi_multitier.routing import RouteTable, cached, invalidates


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


def lifetime(table: RouteTable, path: str) -> float | None:
    policy = table.resolve("GET", path).policy
    assert policy is not None
    return policy.lifetime


bearer = HTTPBearer()


def user(token: Annotated[Any, Depends(bearer)]) -> str:
    return str(token)


def admin(name: Annotated[str, Depends(user)]) -> str:
    return name


CACHED = cached(60)


def only(mark: Callable[[Any], Any] = CACHED, **options: Any) -> FastAPI:
    app = FastAPI()
    app.add_api_route("/secret/{id}", mark(lambda: "x"), **options)
    return app
