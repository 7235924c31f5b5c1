"""FastAPI, with annotations on its endpoints and `add_middleware`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import BackgroundTasks, FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.responses import FileResponse, StreamingResponse

from asgi_multitier import CacheManager, CacheMiddleware, cached, invalidates
from tests.compat import shop

PACKAGES = ("fastapi", "starlette")
LACKS: dict[str, str] = {}


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    shop.note("started")
    yield
    shop.note("closed")


def build(cache: CacheManager | None = None) -> FastAPI:
    """The application without a cache."""
    app = FastAPI(lifespan=lifespan)

    @app.get("/items/{id}")
    @cached(60, tags=["items", "item:{id}"])
    def item(id: int, response: Response) -> dict[str, int]:  # noqa: A002
        response.headers["x-own"] = "1"
        return shop.item(id)

    @app.put("/items/{id}")
    async def change(id: int) -> dict[str, int]:  # noqa: A002
        return {"changed": id}

    @app.put("/tags/{tag}")
    @invalidates(tags=["{tag}"])
    async def drop(tag: str) -> dict[str, str]:
        return {"dropped": tag}

    @app.get("/slow")
    @cached(60)
    async def slow() -> dict[str, int]:
        return await shop.slow()

    @app.get("/cookie")
    @cached(60)
    async def cookie(response: Response) -> dict[str, int]:
        response.set_cookie("visitor", "1")
        return {"run": shop.note("cookie")}

    @app.get("/stream")
    @cached(60)
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            for part in shop.PARTS[:-1]:
                yield part
            await shop.wait_at_gate("stream")
            yield shop.PARTS[-1]

        return StreamingResponse(parts(), media_type="text/plain")

    @app.get("/background")
    @cached(60)
    async def background(tasks: BackgroundTasks) -> dict[str, int]:
        tasks.add_task(shop.afterwards)
        return {"run": shop.note("background")}

    @app.get("/file")
    @cached(60)
    async def file() -> FileResponse:
        return FileResponse(shop.file())

    @app.get("/error")
    @cached(60)
    async def error() -> None:
        shop.note("error")
        raise shop.ShopError("sold out")

    @app.get("/missing/{id}")
    @cached(60)
    async def missing(id: int) -> None:  # noqa: A002
        shop.note("missing")
        raise HTTPException(404, f"no {id}")

    @app.post("/echo")
    async def echo(request: Request) -> Response:
        return Response(await request.body())

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    return app


def add_cache(app: FastAPI, cache: CacheManager) -> FastAPI:
    """The same with the cache, as the framework adds a middleware."""
    app.add_middleware(CacheMiddleware, cache=cache)
    return app
