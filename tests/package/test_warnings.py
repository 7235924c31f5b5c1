"""Nothing warns in development mode, where each warning is an error."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes

LIFE = """
import asyncio
from asgi_multitier import CacheManager, CacheMiddleware, cached, invalidates
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

@cached(60, tags=["item:{id}"])
async def item(request):
    return PlainTextResponse("item")

@invalidates(tags=["item:{id}"])
async def change(request):
    return PlainTextResponse("changed")

app = Starlette(routes=[
    Route("/items/{id}", item),
    Route("/items/{id}", change, methods=["PUT"]),
])
cache = CacheManager(SETTINGS, namespace="warnings")
wrapped = CacheMiddleware(app, cache)

async def ask(method):
    details = []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "method": method, "path": "/items/1",
        "raw_path": b"/items/1", "query_string": b"", "headers": [(b"host", b"shop.test")],
        "scheme": "http", "http_version": "1.1", "root_path": "", "server": None, "client": None,
    }
    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}
    async def send(message):
        details.extend(v for n, v in message.get("headers", ()) if n == b"cache-status")
    await wrapped(scope, receive, send)
    return b"hit" in b"".join(details)

async def main():
    messages = asyncio.Queue()
    answers = asyncio.Queue()
    scope = {"type": "lifespan", "state": {}}
    life = asyncio.create_task(wrapped(scope, messages.get, answers.put))
    await messages.put({"type": "lifespan.startup"})
    assert (await answers.get())["type"] == "lifespan.startup.complete"
    async with asyncio.timeout(60):
        while not await ask("GET"):  # on a busy machine a file is trusted late
            await asyncio.sleep(0)
    hits = [await ask(method) for method in ("GET", "PUT", "GET")]
    assert hits == [True, False, False], hits
    assert (await cache.explain("GET", "/items/1")).verdict
    await cache.set("k", 1)
    assert await cache.get("k") == 1
    await messages.put({"type": "lifespan.shutdown"})
    assert (await answers.get())["type"] == "lifespan.shutdown.complete"
    await life

asyncio.run(main())
"""

ALL = """
import importlib, pkgutil, asgi_multitier
for one in pkgutil.walk_packages(asgi_multitier.__path__, "asgi_multitier."):
    if not one.name.endswith("__main__"):
        importlib.import_module(one.name)
"""

PROGRAMS = {
    "in memory": ["-c", LIFE.replace("SETTINGS", "redis_url=None")],
    "in a file": ["-c", LIFE.replace("SETTINGS", "sqlite='cache.db'")],
    "all modules": ["-c", ALL],
    "the command line": ["-m", "asgi_multitier", "--help"],
    "a command": ["-m", "asgi_multitier", "stats", "--help"],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_warns(name: str, tmp_path: Path) -> None:
    """Nor is anything written to stderr, as of files or tasks that were left open."""
    command = [sys.executable, "-W", "error", "-X", "dev", *PROGRAMS[name]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
