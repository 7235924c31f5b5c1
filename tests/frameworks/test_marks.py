"""Marks on handlers and views of other frameworks count as they do on endpoints of FastAPI."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from asgi_multitier import CacheMiddleware, Policy, Rule
from tests.support import Client

from .marked import SHOPS, Counts
from .random_routes import configured
from .support import asked, logging_as_before, memory, served

__all__ = ["logging_as_before"]


@pytest.fixture
def counts() -> Counts:
    """How often each endpoint ran."""
    return Counts()


@pytest.fixture(params=SHOPS)
def shop(request: pytest.FixtureRequest, counts: Counts) -> Any:
    """The shop in one framework; skipped where that is not installed."""
    pytest.importorskip(request.param)
    if request.param == "django":
        configured()
    return SHOPS[request.param](counts)


@pytest.fixture
async def client(shop: Any) -> AsyncIterator[Client]:
    """A client of the shop behind a cache."""
    async with served(CacheMiddleware(shop, memory())) as client:
        yield client


async def test_a_marked_route_is_cached_and_dropped_by_its_tag(
    client: Client, counts: Counts
) -> None:
    """With the path parameters in the tag: what another product changes stays."""
    first, again = [await client.get("/products/1") for _ in range(2)]
    assert (first.stored, again.hit, again.body) == (True, True, first.body)
    await client.get("/products/2")
    assert (await asked(client, "POST", "/orders/1")).status in (200, 201)

    assert (await client.get("/products/1")).body == b"product 1 2"
    assert (await client.get("/products/2")).hit
    assert counts == {"product 1": 2, "product 2": 1, "order": 1}


async def test_the_methods_of_a_path_have_marks_of_their_own(client: Client) -> None:
    """Of two handlers, and of two methods of one class or function."""
    for path in ("/products/1", "/all/products"):
        before = await client.get(path)
        assert (await client.get(path)).hit
        assert (await asked(client, "PUT", path)).status == 200
        assert (await client.get(path)).body != before.body


async def test_a_route_is_found_by_its_name(client: Client) -> None:
    """`routes=` of a change, as the framework names its routes."""
    await client.get("/all/products")
    await asked(client, "POST", "/orders/1")

    assert not (await client.get("/all/products")).hit


async def test_no_cache_holds_against_the_default(shop: Any) -> None:
    """What is not marked has the rules and the default, as before."""
    cache = CacheMiddleware(shop, memory(), rules=[Rule("/plain", 60)], default=Policy(60))
    async with served(cache) as client:
        found = {path: [await client.get(path) for _ in range(2)] for path in ("/never", "/plain")}

    assert [reply.hit for reply in found["/never"]] == [False, False]
    assert [reply.hit for reply in found["/plain"]] == [False, True]


async def test_head_is_answered_as_the_framework_answers_it(shop: Any, client: Client) -> None:
    """Litestar refuses HEAD where there is no handler for it; others run the one for GET."""
    alone = await Client(shop).request("HEAD", "/products/1")
    await client.get("/products/1")

    assert (await client.request("HEAD", "/products/1")).status == alone.status


async def test_below_a_root_path_and_in_a_mount(shop: Any, counts: Counts) -> None:
    """The cache may stand inside the mount; around it, the mounted routes have rules alone."""
    alone = Client(Starlette(routes=[Mount("/sub", app=shop)]))
    if (await alone.get("/sub/products/1")).status == 404:
        pytest.skip("the framework takes no root path off")
    counts.clear()
    manager = memory()
    inside = Starlette(routes=[Mount("/sub", app=CacheMiddleware(shop, manager))])
    async with manager:
        client = Client(inside)
        assert [(await client.get("/sub/products/1")).hit for _ in range(2)] == [False, True]
        await asked(client, "POST", "/sub/orders/1")
        assert not (await client.get("/sub/products/1")).hit
    async with memory() as manager:
        client = Client(CacheMiddleware(Starlette(routes=[Mount("/sub", app=shop)]), manager))
        assert [(await client.get("/sub/products/1")).hit for _ in range(2)] == [False, False]


async def test_its_routes_are_shown(shop: Any) -> None:
    """In the table of routes, with what drops them."""
    async with served(CacheMiddleware(shop, manager := memory())):
        report = manager.routes()
    shown = {(each.route, "PUT" in each.methods): each for each in report.routes if each.cached}
    paths = [route.replace(":int", "") for route, _ in shown]

    assert sorted(paths) == ["/all/products", "/products/{id}"]
    (product,) = [each for (route, _), each in shown.items() if "id" in route]
    assert product.tags == ("product:{id}",)
    assert len({effect.by for effect in product.dropped_by}) == 2
    assert not [one for one in report.findings if one.code in ("E1", "W2")]


async def test_by_name_and_parameters_a_response_is_dropped(shop: Any) -> None:
    """`CacheManager.invalidate_route`, with the path parameters of the framework's route."""
    async with served(CacheMiddleware(shop, manager := memory())) as client:
        (name,) = [each.route for each in manager.routes().routes if each.tags == ("product:{id}",)]
        await client.get("/products/1")
        await client.get("/products/2")
        await manager.invalidate_route(name, id=1)

        assert not (await client.get("/products/1")).hit
        assert (await client.get("/products/2")).hit


def test_without_marks_nothing_is_imported() -> None:
    """The adapters are there for any application, and bring no framework."""
    import subprocess
    import sys

    code = (
        "import sys, asgi_multitier\n"
        "from asgi_multitier.routing import RouteTable\n"
        "RouteTable(lambda *a: None).resolve('GET', '/')\n"
        "assert not {'django', 'quart', 'litestar', 'werkzeug', 'starlette'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
