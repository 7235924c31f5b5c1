"""The page, and what its buttons do: kill and restart parts of the fleet, and send a burst.

It is no part of the package: it belongs to the process that has started the others.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..ports import origins_of
from .burst import burst
from .fleet import Fleet, NotNowError
from .guard import refusal

PAGE = Path(__file__).parents[1] / "page"


class Guarded:
    """Refuses what the guard refuses, and adds to each answer what keeps it to this page."""

    def __init__(self, app: ASGIApp, fleet: Fleet, origins: tuple[str, ...]) -> None:
        self._app = app
        self._token = fleet.token
        self._origins = origins
        self._fields = {
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "referrer-policy": "no-referrer",
            "content-security-policy": (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
                f"connect-src 'self' {' '.join(fleet.addresses)}; "
                "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def furnished(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._fields)
            await send(message)

        refused = refusal(scope["method"], Headers(scope=scope), self._origins, self._token)
        app = self._app
        if refused is not None:
            app = JSONResponse({"detail": refused.detail}, status_code=refused.status)
        await app(scope, receive, furnished)


def create_control(fleet: Fleet, origins: tuple[str, ...]) -> Starlette:
    """The application behind the page.

    Args:
        fleet: What it is to show, kill and restart.
        origins: Where it is reached.
    """

    async def state(_: Request) -> Response:
        return JSONResponse(await run_in_threadpool(fleet.state))

    async def act(request: Request) -> Response:
        name, act = request.path_params["name"], request.path_params["act"]
        if name not in fleet.parts or act not in ("kill", "restart"):
            raise HTTPException(404, "there is no such part or no such button")
        try:
            await run_in_threadpool(fleet.kill if act == "kill" else fleet.restart, name)
        except NotNowError as error:
            raise HTTPException(409, str(error)) from error
        except RuntimeError as error:
            raise HTTPException(503, str(error)) from error
        return JSONResponse(await run_in_threadpool(fleet.state))

    async def send_burst(request: Request) -> Response:
        name, how = request.path_params["name"], request.path_params["how"]
        found = [one.address for one in fleet.instances if one.name == name]
        if not found or how not in ("coalesced", "each"):
            raise HTTPException(404, "there is no such instance or no such burst")
        try:
            return JSONResponse(await burst(found[0], coalesce=how == "coalesced"))
        except OSError as error:
            raise HTTPException(503, f"{name} does not answer: {error}") from error

    async def refused(_: Request, error: Any) -> Response:
        return JSONResponse({"detail": error.detail}, status_code=error.status_code)

    return Starlette(
        routes=[
            Route("/fleet", state),
            Route("/parts/{name}/{act}", act, methods=["POST"]),
            Route("/bursts/{name}/{how}", send_burst, methods=["POST"]),
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ],
        middleware=[Middleware(Guarded, fleet=fleet, origins=origins)],
        exception_handlers={HTTPException: refused},
    )


@contextlib.contextmanager
def serving(fleet: Fleet, listening: socket.socket) -> Iterator[None]:
    """Serve the page in a thread of its own until the end of the block."""
    app = create_control(fleet, origins_of(listening))
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
