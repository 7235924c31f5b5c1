"""One application of the demo in memory, and what its answers say."""

import asyncio
import contextlib
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

import httpx
import redis
from starlette.applications import Starlette

from demo_app.__main__ import create_app
from demo_app.catalogue import Catalogue, Draft
from demo_app.fleet.fleet import Fleet
from demo_app.fleet.instance import ROOT
from demo_app.settings import Settings
from demo_app.source import SlowSource
from tests.patience import wait_for

DRAFT = Draft(name="Plain Kite", category="toys", price_cents=1999, stock=3)
HERE = "http://127.0.0.1:8001"
PAGES = ("http://127.0.0.1:8000", "http://localhost:8000")
TOKEN = "operator-of-the-demo-" + 32 * "o"
OPERATOR = {"authorization": f"Bearer {TOKEN}"}


async def at_once(_: float) -> None:
    """Return at once."""


@contextlib.asynccontextmanager
async def lifespan_of(app: Starlette) -> AsyncIterator[None]:
    """Run an application's lifespan around the block, as a server does."""
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outbox: asyncio.Queue[Any] = asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan", "state": {}}, inbox.get, outbox.put))
    for event in ("startup", "shutdown"):
        await inbox.put({"type": f"lifespan.{event}"})
        assert {"type": f"lifespan.{event}.complete"} == await outbox.get()
        if event == "startup":
            yield
    await task


@contextlib.asynccontextmanager
async def client_of(
    framework: Any,
    *,
    pages: Sequence[str] = PAGES,
    sleep: Callable[[float], Awaitable[None]] = at_once,
) -> AsyncIterator[tuple[httpx.AsyncClient, SlowSource]]:
    """A client of one application in memory, and its source, by default without delays."""
    app = create_app(Settings(framework=framework, pages=pages, token=TOKEN))
    app.state.source.close()
    app.state.source = source = SlowSource(Catalogue(), sleep=sleep)
    transport = httpx.ASGITransport(app)
    async with (
        lifespan_of(app),
        httpx.AsyncClient(transport=transport, base_url=HERE) as client,
    ):
        yield client, source


def is_hit(response: httpx.Response) -> bool:
    """Whether the response came from a tier."""
    return "; hit;" in response.headers["cache-status"]


def ask(url: str, **more: Any) -> httpx.Response:
    """GET, with the patience of a machine that is busy."""
    return httpx.get(url, timeout=60, **more)


@contextlib.contextmanager
def started(*arguments: str) -> "Iterator[subprocess.Popen[str]]":
    """A Python module as a program, with pipes; it does not outlive the block."""
    with subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def new_product(fleet: Fleet) -> int:
    """A product that no other test has asked for."""
    made = httpx.post(f"{fleet.addresses[0]}/products", json=DRAFT.model_dump(), timeout=60)
    number: int = made.raise_for_status().json()["id"]
    return number


def until_whole(fleet: Fleet) -> None:
    """Wait until all instances follow the log, have nothing to tell, and write the second tier."""
    for address in fleet.addresses:
        wait_for(lambda address=address: _is_whole(address), 20)  # type: ignore[misc]


def _is_whole(address: str) -> bool:
    """Whether what an instance answers now reaches the second tier."""
    before = ask(f"{address}/instance").json()
    ask(f"{address}/products?category={secrets.token_hex(4)}").raise_for_status()
    after = ask(f"{address}/instance").json()
    return bool(after["trusted"] and not after["queued"] and after["shared"] > before["shared"])


@contextlib.contextmanager
def shared(redis_url: str) -> Iterator[None]:
    """Leave the block when the second tier has one more entry (written after the response)."""
    with redis.Redis.from_url(redis_url) as server:
        before = server.dbsize()
        yield
        wait_for(lambda: server.dbsize() > before)
