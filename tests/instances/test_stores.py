"""The storage of beats: the same from each store, and bounded."""

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from asgi_multitier.coherence import beats as bounds
from asgi_multitier.coherence.beats import MAX_BEAT, BeatStore
from asgi_multitier.coherence.sqlite import TableStore
from asgi_multitier.errors import BackendError
from asgi_multitier.redis import beats as redis_beats
from asgi_multitier.redis import connect
from asgi_multitier.redis.beats import StreamBeats
from tests.fakeredis_server import FakeredisServer
from tests.servers import ValkeyServer


@pytest.fixture(params=["valkey", "fakeredis", "sqlite"])
async def store(
    request: pytest.FixtureRequest, namespace: str, tmp_path: Path
) -> AsyncIterator[BeatStore]:
    """Each kind of store, empty."""
    if request.param == "sqlite":
        table = TableStore(tmp_path / "log", namespace, 1000)
        yield table.beats
        await table.close()
        return
    server = (
        FakeredisServer() if request.param == "fakeredis" else request.getfixturevalue("valkey")
    )
    link = connect(server.target, timeout=10)
    yield StreamBeats(link, namespace)
    await link.close()


async def test_what_is_added_is_read(store: BeatStore) -> None:
    """Oldest first, with the time and the place that adding told."""
    added = [await store.add(bytes([n]), b"mac") for n in range(5)]

    assert await store.last(60) == added
    assert await store.after(added[2].id) == added[3:]
    assert await store.after(added[4].id) == []
    assert all(one.at <= two.at for one, two in pairwise(added))


async def test_before_the_first(store: BeatStore) -> None:
    """Nothing is read, and nothing is made by reading."""
    assert await store.last(60) == []
    assert await store.after((0, 0)) == []


async def test_of_the_last_seconds(valkey: ValkeyServer, namespace: str, tmp_path: Path) -> None:
    """Counted back from the youngest, by the clock of the store."""
    link, table = connect(valkey.target, timeout=10), TableStore(tmp_path / "log", namespace, 1000)
    stream = StreamBeats(link, namespace)
    times = iter((1.0, 70.0))
    table.beats._wall = lambda: next(times)
    for milliseconds, data in ((1000, b"a"), (70_000, b"b")):
        valkey.command("XADD", stream.key, f"{milliseconds}-0", "d", data, "m", "")
        await table.beats.add(data, b"")

    for store in (stream, table.beats):
        assert [one.data for one in await store.last(69)] == [b"a", b"b"]
        assert [one.data for one in await store.last(68)] == [b"b"]
        assert [one.at for one in await store.last(69)] == [1.0, 70.0]
    await link.close()
    await table.close()


async def test_a_longer_one_is_refused(store: BeatStore) -> None:
    """It would not be read either."""
    await store.add(b"x" * MAX_BEAT, b"")
    with pytest.raises(BackendError, match="longer than 4096"):
        await store.add(b"x" * (MAX_BEAT + 1), b"")

    assert len(await store.last(60)) == 1


async def test_pages(valkey: ValkeyServer, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one page is read back, and no more than are kept."""
    monkeypatch.setattr(redis_beats, "_PAGE", 3)
    link = connect(valkey.target, timeout=10)
    store = StreamBeats(link, namespace)
    added = [await store.add(bytes([n]), b"") for n in range(10)]

    assert await store.last(60) == added
    assert await store.after(added[1].id) == added[2:]
    monkeypatch.setattr(redis_beats, "KEPT", 5)
    assert await store.last(60) == added[-5:]
    await link.close()


async def test_the_stream_is_bounded(valkey: ValkeyServer, namespace: str) -> None:
    """In number, roughly, and in time."""
    link = connect(valkey.target, timeout=10)
    store = StreamBeats(link, namespace)
    await store.add(b"a", b"")

    assert 0 < valkey.command("PTTL", store.key) <= redis_beats.LIFETIME * 1000
    for _ in range(bounds.KEPT + 300):
        valkey.command("XADD", store.key, "*", "d", "x")
    await store.add(b"a", b"")
    assert bounds.KEPT <= valkey.command("XLEN", store.key) <= bounds.KEPT + 200
    await link.close()


async def test_a_key_of_another_type_is_replaced(valkey: ValkeyServer, namespace: str) -> None:
    """As the cache's other keys are."""
    link = connect(valkey.target, timeout=10)
    store = StreamBeats(link, namespace)
    valkey.command("SET", store.key, "x")
    added = await store.add(b"a", b"")

    assert await store.last(60) == [added]
    await link.close()


FOREIGN: tuple[tuple[str, ...], ...] = (("other", "field"), ("d", "x" * (MAX_BEAT + 1)), ("m", ""))


@pytest.mark.parametrize("fields", FOREIGN)
async def test_entries_of_others(
    valkey: ValkeyServer, namespace: str, fields: tuple[str, ...]
) -> None:
    """They are shown as beats that nothing can be read of."""
    link = connect(valkey.target, timeout=10)
    store = StreamBeats(link, namespace)
    valkey.command("XADD", store.key, "*", *fields)

    assert [(one.data, one.mac) for one in await store.last(60)] == [(b"", b"")]
    await link.close()


async def test_the_table_is_bounded(
    tmp_path: Path, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To as many as are kept."""
    monkeypatch.setattr("asgi_multitier.coherence.sqlite_beats.KEPT", 3)
    table = TableStore(tmp_path / "log", namespace, 1000)
    added = [await table.beats.add(bytes([n]), b"") for n in range(5)]

    assert await table.beats.last(60) == added[-3:]
    await table.close()


@pytest.mark.parametrize("durable", [True, False])
async def test_a_beat_waits_for_no_disk(tmp_path: Path, namespace: str, durable: bool) -> None:
    """And what the log writes after it is as safe as before."""
    said: list[str] = []
    table = TableStore(tmp_path / "log", namespace, 1000, durable=durable)
    await table._writer.run(lambda db: db.set_trace_callback(said.append))
    await table.beats.add(b"a", b"")
    await table.close()

    pragmas = ["PRAGMA synchronous=NORMAL", "PRAGMA synchronous=FULL"] if durable else []
    assert [said[0], said[-1]] == (pragmas or ["BEGIN IMMEDIATE", "COMMIT"])
    assert [text for text in said if text.startswith("PRAGMA")] == pragmas
