"""The log on a real server, all well."""

import asyncio
import os
import time
from typing import Any

import pytest

from asgi_multitier.coherence import outbox
from asgi_multitier.coherence.log import Update
from asgi_multitier.config.invalidation import InvalidationConfig
from asgi_multitier.entry import Born
from asgi_multitier.errors import ConfigError
from asgi_multitier.redis import RedisLog, log_store
from asgi_multitier.selectors import Selector
from tests.fakeredis_server import Server, own_tasks
from tests.figures import Figure
from tests.patience import PATIENCE, until
from tests.redis.support import TAG, followed, invalidate, keys, permits, write_burst
from tests.servers import ValkeyServer
from tests.support import pass_time


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit may take long: other work on the machine is no failure."""
    monkeypatch.setattr(outbox, "COMMIT", 10.0)


async def test_an_invalidation_reaches_every_node(server: Server, namespace: str) -> None:
    """What was born before it is invalid on both, what is born after it valid."""
    async with followed(server.target, namespace) as one, followed(server.target, namespace) as two:
        before = Born(two.index.gen, two.index.seq)
        position = await invalidate(one)

        assert position is not None
        assert await two.reached(position, 1.0)
        assert not permits(two, before)
        assert permits(two, position)
        assert two.heard.dropped_selectors == [TAG]  # type: ignore[attr-defined]
        assert one.heard.dropped_selectors == []  # type: ignore[attr-defined]
        assert await one.reached(position, 1.0)
        assert one.index.pending_count == 0


async def test_counts_add_up(server: Server, namespace: str) -> None:
    """Sent, received and echoed of both nodes fit together."""
    async with followed(server.target, namespace) as one, followed(server.target, namespace) as two:
        last = None
        for number in range(10):
            last = await invalidate(one if number % 2 else two, "a", "b")
        assert last is not None
        assert await one.reached(last, 1.0)
        assert await two.reached(last, 1.0)
        first, second = one.stats(), two.stats()

        assert (first.sent, second.sent) == (5, 5)
        assert (first.echoed, second.echoed) == (5, 5)
        # The first record of a generation selects nothing and is received as well.
        assert first.received == second.received == 11
        assert first.applied == second.applied == {"tag": 20}
        assert first.queued == first.gaps == first.overflows == 0
        assert first.trusted
        assert 0 < first.lag_p50 <= first.lag_p99


async def test_a_second_node_learns_what_the_log_holds(server: Server, namespace: str) -> None:
    """Entries of a shared tier that are older than a record it never saw are invalid."""
    async with followed(server.target, namespace) as one:
        before = Born(one.index.gen, one.index.seq)
        await invalidate(one)
        async with followed(server.target, namespace) as two:
            assert two.trusted
            assert not permits(two, before)
            assert permits(two, before, tag="other")


async def test_new_values_ride_along(server: Server, namespace: str) -> None:
    """The other node gets the value, born at the record, and the old entry is out."""
    async with followed(server.target, namespace) as one, followed(server.target, namespace) as two:
        position = await one.commit(one.begin((), [Update("k", b"v", 5.0, ("t",))]))
        assert position is not None
        assert await two.reached(position, 1.0)

        assert two.heard.updates == [  # type: ignore[attr-defined]
            (Update("k", b"v", 5.0, ("t",)), position)
        ]
        assert one.heard.updates == []  # type: ignore[attr-defined]


async def test_a_position_not_reached_is_not_waited_for_longer_than_asked(
    server: Server, namespace: str
) -> None:
    """Neither shorter, nor longer, and nothing is left behind."""
    async with followed(server.target, namespace) as log:
        ahead = Born(log.index.gen, log.index.seq + 100)
        waiting = asyncio.create_task(log.reached(ahead, 1_000.0))
        await pass_time(900.0)
        assert not waiting.done()

        await pass_time(100.0)
        assert waiting.done()
        assert not waiting.result()
        assert not len(log._tail.waiters)


@pytest.mark.usefixtures("patient")
async def test_every_call_is_committed(server: Server, namespace: str, figure: Figure) -> None:
    """Three hundred calls in a row get three hundred positions; their time is a figure."""
    async with followed(server.target, namespace) as log:
        times = []
        for _ in range(300):
            start = time.perf_counter()
            assert await invalidate(log) is not None
            times.append(time.perf_counter() - start)
        times.sort()
        measured = f"p50 {times[150] * 1e3:.2f} ms, p99 {times[297] * 1e3:.2f} ms"
        figure("invalidate call on loopback", measured, "p50 0.5 ms")


@pytest.mark.usefixtures("patient")
async def test_another_node_follows(server: Server, namespace: str, figure: Figure) -> None:
    """Each of two hundred calls reaches the other node; how soon is a figure."""
    async with followed(server.target, namespace) as one, followed(server.target, namespace) as two:
        times = []
        for _ in range(200):
            start = time.perf_counter()
            position = await invalidate(one)
            assert position is not None
            assert await two.reached(position, PATIENCE)
            times.append(time.perf_counter() - start)

        times.sort()
        measured = f"p50 {times[100] * 1e3:.2f} ms, p99 {times[198] * 1e3:.2f} ms"
        figure("from a call to another node's knowledge", measured, "p99 10 ms")


@pytest.mark.no_cover  # it repeats what others cover
async def test_a_burst_is_applied_whole(
    own_valkey: ValkeyServer, namespace: str, figure: Figure
) -> None:
    """Of 50,000 records none is missed, and others run meanwhile; how fast is a figure."""
    async with followed(own_valkey.url, namespace) as one:
        start_seq = one.index.seq
        await write_burst(one, 50_000, own_valkey)
    delays: list[float] = []
    meter = asyncio.create_task(_measure(delays))
    log = RedisLog(own_valkey.url, namespace=namespace)
    start = time.monotonic()
    await log.start(_Deaf())
    await until(lambda: log.index.seq >= start_seq + 50_000, 40.0)
    taken = time.monotonic() - start
    meter.cancel()
    await asyncio.gather(meter, return_exceptions=True)
    await log.close()
    delays.sort()

    assert log.stats().gaps == 0
    assert len(delays) > 10
    late = delays[int(len(delays) * 0.99)] * 1e3
    figure("burst of 50,000 records", f"{taken:.1f} s, loop p99 {late:.0f} ms", "10 s, 50 ms")


class _Deaf:
    def dropped(self, selectors: Any) -> None: ...
    def updated(self, updates: Any, born: Born) -> None: ...
    def flushed(self) -> None: ...


async def _measure(delays: list[float]) -> None:
    while True:
        start = time.perf_counter()
        await asyncio.sleep(0.001)
        delays.append(time.perf_counter() - start - 0.001)


async def test_the_audit_stream_tells_what_was_dropped(server: Server, namespace: str) -> None:
    """One readable entry an operation, in a stream of its own."""
    config = InvalidationConfig(enable_audit_stream=True, audit_stream="audit")
    async with followed(server.target, namespace, config=config) as log:
        await log.commit(log.begin([Selector("key", "k")]))
        await log.commit(log.begin([Selector("glob", "a*")]))
        await log.commit(log.begin([TAG]))
        await log.commit(log.begin([TAG, Selector("path", "/x")]))
        await log.commit(log.begin((), [Update("u", b"v", 1.0)]))
        await asyncio.gather(*log._audit._tasks)
        entries = server.command("XRANGE", f"{{{namespace}}}:audit", "-", "+")
        told = [
            {key.decode(): value.decode() for key, value in zip(f[::2], f[1::2], strict=True)}
            for _, f in entries
        ]
        kinds = {fields["type"]: fields for fields in told}

        assert kinds["remove"]["key"] == "k"
        assert kinds["remove_pattern"]["pattern"] == "a*"
        assert kinds["remove_tag"]["key"] == "t"
        assert kinds["remove_bulk"]["count"] == "2"
        assert kinds["update"]["key"] == "u"
        assert all(float(fields["timestamp"]) > 0 and fields["node"] for fields in told)


async def test_the_audit_stream_tells_of_what_was_sent_later(
    server: Server, namespace: str
) -> None:
    """An invalidation that waited for the server is one all the same."""
    config = InvalidationConfig(enable_audit_stream=True, audit_stream="audit")
    async with followed(server.target, namespace, config=config) as log:
        log._follower.unsent(log.begin([TAG]))
        log._outbox.wake()
        await until(lambda: log.stats().sent == 1, 2.0)
        log._follower.unsent(log.begin([Selector("tag", "at the end")]))

    assert len(server.command("XRANGE", f"{{{namespace}}}:audit", "-", "+")) == 2


async def test_a_failing_audit_stream_is_counted_and_hinders_nothing(
    server: Server, namespace: str
) -> None:
    """The invalidation is known everywhere all the same."""
    config = InvalidationConfig(enable_audit_stream=True, audit_stream="audit")
    server.command("SET", f"{{{namespace}}}:audit", "not a stream")
    async with followed(server.target, namespace, config=config) as log:
        assert await invalidate(log) is not None
        await asyncio.gather(*log._audit._tasks)

        assert log.stats().audit_errors == 1


async def test_a_record_without_the_secret_counts_as_everything(
    server: Server, namespace: str
) -> None:
    """A forged or foreign record drops all and brings nothing in."""
    secret = b"s" * 32
    async with (
        followed(server.target, namespace, secret=secret) as log,
        followed(server.target, namespace) as forger,
    ):
        before = Born(log.index.gen, log.index.seq)
        position = await forger.commit(forger.begin((), [Update("k", b"evil", 9.0)]))
        assert position is not None
        assert await log.reached(position, 1.0)

        assert log.heard.updates == []  # type: ignore[attr-defined]
        assert not permits(log, before, tag="anything")
        assert log.stats().processing_errors == 1


async def test_closing_sends_what_waits_and_leaves_no_task(server: Server, namespace: str) -> None:
    """An invalidation begun and queued is not lost with the process's orderly end."""
    tasks = own_tasks()
    async with followed(server.target, namespace) as other:
        async with followed(server.target, namespace) as log:
            seq = other.index.seq
            log._follower.unsent(log.begin([TAG]))
        await until(lambda: other.index.seq > seq, 1.0)

        assert other.heard.dropped_selectors == [TAG]  # type: ignore[attr-defined]
        assert not log.trusted
    assert own_tasks() == tasks


async def test_an_operation_whose_caller_left_is_sent_all_the_same(
    server: Server, namespace: str
) -> None:
    """A cancelled commit goes through the queue."""
    async with followed(server.target, namespace) as one, followed(server.target, namespace) as two:
        task = asyncio.create_task(one.commit(one.begin([TAG])))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(lambda: two.heard.dropped_selectors, 1.0)  # type: ignore[attr-defined]
        await until(lambda: not one.index.pending_count, 1.0)

        assert one._follower.queued == 0


async def test_a_forked_process_is_another_node(
    server: Server, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The changed pid is noticed where an invalidation begins."""
    async with followed(server.target, namespace) as log:
        name = log._follower.node
        monkeypatch.setattr(os, "getpid", lambda: -1)
        operation = log.begin([TAG])
        monkeypatch.undo()
        log._pid = os.getpid()

        assert log._follower.node != name
        assert await log.commit(operation) is not None


def test_a_second_event_loop_can_use_the_same_log(server: Server, namespace: str) -> None:
    """Each run has its own connections; the position goes on."""
    log = RedisLog(server.target, namespace=namespace)

    async def once() -> int:
        await log.start(_Deaf())
        assert await invalidate(log) is not None
        await log.close()
        return log.index.seq

    assert asyncio.run(once()) <= asyncio.run(once())


def test_settings_are_checked(server: Server) -> None:
    """A wrong word is a ConfigError that names the choices."""
    with pytest.raises(ConfigError, match="flush"):
        RedisLog(server.target, on_failover="pray")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="namespace"):
        RedisLog(server.target, namespace="{x}")


async def test_the_keys_share_a_slot_and_have_a_lifetime(server: Server, namespace: str) -> None:
    """Control hash and log go together, and vanish when nobody uses them any more."""
    async with followed(server.target, namespace) as log:
        await invalidate(log)

        for key in keys(log):
            assert key.startswith(f"{{{namespace}}}:")
            assert 0 < server.command("PTTL", key) <= 7 * 24 * 3600 * 1000


@pytest.mark.no_cover  # it repeats what others cover
async def test_the_log_is_bounded_by_bytes(
    server: Server, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large records: few are kept, who follows hears all, and small ones are many again."""
    monkeypatch.setattr(log_store, "MAX_BYTES", 256 * 1024)
    monkeypatch.setattr(outbox, "COMMIT", 10.0)  # other work on the machine is no failure
    async with followed(server.target, namespace) as one, followed(server.target, namespace) as two:
        flushes = two.stats().flushes
        for number in range(100):
            position = await invalidate(one, *(f"{number}:{item:060}" for item in range(200)))
            assert position is not None
            assert await two.reached(position, 5.0)
        _, stream = keys(one)
        few = server.command("XLEN", stream)
        for number in range(200):
            position = await invalidate(one, str(number))
        many = server.command("XLEN", stream)

        assert 5 < few < 30
        assert many > 150
        assert position is not None
        assert await two.reached(position, 5.0)
        assert two.stats().flushes == flushes
        assert two.stats().gaps == 0
