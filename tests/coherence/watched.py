"""The probe's application, watched to its end: it tells when it stops, and what it leaves behind.

Lines of `NOTES`: `renewing` when a background run has begun, `stopping` when the application itself
has stopped and its cache has not, and `left` with the names of the tasks that there are at last.
With `HOLDS_ITS_END` in the environment the application notes `ending`, and waits to be let go.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import cached
from tests.coherence.origin import application, let_go, note

_filled: set[str] = set()


@cached(0.05, stale_while_revalidate=300)
async def renewed(request: Request) -> Response:
    """Answers at once the first time; a run after that takes until it is let go."""
    if request.url.path not in _filled:
        _filled.add(request.url.path)
        return PlainTextResponse("first")
    note("renewing")
    await let_go()
    return PlainTextResponse("renewed")


@asynccontextmanager
async def _lifespan(_: Starlette) -> AsyncIterator[None]:
    yield
    if "HOLDS_ITS_END" in os.environ:
        note("ending")
        await let_go()
    note("stopping")


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for _ in range(20):
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        note(" ".join(["left", *sorted(task.get_name() for task in left)]))


def serve(*listeners: socket.socket) -> None:
    """Serve until a signal comes."""
    app = application()
    app.router.lifespan_context = _lifespan
    app.router.routes.append(Route("/renewed/{name}", renewed))
    _Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(list(listeners))
