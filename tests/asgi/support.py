"""What tests of the middleware share: a burst, origins that fail, a shop whose value changes."""

import asyncio
from collections.abc import AsyncIterator, Iterator

from fastapi import Depends, FastAPI
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, Response

from asgi_multitier import CacheStrategy, cached, invalidates
from asgi_multitier._types import Receive, Scope, Send
from tests.support import Cache, Origin, Reply, settled


async def gathered(cache: Cache, origin: Origin, number: int) -> list["asyncio.Task[Reply]"]:
    """A leader in the origin, and so many others that wait for it."""
    origin.gate.clear()
    tasks = [cache.client.begin("/x") for _ in range(number + 1)]
    await origin.arrived.acquire()
    await settled()
    return tasks


class BoomError(Exception):
    """What the origin raises."""


async def boom(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail before the start."""
    raise BoomError("before the start")


async def boom_after_start(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail after the start."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise BoomError("after the start")


async def boom_after_half(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail after half a body."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise BoomError("after half the body")


async def boom_after_half_with_length(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail after half a body whose length is known."""
    lines = [(b"content-length", b"8")]
    await send({"type": "http.response.start", "status": 200, "headers": lines})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise BoomError("after half the body")


class Shop:
    """A value, an endpoint that reads it, and endpoints that change it in all usual ways."""

    def __init__(self) -> None:
        self.value = 0
        self.reads = 0

    def app(self) -> FastAPI:
        """The application."""
        app = FastAPI()

        @app.get("/products/{number}")
        @cached(CacheStrategy.SHORT_TERM, tags=["product:{number}", "products"])
        async def product(number: int, lang: str = "en") -> int:
            self.reads += 1
            return self.value

        @app.get("/products")
        @cached(CacheStrategy.SHORT_TERM, tags=["products"], key="all-products")
        async def products() -> int:
            return self.value

        @app.get("/reports/{year}")
        @cached(CacheStrategy.LONG_TERM)
        async def report(year: int) -> int:
            return self.value

        async def session() -> AsyncIterator[None]:
            """Commits after the response was sent, as FastAPI's own documentation has it."""
            yield
            self.value += 1

        def sync_session() -> Iterator[None]:
            yield
            self.value += 1

        @app.put("/products/{number}", dependencies=[Depends(session)])
        @invalidates(tags=["product:{number}"])
        async def commit_late(number: int) -> str:
            return "ok"

        @app.post("/products/{number}", dependencies=[Depends(sync_session)])
        @invalidates(tags=["product:{number}"])
        def commit_late_in_a_thread(number: int) -> str:
            return "ok"

        @app.delete("/products/{number}")
        @invalidates(tags=["products"], routes=[report], patterns=["/reports/*"])
        async def delete(number: int) -> str:
            self.value += 1
            return "ok"

        @app.patch("/products/{number}")
        @invalidates(paths=["/products", "/products/{number}"])
        async def in_background(number: int) -> Response:
            async def work() -> None:
                await asyncio.sleep(0)
                self.value += 1

            return PlainTextResponse("ok", background=BackgroundTask(work))

        return app
