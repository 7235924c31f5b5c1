"""Typed values: what was stored comes back as what it was, or not at all."""

import asyncio
import sys
from dataclasses import dataclass
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest

from asgi_multitier import CacheManager
from asgi_multitier.serializers import JsonSerializer, MsgPackSerializer
from asgi_multitier.testing import FakeClock
from tests.manager.support import Function, in_memory


@dataclass
class Plain:
    id: int
    name: str = ""


class Typed(TypedDict):
    id: int
    name: str


class Struct(msgspec.Struct):
    id: int
    name: str = ""


class Model(pydantic.BaseModel):
    id: int
    name: str = ""


@dataclass
class Changed:
    id: int
    email: str


VALUES: list[tuple[Any, Any]] = [
    (Plain, Plain(1, "ann")),
    (Typed, {"id": 1, "name": "ann"}),
    (Struct, Struct(1, "ann")),
    (Model, Model(id=1, name="ann")),
    (list[Plain], [Plain(1), Plain(2)]),
    (dict[str, Model], {"a": Model(id=1)}),
    (int, 7),
]
IDS = ["dataclass", "TypedDict", "Struct", "Pydantic", "list", "dict", "int"]


@pytest.mark.parametrize("serializer", [JsonSerializer(), MsgPackSerializer()], ids=["json", "mp"])
@pytest.mark.parametrize(("type_", "value"), VALUES, ids=IDS)
async def test_typed_values_come_back_whole(type_: Any, value: Any, serializer: Any) -> None:
    """The first caller gets the computed object, the next one an equal one; no second run."""
    async with in_memory(serializer=serializer) as cache:
        function = Function(value)

        assert await cache.get_or_compute_typed("k", type_, function) is value
        again = await cache.get_or_compute_typed("k", type_, function)
        assert again == value == await cache.get_typed("k", type_)
        assert again is not value or type_ is int
        assert function.runs == 1


async def test_absent_value_gives_the_default() -> None:
    """None unless another is given."""
    async with in_memory() as cache:
        assert await cache.get_typed("k", Plain) is None
        assert await cache.get_typed("k", Plain, Plain(0)) == Plain(0)


async def test_shape_that_no_longer_fits_is_a_miss_and_counted() -> None:
    """A deploy changed the class: the value is computed again, once, and fits from then on."""
    async with in_memory() as cache:
        await cache.set("k", Plain(1, "ann"))
        function = Function(Changed(1, "ann@example.org"))

        assert await cache.get_typed("k", Changed) is None
        assert await cache.get_or_compute_typed("k", Changed, function) is function.value
        assert await cache.get_or_compute_typed("k", Changed, function) == function.value
        assert function.runs == 1
        stats = cache.stats()
        assert stats.failures == {"value-unreadable": 2}
        assert (stats.misses, stats.l1_hits) == (2, 1)


async def test_waiter_of_another_type_computes_for_himself() -> None:
    """The result of the run that a caller joined does not fit the type that it asked for."""
    async with in_memory() as cache:
        first, second = Function(Plain(1, "ann")).close(), Function(Changed(1, "a@b.c"))
        one = asyncio.create_task(cache.get_or_compute_typed("k", Plain, first))
        await first.started.wait()
        two = asyncio.create_task(cache.get_or_compute_typed("k", Changed, second))
        await asyncio.sleep(0)
        first.gate.set()

        assert await one == Plain(1, "ann")
        assert await two == Changed(1, "a@b.c")
        assert cache.stats().total.requests == 2


async def test_value_of_another_format_is_a_miss() -> None:
    """A manager whose serializer was changed reads no garbage."""
    async with in_memory() as cache:
        await cache.set("k", {"a": 1})
        cache.serializer = MsgPackSerializer()
        cache._made_computing = None

        assert await cache.get("k") is None
        assert cache.stats().failures == {"value-unreadable": 1}


async def test_unfitting_stale_value_does_not_stand_in() -> None:
    """A failure is the function's own where nothing fits."""
    clock = FakeClock()
    async with in_memory(clock) as cache:
        await cache.set("k", Plain(1), 10, stale_if_error=60, stale_while_revalidate=60)
        clock.advance(11)
        function = Function()
        function.error = OSError("down")
        with pytest.raises(OSError, match="down"):
            await cache.get_or_compute_typed("k", Changed, function)


async def test_pydantic_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of other kinds are kept where it is not installed."""
    monkeypatch.delitem(sys.modules, "pydantic")
    async with CacheManager(redis_url=None) as cache:
        await cache.set("k", Plain(1))

        assert await cache.get_typed("k", Plain) == Plain(1)
