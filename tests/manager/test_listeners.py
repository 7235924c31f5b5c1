"""A manager holds none of the applications that it had: tests make one after the other."""

import gc
from collections.abc import Callable
from weakref import ref

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from asgi_multitier import CacheManager, CacheMiddleware, cached
from asgi_multitier.explain import Verdict
from asgi_multitier.manager.listeners import Held, Listeners
from tests.support import Client


class Listener:
    """Counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def call(self) -> None:
        """One more."""
        self.calls += 1


def test_a_listener_is_called_while_it_lives() -> None:
    """What is gone takes no room from the next one on."""
    listeners, first, second = Listeners(), Listener(), Listener()
    listeners.add(first.call)
    listeners.add(second.call)
    listeners.call()
    assert (first.calls, second.calls) == (1, 1)

    del first
    gc.collect()
    listeners.call()
    listeners.add(Listener().call)
    gc.collect()
    listeners.add(second.call)
    listeners.call()

    assert second.calls == 4
    assert len(listeners._methods) == 2


def test_a_listener_may_add_one_when_it_is_called() -> None:
    """Which is called the next time."""
    listeners, added = Listeners(), Listener()

    class Adding(Listener):
        def call(self) -> None:
            """Adds one."""
            listeners.add(added.call)

    adding = Adding()
    listeners.add(adding.call)
    listeners.call()

    assert added.calls == 0


def test_the_latest_stands_first_while_it_lives() -> None:
    """And those that are gone are left out."""
    held, kept = Held[Listener](), [Listener() for _ in range(3)]
    for one in kept:
        held.add(one)
    assert held.alive() == kept[::-1]

    del one, kept[1]
    gc.collect()
    assert held.alive() == kept[::-1]
    held.add(Listener())
    gc.collect()
    held.add(kept[0])
    assert len(held._all) == 3


def application(number: int) -> Starlette:
    """One with a cached route of its own."""

    @cached(60)
    async def endpoint(request: object) -> Response:
        return Response(str(number))

    return Starlette(routes=[Route(f"/{number}", endpoint)])


async def test_applications_are_not_held() -> None:
    """All but the first, which warm-ups ask, and the last, which the cache is named after."""
    async with CacheManager(redis_url=None, namespace="many") as manager:
        seen: list[Callable[[], object]] = []
        for number in range(5):
            app = application(number)
            middleware = CacheMiddleware(app, manager)
            await Client(middleware).get(f"/{number}")
            seen.append(ref(app))
        gc.collect()

        assert [one() is None for one in seen] == [False, True, True, True, False]


async def test_what_lives_is_told_and_asked() -> None:
    """After others are gone and garbage was collected."""
    async with CacheManager(redis_url=None, namespace="many") as manager:
        for number in range(3):
            middleware = CacheMiddleware(application(number), manager)
            await Client(middleware).get(f"/{number}")
        gc.collect()

        assert (await manager.explain("GET", "/2")).verdict is Verdict.HIT
        generation = middleware._planning.generation
        manager.mode = "off"
        assert middleware._planning.generation > generation
        assert "/2" in {row.route for row in manager.routes().routes}
