"""One FastAPI application with every kind of route, behind the cache and alone.

Runs on whatever FastAPI is installed; `make compat ONLY=fastapi` installs the newest of each minor.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastapi.routing
import pytest
from fastapi import APIRouter, Depends, FastAPI, Header
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Host, Match, Mount, Route, Router
from starlette.staticfiles import StaticFiles

from asgi_multitier import CacheManager, CacheMiddleware, CacheStrategy, cached, invalidates
from tests.support import Client, Reply


def text(answer: str) -> Callable[[Request], Response]:
    """A Starlette endpoint."""

    def endpoint(request: Request) -> Response:
        return PlainTextResponse(answer)

    return endpoint


class Odd(BaseRoute):
    """A route class without anything but what Starlette's router calls."""

    def matches(self, scope: Any) -> tuple[Match, Any]:
        return (Match.FULL if scope["path"].endswith("/odd") else Match.NONE), {}

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("odd")(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> Any:
        raise LookupError(name)


def items(counts: dict[str, int]) -> APIRouter:
    """Routes that are cached, and one that changes what they give."""
    router = APIRouter(prefix="/items", tags=["items"])

    @router.get("/{number}")
    @cached(CacheStrategy.SHORT_TERM, tags=["item:{number}"])
    def item(number: int) -> dict[str, int]:
        counts["item"] = counts.get("item", 0) + 1
        return {"number": number, "run": counts["item"]}

    @router.put("/{number}")
    @invalidates(tags=["item:{number}"])
    def change(number: int) -> dict[str, int]:
        return {"number": number}

    @router.get("/{number}/plain")
    def plain(number: int) -> dict[str, int]:
        return {"number": number}

    return router


def checked(x_team: str = Header("")) -> str:
    """A dependency that every request passes."""
    return x_team


def application(static: Path) -> FastAPI:
    """Routers in routers, and in them what is no route of FastAPI's own."""
    counts: dict[str, int] = {}
    app = FastAPI(title="Every kind of route")
    inner = APIRouter(prefix="/inner", dependencies=[Depends(checked)])
    inner.add_route("/starlette", text("starlette"))
    inner.mount("/files", StaticFiles(directory=static), name="files")
    inner.mount("/mounted", Starlette(routes=[Route("/deep", text("deep"))]), name="mounted")
    if hasattr(fastapi.routing, "_IncludedRouter"):  # earlier ones refuse to include a host
        hosted = Router([Route("/inner/hosted", text("hosted"))])
        inner.routes.append(Host("api.example.org", hosted))
    inner.routes.append(Mount("/inner/direct", routes=[Route("/x", text("x"))]))

    @inner.websocket("/socket")
    async def socket(websocket: Any) -> None:
        await websocket.close()

    @inner.get("/secure")
    def secure() -> str:
        return "secure"

    outer = APIRouter(prefix="/v1")
    outer.include_router(inner)
    outer.include_router(items(counts))
    app.include_router(outer)
    app.include_router(items(counts), prefix="/again")
    app.mount("/sub", FastAPI(title="Sub"))
    app.router.routes.append(Odd())

    @app.get("/last")
    def last() -> str:
        return "last"

    return app


URLS = [
    "/v1/inner/starlette",
    "/v1/inner/files/page.txt",
    "/v1/inner/files/none.txt",
    "/v1/inner/mounted/deep",
    "/v1/inner/mounted/none",
    "/v1/inner/direct/x",
    "/inner/direct/x",
    "/inner/hosted",
    "/v1/inner/hosted",
    "/v1/inner/secure",
    "/v1/items/1/plain",
    "/v1/items/word/plain",
    "/again/items/2/plain",
    "/sub/openapi.json",
    "/openapi.json",
    "/docs",
    "/any/odd",
    "/last",
    "/last/",
    "/none",
]


@pytest.fixture
def static(tmp_path: Path) -> Path:
    (tmp_path / "page.txt").write_text("page")
    return tmp_path


def seen(reply: Reply) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """What a client sees of a response, without what the cache says of itself."""
    return reply.status, [line for line in reply.headers if line[0] != b"cache-status"], reply.body


@pytest.mark.parametrize("outside", [True, False], ids=["wrapped", "added"])
@pytest.mark.parametrize("host", ["example.org", "api.example.org"])
async def test_every_url_answers_as_it_does_alone(static: Path, outside: bool, host: str) -> None:
    """Status, fields and body are the application's own, whatever its routers hold."""
    alone = Client(application(static))
    app = application(static)
    async with CacheManager(redis_url=None) as manager:
        if outside:
            client = Client(CacheMiddleware(app, manager))
        else:
            app.add_middleware(CacheMiddleware, cache=manager)
            client = Client(app)
        for method in ("GET", "HEAD", "POST"):
            for url in URLS:
                lines = [("host", host)]
                expected = await alone.request(method, url, lines)
                assert seen(await client.request(method, url, lines)) == seen(expected), url


@pytest.mark.parametrize("prefix", ["/v1", "/again"])
async def test_an_included_route_is_cached_and_dropped(static: Path, prefix: str) -> None:
    """The marks of an endpoint count at every place at which its router is included."""
    async with CacheManager(redis_url=None) as manager:
        client = Client(CacheMiddleware(application(static), manager))
        first = await client.get(f"{prefix}/items/1")
        again = await client.get(f"{prefix}/items/1")
        assert (first.stored, again.hit, again.body) == (True, True, first.body)

        assert (await client.request("PUT", f"{prefix}/items/1")).status == 200
        assert (await client.get(f"{prefix}/items/1")).body != first.body
        assert not manager.stats().failures.get("route-mismatch")


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "--no-cov", "-p", "no:cacheprovider"]))
