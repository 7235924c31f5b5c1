"""Runs of the corpus: each application with its traffic, without a cache and with one."""

from dataclasses import dataclass

from asgi_multitier._types import ASGIApp
from asgi_multitier.testing import FakeClock
from tests.shadow.corpus.alike import Alike
from tests.shadow.corpus.application import Application
from tests.shadow.corpus.traffic import Step, Traffic
from tests.shadow.corpus.world import Working, World
from tests.support import Client, caching, settled

EVERYTHING = Alike()


async def uncached(application: Application, alike: Alike = EVERYTHING) -> list[Step]:
    """What the application answers alone: the truth."""
    world = World(FakeClock(), application.name)
    world.is_still = alike.is_still
    return await _driven(application, _made(application, world), world, alike)


async def cached(application: Application, alike: Alike = EVERYTHING) -> list[Step]:
    """What clients get from a cache with what the application declares."""
    clock = FakeClock()
    world = World(clock, application.name)
    world.is_still = alike.is_still
    app = _made(application, world)
    settings = {**application.settings, "clock": clock, "wall": clock}
    async with caching(app, application.rules, **settings) as cache:
        return await _driven(application, cache.middleware, world, alike)


def _made(application: Application, world: World) -> ASGIApp:
    app = application.make(world)
    app.add_middleware(Working, world=world)
    return app


async def _driven(application: Application, app: ASGIApp, world: World, alike: Alike) -> list[Step]:
    traffic = Traffic(Client(app), world, application.name, alike)
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
