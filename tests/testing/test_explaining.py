"""`explain` for a test client: what this client would send."""

from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from asgi_multitier import CacheManager, CacheMiddleware, cached
from asgi_multitier.testing import explain


def shop() -> FastAPI:
    """An application with a cache."""
    app = FastAPI()
    app.add_middleware(CacheMiddleware, cache=CacheManager(redis_url=None, namespace="shop"))

    @app.get("/products/{number}")
    @cached(300, tags=["product:{number}"], cookies=["theme"])
    async def product(number: int) -> int:
        return number

    @app.post("/find")
    @cached(300, methods=["POST"], body="json", vary_by=lambda _: "all")
    async def find(what: dict[str, int]) -> int:
        return len(what)

    return app


def test_a_client_in_a_test_without_a_loop() -> None:
    """Its own fields and cookies count."""
    with TestClient(shop()) as client:
        assert explain(client, "GET", "/products/1").verdict == "miss"
        client.get("/products/1")
        found = explain(client, "GET", "/products/1")
        assert (found.verdict, found.tags) == ("hit", ("product:1",))
        client.cookies.set("theme", "dark")
        assert explain(client, "GET", "/products/1").verdict == "miss"
        asked = explain(client, "GET", "/products/1", headers={"authorization": "Bearer x"})
        assert asked.reason == "authorization"


async def test_a_client_in_an_async_test() -> None:
    """Awaited; with content and callables."""
    transport = httpx.ASGITransport(shop())
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        await client.post("/find", json={"a": 1})
        asked: dict[str, Any] = {"json": {"a": 1}, "run_callables": True}
        assert (await explain(client, "POST", "/find", **asked)).verdict == "hit"
        assert (await explain(client, "POST", "/find", json={"a": 1})).unknown == ("vary_by",)


def test_clients_of_other_applications_are_refused() -> None:
    """It says what to do."""
    with pytest.raises(AssertionError, match="no CacheMiddleware"):
        explain(TestClient(FastAPI()), "GET", "/")
    with httpx.Client() as client, pytest.raises(AssertionError, match="is not known"):
        explain(client, "GET", "http://shop/")
