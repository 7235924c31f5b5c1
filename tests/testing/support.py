"""Runs of pytest inside of a test, with the plugin."""

import pytest

import asgi_multitier.testing.detector
import asgi_multitier.testing.fleet  # noqa: F401  # a run inside must not import them again

INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""

SHOP = """
from fastapi import FastAPI
from asgi_multitier import CacheManager, CacheMiddleware, cached, invalidates

cache = CacheManager()
app = FastAPI(title="Shop of the tests")
app.add_middleware(CacheMiddleware, cache=cache)
books = {1: "Momo"}

@app.get("/books/{id}")
@cached(60, tags=["book:{id}"], stale_while_revalidate=30)
async def book(id: int):
    return books[id]

@app.put("/books/{id}")
@invalidates(tags=["book:{id}"])
async def edit(id: int):
    return {}

@app.put("/quiet/{id}")
async def quiet(id: int):
    return {}

@app.get("/drop")
async def drop():
    await cache.invalidate_tags("book:1")
"""

HEAD = """
import asyncio, httpx, pytest
from starlette.testclient import TestClient
from asgi_multitier.testing import *

def asking(app):
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://testserver")
"""


def run(
    pytester: pytest.Pytester, test: str, *options: str, app: str = SHOP, apart: bool = False
) -> pytest.RunResult:
    """Run a test file with an application in `shop.py`.

    Args:
        pytester: Pytest's own fixture.
        test: The file's text.
        *options: Of the command line.
        app: The application.
        apart: Whether it runs in a process of its own.
    """
    pytester.makefile(".ini", pytest=INI)
    pytester.makepyfile(shop=app, test_shop=HEAD + test)
    given = ("-p", "pytest_asgi_multitier", "-p", "no:cacheprovider", "-p", "no:cov", *options)
    if apart:
        return pytester.runpytest_subprocess(*given)
    pytester.syspathinsert()
    return pytester.runpytest_inprocess(*given)
