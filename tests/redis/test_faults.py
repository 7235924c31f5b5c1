"""The log under faults of the server and of the network; each row of the bounds has its test."""

import asyncio
import re
import time
from pathlib import Path

import pytest

from asgi_multitier import CacheManager
from asgi_multitier.coherence import tail
from asgi_multitier.coherence.follower import MAX_PENDING
from asgi_multitier.coherence.marks import ALL
from asgi_multitier.entry import Born
from asgi_multitier.redis import Leases, RedisLog, RedisStreams, RedisTier, log_store
from asgi_multitier.redis.client import Link
from asgi_multitier.selectors import Selector
from asgi_multitier.testing import FakeClock
from tests.fakeredis_server import Server
from tests.figures import Figure, seconds
from tests.patience import PATIENCE, until
from tests.redis.support import (
    REPLACE,
    TAG,
    Recorder,
    followed,
    invalidate,
    keys,
    permits,
    set_born,
)
from tests.servers import FaultProxy, ValkeyServer, free_port
from tests.support import at_once, pass_time


async def test_the_server_may_be_absent_at_the_start(namespace: str, figure: Figure) -> None:
    """Starting does not fail; once the server is there, the node attaches within 2 s."""
    port = free_port()
    log = RedisLog(f"redis://127.0.0.1:{port}", namespace=namespace)
    await log.start(Recorder())
    operation = log.begin([TAG])

    assert not log.trusted
    assert await log.commit(operation) is None
    assert log.stats().queued == 1

    with ValkeyServer(port):
        taken = await until(lambda: log.trusted, 2.0)
        figure("log: server appears, attached after", seconds(taken), "2 s")
        await until(lambda: not log.stats().queued and not log.index.pending_count, 2.0)
        await log.close()


@pytest.mark.parametrize("fault", ["reset", "half_close"])
async def test_a_cut_connection_is_noticed_and_replayed_within_a_second(
    own_valkey: ValkeyServer, proxy: FaultProxy, namespace: str, fault: str, figure: Figure
) -> None:
    """What was sent while the tail was cut is known within 1 s of the cut."""
    async with followed(own_valkey.url, namespace) as issuer, followed(proxy.url, namespace) as log:
        before = Born(log.index.gen, log.index.seq)
        getattr(proxy, fault)()
        await invalidate(issuer)
        taken = await until(lambda: not permits(log, before), 1.0)

        figure(f"log: tail cut ({fault}), edit known after", seconds(taken), "1 s")
        assert log.stats().gaps == 0


async def test_a_silent_tail_is_not_trusted_and_comes_back(
    own_valkey: ValkeyServer, proxy: FaultProxy, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A black hole raises nothing: the deadline is ours. Shortened to a tenth."""
    monkeypatch.setattr(tail, "TRUST", 0.3)
    monkeypatch.setattr(log_store, "PATIENCE", 0.1)
    monkeypatch.setattr(log_store, "_GRACE", 0.05)
    async with followed(own_valkey.url, namespace) as issuer, followed(proxy.url, namespace) as log:
        before = Born(log.index.gen, log.index.seq)
        view = log.index.view
        proxy.stall()
        await until(lambda: not log.trusted, 1.0)

        assert log.index.view > view
        assert not log.index.settled

        await invalidate(issuer)
        proxy.flow()
        await until(lambda: log.trusted, 2.0)

        assert not permits(log, before)
        assert log.stats().gaps == 0


async def test_trust_ends_three_seconds_after_the_last_word(
    own_valkey: ValkeyServer, namespace: str
) -> None:
    """SIGSTOP: not before and not after; and it heals. Time is the test's own."""
    clock = FakeClock()
    async with followed(own_valkey.url, namespace, clock=clock) as log:
        own_valkey.freeze()
        clock.advance(2.9)
        await pass_time(2.9)
        assert log.trusted

        clock.advance(0.1)
        await pass_time(0.1)
        assert not log.trusted

        own_valkey.thaw()
        await until(lambda: log.trusted, 5.0)


async def test_a_commit_waits_for_a_frozen_server_for_250_ms_and_then_not_at_all(
    own_valkey: ValkeyServer, namespace: str, figure: Figure
) -> None:
    """Three failures, then the circuit breaker spares the callers the wait; nothing is lost."""
    async with followed(own_valkey.url, namespace, clock=FakeClock()) as log:
        await invalidate(log)
        own_valkey.freeze()
        for _ in range(3):
            commit = asyncio.create_task(invalidate(log))
            await pass_time(0.25)
            assert commit.done()
            assert commit.result() is None
        for _ in range(10):
            assert at_once(invalidate(log)) is None
        own_valkey.thaw()
        await until(lambda: not log.index.pending_count, 5.0)

        assert log.stats().queued == 0


async def test_a_frozen_server_is_distrusted_in_time_while_changes_go_on(
    own_valkey: ValkeyServer, namespace: str, figure: Figure
) -> None:
    """The same in real time, where the log distrusts by itself; the times are figures."""
    async with followed(own_valkey.url, namespace) as log:
        own_valkey.freeze()
        waits = []

        async def distrusts() -> bool:
            began = time.monotonic()
            assert await invalidate(log) is None
            waits.append(time.monotonic() - began)
            return not log.trusted

        taken = await until(distrusts)
        own_valkey.thaw()
        await until(lambda: log.trusted, 5.0)
        await until(lambda: not log.index.pending_count, 5.0)

        figure("log: frozen, distrusted after", seconds(taken), "3 s")
        figure("log: frozen, slowest commit", seconds(max(waits)), "250 ms")


async def test_a_restarted_empty_server_begins_a_generation(
    own_valkey: ValkeyServer, namespace: str, figure: Figure
) -> None:
    """Within 1.5 s; nothing of the old generation is valid, and both nodes agree on the new."""
    async with (
        followed(own_valkey.url, namespace) as one,
        followed(own_valkey.url, namespace) as two,
    ):
        await invalidate(one)
        old = one.index.gen
        before = Born(old, one.index.seq + 100)
        own_valkey.restart()
        taken = await until(lambda: one.index.gen != old and two.index.gen != old, 1.5)
        await until(lambda: one.trusted and two.trusted, 1.0)

        figure("log: restarted empty, new generation after", seconds(taken), "1.5 s")
        assert one.index.gen == two.index.gen
        assert not permits(one, before)
        assert one.heard.flushes == 2, "once at the start, once now"  # type: ignore[attr-defined]


@pytest.mark.parametrize("gone", ["everything", "control", "log"])
async def test_what_is_evicted_or_flushed_is_noticed(
    own_server: Server, namespace: str, gone: str, figure: Figure
) -> None:
    """FLUSHALL, or one of the keys: found out within 1.5 s, and no record is missed."""
    async with (
        followed(own_server.target, namespace) as one,
        followed(own_server.target, namespace) as two,
    ):
        await invalidate(one)
        control, stream = keys(one)
        old = Born(two.index.gen, two.index.seq)
        if gone == "everything":
            own_server.command("FLUSHALL")
        else:
            own_server.command("DEL", control if gone == "control" else stream)
        await invalidate(one)
        taken = await until(lambda: not permits(two, old), 1.5)
        figure(f"log: {gone} gone, noticed after", seconds(taken), "1.5 s")
        await until(lambda: one.index.gen == two.index.gen and not one.index.pending_count, 1.5)


async def test_a_log_trimmed_past_a_node_is_a_gap(
    own_valkey: ValkeyServer, proxy: FaultProxy, namespace: str, figure: Figure
) -> None:
    """The node finds out at its first reading and drops everything exactly once."""
    async with followed(own_valkey.url, namespace) as issuer, followed(proxy.url, namespace) as log:
        before = Born(log.index.gen, log.index.seq)
        proxy.refuse()
        proxy.reset()
        for number in range(50):
            await invalidate(issuer, f"x{number}")
        own_valkey.command("XTRIM", keys(log)[1], "MAXLEN", "=", 3)
        proxy.refuse(False)
        taken = await until(lambda: log.index.seq == issuer.index.seq, 1.5)

        figure("log: trimmed past a node, noticed after", seconds(taken), "1.5 s")
        assert log.stats().gaps == 1
        assert log.heard.flushes == 2  # type: ignore[attr-defined]
        assert not permits(log, before)
        assert log.index.gen == before.gen, "the history is the same one"
        assert permits(log, Born(before.gen, log.index.floor))


async def test_a_hole_in_the_log_is_a_gap(own_server: Server, namespace: str) -> None:
    """A record deleted from the middle: what it said is not known."""
    async with followed(own_server.target, namespace) as issuer:
        before = Born(issuer.index.gen, issuer.index.seq)
        positions = [await invalidate(issuer, f"x{n}") for n in range(5)]
        hole = positions[2]
        assert hole is not None
        own_server.command("XDEL", keys(issuer)[1], f"{hole.seq}-0")
        async with followed(own_server.target, namespace) as log:
            await until(lambda: log.trusted, 1.0)

            assert log.index.floor >= hole.seq
            assert not permits(log, before)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param(-3, -1, id="behind us"),
        pytest.param(-3, 0, id="as far as we are"),
        pytest.param(-3, 4, id="overtook us"),
        pytest.param(1, 4, id="goes on where we are"),
    ],
)
async def test_another_history_is_found_out_and_ends_the_generation(
    own_server: Server, namespace: str, first: int, last: int, figure: Figure
) -> None:
    """However far it has come: a new generation, begun once for all nodes, within 1.5 s."""
    async with (
        followed(own_server.target, namespace) as one,
        followed(own_server.target, namespace) as two,
    ):
        for _ in range(10):
            position = await invalidate(one)
        assert position is not None
        assert await one.reached(position, 1.0)
        assert await two.reached(position, 1.0)
        operation = two.begin([Selector("tag", "mine")])
        (body,) = two._follower.bodies(operation)
        data, _ = two._outbox._codec.encode("x", body)
        two.index.acknowledge([Selector("tag", "mine")], two.index.fence)
        old, seq = one.index.gen, one.index.seq
        own_server.command("EVAL", REPLACE, 2, *keys(one), seq + first, seq + last, data)
        taken = await until(lambda: one.index.gen != old and two.index.gen != old, 1.5)
        name = f"log: another history ({first:+}, {last:+}), found after"
        figure(name, seconds(taken), "1.5 s")
        await until(lambda: one.trusted and two.trusted, 1.0)

        assert one.index.gen == two.index.gen
        assert not permits(one, Born(old, seq + 100), tag="anything")
        assert one.stats().gaps == two.stats().gaps == 1


async def test_a_promoted_replica_begins_a_generation_and_hears_again_what_it_lost(
    own_valkey: ValkeyServer, namespace: str, figure: Figure
) -> None:
    """Records that the replica never had are sent again by whoever issued them, or all is void."""
    with ValkeyServer(replicaof=f"127.0.0.1 {own_valkey.port}") as replica:
        await until(lambda: b"link_status:up" in replica.command("INFO", "replication"), 5.0)
        async with (
            FaultProxy(own_valkey.port) as door,
            followed(door.url, namespace) as one,
            followed(door.url, namespace) as two,
        ):
            position = await invalidate(one, "kept")
            assert position is not None
            assert own_valkey.command("WAIT", 1, 2000) == 1
            replica.command("REPLICAOF", "NO", "ONE")
            before = Born(one.index.gen, one.index.seq)
            lost = await invalidate(one, "lost")
            assert lost is not None
            assert await two.reached(lost, 1.0)
            old = one.index.gen
            own_valkey.stop()
            door.target = replica.port
            door.reset()
            taken = await until(lambda: one.index.gen != old and two.index.gen != old, 1.5)
            figure("log: replica promoted, new generation after", seconds(taken), "1.5 s")

            assert one.index.gen == two.index.gen
            assert not permits(two, before, tag="lost")
            assert not permits(two, lost, tag="lost")
            assert one.stats().gaps == two.stats().gaps == 1


async def test_trusting_a_failover_keeps_the_generation_where_nothing_was_lost(
    own_valkey: ValkeyServer, namespace: str
) -> None:
    """`on_failover="trust"`: the numbers and the chain decide alone."""
    with ValkeyServer(replicaof=f"127.0.0.1 {own_valkey.port}") as replica:
        await until(lambda: b"link_status:up" in replica.command("INFO", "replication"), 5.0)
        async with (
            FaultProxy(own_valkey.port) as door,
            followed(door.url, namespace, on_failover="trust") as log,
        ):
            position = await invalidate(log)
            assert position is not None
            assert await log.reached(position, 1.0)
            assert own_valkey.command("WAIT", 1, 2000) == 1
            replica.command("REPLICAOF", "NO", "ONE")
            own_valkey.stop()
            door.target = replica.port
            door.reset()
            after = None
            while after is None:
                after = await invalidate(log)
            assert await log.reached(after, 2.0)

            assert after.gen == position.gen
            assert log.stats().gaps == 0


async def test_invalidations_succeed_where_no_memory_is_left(
    own_valkey: ValkeyServer, namespace: str
) -> None:
    """Fills fail, quietly for the client; the log goes on."""
    tier = RedisTier(own_valkey.url, namespace=namespace)
    async with (
        followed(own_valkey.url, namespace) as one,
        followed(own_valkey.url, namespace) as two,
    ):
        own_valkey.command("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(Exception, match="OutOfMemory"):
            await set_born(tier, "k", b"v", 10.0, one.index.born())
        for _ in range(20):
            position = await invalidate(one)
            assert position is not None
        assert await two.reached(position, 1.0)
    await tier.close()


async def test_scripts_survive_a_flush_of_the_servers_scripts(
    own_server: Server, namespace: str
) -> None:
    """They are sent whole again."""
    async with followed(own_server.target, namespace) as log:
        own_server.command("SCRIPT", "FLUSH")

        assert await invalidate(log) is not None


async def test_too_many_while_the_server_is_away_become_one_record(
    own_valkey: ValkeyServer, namespace: str, figure: Figure
) -> None:
    """20,000 selectors: memory stays at its cap, and after the return all is dropped once."""
    port = own_valkey.port
    async with (
        followed(own_valkey.url, namespace) as log,
        followed(own_valkey.url, namespace) as two,
    ):
        own_valkey.freeze()
        for start in range(0, 20_000, 1_000):
            operation = log.begin([Selector("tag", f"x{start + n}") for n in range(1_000)])
            log._follower.unsent(operation)

            assert log.index.pending_count <= MAX_PENDING
            assert log.stats().queued <= MAX_PENDING
        old = Born(two.index.gen, two.index.seq)
        own_valkey.thaw()
        log._outbox.wake()
        await until(lambda: not log.index.pending_count, 3.0)
        taken = await until(lambda: not permits(two, old, tag="anything"), 1.0)
        figure("log: 20,000 selectors, known elsewhere after", seconds(taken), "1 s")

        assert log.stats().overflows == 1
        assert own_valkey.port == port
        assert ALL in two.heard.dropped_selectors  # type: ignore[attr-defined]


async def test_fills_and_writes_that_timed_out_never_bring_back_what_was_dropped(
    own_valkey: ValkeyServer, namespace: str, figure: Figure
) -> None:
    """SIGSTOP, a hundred fills whose writes time out, as many invalidations, SIGCONT: 0 stale."""
    tier = RedisTier(own_valkey.url, namespace=namespace)
    # What is late is read when the server has done all that it was sent while it stood.
    reading = Link(own_valkey.url, timeout=10.0)
    reader = RedisTier(reading, namespace=namespace)
    async with (
        followed(own_valkey.url, namespace) as one,
        followed(own_valkey.url, namespace) as two,
    ):
        tags = [f"x{number}" for number in range(100)]
        await tier.get("warm")
        born = one.index.born()
        own_valkey.freeze()
        fills = [set_born(tier, tag, b"old", 60.0, born) for tag in tags]
        results = await asyncio.gather(*fills, return_exceptions=True)
        for tag in tags:
            await invalidate(one, tag)
        own_valkey.thaw()
        await until(lambda: one.trusted and two.trusted, 3.0)
        await until(lambda: not one.index.pending_count, 3.0)
        last = Born(one.index.gen, one.index.seq)
        assert await two.reached(last, 1.0)
        held = await reader.get_many(tags)

        assert all(isinstance(result, Exception) for result in results)
        wrong = sum(permits(n, Born(born.gen, born.seq), t) for n in (one, two) for t in tags)
        figure("log: late writes that count as valid", f"{wrong} of 200", "0")
        assert not wrong
        # The entries are there, as late writes; nobody uses them.
        assert sum(entry is not None for entry in held) <= len(tags)
    await tier.close()
    await reading.close()


HOSTILE = [
    pytest.param({}, id="no fields that we know"),
    pytest.param({"d": b"\xc1"}, id="not a body"),
    pytest.param({"d": b"x" * (2 * 1024 * 1024)}, id="2 MiB"),
    pytest.param({"o": b"\xff\xfe", "d": b"\xff"}, id="bad UTF-8"),
]


@pytest.mark.parametrize("fields", HOSTILE)
async def test_a_malformed_record_in_the_chain_counts_as_everything(
    own_server: Server, namespace: str, fields: dict[str, bytes]
) -> None:
    """The tail survives, drops all at once and follows what comes after it."""
    async with followed(own_server.target, namespace) as log:
        position = await invalidate(log)
        assert position is not None
        assert await log.reached(position, 1.0)
        gen, seq, last = own_server.command("HMGET", keys(log)[0], "gen", "seq", "last")
        number = int(seq) + 1
        given = {"g": gen, "p": last, "o": b"bad", "z": b"", **fields}
        flat = [word for pair in given.items() for word in pair]
        own_server.command("XADD", keys(log)[1], f"{number}-0", *flat)
        own_server.command("HSET", keys(log)[0], "seq", number, "last", given["o"])
        before = Born(gen.decode(), int(seq))
        await until(lambda: not permits(log, before, tag="anything"), 1.5)
        after = await invalidate(log)

        assert after is not None
        assert await log.reached(after, 1.5)


@pytest.mark.parametrize("number", ["999999999-0", "999999999-5"])
async def test_a_record_put_beside_the_chain_ends_the_generation(
    own_server: Server, namespace: str, number: str
) -> None:
    """A forged number does not make the node deaf, nor the script fail."""
    async with followed(own_server.target, namespace) as log:
        await invalidate(log)
        old = log.index.gen
        own_server.command("XADD", keys(log)[1], number, "d", "junk")
        await until(lambda: log.index.gen != old, 1.5)
        position = await invalidate(log)

        assert position is not None
        assert await log.reached(position, 2.0)


async def test_a_write_above_the_numbers_begins_a_generation(
    own_server: Server, namespace: str
) -> None:
    """The writing script meets a log that it did not write, and begins anew."""
    async with followed(own_server.target, namespace) as log:
        old = log.index.gen
    own_server.command("XADD", keys(log)[1], "999999999-0", "d", "junk")
    writer = RedisLog(own_server.target, namespace=namespace)
    position = await writer.commit(writer.begin([TAG]))
    await writer.close()

    assert position is not None
    assert position.gen != old


async def test_a_missing_permission_is_named(
    own_valkey: ValkeyServer, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Start-up says which command the user may not run, and never the password."""
    own_valkey.command("ACL", "SETUSER", "app", "on", ">hush-secret", "~*", "+@all", "-xread")
    url = f"redis://app:hush-secret@127.0.0.1:{own_valkey.port}"
    async with followed(url, namespace) as log:
        await until(lambda: "xread" in caplog.text, 2.0)

        assert "permission" in caplog.text
        assert "hush-secret" not in caplog.text
        assert "hush-secret" not in repr(log)


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        pytest.param("-set", "SET {ns}:e:x v", id="command on entries"),
        pytest.param("-xrevrange", "xrevrange", id="command of the log"),
        pytest.param("resetkeys ~{{{ns}}}:*", "GET {ns}:e:x", id="keys"),
    ],
)
async def test_start_up_names_what_is_not_allowed(
    own_valkey: ValkeyServer,
    namespace: str,
    caplog: pytest.LogCaptureFixture,
    rules: str,
    named: str,
) -> None:
    """The command, and the key where the keys are the reason; said once."""
    given = rules.format(ns=namespace).split()
    own_valkey.command("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", *given)
    url = f"redis://app:pw@127.0.0.1:{own_valkey.port}"
    async with followed(url, namespace):
        await until(lambda: named.format(ns=namespace) in caplog.text, 2.0)

    assert "permission" in caplog.text
    assert caplog.text.count(named.format(ns=namespace)) == 1


async def test_the_documented_permissions_are_enough(
    own_valkey: ValkeyServer,
    namespace: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A user with just what the guide lists can do everything, and start-up misses nothing."""
    guide = Path(__file__).parents[2] / "docs" / "guides" / "redis.md"
    (line,) = re.findall(r"ACL SETUSER app (.*?)\n```", guide.read_text(), re.DOTALL)
    words = line.replace("\\\n", " ").replace("shop", namespace).replace("a-password", "pw").split()
    own_valkey.command("ACL", "SETUSER", "app", *words)
    url = f"redis://app:pw@127.0.0.1:{own_valkey.port}"
    tier = RedisTier(url, namespace=namespace)
    async with followed(url, namespace) as log:
        assert await invalidate(log) is not None
        with monkeypatch.context() as small:
            small.setattr(log_store, "MAX_BYTES", 1)
            assert await invalidate(log) is not None
        assert own_valkey.command("XLEN", keys(log)[1]) == 1
        assert await set_born(tier, "k", b"v", 9.0, log.index.born())
        assert await tier.get("k") is not None
        await tier.delete(["k"])
        await tier.clear()
        await tier.ping()
        leases = Leases(url, namespace=namespace)
        claim, loser = await leases.claim("k"), await leases.claim("k")
        assert claim.held
        await claim.release()
        assert await loser.released(1.0)
        await loser.release()
        await leases.close()
        streams = RedisStreams(url, namespace=namespace)
        assert await streams.publish("s", {"a": "1"})
        assert await streams.read("s", "0", block=0.1)
        assert await streams.read_latest("s", 1)
        await streams.create_group("s", "g", start="0")
        (entry,) = await streams.read_group("s", "g", "c", block=0.1)
        await streams.ack("s", "g", entry.id)
        await streams.close()
    await tier.close()
    async with CacheManager(redis_url=url, namespace=namespace, redis_timeout=PATIENCE) as cache:
        await until(lambda: cache.engine.log.trusted)
        assert (await cache.seen(wait=PATIENCE)).by_all
        assert (await cache.instances()).complete

    assert "permission" not in caplog.text
    assert cache.stats().failures == {}


async def test_a_unix_socket_and_a_clients_own_settings_work(
    own_valkey: ValkeyServer, namespace: str
) -> None:
    """The recipe is taken from the address or the client; connections are ours."""
    import redis.asyncio

    client = redis.asyncio.Redis(port=own_valkey.port, decode_responses=True, socket_timeout=99)
    async with (
        followed(own_valkey.unix_url, namespace) as one,
        followed(client, namespace) as two,
    ):
        position = await invalidate(one)

        assert position is not None
        assert await two.reached(position, 1.0)
    await client.aclose()


async def test_killed_connections_cost_no_violation_and_no_task(
    own_valkey: ValkeyServer, namespace: str
) -> None:
    """All connections killed again and again while invalidating: every record arrives."""
    async with (
        followed(own_valkey.url, namespace) as one,
        followed(own_valkey.url, namespace) as two,
    ):
        tasks = _others()
        for number in range(150):
            if number % 25 == 0:
                own_valkey.command("CLIENT", "KILL", "TYPE", "normal")
            before = Born(two.index.gen, two.index.seq)
            await invalidate(one)
            await until(lambda b=before: not permits(two, b), 1.5)  # type: ignore[misc]
        await until(lambda: not one.index.pending_count, 2.0)

        assert _others() == tasks
        assert two.stats().gaps == 0


def _others() -> int:
    """Tasks, but for those that close connections when their event loop ends."""
    return sum(task.get_name() != "asgi-multitier connections" for task in asyncio.all_tasks())
