"""What a report proposes is pasted into the source, and the same requests find nothing wrong."""

import ast
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from random import Random
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from asgi_multitier import CacheManager, CacheMiddleware, Policy, cached, invalidates, no_cache
from asgi_multitier.cli.commands.report import to_paste
from asgi_multitier.shadow.joined import CacheReport

ODD = """'x"]) or open("y"), ("'"""
"""A parameter whose name would end the text of an annotation, if it were not escaped there."""

SOURCE = """
app = FastAPI()
prices, levels = {1: 10, 2: 20}, {1: 3, 2: 4}


# GET /prices/{id}
@cached(60)
async def price(request: Request, id: int) -> JSONResponse:
    factor = 2 if request.headers.get("accept-currency") == "USD" else 1
    return JSONResponse({"id": id, "price": factor * prices[id]})


# POST /deliveries/{id}
async def deliver(id: int) -> JSONResponse:
    prices[id] += 1
    return JSONResponse({})


# GET /themes
@cached(60, ignore_cookies=True)
async def theme(request: Request) -> JSONResponse:
    return JSONResponse({"theme": request.cookies.get("theme", "light")})


# GET /offers
@cached(60)
async def offers() -> JSONResponse:
    return JSONResponse({"seen": uuid4().hex})


# GET /search
@cached(60, query=["page"])
async def search(request: Request) -> JSONResponse:
    return JSONResponse({"found": request.query_params.get(ODD, "")})


# GET /stock/{id}
@cached(60, tags=["stock:{id}"])
async def shown(id: int) -> JSONResponse:
    return JSONResponse({"left": levels[id]})


# PUT /levels/{id}
@invalidates(tags=["stcok:{id}"])
async def restock(id: int) -> JSONResponse:
    levels[id] += 5
    return JSONResponse({})


# GET /books
async def books() -> JSONResponse:
    return JSONResponse(["a", "b"])
"""
"""Careless in each route; the comment above a function says where it stands."""

GIVEN = {
    one.__name__: one for one in (FastAPI, Request, JSONResponse, Policy, cached, invalidates)
} | {"no_cache": no_cache, "ODD": ODD}


def application(source: str) -> FastAPI:
    """The application of a source text, whose functions are mounted where their comments say."""
    from uuid import uuid4

    names: dict[str, Any] = {**GIVEN, "uuid4": uuid4}
    exec(compile(source, "application", "exec"), names)
    app: FastAPI = names["app"]
    for lines in source.split("\n\n\n# ")[1:]:
        method, path = lines.partition("\n")[0].split()
        [name] = [
            node.name
            for node in ast.parse("# " + lines).body
            if isinstance(node, ast.AsyncFunctionDef)
        ]
        app.add_api_route(path, names[name], methods=[method])
    return app


def pasted(source: str, report: CacheReport) -> str:
    """The source with what is proposed in place of what was there."""
    proposed: dict[str, list[str]] = {}
    for route in report.as_json()["routes"]:
        for where, texts in to_paste(route).items():
            proposed.setdefault(where, []).extend(texts)
    blocks = source.split("\n\n\n# ")
    for number, block in enumerate(blocks):
        where, _, rest = block.partition("\n")
        if (texts := proposed.pop(where, None)) is not None:
            kept = [line for line in rest.splitlines() if not line.startswith("@")]
            blocks[number] = "\n".join([where, *texts, *kept])
    assert proposed == {}  # each is for a route that is there
    return "\n\n\n# ".join(blocks)


async def traffic(app: FastAPI) -> None:
    """The requests of a day, in the same order each time."""
    chance = Random(7)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        for hour in range(24):
            for _ in range(12):
                number = chance.choice((1, 2))
                currency = chance.choice(("EUR", "USD"))
                theme = chance.choice(("light", "dark"))
                await client.get(f"/prices/{number}", headers={"accept-currency": currency})
                await client.get(f"/stock/{number}")
                await client.get("/themes", headers={"cookie": f"theme={theme}"})
                await client.get("/search", params={ODD: chance.choice("abc")})
            await client.get("/offers")
            await client.get("/books")
            if hour % 3 == 1:
                await client.post(f"/deliveries/{chance.choice((1, 2))}")
            if hour % 3 == 2:
                await client.put(f"/levels/{chance.choice((1, 2))}")


@contextmanager
def observing(source: str) -> Iterator[tuple[FastAPI, CacheManager]]:
    """The application of a source text, with a cache that observes it."""
    app = application(source)
    cache = CacheManager(redis_url=None, namespace="shop", mode="shadow")
    app.add_middleware(CacheMiddleware, cache=cache)
    yield app, cache


async def observed(source: str) -> CacheReport:
    """What is found of the application of a source text."""
    with observing(source) as (app, cache):
        async with cache:
            await traffic(app)
            return await cache.report()


def causes(report: CacheReport) -> Mapping[str, list[tuple[str, str]]]:
    """The causes by route."""
    return {
        route.route: sorted((one.cause.value, one.name) for one in route.findings)
        for route in report.routes
        if route.wrong
    }


async def test_what_is_pasted_ends_all_wrong_answers() -> None:
    """The package takes each annotation, whatever names clients have sent."""
    before = await observed(SOURCE)

    assert causes(before) == {
        "GET /prices/{id}": [("edit", "POST /deliveries/{id}"), ("field", "accept-currency")],
        "GET /themes": [("cookie", "theme")],
        "GET /offers": [("random", "")],
        "GET /search": [("query", ODD)],
        "GET /stock/{id}": [("tag", "PUT /levels/{id}")],
    }

    mended = pasted(SOURCE, before)
    after = await observed(mended)

    assert causes(after) == {}
    assert after.wrong == 0
    assert after.hits > before.requests // 4  # and much is answered all the same


@pytest.mark.parametrize("name", [ODD])
async def test_a_name_of_a_client_stays_a_text(name: str) -> None:
    """An annotation is one call with literals."""
    report = await observed(SOURCE)
    [search] = [route for route in report.routes if route.route == "GET /search"]
    tree = ast.parse(f"{search.annotation}\ndef endpoint(): pass").body

    [function] = tree
    assert isinstance(function, ast.FunctionDef)
    [decorator] = function.decorator_list
    assert isinstance(decorator, ast.Call)
    assert ast.unparse(decorator.func) == "cached"
    [query] = [ast.literal_eval(one.value) for one in decorator.keywords if one.arg == "query"]
    assert name in query
