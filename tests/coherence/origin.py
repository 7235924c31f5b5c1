"""The consistency probe's application: numbers that all processes share, and ways to edit them.

Set up by the environment: `VERSIONS` is a file of 64-bit numbers, `NOTES` one of lines, `GO` one
that opens the slow route by being there, `LIFETIME` the seconds that numbers are kept (300 unless
given), `REDIS_TIMEOUT` the seconds that Redis is waited for (0.25). `DEPENDENCIES` adds an edit
that commits in a dependency of FastAPI. `REDIS_URL` and `ASGI_MULTITIER_*` are as ever.
"""

import asyncio
import os
import socket
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from asgi_multitier import CacheManager, CacheMiddleware, cached, invalidates
from tests.coherence.versions import Versions

versions = Versions(Path(os.environ["VERSIONS"]))
gate = asyncio.Event()
gate.set()
"""Shut, it holds every fill that asked to be held, after it has read its number."""

held: list[int] = []
"""What fills that asked to be held had read; emptied when the gate is shut."""

commits = asyncio.Event()
commits.set()
"""Shut, it holds every edit that commits after its answer, before it commits."""


def number(request: Request) -> int:
    return int(request.path_params["key"])


@cached(float(os.environ.get("LIFETIME", "300")), tags=["v:{key}"])
async def read(request: Request) -> Response:
    version = versions[number(request)]
    if "held" in request.query_params:
        held.append(version)
        await gate.wait()
    return PlainTextResponse(str(version))


async def edit(request: Request) -> Response:
    return PlainTextResponse(str(versions.raise_by_one(number(request))))


@invalidates(tags=["v:{key}"])
async def edit_by_tag(request: Request) -> Response:
    return await edit(request)


@invalidates(paths=["/v/{key}"])
async def edit_by_path(request: Request) -> Response:
    return await edit(request)


@invalidates(patterns=["/v/{key}*"])
async def edit_by_glob(request: Request) -> Response:
    return await edit(request)


async def _commit(key: int) -> None:
    await commits.wait()
    versions.raise_by_one(key)


@invalidates(tags=["v:{key}"])
async def edit_in_background(request: Request) -> Response:
    """Commits when the answer has been sent."""
    return PlainTextResponse("soon", background=BackgroundTask(_commit, number(request)))


@cached(300, tags=["lagging:{key}"])
async def read_replica(request: Request) -> Response:
    return PlainTextResponse(str(versions[number(request)]))


@invalidates(tags=["lagging:{key}"], settle=0.5)
async def edit_primary(request: Request) -> Response:
    """The replica that `read_replica` reads is brought up to date by the test."""
    return PlainTextResponse("ok")


def note(line: str) -> None:
    """Leave a line for the test."""
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(line + "\n")


async def let_go() -> None:
    """Wait until the test lets go."""
    while not Path(os.environ["GO"]).exists():  # noqa: ASYNC110, ASYNC240  # made by the test
        await asyncio.sleep(0.005)


@cached(300, tags=["slow"], coalesce="fleet", coalesce_timeout=300)
async def slow(request: Request) -> Response:
    """Notes that it runs, and in which process, and waits to be let go."""
    note(str(os.getpid()))
    await let_go()
    return PlainTextResponse("slow " * 200)


async def open_or_shut(request: Request) -> Response:
    event = {"gate": gate, "commits": commits}[request.path_params["which"]]
    (event.set if request.path_params["how"] == "open" else event.clear)()
    held.clear()
    return PlainTextResponse("ok")


async def drop_many(request: Request) -> Response:
    """Drop so many tags, as many in one call as are taken."""
    tags = [f"many:{each}" for each in range(int(request.path_params["count"]))]
    for start in range(0, len(tags), 64):
        await request.state.cache.invalidate_tags(*tags[start : start + 64])
    return PlainTextResponse("ok")


async def stats(request: Request) -> Response:
    manager: CacheManager = request.state.cache
    reading = manager.invalidation_stats()
    shared = manager.engine.stack.shared
    names = ("sent", "gaps", "flushes", "overflows", "queued", "gen", "seq", "trusted")
    return JSONResponse(
        {
            **{name: getattr(reading, name) for name in names},
            "node": manager.engine.log._follower.node,  # type: ignore[attr-defined]
            "pending": manager.engine.index.pending_count,
            "held": len(held),
            "tasks": len(asyncio.all_tasks()),
            "failures": dict(manager.engine.events.failures),
            "unwritten": sum(placed.failures["set"] for placed in shared),
            "errors": [placed.last_error for placed in shared],
            "leases": len(getattr(manager.engine.leases, "_waiting", ())),
            "waiting": sum(f.waiting for f in manager.engine.flights._flights.values()),
        }
    )


def application(cache: CacheManager | None = None) -> Starlette:
    """One instance of the application, with a cache of its own.

    Args:
        cache: That cache; by default as the environment says.
    """
    routes: list[BaseRoute] = [
        Route("/v/{key}", read),
        Route("/tag/{key}", edit_by_tag, methods=["PUT"]),
        Route("/path/{key}", edit_by_path, methods=["PUT"]),
        Route("/glob/{key}", edit_by_glob, methods=["PUT"]),
        Route("/background/{key}", edit_in_background, methods=["PUT"]),
        Route("/replica/{key}", read_replica),
        Route("/primary/{key}", edit_primary, methods=["PUT"]),
        Route("/slow/{name}", slow),
        Route("/set/{which}/{how}", open_or_shut),
        Route("/many/{count}", drop_many, methods=["PUT"]),
        Route("/stats", stats),
    ]
    if "DEPENDENCIES" in os.environ:
        from tests.coherence.unit_of_work import unit_of_work

        routes.append(Mount("/dependency", unit_of_work(_commit)))
    made = Starlette(routes=routes)
    made.add_middleware(
        CacheMiddleware,
        cache=cache or CacheManager(redis_timeout=float(os.environ.get("REDIS_TIMEOUT", "0.25"))),
        read_your_writes="ASGI_MULTITIER_SECRET" in os.environ,
    )
    return made


def serve(app: Starlette, listener: socket.socket) -> None:
    """Serve until a signal comes."""
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    uvicorn.Server(config).run([listener])
