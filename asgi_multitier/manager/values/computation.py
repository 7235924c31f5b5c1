"""A compute function as the origin of a run, and what a run for a value brings."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, TypeVar

from ...config.policy import Policy
from ...engine.coalescing import Flight
from ...engine.engine import Engine
from ...engine.runs import Run
from ...entry import Entry, Slot
from ...policy.reasons import Reason
from .entries import entry_of
from .reading import MISSING, Reader, Writer
from .store import Values

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """One caller's question for a value that may have to be computed.

    Attributes:
        key: The key.
        compute: A function without arguments, sync or async.
        policy: Lifetime and options.
        tags: What the value will be found by.
        read: Makes a value of stored bytes.
        write: Makes bytes of what the function returns.
    """

    key: str
    compute: Callable[[], Any]
    policy: Policy
    tags: tuple[str, ...]
    read: Reader
    write: Writer


@dataclass(frozen=True, slots=True)
class Result:
    """What a run brings.

    Attributes:
        payload: The value's bytes, for everybody.
        value: The value itself, for who computed it; MISSING if it was computed elsewhere.
        by: The flight that brought it.
    """

    payload: bytes
    value: Any = MISSING
    by: "Flight[Result] | None" = None


class Computation:
    """What a run for a value asks: the function.

    Args:
        engine: The cache.
        values: The cache's values.
        ask: Whose question opened the flight.
        flight: The flight.
        run: Its run.
    """

    def __init__(
        self,
        engine: Engine,
        values: Values,
        ask: Ask,
        flight: "Flight[Result]",
        run: "Run[Result]",
    ) -> None:
        self._engine = engine
        self._values = values
        self._ask = ask
        self._flight = flight
        self._run = run

    async def ask(self) -> None:
        """Run the function, keep what it returns, and answer the flight."""
        ask = self._ask
        value = await called(ask.compute)
        payload = ask.write(value)
        born, now = self._flight.seed.born, self._engine.clock()
        entry = entry_of(ask.key, payload, ask.policy, ask.tags, born=born, now=now)
        kept = self._kept(entry, payload)
        self._run.answered(Result(payload, value, self._flight))
        self._run.publisher.publish([entry] if kept else [])

    def _kept(self, entry: Entry, payload: bytes) -> bool:
        if self._values.too_large(payload):
            self._engine.events.refused[Reason.OVERSIZED] += 1
            return False
        return isinstance(self._run.keep(entry), Slot)

    async def find_elsewhere(self) -> Result | None:
        """What another process has stored by now, if it does for this caller."""
        found = await self._engine.stack.fetch(self._ask.key)
        if found is None or not isinstance(payload := found.slot.entry.payload, bytes):
            return None
        if not found.slot.entry.is_current(self._engine.clock()):
            return None
        value = self._values.parsed(payload, self._ask.read)
        return None if value is MISSING else Result(payload)


async def called(compute: Callable[[], T | Awaitable[T]]) -> T:
    """What the function returns, sync or async."""
    value = compute()
    if isawaitable(value):
        return await value
    return value
