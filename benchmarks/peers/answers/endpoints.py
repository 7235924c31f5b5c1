"""The endpoints, for caches of FastAPI applications.

Each cache marks them in its own way: as a decorator of functions, by arguments of the route, or not
at all where it stands around the application.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, TypeAlias
from uuid import uuid4

from fastapi import Cookie, FastAPI, Header, HTTPException, Response
from fastapi.responses import StreamingResponse

from .data import RUNS, down, edit, run, version

Mark: TypeAlias = Callable[..., Callable[[Any], Any]]
"""Takes the path of a route and the names of the arguments that its response depends on, and
returns a decorator."""


def unmarked(*_: str) -> Callable[[Any], Any]:
    """The mark of a cache that stands around the application."""
    return lambda function: function


def application(
    *,
    cached: Mark = unmarked,
    edits: Mark = unmarked,
    arguments: Callable[[str], dict[str, Any]] = lambda _: {},
    edit_arguments: Callable[[str], dict[str, Any]] = lambda _: {},
    stream_fields: dict[str, str] | None = None,
) -> FastAPI:
    """The application, without what stands around it.

    Args:
        cached: Marks an endpoint whose response is cached.
        edits: Marks an endpoint after which what is cached of its path is wrong.
        arguments: Of a cached route, by its path.
        edit_arguments: Of an editing route, by its path.
        stream_fields: Fields of the streamed response, to which FastAPI adds none of a dependency.
    """
    app = FastAPI()
    _plain(app, cached, edits, arguments, edit_arguments)
    _of_clients(app, cached, arguments)
    _unusual(app, cached, arguments)
    _stream(app, cached, arguments, stream_fields)

    @app.get("/runs")
    async def runs() -> dict[str, int]:
        return RUNS

    return app


def _plain(app: FastAPI, cached: Mark, edits: Mark, arguments: Any, edit_arguments: Any) -> None:
    @app.get("/plain/{row}", **arguments("/plain/{row}"))
    @cached("/plain/{row}", "row")
    async def plain(row: str) -> dict[str, Any]:
        return {"run": run("plain"), "version": version(f"plain{row}")}

    @app.put("/plain/{row}", **edit_arguments("/plain/{row}"))
    @edits("/plain/{row}", "row")
    async def edit_plain(row: str) -> dict[str, Any]:
        return {"version": edit(f"plain{row}")}

    @app.get("/slow/{row}", **arguments("/slow/{row}"))
    @cached("/slow/{row}", "row")
    async def slow(row: str) -> dict[str, Any]:
        found = version(f"slow{row}")
        number = run("slow")
        await asyncio.sleep(0.5)
        return {"run": number, "version": found}

    @app.put("/slow/{row}", **edit_arguments("/slow/{row}"))
    @edits("/slow/{row}", "row")
    async def edit_slow(row: str) -> dict[str, Any]:
        return {"version": edit(f"slow{row}")}

    @app.get("/fragile/{row}", **arguments("/fragile/{row}"))
    @cached("/fragile/{row}", "row")
    async def fragile(row: str) -> dict[str, Any]:
        if down():
            raise HTTPException(500)
        return {"run": run("fragile")}


def _of_clients(app: FastAPI, cached: Mark, arguments: Any) -> None:
    """Endpoints whose response depends on more than the path."""

    @app.get("/language/{row}", **arguments("/language/{row}"))
    @cached("/language/{row}", "row", "accept_language")
    async def language(
        row: str, response: Response, accept_language: Annotated[str, Header()] = ""
    ) -> dict[str, Any]:
        response.headers["Vary"] = "Accept-Language"
        return {"run": run("language"), "to": accept_language}

    @app.get("/own/{row}", **arguments("/own/{row}"))
    @cached("/own/{row}", "row", "authorization")
    async def own(row: str, authorization: Annotated[str, Header()] = "") -> dict[str, Any]:
        return {"run": run("own"), "to": authorization}

    @app.get("/session/{row}", **arguments("/session/{row}"))
    @cached("/session/{row}", "row", "session")
    async def session(row: str, session: Annotated[str, Cookie()] = "") -> dict[str, Any]:
        return {"run": run("session"), "to": session}

    @app.get("/login/{row}", **arguments("/login/{row}"))
    @cached("/login/{row}", "row")
    async def login(row: str, response: Response) -> dict[str, Any]:
        response.set_cookie("session", uuid4().hex)
        return {"run": run("login")}


def _unusual(app: FastAPI, cached: Mark, arguments: Any) -> None:
    @app.get("/fields/{row}", **arguments("/fields/{row}"))
    @cached("/fields/{row}", "row")
    async def fields(row: str, response: Response) -> dict[str, Any]:
        response.headers["X-Total"] = "7"
        response.headers.append("Link", "</a>; rel=preload")
        response.headers.append("Link", "</b>; rel=preload")
        return {"run": run("fields")}

    @app.get("/private/{row}", **arguments("/private/{row}"))
    @cached("/private/{row}", "row")
    async def private(row: str, response: Response) -> dict[str, Any]:
        response.headers["Cache-Control"] = "no-store"
        return {"run": run("private")}

    @app.get("/failing/{row}", **arguments("/failing/{row}"))
    @cached("/failing/{row}", "row")
    async def failing(row: str, response: Response) -> dict[str, Any]:
        response.status_code = 503
        return {"run": run("failing")}


def _stream(app: FastAPI, cached: Mark, arguments: Any, fields: dict[str, str] | None) -> None:
    @app.get("/stream/{row}", response_model=None, **arguments("/stream/{row}"))
    @cached("/stream/{row}", "row")
    async def stream(row: str) -> StreamingResponse:
        return StreamingResponse(_parts(run("stream")), media_type="text/plain", headers=fields)


async def _parts(number: int) -> AsyncIterator[bytes]:
    for part in range(3):
        yield f"run {number}, part {part}\n".encode()
        await asyncio.sleep(0.4)
