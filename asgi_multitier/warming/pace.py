"""How a warm-up asks: a few at once, slowly, each on its own."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextvars import Context
from typing import Protocol

from ..errors import ConfigError
from .report import Reply, Results
from .targets import Origin, Target

CONCURRENCY = 2
RATE = 20.0
"""Requests a second."""

PATIENCE = 30.0
"""Seconds that a warm-up waits for one response."""

_MOST_AT_ONCE = 100
_FASTEST = 1_000.0


class Door(Protocol):
    """The application with its cache, as clients ask it."""

    @property
    def origins(self) -> Sequence[Origin]:
        """What clients have asked lately, the most frequent first."""

    async def ask(self, target: Target) -> Reply:
        """Ask as a client would.

        Raises:
            Exception: What the application has raised.
        """

    def is_open(self, target: Target) -> bool:
        """Whether its response may be for anyone, by its rule."""

    def sampled(self, count: int) -> list[Target]:
        """What clients have asked for that is open, of those noted since the last call.

        Args:
            count: How many requests are noted from here on; 0 for none.
        """


def check_pace(concurrency: object, rate: object) -> None:
    """Check how many requests there may be at once, and a second.

    Raises:
        ConfigError: If one is not allowed.
    """
    where = "CacheManager.warm"
    if type(concurrency) is not int or not 1 <= concurrency <= _MOST_AT_ONCE:
        allowed = f"a whole number from 1 to {_MOST_AT_ONCE}"
        raise ConfigError.of("concurrency", concurrency, allowed, where=where)
    if type(rate) not in (int, float) or not 0 < rate <= _FASTEST:  # type: ignore[operator]
        allowed = f"requests a second, above 0 and at most {_FASTEST:g}"
        raise ConfigError.of("rate", rate, allowed, where=where)


async def ask_all(
    targets: Iterable[Target],
    ask: Callable[[Target], Awaitable[Reply]],
    results: Results,
    *,
    concurrency: int = CONCURRENCY,
    rate: float = RATE,
    patience: float = PATIENCE,
    goes_on: Callable[[], bool] = lambda: True,
) -> int:
    """Ask for all targets; none that fails ends the others.

    Args:
        targets: What is asked for.
        ask: Asks for one.
        results: Where what becomes of each is counted.
        concurrency: Requests at once at most.
        rate: Requests a second at most.
        patience: Seconds that one response may take.
        goes_on: Whether another one is asked for; the first is in any case.

    Returns:
        How many have been asked for.
    """
    free = asyncio.Semaphore(concurrency)

    async def asked(target: Target) -> None:
        try:
            async with asyncio.timeout(patience):
                results.add(target, await ask(target))
        except Exception as error:  # noqa: BLE001  # of the application; it is counted
            results.add(target, error)
        finally:
            free.release()

    begun = 0
    async with asyncio.TaskGroup() as group:
        for target in targets:
            if begun:
                await asyncio.sleep(1 / rate)
            await free.acquire()
            if begun and not goes_on():
                break
            begun += 1
            # What was set around the caller, such as a request, is not around these.
            name = "asgi-multitier warm-up"
            group.create_task(asked(target), name=name, context=Context())
    return begun
