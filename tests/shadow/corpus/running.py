"""Runs of the corpus: each application with its traffic, without a cache and with one."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from asgi_multitier._types import ASGIApp
from asgi_multitier.shadow.report import Report
from asgi_multitier.testing import FakeClock
from tests.shadow.corpus.alike import Alike
from tests.shadow.corpus.application import Application
from tests.shadow.corpus.traffic import Step, Traffic
from tests.shadow.corpus.world import Working, World
from tests.support import Cache, Client, caching, pass_time, settled

AS_IT_COMES = Alike()


async def uncached(
    application: Application, alike: Alike = AS_IT_COMES, seed: str = ""
) -> list[Step]:
    """What the application answers alone: the truth.

    Args:
        application: The application.
        alike: What all requests are to have alike.
        seed: Chooses other traffic of the same kind.
    """
    world = _world(application, alike, seed)
    return await _driven(application, _made(application, world), world, alike)


_truths: dict[str, list[Step]] = {}


async def truth_of(application: Application) -> list[Step]:
    """The truth about its usual traffic, found once in a process."""
    if application.name not in _truths:
        _truths[application.name] = await uncached(application)
    return _truths[application.name]


async def cached(
    application: Application, alike: Alike = AS_IT_COMES, seed: str = ""
) -> list[Step]:
    """What clients get from a cache with what the application declares; see `uncached`."""
    world = _world(application, alike, seed)
    async with _caching(application, world) as cache:
        return await _driven(application, cache.middleware, world, alike)


async def shadowed(application: Application, seed: str = "") -> tuple[list[Step], Report]:
    """What clients get while the cache only observes, and what it tells; see `uncached`."""
    world = _world(application, AS_IT_COMES, seed)
    async with _caching(application, world, mode="shadow") as cache:
        await cache.manager.start()  # as a server does before it takes requests
        steps = await _driven(application, cache.middleware, world, AS_IT_COMES)
        # What other processes may have dropped is waited for; here there are none.
        await pass_time(2)
        return steps, await cache.manager.report()


def _world(application: Application, alike: Alike, seed: str) -> World:
    world = World(FakeClock(), application.name + seed)
    world.is_still = alike.is_still
    return world


def _made(application: Application, world: World) -> ASGIApp:
    app = application.make(world)
    app.add_middleware(Working, world=world)
    return app


def _caching(
    application: Application, world: World, **settings: Any
) -> AbstractAsyncContextManager[Cache]:
    settings = {**application.settings, "clock": world.clock, "wall": world.clock, **settings}
    return caching(_made(application, world), application.rules, **settings)


async def _driven(application: Application, app: ASGIApp, world: World, alike: Alike) -> list[Step]:
    traffic = Traffic(Client(app), world, alike)
    await application.drive(traffic)
    await settled()
    return traffic.steps


@dataclass(frozen=True)
class Wrong:
    """An answer that a client should not have got.

    Attributes:
        given: What it got.
        right: What the application answers alone.
    """

    given: Step
    right: Step

    def __str__(self) -> str:
        given, right = self.given, self.right
        return (
            f"{given.method} {given.target}: {given.status} {given.body[:200]!r},"
            f" and alone {right.status} {right.body[:200]!r}"
        )


def wrong_answers(given: list[Step], truth: list[Step]) -> list[Wrong]:
    """What differs from the truth, but for reads during which a change was under way.

    Args:
        given: What clients got.
        truth: What they get without a cache, from the same traffic.
    """
    assert [(s.method, s.target) for s in given] == [(s.method, s.target) for s in truth]
    return [
        Wrong(one, other)
        for one, other in zip(given, truth, strict=True)
        if one.method in ("GET", "HEAD")
        and not (one.raced or other.raced)
        and (one.status, one.body) != (other.status, other.body)
    ]
