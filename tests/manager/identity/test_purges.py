"""A program that drops what an application keeps: it has to mean that application."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from asgi_multitier import CacheManager, ConfigError
from asgi_multitier.manager.identity.loading import caches_of
from tests.patience import until
from tests.servers import ValkeyServer

SHOP = """
from fastapi import FastAPI
from asgi_multitier import CacheManager, CacheMiddleware, cached

app = FastAPI(title="Bookshop")
app.add_middleware(CacheMiddleware, cache=CacheManager(**{settings}))

@app.get("/books/{{id}}")
@cached(60, tags=["books"])
async def book(id: int):
    return id

plain = FastAPI()
wrapped = CacheMiddleware(FastAPI(title="Wrapped"), CacheManager(**{settings}))
"""


@pytest.fixture
def settings(own_valkey: ValkeyServer, tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """Where the application and the program look for the log."""
    if request.param == "sqlite":
        return {"sqlite": str(tmp_path / "cache.db")}
    return {"redis_url": own_valkey.url}


@pytest.fixture
def bookshop(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The module of an application."""
    (tmp_path / "bookshop_main.py").write_text(SHOP.format(settings=settings))
    monkeypatch.syspath_prepend(tmp_path)
    yield "bookshop_main"
    sys.modules.pop("bookshop_main", None)


both = pytest.mark.parametrize("settings", ["redis", "sqlite"], indirect=True)


@both
async def test_program_without_a_name_is_told_the_names(
    settings: Any, bookshop: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It drops nothing, and says which applications it sees; with one of them it drops."""
    async with CacheManager.of(f"{bookshop}:app") as shop:
        await shop.set("book", 1, tags=["books"])
        async with CacheManager(**settings) as program:
            with pytest.raises(ConfigError, match=f"namespace=.*seen there are: {shop.namespace}"):
                await program.invalidate_tags("books")
        assert await shop.get("book") == 1
        async with CacheManager(**settings, namespace=shop.namespace) as program:
            await program.invalidate_tags("books")

        async def gone() -> bool:
            return await shop.get("book") is None

        await until(gone, 5)
    assert "no other process" not in caplog.text


@both
async def test_values_of_a_program_need_no_name(settings: Any) -> None:
    """What it keeps itself it may drop."""
    async with CacheManager(**settings) as program:
        await program.set("a", 1, tags=["t"])
        await program.invalidate_tags("t")
        assert await program.get("a") is None


@both
async def test_name_that_nobody_uses_is_told_once(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A slip of the pen drops nothing, and says so."""
    async with CacheManager(**settings, namespace="shpo") as program:
        await program.invalidate_tags("books")
        await program.invalidate_tags("books")
    assert caplog.text.count("no other process has used the namespace shpo") == 1


TWO = """
import asgi_multitier, fastapi
cache = asgi_multitier.CacheManager(redis_url=None)
for title in ("Seller", "Buyer"):
    app = globals()[title] = fastapi.FastAPI(title=title)
    app.add_middleware(asgi_multitier.CacheMiddleware, cache=cache)
del app
"""


@both
@pytest.mark.usefixtures("settings")
def test_imported_manager_has_its_applications_name(bookshop: str) -> None:
    """A program that takes it from the application's module needs no other word."""
    for app, name in (("app", "Bookshop"), ("wrapped", "Wrapped")):
        (manager,) = caches_of(getattr(importlib.import_module(bookshop), app))
        assert manager.namespace == f"{name}-bookshop_main"


def test_manager_of_two_applications_is_named_after_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of them a program means is not known."""
    (tmp_path / "two_shops.py").write_text(TWO)
    monkeypatch.syspath_prepend(tmp_path)
    cache = importlib.import_module("two_shops").cache
    try:
        assert "Seller" not in cache.namespace
        assert "Buyer" not in cache.namespace
    finally:
        del sys.modules["two_shops"]


@both
@pytest.mark.usefixtures("settings")
async def test_program_that_finds_no_process_of_its_application_says_so(
    bookshop: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It may run as another user, or elsewhere. A process that serves need not be told."""
    async with CacheManager.of(f"{bookshop}:app") as shop:
        await shop.invalidate_tags("books")
        await shop.invalidate_tags("books")
        assert caplog.text.count("no other process of Bookshop") == 1
        caplog.clear()
    sys.modules.pop(bookshop)
    app = importlib.import_module(bookshop).app
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://books"
    ) as client:
        assert (await client.get("/books/1")).status_code == 200
    (manager,) = caches_of(app)
    await manager.invalidate_tags("books")
    await manager.close()
    assert "no other process" not in caplog.text


@both
@pytest.mark.usefixtures("settings")
def test_manager_of_an_application(bookshop: str) -> None:
    """It is the application's own, found in it or around it."""
    assert CacheManager.of(f"{bookshop}:app").namespace == "Bookshop-bookshop_main"
    assert CacheManager.of(f"{bookshop}:wrapped").namespace == "Wrapped-bookshop_main"
    for wrong in (f"{bookshop}:plain", f"{bookshop}:nothing", "nowhere_at_all:app", bookshop, ""):
        with pytest.raises(ConfigError, match="target="):
            CacheManager.of(wrong)
