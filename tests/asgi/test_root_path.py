"""One notion of an application's path, wherever its root path comes from."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount

from asgi_multitier import CacheManager, CacheMiddleware, cached, invalidates
from asgi_multitier.testing import FakeClock
from tests.support import Client


class Deployment(NamedTuple):
    """How an application comes by its root path.

    Attributes:
        prefix: What stands before its paths in the URLs that it gets.
        own: FastAPI's own `root_path`.
        scope: What the server says.
        mounted: Where another application mounts it.
    """

    prefix: str
    own: str = ""
    scope: str = ""
    mounted: str = ""


DEPLOYMENTS = {
    "none": Deployment(""),
    "fastapi, proxy keeps the prefix": Deployment("/api", own="/api"),
    "fastapi, proxy strips the prefix": Deployment("", own="/api"),
    "server says it, in the path": Deployment("/api", scope="/api"),
    "server says it, not in the path": Deployment("", scope="/api"),
    "server and fastapi": Deployment("/api", own="/api", scope="/api"),
    "two segments": Deployment("/a/b", own="/a/b"),
    "mounted": Deployment("/shop", mounted="/shop"),
    "mounted, below a server's": Deployment("/api/shop", scope="/api", mounted="/shop"),
}


def shop(root_path: str, before: str) -> FastAPI:
    """An application whose changes drop an item in every way.

    Args:
        root_path: Its own.
        before: What the paths that it names begin with: where the cached application mounts it.
    """
    app = FastAPI()
    app.root_path = root_path  # as the argument does, which newer releases warn of

    @app.get("/items/{number}")
    @cached(60, tags=["item:{number}"], key="item-{number}")
    async def item(number: int) -> int:
        return number

    @app.put("/items/{number}")
    async def own_url(number: int) -> None: ...

    @app.post("/paths")
    @invalidates(paths=[before + "/items/1"])
    async def by_path() -> None: ...

    @app.post("/paths/{number}")
    @invalidates(paths=[before + "/items/{number}"])
    async def by_filled_path(number: int) -> None: ...

    @app.post("/patterns")
    @invalidates(patterns=[before + "/item?/*"])
    async def by_pattern() -> None: ...

    @app.post("/routes")
    @invalidates(routes=[item])
    async def by_route() -> None: ...

    @app.post("/tags")
    @invalidates(tags=["item:1"])
    async def by_tag() -> None: ...

    @app.post("/location")
    async def by_location(to: str) -> Response:
        return Response(status_code=201, headers={"location": to})

    return app


def manual(before: str) -> dict[str, Callable[[CacheManager], Awaitable[bool]]]:
    """Every way to drop by hand."""
    template = before + "/items/{number}"
    return {
        "invalidate_path": lambda m: m.invalidate_path(before + "/items/1"),
        "invalidate_path below": lambda m: m.invalidate_path(before + "/items", below=True),
        "invalidate_pattern": lambda m: m.invalidate_pattern(before + "/it*/1"),
        "invalidate_route": lambda m: m.invalidate_route(template, number=1),
        "invalidate_route, all": lambda m: m.invalidate_route(template),
        "invalidate": lambda m: m.invalidate("item-1"),
        "invalidate_tags": lambda m: m.invalidate_tags("item:1"),
    }


BY_REQUEST = ("paths", "paths/1", "patterns", "routes", "tags", "location?to={url}", "PUT")
WAYS = (*BY_REQUEST, *manual(""))


@asynccontextmanager
async def deployed(
    deployment: Deployment, where: str
) -> AsyncIterator[tuple[Client, CacheManager, str]]:
    """The application behind the cache, and where the cached application mounts it."""
    before = deployment.mounted if where == "around everything" else ""
    inner = shop(deployment.own, before)
    clock = FakeClock()
    manager = CacheManager(redis_url=None, clock=clock, wall=clock)
    outer: Any = inner
    if where == "add_middleware":
        inner.add_middleware(CacheMiddleware, cache=manager)
    elif where == "around it":
        outer = CacheMiddleware(inner, manager)
    if deployment.mounted:
        outer = Starlette(routes=[Mount(deployment.mounted, outer)])
    if where == "around everything":
        outer = CacheMiddleware(outer, manager)
    async with manager:
        yield Client(outer), manager, before


@pytest.mark.parametrize("where", ["add_middleware", "around it", "around everything"])
@pytest.mark.parametrize("deployment", DEPLOYMENTS.values(), ids=DEPLOYMENTS)
async def test_every_way_to_drop_finds_the_path_under_every_root_path(
    deployment: Deployment, where: str
) -> None:
    """However the root path is given and the cache installed, the item goes, in every way."""
    async with deployed(deployment, where) as (client, manager, before):
        url, root = deployment.prefix + "/items/1", {"root_path": deployment.scope}
        assert not (await client.get(url, **root)).hit
        for way in WAYS:
            assert (await client.get(url, **root)).hit, way
            if way == "PUT":
                reply = await client.request("PUT", url, **root)
                assert reply.status == 200
            elif way in BY_REQUEST:
                change = f"{deployment.prefix}/{way.format(url=url)}"
                reply = await client.request("POST", change, **root)
                assert reply.status < 300
            else:
                assert await manual(before)[way](manager)

            assert not (await client.get(url, **root)).hit, way
