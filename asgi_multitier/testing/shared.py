"""The contract of a shared tier: one table of promises, one test each."""

# ruff: noqa: S101  # assertions are what this module is for

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ClassVar

from ..errors import BackendError
from ..tiers.base import Held, LocalTier, SharedTier

MINUTE = 60.0


class SharedTierContract:
    """The contract of every `SharedTier`. Derive a class and define `make`; other hooks may stay.

    Attributes:
        keeps: Whether the tier stores anything; False for one that is switched off.
        tells_remaining: Whether `Held.remaining` is a number.
        shortest_ttl: The shortest lifetime in seconds that the tier distinguishes from a longer
            one; the suite lets about twice that time pass.
    """

    keeps: ClassVar[bool] = True
    tells_remaining: ClassVar[bool] = True
    shortest_ttl: ClassVar[float] = 0.05

    async def make(self) -> SharedTier:
        """A new, empty tier with room for 2 MB."""
        raise NotImplementedError

    async def make_again(self) -> SharedTier | None:
        """A second handle on the last tier, as in another process. None skips the test."""
        return None

    async def make_neighbour(self) -> SharedTier | None:
        """Another application's tier in the same back end. None skips the test."""
        return None

    async def make_broken(self) -> SharedTier | None:
        """A tier whose back end is unreachable. None skips the test."""
        return None

    async def pass_time(self, seconds: float) -> None:
        """Let this time pass for the back end. Override it to advance a fake clock instead."""
        await asyncio.sleep(seconds)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[SharedTier]:
        """A new tier, closed at the end."""
        tier = await self.make()
        try:
            yield tier
        finally:
            await tier.close()

    def check(self, held: Held | None, value: bytes | None) -> None:
        """Assert that the tier's reply is correct for a key with this value; None for absent."""
        if value is None or not self.keeps:
            assert held is None
            return
        assert held is not None
        assert held.value == value
        assert isinstance(held.value, bytes)
        assert (held.remaining is not None) is self.tells_remaining

    async def test_is_a_shared_tier(self) -> None:
        """It has the protocol's methods, a name, and cannot be taken for a local tier."""
        async with self.opened() as tier:
            other: object = tier

            assert isinstance(tier, SharedTier)
            assert not isinstance(other, LocalTier)
            assert isinstance(tier.name, str)
            assert tier.name

    async def test_absent_key_reads_none(self) -> None:
        """A key that was never set reads as None, without an error."""
        async with self.opened() as tier:
            assert await tier.get("absent") is None

    async def test_bytes_come_back_as_they_were(self) -> None:
        """No byte is special, none is added, and empty bytes are a value."""
        values = {"empty": b"", "zero": b"\0", "all": bytes(range(256)), "big": b"\r\n" * 100_000}
        async with self.opened() as tier:
            for key, value in values.items():
                await tier.set(key, value, MINUTE)

            for key, value in values.items():
                self.check(await tier.get(key), value)

    async def test_set_replaces(self) -> None:
        """A key has one value, the one set last."""
        async with self.opened() as tier:
            await tier.set("a", b"old", MINUTE)
            await tier.set("a", b"new", MINUTE)

            self.check(await tier.get("a"), b"new")

    async def test_keys_do_not_touch_each_other(self) -> None:
        """Any printable character may stand in a key, up to 200 of them; none is a wildcard."""
        printable = "".join(map(chr, range(33, 127)))
        keys = ["a", "A", "a:b", "*", "?", "[a]", "a%00", printable, "k" * 199, "k" * 200]
        async with self.opened() as tier:
            await tier.set_many({key: (key.encode(), MINUTE) for key in keys})

            for key in keys:
                self.check(await tier.get(key), key.encode())
            assert await tier.delete(["*"]) == int(self.keeps)
            self.check(await tier.get("a"), b"a")

    async def test_get_many_keeps_the_order_asked(self) -> None:
        """One answer for each key, absent ones and repeated ones included."""
        async with self.opened() as tier:
            await tier.set_many({"a": (b"1", MINUTE), "b": (b"2", MINUTE)})
            found = await tier.get_many(["b", "absent", "a", "b"])

            assert len(found) == 4
            for held, value in zip(found, (b"2", None, b"1", b"2"), strict=True):
                self.check(held, value)

    async def test_many_keys_at_once(self) -> None:
        """More keys than one command or statement accepts."""
        items = {f"key-{i}": (str(i).encode(), MINUTE) for i in range(1_100)}
        async with self.opened() as tier:
            keys = list(items)
            for start in range(0, len(keys), 100):
                await tier.set_many({key: items[key] for key in keys[start : start + 100]})
            found = await tier.get_many(keys)

            for held, (value, _) in zip(found, items.values(), strict=True):
                self.check(held, value)

    async def test_nothing_asked_is_nothing_done(self) -> None:
        """Empty batches are no error."""
        async with self.opened() as tier:
            await tier.set_many({})

            assert await tier.get_many([]) == []
            assert await tier.delete([]) == 0

    async def test_delete_forgets_and_counts_what_was_there(self) -> None:
        """Absent keys are no error, and any iterable will do."""
        async with self.opened() as tier:
            await tier.set_many(dict.fromkeys("abc", (b"x", MINUTE)))

            assert await tier.delete(key for key in ("a", "b", "absent")) == 2 * int(self.keeps)
            assert await tier.delete(["a"]) == 0
            self.check(await tier.get("a"), None)
            self.check(await tier.get("c"), b"x")

    async def test_clear_forgets_everything(self) -> None:
        """After `clear` the tier is empty and usable."""
        async with self.opened() as tier:
            await tier.set_many(dict.fromkeys("abc", (b"x", MINUTE)))
            await tier.clear()

            assert await tier.get_many("abc") == [None, None, None]
            await tier.set("a", b"again", MINUTE)
            self.check(await tier.get("a"), b"again")
            self.check(await tier.get("b"), None)

    async def test_remaining_is_what_is_left(self) -> None:
        """Never more than the given lifetime, counted from the time of `set`."""
        async with self.opened() as tier:
            await tier.set("a", b"x", MINUTE)
            first = await tier.get("a")
            if not self.keeps or not self.tells_remaining:
                return
            await self.pass_time(self.shortest_ttl)
            second = await tier.get("a")

            assert first is not None
            assert first.remaining is not None
            assert MINUTE / 2 < first.remaining <= MINUTE
            assert second is not None
            assert second.remaining is not None
            assert second.remaining <= first.remaining - self.shortest_ttl / 2

    async def test_lifetime_ends(self) -> None:
        """After its lifetime a value is absent for every method."""
        async with self.opened() as tier:
            await tier.set("short", b"x", self.shortest_ttl)
            await tier.set("long", b"x", MINUTE)
            await self.pass_time(2.2 * self.shortest_ttl)

            assert await tier.get("short") is None
            assert await tier.get_many(["short"]) == [None]
            assert await tier.delete(["short"]) == 0
            self.check(await tier.get("long"), b"x")

    async def test_set_gives_a_new_lifetime(self) -> None:
        """The lifetime given last counts, longer or shorter."""
        async with self.opened() as tier:
            await tier.set("longer", b"old", self.shortest_ttl)
            await tier.set("longer", b"new", MINUTE)
            await tier.set("shorter", b"old", MINUTE)
            await tier.set("shorter", b"new", self.shortest_ttl)
            await self.pass_time(2.2 * self.shortest_ttl)

            self.check(await tier.get("longer"), b"new")
            self.check(await tier.get("shorter"), None)

    async def test_concurrent_callers_get_their_own(self) -> None:
        """Every concurrent caller gets the value of its own key."""
        async with self.opened() as tier:
            names = [f"key-{i}" for i in range(50)]
            await asyncio.gather(*(tier.set(name, name.encode(), MINUTE) for name in names))
            found = await asyncio.gather(*(tier.get(name) for name in names))

            for held, name in zip(found, names, strict=True):
                self.check(held, name.encode())

    async def test_cancelled_caller_leaves_the_others_their_answers(self) -> None:
        """Wherever a caller is cancelled, the next one gets the value of its own key."""
        async with self.opened() as tier:
            await tier.set_many({"a": (b"1", MINUTE), "b": (b"2", MINUTE)})
            for turns in range(12):
                cancelled = asyncio.create_task(tier.get("a"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                cancelled.cancel()
                await asyncio.gather(cancelled, return_exceptions=True)

                self.check(await tier.get("b"), b"2")

    async def test_other_processes_see_the_same(self) -> None:
        """What one handle does, another finds."""
        async with self.opened() as tier:
            other = await self.make_again()
            if other is None:
                return
            try:
                await tier.set("a", b"x", MINUTE)
                self.check(await other.get("a"), b"x")
                await other.clear()
                self.check(await tier.get("a"), None)
                await tier.set("b", b"y", MINUTE)
                self.check(await other.get("b"), b"y")
            finally:
                await other.close()

    async def test_neighbours_do_not_meet(self) -> None:
        """Another application's keys are not read, not deleted and not cleared."""
        async with self.opened() as tier:
            neighbour = await self.make_neighbour()
            if neighbour is None:
                return
            try:
                await neighbour.set("a", b"theirs", MINUTE)
                self.check(await tier.get("a"), None)
                assert await tier.delete(["a"]) == 0
                await tier.set("a", b"ours", MINUTE)
                self.check(await neighbour.get("a"), b"theirs")
                await tier.clear()
                self.check(await neighbour.get("a"), b"theirs")
            finally:
                await neighbour.close()

    async def test_ping_returns(self) -> None:
        """`ping` succeeds if the back end answers."""
        async with self.opened() as tier:
            await tier.ping()

    async def test_close_may_be_called_twice(self) -> None:
        """Closing what is closed is no error, used or not."""
        tier = await self.make()
        await tier.close()
        await tier.close()
        async with self.opened() as used:
            await used.get("a")
            await used.close()

    async def test_failures_are_backend_errors(self) -> None:
        """Every failure of the back end is a `BackendError` for the caller."""
        tier = await self.make_broken()
        if tier is None:
            return
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "get": lambda: tier.get("a"),
            "get_many": lambda: tier.get_many(["a", "b"]),
            "set": lambda: tier.set("a", b"x", MINUTE),
            "set_many": lambda: tier.set_many({"a": (b"x", MINUTE)}),
            "delete": lambda: tier.delete(["a"]),
            "clear": tier.clear,
            "ping": tier.ping,
        }
        try:
            for name, call in calls.items():
                assert await _says_why(call()), name
        finally:
            await tier.close()

    async def test_repr_says_something(self) -> None:
        """The text names the class."""
        async with self.opened() as tier:
            assert type(tier).__name__ in repr(tier)


async def _says_why(call: Awaitable[object]) -> bool:
    """Whether the call fails with a `BackendError` that has a message."""
    try:
        await call
    except BackendError as error:
        return bool(str(error))
    return False
