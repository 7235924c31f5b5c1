"""Routes that are switched off by `enabled=`, and rules that override annotations."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.security import APIKeyHeader
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.routing import Route

from asgi_multitier import (
    CacheManager,
    CacheMiddleware,
    ConfigError,
    Policy,
    Rule,
    cached,
    invalidates,
    no_cache,
)
from asgi_multitier.routing import RouteTable
from tests.support import Client, Origin


class Shop:
    """A small shop: products and prices from a table that changes.

    Args:
        enabled: What `enabled=` of the products is.
        rules: The rules of its cache.
        **settings: Of the manager.
    """

    def __init__(
        self, enabled: bool | Callable[[], bool] = True, rules: Any = (), **settings: Any
    ) -> None:
        self.price = 1
        self.manager = CacheManager(**{"redis_url": None, **settings})
        self.app = app = FastAPI(title="Switched shop")
        app.add_middleware(CacheMiddleware, cache=self.manager, rules=rules)

        @app.get("/products")
        @cached(60, tags="products", enabled=enabled)
        async def products() -> int:
            return self.price

        @app.get("/prices")
        @cached(60, tags="products")
        def prices() -> int:
            return self.price

        @app.get("/cart")
        @no_cache
        def cart() -> int:
            return self.price

        @app.get("/plain")
        def plain() -> int:
            return self.price

        @app.put("/products")
        @invalidates(tags="products")
        def change(price: int) -> None:
            self.price = price


def detail(client: TestClient, path: str) -> str:
    """What `Cache-Status` says, after the name of the cache."""
    told: str = client.get(path).headers["cache-status"]
    return told.removeprefix("asgi-multitier; ")


def is_hit(client: TestClient, path: str) -> bool:
    """Whether the second of two requests is answered from the cache."""
    client.get(path)
    return "hit" in detail(client, path)


def test_a_route_is_switched_off_by_a_setting() -> None:
    """The others are cached as before."""
    settings = SimpleNamespace(CACHE_PRODUCTS=False)
    shop = Shop(enabled=settings.CACHE_PRODUCTS)
    with TestClient(shop.app) as client:
        assert detail(client, "/products") == "fwd=bypass; detail=disabled"
        assert detail(client, "/products") == "fwd=bypass; detail=disabled"
        assert is_hit(client, "/prices")
        assert shop.manager.stats().total.passes == {"disabled": 2}


def test_a_route_is_switched_while_the_process_runs() -> None:
    """On again, it serves nothing that was changed meanwhile, and what was not."""
    settings = SimpleNamespace(on=True)
    shop = Shop(enabled=lambda: settings.on)
    with TestClient(shop.app) as client:
        assert is_hit(client, "/products")
        settings.on = False
        assert detail(client, "/products").endswith("disabled")
        settings.on = True
        assert "hit" in detail(client, "/products")

        settings.on = False
        client.put("/products?price=2")
        settings.on = True
        assert client.get("/products").json() == 2


@pytest.mark.parametrize("fails", [ZeroDivisionError("x"), KeyError("x")])
def test_a_switch_that_raises_leaves_the_route_to_the_application(fails: Exception) -> None:
    """And is counted."""

    def enabled() -> bool:
        raise fails

    shop = Shop(enabled=enabled)
    with TestClient(shop.app) as client:
        assert client.get("/products").json() == 1
        assert detail(client, "/products").endswith("disabled")
    assert shop.manager.stats().failures["enabled"] == 2


async def test_rules_and_policies_have_the_switch_too() -> None:
    """Also the default, and the whole process is asked first."""
    switch = SimpleNamespace(on=False)
    rules = [Rule("/a", 60, enabled=False), Rule("/b", Policy(60, enabled=lambda: switch.on))]
    async with CacheManager(redis_url=None) as manager:
        default = Policy(60, enabled=False)
        app = CacheMiddleware(Origin(), manager, rules=rules, default=default)
        client = Client(app)
        for path in ("/a", "/b", "/c"):
            assert (await client.get(path)).detail == "disabled"
        switch.on = True
        assert (await client.get("/b")).stored
        assert (await client.request("HEAD", "/b")).hit
        switch.on = False
        assert (await client.request("HEAD", "/b")).detail == "disabled"
        manager.mode = "off"
        assert (await client.get("/a")).detail == "off"


async def test_an_answer_to_post_is_not_kept_where_the_route_is_off() -> None:
    """One function decides for both ways to store."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"cache-control", b"max-age=60"), (b"content-location", scope["raw_path"])]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": scope["method"].encode()})

    switch = SimpleNamespace(on=False)
    policy = Policy.from_origin(methods=["GET", "POST"], enabled=lambda: switch.on)
    async with CacheManager(redis_url=None) as manager:
        client = Client(CacheMiddleware(answer, manager, default=policy))
        await client.request("POST", "/a")
        switch.on = True
        assert (await client.get("/a")).stored
        await client.request("POST", "/a")
        assert (await client.get("/a")).hit


async def _soon() -> bool:
    return True


@pytest.mark.parametrize("value", ["false", 1, None, _soon, lambda request: request, "1"])
def test_another_kind_of_switch_is_refused(value: Any) -> None:
    """A text is true in Python, whatever it says."""
    with pytest.raises(ConfigError, match=r"enabled=.* not allowed; expected True, False, or a pl"):
        cached(60, enabled=value)(lambda: None)


# Rules that override annotations.


def test_a_rule_overrides_annotations() -> None:
    """One that does not override stays behind them."""
    with TestClient(Shop(rules=[Rule("/pr*", None)]).app) as client:
        assert is_hit(client, "/products")
    with TestClient(Shop(rules=[Rule("/pr*", None, override=True)]).app) as client:
        assert detail(client, "/products").endswith("detail=no-cache-annotation")
        assert detail(client, "/prices").endswith("detail=no-cache-annotation")
        assert detail(client, "/plain").endswith("detail=no-rule")


def test_a_rule_that_overrides_brings_its_options() -> None:
    """All of the annotation is replaced, the tags included."""
    rules = [Rule("/products", 7, override=True), Rule("/*", 60)]
    shop = Shop(rules=rules)
    with TestClient(shop.app) as client:
        assert "ttl=7" in detail(client, "/products")
        assert "ttl=60" in detail(client, "/prices")
        shop.manager.sync.invalidate_tags("products")
        assert "hit" in detail(client, "/products")
        assert "stored" in detail(client, "/prices")


def test_a_rule_that_overrides_comes_before_all_others() -> None:
    """Wherever it stands; only `no_cache` is stronger."""
    rules = [Rule("/p*", 60), Rule("*", 7, override=True), Rule("*", 8, override=True)]
    with TestClient(Shop(rules=rules).app) as client:
        for path in ("/products", "/prices", "/plain"):
            assert "ttl=7" in detail(client, path)
        assert detail(client, "/cart").endswith("detail=no-cache-annotation")


def _keyed(rules: list[Rule], mark: Any, manager: CacheManager) -> FastAPI:
    """An application whose route reads a key."""
    app = FastAPI(title="Keyed")
    app.add_middleware(CacheMiddleware, cache=manager, rules=rules)
    key = Annotated[str, Depends(APIKeyHeader(name="X-Api-Key"))]

    async def mine(key: key) -> str:  # type: ignore[valid-type]
        return str(key)

    mine.__annotations__["key"] = key
    app.get("/mine/{id}")(mark(mine))
    return app


@pytest.mark.parametrize(
    ("rules", "mark", "words"),
    [
        ([], cached(60), "is cached and depends on APIKeyHeader"),
        ([Rule("/mine/*", None)], cached(60), "is cached and depends on APIKeyHeader"),
        ([Rule("/mine/1", None, override=True)], cached(60), "is cached and depends on"),
        ([Rule("/mine/*", None, override=True)], cached(60), None),
        ([Rule("*", None, override=True)], cached(60, tags="{nothing}"), None),
        ([Rule("/mine/*", 60, vary="X-Api-Key", override=True)], cached(60), None),
        (
            [Rule("/mine/*", 60, override=True)],
            cached(60, vary="X-Api-Key"),
            r"Rule\('/mine/\*', None, override=True\) before this .* on its endpoint @no_cache",
        ),
        ([Rule("/mine/*", 60, override=True)], no_cache, None),
        (
            [Rule("/mine/*", None, override=True), Rule("/mine/*", 60, override=True)],
            cached(60),
            None,
        ),
    ],
)
async def test_an_overridden_annotation_is_not_checked(
    rules: list[Rule], mark: Any, words: str | None
) -> None:
    """What replaces it is, and so is one that is overridden for some paths only."""
    async with CacheManager(redis_url=None) as manager:
        client = Client(_keyed(rules, mark, manager))
        if words is None:
            reply = await client.get("/mine/1", headers=[(b"x-api-key", b"k")])
            assert reply.body == b'"k"'
        else:
            with pytest.raises(ConfigError, match=words):
                await client.get("/mine/1", headers=[(b"x-api-key", b"k")])


def test_an_overridden_annotation_need_not_have_an_effect() -> None:
    """It is as if it were not there, also where it could do nothing."""
    route = Route("/x", cached(60)(Origin()), methods=["POST"])
    app = Starlette(routes=[route])
    with pytest.raises(ConfigError, match="only POST is taken"):
        RouteTable(app).check()
    RouteTable(app, rules=[Rule("/*", None, override=True)]).check()


def test_override_is_a_boolean() -> None:
    """As the other switches of a rule."""
    with pytest.raises(ConfigError, match="override='yes' is not allowed"):
        Rule("/a", None, override="yes")  # type: ignore[arg-type]


# The whole process.


@pytest.mark.parametrize("word", ["off", "OFF", " Off "])
def test_off_by_the_environment_nothing_is_opened(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file and no thread: neither at the start nor by reading nor by a change that failed."""
    monkeypatch.setenv("ASGI_MULTITIER_MODE", word)
    file = tmp_path / "cache.db"
    shop = Shop(sqlite=file, namespace="off")
    before = set(threading.enumerate())
    with TestClient(shop.app) as client:
        assert detail(client, "/products") == "fwd=bypass; detail=off"
        assert client.put("/products?price=none").status_code == 422
        assert client.put("/nothing").status_code == 404
        opened = [thread.name for thread in set(threading.enumerate()) - before]
        assert not [name for name in opened if "sqlite" in name or "multitier" in name]
        assert not list(tmp_path.iterdir())
        assert not shop.manager.running

        client.put("/products?price=2")
        assert shop.manager.running
        assert list(tmp_path.iterdir())
    assert not shop.manager.running


def test_off_what_a_handler_invalidates_is_told_and_the_cache_is_closed_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The middleware closes what it has not started itself, too."""
    shop = Shop(mode="off")
    closed: list[bool] = []
    close = shop.manager.close

    async def closing() -> None:
        closed.append(shop.manager.running)
        await close()

    monkeypatch.setattr(shop.manager, "close", closing)

    @shop.app.get("/hook")
    async def hook() -> bool:
        return await shop.manager.invalidate_tags("products")

    with TestClient(shop.app) as client:
        assert client.get("/hook").json() is True
        assert shop.manager.running
    assert closed == [True]


def test_switched_on_again_nothing_is_served_that_was_changed_meanwhile(tmp_path: Path) -> None:
    """Not by this process, and not by one that was off from its start, out of the shared file."""
    file = tmp_path / "cache.db"
    shared = {"sqlite": file, "namespace": "switch"}
    one, other = Shop(**shared), Shop(**shared, mode="off")
    with TestClient(one.app) as first, TestClient(other.app) as second:
        assert is_hit(first, "/products")
        one.manager.mode = "off"
        one.price = 2
        first.put("/products?price=2")
        other.price = 2
        assert detail(second, "/products").endswith("off")
        one.manager.mode = other.manager.mode = "on"
        assert first.get("/products").json() == 2
        assert second.get("/products").json() == 2
