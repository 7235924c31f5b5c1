"""The contract suites notice tiers that break the contract."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from inspect import iscoroutine, iscoroutinefunction
from typing import Any

import pytest

from asgi_multitier.entry import Slot
from asgi_multitier.errors import BackendError
from asgi_multitier.testing import FakeClock, LocalTierContract, SharedTierContract
from asgi_multitier.tiers.base import Held, LocalTier, SharedTier


class DictTier:
    """A shared tier as a user would write one: a dict and a clock."""

    def __init__(self, store: dict[str, tuple[bytes, float]], clock: FakeClock, mark: str) -> None:
        self.name = "dict"
        self.store = store
        self.clock = clock
        self.mark = mark

    async def get(self, key: str) -> Held | None:
        value, ends = self.store.get(self.mark + key, (b"", 0.0))
        return Held(value, ends - self.clock()) if ends > self.clock() else None

    async def get_many(self, keys: Sequence[str]) -> list[Held | None]:
        return [await self.get(key) for key in keys]

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        self.store[self.mark + key] = (value, self.clock() + ttl)

    async def set_many(self, items: Mapping[str, tuple[bytes, float]]) -> None:
        for key, (value, ttl) in items.items():
            await self.set(key, value, ttl)

    async def delete(self, keys: Iterable[str]) -> int:
        there = [key for key in keys if await self.get(key)]
        return sum(self.store.pop(self.mark + key, None) is not None for key in there)

    async def clear(self) -> None:
        for key in [key for key in self.store if key.startswith(self.mark)]:
            del self.store[key]

    async def ping(self) -> None:
        """Always there."""

    async def close(self) -> None:
        """Nothing to release."""


class BrokenTier(DictTier):
    """Fails as the contract says."""

    async def _fail(self, *_: Any) -> Any:
        raise BackendError("away")

    get = get_many = set = set_many = delete = clear = ping = _fail


def contract(made: type[DictTier], broken: type[DictTier] = BrokenTier) -> SharedTierContract:
    """The suite for a tier of that class."""

    class Suite(SharedTierContract):
        def __init__(self) -> None:
            self.clock = FakeClock()
            self.store: dict[str, tuple[bytes, float]] = {}

        async def make(self) -> SharedTier:
            return made(self.store, self.clock, "ours ")

        async def make_again(self) -> SharedTier:
            return await self.make()

        async def make_neighbour(self) -> SharedTier:
            return made(self.store, self.clock, "theirs ")

        async def make_broken(self) -> SharedTier:
            return broken(self.store, self.clock, "")

        async def pass_time(self, seconds: float) -> None:
            self.clock.advance(seconds)

    return Suite()


def failures(make_suite: Callable[[], object]) -> set[str]:
    """The tests of a suite that fail, each run on an instance of its own, as pytest does."""
    failed = set()
    for name in dir(make_suite()):
        if not name.startswith("test_"):
            continue
        test: Callable[[], Awaitable[None]] = getattr(make_suite(), name)
        try:
            if iscoroutinefunction(test):
                asyncio.run(test())
            else:
                test()
        except Exception:  # noqa: BLE001  # whatever a faulty tier makes of it
            failed.add(name)
    return failed


def test_good_tier_passes() -> None:
    """A dict and a clock are enough to keep the contract."""
    assert failures(lambda: contract(DictTier)) == set()


class NoExpiry(DictTier):
    async def set(self, key: str, value: bytes, ttl: float) -> None:
        self.store[self.mark + key] = (value, math.inf)


class KeepsFirstLifetime(DictTier):
    async def set(self, key: str, value: bytes, ttl: float) -> None:
        _, ends = self.store.get(self.mark + key, (b"", self.clock() + ttl))
        self.store[self.mark + key] = (value, ends)


class KeepsFirstValue(DictTier):
    async def set(self, key: str, value: bytes, ttl: float) -> None:
        if await self.get(key) is None:
            await super().set(key, value, ttl)


class EmptyIsAbsent(DictTier):
    async def get(self, key: str) -> Held | None:
        held = await super().get(key)
        return held if held and held.value else None


class Shuffles(DictTier):
    async def get_many(self, keys: Sequence[str]) -> list[Held | None]:
        return [await self.get(key) for key in sorted(set(keys))]


class ClearsAll(DictTier):
    async def clear(self) -> None:
        self.store.clear()


class ClearsNothing(DictTier):
    async def clear(self) -> None:
        """Forgets to forget."""


class NoNamespace(DictTier):
    def __init__(self, store: dict[str, tuple[bytes, float]], clock: FakeClock, mark: str) -> None:
        super().__init__(store, clock, "")


class CountsAbsent(DictTier):
    async def delete(self, keys: Iterable[str]) -> int:
        keys = list(keys)
        await super().delete(keys)
        return len(keys)


class WholeLifetime(DictTier):
    async def get(self, key: str) -> Held | None:
        held = await super().get(key)
        return Held(held.value, 60.0) if held else None


class LowerCase(DictTier):
    async def set(self, key: str, value: bytes, ttl: float) -> None:
        await super().set(key.lower(), value, ttl)

    async def get(self, key: str) -> Held | None:
        return await super().get(key.lower())


class Text(DictTier):
    async def get(self, key: str) -> Held | None:
        held = await super().get(key)
        return Held(bytearray(held.value), held.remaining) if held else None  # type: ignore[arg-type]


class OwnMemory(DictTier):
    def __init__(self, store: dict[str, tuple[bytes, float]], clock: FakeClock, mark: str) -> None:
        super().__init__({}, clock, mark)


class ClosesOnce(DictTier):
    closed = False

    async def close(self) -> None:
        assert not self.closed
        self.closed = True


class Nameless(DictTier):
    def __init__(self, store: dict[str, tuple[bytes, float]], clock: FakeClock, mark: str) -> None:
        super().__init__(store, clock, mark)
        self.name = ""


FAULTS: dict[type[DictTier], str] = {
    NoExpiry: "test_lifetime_ends",
    KeepsFirstLifetime: "test_set_gives_a_new_lifetime",
    KeepsFirstValue: "test_set_replaces",
    EmptyIsAbsent: "test_bytes_come_back_as_they_were",
    Shuffles: "test_get_many_keeps_the_order_asked",
    ClearsAll: "test_neighbours_do_not_meet",
    ClearsNothing: "test_clear_forgets_everything",
    NoNamespace: "test_neighbours_do_not_meet",
    CountsAbsent: "test_delete_forgets_and_counts_what_was_there",
    WholeLifetime: "test_remaining_is_what_is_left",
    LowerCase: "test_keys_do_not_touch_each_other",
    Text: "test_bytes_come_back_as_they_were",
    OwnMemory: "test_other_processes_see_the_same",
    ClosesOnce: "test_close_may_be_called_twice",
    Nameless: "test_is_a_shared_tier",
}


@pytest.mark.parametrize(("made", "test"), FAULTS.items(), ids=lambda v: getattr(v, "__name__", v))
def test_faulty_tier_is_noticed(made: type[DictTier], test: str) -> None:
    """One row for each way to break the contract, and the test that must see it."""
    assert test in failures(lambda: contract(made))


class RaisesItsOwn(BrokenTier):
    async def ping(self) -> None:
        raise OSError("away")


class SwallowsFailures(BrokenTier):
    async def get(self, key: str) -> Held | None:
        return None


@pytest.mark.parametrize("broken", [RaisesItsOwn, SwallowsFailures, DictTier])
def test_other_failures_are_noticed(broken: type[DictTier]) -> None:
    """An error of another kind, and an error that is not said."""
    assert failures(lambda: contract(DictTier, broken)) == {"test_failures_are_backend_errors"}


class LocalDict:
    """A local tier as a user would write one."""

    def __init__(self) -> None:
        self.name = "dict"
        self.slots: dict[str, Slot] = {}

    def get(self, key: str) -> Slot | None:
        return self.slots.get(key)

    def set(self, slot: Slot) -> bool:
        self.slots[slot.entry.key] = slot
        return True

    def delete(self, key: str) -> bool:
        return self.slots.pop(key, None) is not None

    def clear(self) -> None:
        self.slots.clear()

    def __len__(self) -> int:
        return len(self.slots)


class CopiesSlots(LocalDict):
    def get(self, key: str) -> Slot | None:
        slot = super().get(key)
        return Slot(slot.entry) if slot else None


class RaisesOnAbsent(LocalDict):
    def delete(self, key: str) -> bool:
        del self.slots[key]
        return True


def local_contract(made: type[LocalDict]) -> LocalTierContract:
    class Suite(LocalTierContract):
        def make(self) -> LocalTier:
            return made()

    return Suite()


@pytest.mark.parametrize(
    ("made", "test"),
    [
        (LocalDict, None),
        (CopiesSlots, "test_slot_comes_back_as_the_same_object"),
        (RaisesOnAbsent, "test_delete_forgets_one_and_says_whether_it_was_there"),
    ],
    ids=lambda v: getattr(v, "__name__", v),
)
def test_local_tiers_are_judged_too(made: type[LocalDict], test: str | None) -> None:
    """A good one passes, a faulty one is noticed."""
    failed = failures(lambda: local_contract(made))

    assert failed == set() if test is None else test in failed


@pytest.mark.parametrize("suite", [LocalTierContract(), SharedTierContract()], ids=type)
def test_suite_asks_for_a_maker(suite: Any) -> None:
    """A suite that says nothing of how to make a tier fails at once."""
    with pytest.raises(NotImplementedError):
        asyncio.run(made) if iscoroutine(made := suite.make()) else made


def test_optional_hooks_are_optional() -> None:
    """With `make` alone the suite runs, and leaves out what needs more."""

    class Suite(SharedTierContract):
        shortest_ttl = 0.001

        async def make(self) -> SharedTier:
            return DictTier({}, Wall(), "")

    class Wall(FakeClock):
        def __call__(self) -> float:
            return asyncio.get_running_loop().time()

    assert failures(Suite) == set()


def test_fake_clock_moves_when_told() -> None:
    """And says where it stands."""
    clock = FakeClock(5)
    clock.advance(1.5)

    assert clock() == 6.5
    assert repr(clock) == "<FakeClock at 6.5>"
