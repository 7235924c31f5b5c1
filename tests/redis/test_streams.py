"""Streams on a real server."""

import asyncio
from typing import Any

import pytest

from asgi_multitier.errors import BackendError, ConfigError
from asgi_multitier.redis import RedisStreams, StreamEntry
from tests.fakeredis_server import Server
from tests.servers import FaultProxy, ValkeyServer


@pytest.fixture
async def streams(server: Server, namespace: str) -> Any:
    made = RedisStreams(server.target, namespace=namespace)
    yield made
    await made.close()


async def test_what_is_published_is_read_in_order(streams: RedisStreams) -> None:
    """Ids rise, and fields are as they were, doubles included."""
    pairs = [("a", "1"), ("b", "2"), ("a", "3")]
    first = await streams.publish("s", pairs)
    second = await streams.publish("s", {"n": 5, "raw": b"bytes"})
    entries = await streams.read("s", "0")

    assert [entry.id for entry in entries] == [first, second]
    assert entries[0].fields == tuple(pairs)
    assert entries[0]["a"] == "3"
    assert dict(entries[1]) == {"n": "5", "raw": "bytes"}
    assert len(entries[1]) == 2
    assert await streams.read("s", second) == []


async def test_the_latest_come_newest_first(streams: RedisStreams) -> None:
    """Exactly as many as asked, and none of a stream that is not there."""
    for number in range(5):
        await streams.publish("s", {"n": number})
    latest = await streams.read_latest("s", 3)

    assert [entry["n"] for entry in latest] == ["4", "3", "2"]
    assert await streams.read_latest("absent") == []


async def test_exact_trimming_keeps_exactly_so_many(streams: RedisStreams) -> None:
    """Approximate trimming keeps about as many, and None keeps all."""
    for number in range(10):
        await streams.publish("exact", {"n": number}, maxlen=5, exact=True)
        await streams.publish("all", {"n": number}, maxlen=None)

    assert len(await streams.read_latest("exact", 100)) == 5
    assert len(await streams.read_latest("all", 100)) == 10


async def test_blocking_holds_up_nobody_else(streams: RedisStreams) -> None:
    """A reader that waits has a connection of its own, and gets what comes."""
    await streams.publish("s", {"n": 0})
    waiting = asyncio.create_task(streams.read("s", "$", block=5.0))
    quick = asyncio.create_task(streams.read("s", "$", block=0.05))

    assert await quick == []
    await streams.publish("s", {"n": 1})
    entries = await asyncio.wait_for(waiting, 30.0)
    assert [entry["n"] for entry in entries] == ["1"]


async def test_a_tail_survives_a_lost_connection(
    own_valkey: ValkeyServer, proxy: FaultProxy, namespace: str
) -> None:
    """Each entry once, in order, though the connection is cut between them."""
    streams = RedisStreams(proxy.url, namespace=namespace)
    direct = RedisStreams(own_valkey.url, namespace=namespace)
    seen: list[str] = []
    tail = streams.tail("s", "0", count=2)
    for number in range(6):
        await direct.publish("s", {"n": number})
        if number % 2:
            proxy.reset()
        entry = await asyncio.wait_for(anext(tail), 30.0)
        seen.append(entry["n"])
    await tail.aclose()

    assert seen == [str(number) for number in range(6)]
    await streams.close()
    await direct.close()


async def test_a_tail_from_now_on_begins_at_the_end(streams: RedisStreams) -> None:
    """What was there before is not given."""
    await streams.publish("s", {"n": "old"})
    tail = streams.tail("s")
    first = asyncio.create_task(anext(tail))
    while not first.done():
        await streams.publish("s", {"n": "new"})
        await asyncio.wait([first], timeout=0.02)

    assert (await first)["n"] == "new"
    await tail.aclose()


async def test_a_group_shares_the_work_and_acknowledges(streams: RedisStreams) -> None:
    """Each entry goes to one consumer, and waits until it is acknowledged."""
    assert await streams.create_group("s", "g", start="0")
    assert not await streams.create_group("s", "g")
    with pytest.raises(BackendError, match="BUSYGROUP"):
        await streams.create_group("s", "g", exist_ok=False)
    for number in range(4):
        await streams.publish("s", {"n": number})
    one = await streams.read_group("s", "g", "one", 2)
    two = await streams.read_group("s", "g", "two", 9, block=0.5)

    assert [entry["n"] for entry in (*one, *two)] == ["0", "1", "2", "3"]
    assert await streams.read_group("s", "g", "one", last_id="0") == one
    assert await streams.ack("s", "g", *(entry.id for entry in one)) == 2
    assert await streams.ack("s", "g") == 0
    assert await streams.read_group("s", "g", "one", last_id="0") == []
    assert await streams.read_group("s", "g", "one") == []


async def test_a_group_that_is_not_there_is_an_error(streams: RedisStreams) -> None:
    """A BackendError that says so, in the server's words: those of fakeredis differ."""
    with pytest.raises(BackendError, match=r"NOGROUP|XGROUP subcommand requires the key"):
        await streams.read_group("s", "none", "one")


async def test_wrong_arguments_are_refused(streams: RedisStreams) -> None:
    """Before anything is sent."""
    for work in (
        streams.publish("s", {}),
        streams.publish("s", {"a": 1}, maxlen=0),
        streams.read("s", count=0),
        streams.read_latest("s", 0),
    ):
        with pytest.raises(ConfigError):
            await work


def test_entries_are_values() -> None:
    """Equal by id and fields, hashable, and readable."""
    entry = StreamEntry("1-0", [("a", "1")])

    assert entry == StreamEntry("1-0", [("a", "1")])
    assert entry != StreamEntry("2-0", [("a", "1")])
    assert entry != 1
    assert len({entry, StreamEntry("1-0", [("a", "1")])}) == 1
    assert repr(entry) == "StreamEntry('1-0', (('a', '1'),))"
