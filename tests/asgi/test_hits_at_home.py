"""A hit is answered at once only where the cache lives: in its thread, while its loop runs."""

import asyncio
import os
import threading
from typing import Any

import pytest

from asgi_multitier.asgi import hits as hits_module

from .test_hits import Told, World, scope_of, told

PLAIN = scope_of("GET", "/plain/1", [])


@pytest.fixture(params=[False, True], autouse=True)
def _both(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to ask for the running loop: one is faster with Python 3.11, the other since."""
    told.clear()
    monkeypatch.setattr(hits_module, "_KNOWS_LOOP", request.param)


def ready(world: World) -> object:
    """What is ready for a request, here."""
    middleware: Any = world.middleware
    scope = dict(PLAIN)
    _, layout = middleware._layouts.read(scope)
    kept = middleware._plans.find(scope, b"shop.example")
    return middleware._hits.ready(kept, layout, scope)


async def _ask(world: World, times: int = 3) -> None:
    for _ in range(times):
        await world.ask(dict(PLAIN))


async def test_it_is_ready_in_the_loop_of_the_cache() -> None:
    """Until the cache does not live there any more."""
    world = World(Told)
    async with world.manager:
        await _ask(world)
        assert told == [200] * 2
        assert ready(world) is not None
        world.manager.home.make_room()
        assert ready(world) is None


async def test_another_thread_gets_nothing_at_once() -> None:
    """Whether or not a loop runs in it: what a hit reads belongs to one thread."""
    world = World(Told)
    got: list[object] = []

    async def here() -> None:
        got.append(ready(world))

    async with world.manager:
        await _ask(world)
        for target in (lambda: got.append(ready(world)), lambda: asyncio.run(here())):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert got == [None, None]


def test_a_loop_that_stands_still_is_no_home() -> None:
    """Another one runs in the same thread, and nothing reads the log in that of the cache."""
    world = World(Told)
    one, other = asyncio.new_event_loop(), asyncio.new_event_loop()

    async def here() -> object:
        return ready(world)

    one.run_until_complete(world.manager.start())
    one.run_until_complete(_ask(world))
    assert one.run_until_complete(here()) is not None
    assert other.run_until_complete(here()) is None
    assert ready(world) is None
    one.run_until_complete(world.manager.close())
    one.close()
    other.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
async def test_a_forked_process_is_not_at_home() -> None:
    """The loop that it has a copy of says that it runs."""
    world = World(Told)
    async with world.manager:
        await _ask(world)
        child = os.fork()
        if not child:
            os._exit(0 if ready(world) is None else 1)
        _, status = os.waitpid(child, 0)  # noqa: ASYNC222  # it ends at once
        assert status == 0
        assert ready(world) is not None
