"""A path may be written in several ways: all that mean the changed page drop it, and no other's."""

import enum
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest
import starlette
from fastapi import FastAPI, Request
from packaging.version import Version
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import CacheManager, CacheMiddleware, InvalidationError, cached, invalidates
from asgi_multitier._types import ASGIApp
from asgi_multitier.testing import FakeClock
from tests.support import Client


@asynccontextmanager
async def behind_cache(app: ASGIApp) -> AsyncIterator[tuple[Client, CacheManager]]:
    """An application behind memory."""
    clock = FakeClock()
    async with CacheManager(redis_url=None, namespace="test", clock=clock, wall=clock) as manager:
        yield Client(CacheMiddleware(app, manager)), manager


async def fill(client: Client, *targets: str, **changes: Any) -> None:
    """Ask until all are hits."""
    for target in targets:
        await client.get(target, **changes)
        assert (await client.get(target, **changes)).hit, target


# Paths with the root path in front.


def item_of(request: StarletteRequest, how: str) -> str:
    """The path of item 1, as an application has it at hand."""
    if how == "url":
        return request.url.path.rpartition("/change")[0] + "/items/1"
    if how == "scope":
        return str(request.scope["path"]).rpartition("/change")[0] + "/items/1"
    return request.url_for("item", number=1).path


def shop(how: str, by: str) -> FastAPI:
    """An application that drops item 1 by a path that it takes from its request."""
    app = FastAPI()

    @app.get("/items/{number}")
    @cached(60)
    async def item(number: int) -> int:
        return number

    if by == "hand":

        @app.post("/change")
        async def change(request: Request) -> None:
            await request.state.cache.invalidate_path(item_of(request, how))
    elif by == "a worker":

        @app.post("/change")
        def change_in_worker(request: Request) -> None:
            request.state.cache.sync.invalidate_path(item_of(request, how))
    elif by == "below":

        @app.post("/change")
        async def change_below(request: Request) -> None:
            await request.state.cache.invalidate_path(item_of(request, how), below=True)
    elif by == "pattern":

        @app.post("/change")
        async def change_by_pattern(request: Request) -> None:
            await request.state.cache.invalidate_pattern(item_of(request, how) + "*")
    elif by == "patterns":

        @app.post("/change")
        @invalidates(patterns=lambda request: [item_of(request, how) + "*"])
        async def change_by_patterns() -> None: ...
    else:

        @app.post("/change")
        @invalidates(paths=lambda request: [item_of(request, how)])
        async def change_by_paths() -> None: ...

    return app


@pytest.mark.parametrize("by", ["hand", "a worker", "below", "pattern", "paths", "patterns"])
@pytest.mark.parametrize("how", ["url", "scope", "url_for"])
@pytest.mark.parametrize(
    ("own", "scope", "prefix"),
    [("", "", ""), ("/api", "", "/api"), ("", "/api", "/api"), ("/api", "", "")],
    ids=["none", "fastapi's", "server's", "stripped by a proxy"],
)
async def test_paths_of_a_request_have_the_root_path_in_front(
    own: str, scope: str, prefix: str, how: str, by: str
) -> None:
    """`request.url.path` and `url_for` name the item under every root path, and no other item."""
    app = shop(how, by)
    app.root_path = own
    async with behind_cache(app) as (client, _):
        root = {"root_path": scope}
        await fill(client, f"{prefix}/items/1", f"{prefix}/items/2", **root)
        reply = await client.request("POST", f"{prefix}/change", **root)
        assert reply.status == 200

        assert not (await client.get(f"{prefix}/items/1", **root)).hit
        assert (await client.get(f"{prefix}/items/2", **root)).hit


async def test_a_root_path_is_that_of_the_cache_which_is_asked() -> None:
    """A request of another cache says nothing of the paths of this one."""
    outer, inner = CacheManager(redis_url=None), CacheManager(redis_url=None)

    @cached(60)
    async def page(request: StarletteRequest) -> Response:
        return PlainTextResponse("page")

    async def change(request: StarletteRequest) -> Response:
        await outer.invalidate_path("/sub/x")
        return PlainTextResponse("done")

    sub = Starlette(routes=[Route("/change", change, methods=["POST"])])
    app = Starlette(routes=[Route("/x", page), Route("/sub/x", page)])
    app.mount("/sub", CacheMiddleware(sub, inner))
    async with outer, inner:
        client = Client(CacheMiddleware(app, outer))
        await fill(client, "/x", "/sub/x")
        await client.request("POST", "/sub/change")

        assert not (await client.get("/sub/x")).hit
        assert (await client.get("/x")).hit


# Percent-encoding.

WORDS = ["café", "a b", "100%", "a+b", "x;y", "ü/ö", "a*b", "[x]", "{y}", "a\\b", "日本"]


def files() -> FastAPI:
    """Pages of any name."""
    app = FastAPI()

    @app.get("/files/{name:path}")
    @cached(60, tags=["file:{name}"])
    async def file(name: str) -> str:
        return name

    @app.post("/located")
    async def located(name: str, raw: bool = False) -> Response:
        location = name.encode() if raw else quote(name).encode()
        response = Response(status_code=201)
        response.raw_headers.append((b"location", b"/files/" + location))
        return response

    return app


@pytest.mark.parametrize("how", ["decoded", "encoded", "location", "raw location"])
@pytest.mark.parametrize("word", WORDS)
async def test_a_path_is_dropped_decoded_or_encoded(word: str, how: str) -> None:
    """Whatever stands in it, and in a `Location` also as bytes beyond ASCII."""
    async with behind_cache(files()) as (client, manager):
        target = "/files/" + quote(word)
        await fill(client, target, "/files/other")
        if how == "decoded":
            await manager.invalidate_path("/files/" + word)
        elif how == "encoded":
            await manager.invalidate_path(target)
        else:
            raw = int(how == "raw location")
            await client.request("POST", f"/located?raw={raw}&name={quote(word, safe='')}")

        assert not (await client.get(target)).hit
        assert (await client.get("/files/other")).hit


async def test_a_question_mark_in_a_path_is_written_encoded() -> None:
    """What the error says to write drops the page."""
    async with behind_cache(files()) as (client, manager):
        await fill(client, "/files/a%3Fb")
        with pytest.raises(InvalidationError, match=r"write '%3F'"):
            await manager.invalidate_path("/files/a?b")
        await manager.invalidate_path("/files/a%3Fb")

        assert not (await client.get("/files/a%3Fb")).hit


# Parameters with several spellings.

ONE = uuid.UUID("abcdef00-1111-2222-3333-444455556666")

any_uuid = pytest.mark.skipif(
    Version(starlette.__version__) < Version("0.39"),
    reason="routes of this Starlette take a UUID in one spelling",
)


class Size(enum.IntEnum):
    """Sizes."""

    BIG = 7


SPELLINGS: list[tuple[Any, Any, list[str]]] = [
    (int, 7, ["7", "007", "+7"]),
    (float, 1.5, ["1.5", "1.50", "15e-1"]),
    (bool, True, ["True", "true", "1", "on"]),
    (Size, Size.BIG, ["7", "07"]),
    (uuid.UUID, ONE, [str(ONE), str(ONE).upper(), ONE.hex, f"urn:uuid:{ONE}"]),
]
CASES = [(kind, value, text) for kind, value, texts in SPELLINGS for text in texts]


@pytest.mark.parametrize("change", ["route", "path", "PUT", "below", "pattern", "tag"])
@pytest.mark.parametrize(("kind", "value", "text"), CASES)
async def test_a_value_is_dropped_in_every_spelling(
    kind: Any, value: Any, text: str, change: str
) -> None:
    """One item under several URLs: a change of it under its usual one reaches all, and no other."""
    app = FastAPI()

    @app.get("/items/{v}/page")
    @cached(60, tags=["item:{v}"])
    async def item(v: kind) -> str:  # type: ignore[valid-type]
        return str(v)

    @app.put("/items/{v}/page")
    async def put(v: str) -> None: ...

    @app.post("/tags/{v}")
    @invalidates(tags=["item:{v}"])
    async def tagged(v: kind) -> None: ...  # type: ignore[valid-type]

    @app.get("/others")
    @cached(60)
    async def others() -> str:
        return "others"

    async with behind_cache(app) as (client, manager):
        usual = str(value.value if isinstance(value, enum.Enum) else value)
        target = f"/items/{quote(text)}/page"
        await fill(client, target, "/others")
        await {
            "route": lambda: manager.invalidate_route("item", v=value),
            "path": lambda: manager.invalidate_path(f"/items/{usual}/page"),
            "PUT": lambda: client.request("PUT", f"/items/{usual}/page"),
            "below": lambda: manager.invalidate_path(f"/items/{usual}", below=True),
            "pattern": lambda: manager.invalidate_pattern(f"/items/{usual}/*"),
            "tag": lambda: client.request("POST", f"/tags/{usual}"),
        }[change]()

        assert not (await client.get(target)).hit
        assert (await client.get("/others")).hit


@pytest.mark.parametrize(
    ("template", "value", "text"),
    [
        ("/x/{v:int}", 7, "007"),
        ("/x/{v:int}", "007", "7"),
        ("/x/{v:float}", 1, "1.0"),
        ("/x/{v:float}", 1.0, "1"),
        pytest.param("/x/{v:uuid}", ONE, str(ONE).upper(), marks=any_uuid),
        pytest.param("/x/{v:uuid}", str(ONE).upper(), ONE.hex, marks=any_uuid),
    ],
)
async def test_convertors_of_a_route_say_what_one_value_is(
    template: str, value: Any, text: str
) -> None:
    """The same where the route's path declares the type; the value may be given as a text."""

    @cached(60)
    async def page(request: StarletteRequest) -> Response:
        return PlainTextResponse("page")

    async with behind_cache(Starlette(routes=[Route(template, page, name="page")])) as (
        client,
        manager,
    ):
        await fill(client, f"/x/{text}")
        await manager.invalidate_route("page", v=value)

        assert not (await client.get(f"/x/{text}")).hit


@pytest.mark.parametrize("text", ["7", "007", "%2B7"])
@pytest.mark.parametrize("changed", ["7", "007", "0007"])
async def test_a_change_under_one_spelling_reaches_all(changed: str, text: str) -> None:
    """The item is one, whichever URL it was changed under; its neighbours are others."""
    app = FastAPI()

    @app.get("/items/{number}")
    @cached(60)
    async def item(number: int) -> int:
        return number

    @app.put("/items/{number}")
    async def put(number: int) -> None: ...

    async with behind_cache(app) as (client, _):
        await fill(client, f"/items/{text}", "/items/17", "/items/70")
        await client.request("PUT", f"/items/{changed}")

        assert not (await client.get(f"/items/{text}")).hit
        assert (await client.get("/items/17")).hit
        assert (await client.get("/items/70")).hit
