"""Runs of guarded endpoints: what they are born at, who leads, what ends them."""

import asyncio
import functools
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request, Response
from starlette.middleware.gzip import GZipMiddleware

from asgi_multitier import CacheManager, CacheMiddleware, ConfigError, cached, invalidates
from asgi_multitier.asgi.guarded.origin import EndpointOrigin
from asgi_multitier.entry import StoredResponse
from tests.patience import until
from tests.servers import ValkeyServer
from tests.support import settled

from .office import Office, status


def client_of(app: Any, manager: CacheManager) -> httpx.AsyncClient:
    """A client of an application behind a cache."""
    transport = httpx.ASGITransport(CacheMiddleware(app, manager), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://runs")


def memory() -> CacheManager:
    """A cache of one test."""
    return CacheManager(redis_url=None, namespace="runs")


@pytest.mark.parametrize("coalesce", [True, "fleet"])
async def test_what_a_dependency_has_read_before_an_edit_is_not_kept(
    valkey: ValkeyServer, namespace: str, coalesce: Any
) -> None:
    """The answer is as old as its request, whatever was waited for since."""
    app, price = FastAPI(title="Reads"), [1]
    reading, edited = asyncio.Event(), asyncio.Event()

    async def read() -> int:
        found = price[0]
        reading.set()
        await edited.wait()
        return found

    @app.get("/price")
    @cached(60, guarded="shared", tags=["price"], coalesce=coalesce)
    async def show(found: Annotated[int, Depends(read)]) -> int:
        return found

    async with (
        CacheManager(redis_url=valkey.url, namespace=namespace) as manager,
        client_of(app, manager) as client,
    ):
        asked = asyncio.create_task(client.get("/price"))
        await reading.wait()
        price[0] = 2
        await manager.invalidate_tags("price")
        edited.set()

        assert (await asked).json() == 1
        assert (await client.get("/price")).json() == 2


async def test_a_waiting_client_that_leaves_never_leads() -> None:
    """Nor does it keep those who come later waiting."""
    office = Office()
    office.gate.clear()
    async with office.client:
        leader = asyncio.create_task(office.get("/orders/7"))
        await office.arrived.acquire()
        waiting = asyncio.create_task(office.get("/orders/7"))
        await until(lambda: office.guards == 2)
        await settled()
        (flight,) = office.manager.engine.flights._flights.values()
        assert flight.waiting == 1
        waiting.cancel()
        await settled()
        assert flight.waiting == 0
        leader.cancel()
        office.gate.set()
        async with asyncio.timeout(10):
            assert (await office.get("/orders/7")).status_code == 200
    await office.manager.close()


async def test_an_endpoint_that_asks_for_its_own_url_does_not_wait_for_itself() -> None:
    """The request inside is answered past the cache."""
    app, manager, inside = FastAPI(title="Nests"), memory(), list[str]()

    @app.get("/x")
    @cached(60, guarded=True)
    async def x(depth: int = 0) -> int:
        if not inside:
            inside.append("")
            inside[0] = status(await client.get("/x"))
        return depth

    async with manager, client_of(app, manager) as client, asyncio.timeout(10):
        assert (await client.get("/x")).json() == 0

    assert inside == ["fwd=uri-miss detail=nested"]


async def test_hard_timeout_ends_the_endpoint() -> None:
    """It is in its own request, so that sees the failure."""
    app, manager = FastAPI(title="Hangs"), memory()

    @app.get("/x")
    @cached(60, guarded=True, hard_timeout=0.05)
    async def x() -> None:
        await asyncio.Event().wait()

    async with manager, client_of(app, manager) as client, asyncio.timeout(10):
        assert (await client.get("/x")).status_code == 500


async def test_a_guarded_function_that_is_called_is_a_function() -> None:
    """By another endpoint, by a dependency, and by itself."""
    app, manager = FastAPI(title="Calls"), memory()

    @cached(60, guarded=True)
    async def part(request: Request) -> str:
        return "part"

    async def before(request: Request) -> None:
        assert await part(request) == "part"

    @app.get("/x", dependencies=[Depends(before)])
    @cached(60, guarded=True)
    async def x(request: Request, again: bool = True) -> Any:
        inner = await x(request, False) if again else None
        return {"again": again, "part": await part(request), "inner": inner}

    app.get("/part")(part)
    expected = {
        "again": True,
        "part": "part",
        "inner": {"again": False, "part": "part", "inner": None},
    }
    async with manager, client_of(app, manager) as client:
        for _ in range(2):
            answer = await client.get("/x")
            assert answer.json() == expected
        assert status(answer) == "hit detail=l1"
        assert (await client.get("/part")).json() == "part"


async def test_a_layer_that_changes_the_path_stores_nothing_under_the_old_one() -> None:
    """The key is of the path that came."""
    app, manager = FastAPI(title="Moves"), memory()

    @app.get("/items/{number}")
    @cached(60, guarded=True)
    async def item(number: int) -> int:
        return number

    async def moving(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/items/1" and moves:
            scope = {**scope, "path": "/items/2", "raw_path": b"/items/2"}
        await app(scope, receive, send)

    moving.app = app  # type: ignore[attr-defined]  # so that its routes are found
    moves = [True]
    async with manager, client_of(moving, manager) as client:
        moved = await client.get("/items/1")
        moves.clear()

        assert (moved.json(), status(moved)) == (2, "fwd=bypass detail=mismatch")
        assert (await client.get("/items/1")).json() == 1


async def test_a_status_of_a_dependency_is_of_each_request() -> None:
    """On a miss and on a hit; it is not stored."""
    app, manager, set_to = FastAPI(title="Statuses"), memory(), [203, None, 206]

    def guard(response: Response) -> None:
        response.status_code = set_to.pop(0)

    @app.get("/x", dependencies=[Depends(guard)])
    @cached(60, guarded=True)
    async def x() -> str:
        return "x"

    async with manager, client_of(app, manager) as client:
        answers = [await client.get("/x") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [203, 200, 206]
    assert [answer.json() for answer in answers] == ["x"] * 3
    assert status(answers[2]) == "hit detail=l1"


async def test_a_stream_for_a_run_is_kept_up_to_the_largest_entry() -> None:
    """One piece more than that, so that the run sees it."""
    origin = EndpointOrigin(2048)

    async def source() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1024

    heard = [chunk async for chunk in origin.heard(source(), "utf-8")]

    assert len(heard) == 100
    assert origin._chunks.qsize() <= 4


def test_marks_of_this_package_stand_on_each_other_and_others_do_not_hide_among_them() -> None:
    """A decorator with `functools.wraps` looks like the function, and may check something."""

    class Item:
        """What is changed."""

        sku = "a"

    @invalidates(tags=["sku:{item.sku}"])
    async def change(item: Item) -> None:
        """An endpoint."""

    @functools.wraps(change)
    async def checked(*args: Any, **kwargs: Any) -> None:
        return await change(*args, **kwargs)

    assert cached(60, guarded=True)(change).__wrapped__ is change
    with pytest.raises(ConfigError, match="a decorator below"):
        cached(60, guarded=True)(checked)


async def test_what_is_kept_of_a_hit_is_the_stored_content() -> None:
    """Not what a layer has made of it: that is not accounted for."""
    app, manager = FastAPI(title="Kept"), memory()
    app.add_middleware(GZipMiddleware)

    @app.get("/x")
    @cached(60, guarded=True)
    async def x() -> str:
        return "x" * 2000

    async with manager, client_of(app, manager) as client:
        for coding in ("gzip", "gzip", "identity", "gzip"):
            await client.get("/x", headers={"accept-encoding": coding})
        slots = list(manager.engine.stack.local._slots.values())  # type: ignore[attr-defined]
        (slot,) = (each for each in slots if isinstance(each.entry.payload, StoredResponse))

        assert slot.replay.told.body is slot.entry.payload.body
