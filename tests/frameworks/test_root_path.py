"""Below a root path, tags, paths and rules are those of the application, in each framework."""

from collections.abc import Callable
from typing import Any

import pytest

from asgi_multitier import CacheMiddleware, Policy, Rule, cached, invalidates
from asgi_multitier.routing import RouteTable
from tests.support import Answered, Client, Reply, scope_of

from .marked import SHOPS, Counts
from .random_routes import configured, rooted
from .support import logging_as_before, memory, served

__all__ = ["logging_as_before"]

ROOT = "/sub"

IN_THE_PATH = ("litestar", "quart", "django")
"""Those that take the root path off the path, as servers and mounts give it."""

NOT_IN_THE_PATH = ("litestar", "django", "falcon")
"""Those that find their routes where a proxy has taken it off; Quart answers 404 then."""

DEPLOYMENTS = [(name, ROOT) for name in IN_THE_PATH] + [(name, "") for name in NOT_IN_THE_PATH]


@pytest.fixture
def counts() -> Counts:
    """How often each endpoint ran."""
    return Counts()


def shop(name: str, counts: Counts) -> Any:
    """The shop in one framework; skipped where that is not installed."""
    pytest.importorskip(name)
    if name == "django":
        configured()
    return SHOPS[name](counts)


async def asked(client: Client, method: str, target: str) -> Reply:
    """One request below the root path."""
    visit = Answered()
    await client.app(scope_of(method, target, root_path=ROOT), visit.receive, visit.send)
    return visit.reply


async def hits(client: Client, target: str) -> list[bool]:
    """Whether two requests were hits."""
    return [(await asked(client, "GET", target)).hit for _ in range(2)]


@pytest.mark.parametrize(("name", "prefix"), DEPLOYMENTS)
async def test_each_way_to_drop_drops(name: str, prefix: str, counts: Counts) -> None:
    """A tag, the URL itself, a route by its name, a path with the root path and without."""
    made = CacheMiddleware(shop(name, counts), manager := memory())
    async with served(made) as client:

        async def by_path(path: str) -> None:
            await manager.invalidate_path(path)

        async def by_asking(method: str, path: str) -> None:
            assert (await asked(client, method, prefix + path)).status in (200, 201)

        ways: list[tuple[str, Callable[..., Any], tuple[str, ...]]] = [
            ("/products/1", by_asking, ("POST", "/orders/1")),
            ("/products/1", by_asking, ("PUT", "/products/1")),
            ("/products/1", by_path, ("/products/1",)),
            ("/all/products", by_asking, ("POST", "/orders/1")),
            ("/all/products", by_path, ("/all/products",)),
        ]
        for path, way, words in ways:
            assert await hits(client, prefix + path) == [False, True]
            await way(*words)
        assert await hits(client, prefix + "/products/1") == [False, True]
        await asked(client, "POST", prefix + "/orders/2")
        assert (await asked(client, "GET", prefix + "/products/1")).hit


@pytest.mark.parametrize(("name", "prefix"), DEPLOYMENTS)
async def test_a_rule_names_the_path_without_the_root_path(
    name: str, prefix: str, counts: Counts
) -> None:
    """As the marks do."""
    rules = [Rule("/plain", 60), Rule("/sub/*", None)]
    async with served(CacheMiddleware(shop(name, counts), memory(), rules=rules)) as client:
        assert await hits(client, prefix + "/plain") == [False, True]


@pytest.mark.parametrize("name", [*IN_THE_PATH, "falcon"])
async def test_a_path_that_only_begins_like_the_root_path(name: str, counts: Counts) -> None:
    """Whether its rest is taken as a path below it: the table says what the framework does."""
    app = shop(name, counts)
    table = RouteTable(app)
    chosen = table.resolve("GET", "/subproducts/1", ROOT, host="shop").route
    await asked(Client(app), "GET", "/subproducts/1")

    assert ("product 1" in counts) == (chosen != "")


async def test_quart_finds_nothing_where_the_path_is_without_the_root_path(counts: Counts) -> None:
    """With the cache as without."""
    made = shop("quart", counts)
    async with served(CacheMiddleware(made, memory(), default=Policy(60))) as client:
        alone = await asked(Client(made), "GET", "/products/1")
        reply = await asked(client, "GET", "/products/1")

    assert (reply.status, reply.stored) == (alone.status, False)
    assert alone.status in (400, 404)


async def test_falcon_keeps_the_root_path_in_its_paths() -> None:
    """Its routes have it; in rules and in what is dropped, the path may be without."""
    asgi = pytest.importorskip("falcon.asgi")

    class Product:
        @cached(60, tags=["p:{id}"])
        async def on_get(self, req: Any, resp: Any, id: int) -> None: ...  # noqa: A002

        @invalidates(paths=["/products/{id}"])
        async def on_post(self, req: Any, resp: Any, id: int) -> None: ...  # noqa: A002

        @invalidates(paths=["/sub/products/{id}"])
        async def on_patch(self, req: Any, resp: Any, id: int) -> None: ...  # noqa: A002

    class Other(Product):
        pass

    app = asgi.App()
    app.add_route("/sub/products/{id:int}", Product())
    app.add_route("/sub/orders/{id:int}", Other())
    async with served(CacheMiddleware(app, manager := memory())) as client:
        for method in ("POST", "PATCH"):
            assert await hits(client, "/sub/products/1") == [False, True]
            await asked(client, method, "/sub/orders/1")
        for path in ("/products/1", "/sub/products/1"):
            assert await hits(client, "/sub/products/1") == [False, True]
            await manager.invalidate_path(path)
        assert await hits(client, "/sub/products/1") == [False, True]


async def test_a_script_name_that_django_is_told() -> None:
    """`FORCE_SCRIPT_NAME` counts instead of the server's root path."""
    pytest.importorskip("django")
    configured()
    from django.conf import settings
    from django.core.handlers.asgi import ASGIHandler
    from django.http import HttpRequest, HttpResponse
    from django.test.utils import override_settings
    from django.urls import path

    @cached(60, tags=["p:{id}"])
    async def product(request: HttpRequest, id: int) -> HttpResponse:  # noqa: A002
        return HttpResponse(request.path_info)

    assert settings.configured
    made = rooted([path("products/<int:id>", product)], ASGIHandler)
    with override_settings(FORCE_SCRIPT_NAME="/site"):
        async with served(CacheMiddleware(made, manager := memory())) as client:
            for target in ("/site/products/1", "/products/1"):
                assert [(await client.get(target)).hit for _ in range(2)] == [False, True]
                assert (await client.get(target)).body == b"/products/1"
                await manager.invalidate_tags("p:1")
            assert not (await client.get("/site/products/1")).hit
            await manager.invalidate_path("/products/1")
            assert not (await client.get("/site/products/1")).hit
