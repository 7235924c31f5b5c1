"""The bounds under faults, on real processes that answer requests meanwhile.

Two processes, each behind a proxy of its own before one server, serve all tests of this file: each
test leaves them whole. What is counted as outdated, and from when on, is said in `probe`.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from asgi_multitier.coherence.follower import MAX_PENDING
from asgi_multitier.redis import RedisLog
from tests.coherence.probe import FOREVER, Instance, Probe, instances
from tests.coherence.versions import Versions
from tests.figures import Figure, seconds
from tests.patience import until
from tests.redis.support import REPLACE, write_burst
from tests.servers import FaultProxy, ValkeyServer

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.no_cover,  # what it tests runs in other processes
]

NAMESPACE = "probe"
SOAK = (pytest.mark.soak, pytest.mark.timeout(0))


class Fleet:
    """Two processes with a proxy each, and the server behind both.

    Attributes:
        server: The server; a test that promotes another puts it here.
        doors: The proxies, in the order of the processes.
        pair: The processes.
        versions: The numbers that their origin serves.
    """

    def __init__(
        self,
        stack: AsyncExitStack,
        server: ValkeyServer,
        doors: Sequence[FaultProxy],
        pair: Sequence[Instance],
        versions: Versions,
    ) -> None:
        self.stack = stack
        self.server = server
        self.doors = doors
        self.pair = pair
        self.versions = versions
        self.now = asyncio.get_running_loop().time
        self._next = itertools.count(1)

    def keys(self, count: int) -> list[int]:
        """Keys that no other test uses."""
        return list(itertools.islice(self._next, count))

    def probe(self, keys: int | Sequence[int] = 4, bound: float = 1.0) -> Probe:
        """A probe of both."""
        chosen = self.keys(keys) if isinstance(keys, int) else keys
        return Probe([each.caller for each in self.pair], chosen, bound=bound)

    async def stats(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What both say of their logs."""
        first, second = self.pair
        return await first.stats(), await second.stats()

    def heal(self) -> None:
        """Take away what a test that failed has left."""
        self.server.thaw()
        for door in self.doors:
            door.refuse(False)
            door.flow()

    async def agree(self) -> bool:
        """Whether both believe the same log, and nothing waits."""
        one, two = await self.stats()
        whole = one["trusted"] and two["trusted"] and one["gen"] == two["gen"]
        return bool(whole and not any(each["queued"] or each["pending"] for each in (one, two)))

    async def warm(self, keys: Sequence[int]) -> None:
        """Have both hold these keys."""
        for each in self.pair:
            await each.warm(keys)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def whole_fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    place = tmp_path_factory.mktemp("fleet")
    async with AsyncExitStack() as stack:
        server = stack.enter_context(ValkeyServer())
        doors = [await stack.enter_async_context(FaultProxy(server.port)) for _ in range(2)]
        urls = [door.url for door in doors]
        made = instances(place, urls, NAMESPACE, DEPENDENCIES="1")
        pair = await stack.enter_async_context(made)
        yield Fleet(stack, server, doors, pair, Versions(place / "versions"))


@pytest_asyncio.fixture(loop_scope="module")
async def fleet(whole_fleet: Fleet) -> AsyncIterator[Fleet]:
    """The two processes, whole before and after."""
    await until(whole_fleet.agree, 5)
    yield whole_fleet
    whole_fleet.heal()
    await until(whole_fleet.agree, 5)


async def test_late_writes_of_a_frozen_server_bring_nothing_back(
    fleet: Fleet, figure: Figure
) -> None:
    """SIGSTOP, a hundred fills whose writes time out, a hundred edits, SIGCONT."""
    keys = fleet.keys(100)
    second = fleet.pair[1]
    fleet.server.freeze()
    await asyncio.gather(*(second.ask(f"/v/{key}") for key in keys))
    probe = fleet.probe(keys)
    versions = await asyncio.gather(*(probe.edit(0, key) for key in keys))
    fleet.server.thaw()
    healed = fleet.now()
    await asyncio.gather(
        *(
            probe.follow(key, version, healed, own=0)
            for key, version in zip(keys, versions, strict=True)
        )
    )

    figure("server frozen, late writes land", probe.summary(), "0 after 1 s")
    probe.check()


@pytest.mark.parametrize("kills", [20, pytest.param(300, marks=SOAK)])
async def test_killed_connections_are_made_up_for_within_a_second(
    fleet: Fleet, figure: Figure, kills: int
) -> None:
    """All connections killed each 200 ms while both edit: nothing outdated after 1 s."""
    before = await fleet.stats()
    async with fleet.probe(4).running(("tag", "path", "glob"), pause=0.02) as probe:
        for _ in range(kills):
            fleet.server.command("CLIENT", "KILL", "TYPE", "normal")
            await asyncio.sleep(0.2)

    async def is_quiet() -> bool:
        after = await fleet.stats()
        return all(two["tasks"] <= one["tasks"] for one, two in zip(before, after, strict=True))

    await until(is_quiet, 3)
    after = await fleet.stats()

    figure(f"connections killed each 200 ms, {kills / 5:g} s", probe.summary(), "0 after 1 s")
    assert [each["gaps"] for each in after] == [each["gaps"] for each in before]


@pytest.mark.parametrize("fault", ["reset", "half_close"])
async def test_a_cut_tail_is_made_up_for_within_a_second(
    fleet: Fleet, figure: Figure, fault: str
) -> None:
    """One process loses its connections again and again."""
    async with fleet.probe(4).running(pause=0.01) as probe:
        for _ in range(5):
            getattr(fleet.doors[1], fault)()
            await asyncio.sleep(0.2)

    figure(f"connections cut ({fault})", probe.summary(), "0 after 1 s")


async def test_a_silent_tail_leads_to_the_origin_within_eight_seconds(
    fleet: Fleet, figure: Figure
) -> None:
    """A black hole for the tail of one process: first distrust, then the origin."""
    probe = fleet.probe(4, bound=8.0)
    async with probe.running(pause=0.02):
        await until(lambda: probe.edits >= 5, 5)
        fleet.doors[1].stall("tail")
        edits = probe.edits

        async def is_distrusted() -> bool:
            return not await fleet.pair[1].is_trusted()

        distrusted = await until(is_distrusted, 4.5)
        await until(lambda: probe.edits > edits + 4, 10)
        fleet.doors[1].flow()

    figure("tail in a black hole", probe.summary(), "0 after 8 s")
    figure("tail in a black hole, distrusted after", seconds(distrusted), "3 s")


async def test_hits_do_not_need_the_server(fleet: Fleet, figure: Figure) -> None:
    """A black hole for everything but the tail: hits go on, a miss waits 250 ms for it at most."""
    keys = fleet.keys(20)
    process, door = fleet.pair[1], fleet.doors[1]
    await process.warm(keys[:1])
    caller = process.caller()

    async def timed(target: str) -> float:
        begun = fleet.now()
        assert (await caller.ask(target)).status == 200
        return fleet.now() - begun

    target = f"/v/{keys[0]}"
    healthy = sorted([await timed(target) for _ in range(300)])
    probe = fleet.probe(2)
    async with probe.running(pause=0.05):
        probe.excused = FOREVER
        door.stall("data")
        hits = sorted([await timed(target) for _ in range(300)])
        misses = [await timed(f"/v/{key}") for key in keys[1:]]
        door.flow()
        await until(fleet.agree, 5)
        probe.excused = fleet.now()

    spread = f"p50 {seconds(hits[150])}, healthy {seconds(healthy[150])}"
    figure("data path in a black hole, a hit", spread, "the same")
    figure("data path in a black hole, slowest miss", seconds(max(misses)), "250 ms + origin")
    figure("data path in a black hole, edits", probe.summary(), "0, 1 s after its end")


async def test_a_log_trimmed_past_a_process_is_noticed_at_once(
    fleet: Fleet, figure: Figure
) -> None:
    """A thousand records while one process is cut off, of which the log keeps a hundred."""
    keys = fleet.keys(100)
    await fleet.warm(keys)
    _, before = await fleet.stats()
    door = fleet.doors[1]
    door.refuse()
    door.reset()
    probe = fleet.probe(keys, bound=1.5)
    versions: dict[int, int] = {}
    for _ in range(5):
        made = await asyncio.gather(*(probe.edit(0, key) for key in keys))
        versions.update(zip(keys, made, strict=True))
    fleet.server.command("XTRIM", f"{{{NAMESPACE}}}:cache:invalidate", "MAXLEN", "=", 100)
    door.refuse(False)
    healed = fleet.now()
    await asyncio.gather(*(probe.follow(key, versions[key], healed, own=0) for key in keys))

    async def noticed() -> bool:
        return (await fleet.stats())[1]["gaps"] > before["gaps"]

    await until(noticed, 10)  # until then it may trust nothing that it has
    _, after = await fleet.stats()

    figure("log trimmed past a process", probe.summary(), "0 after 1.5 s, 1 flush")
    probe.check()
    assert (after["gaps"], after["flushes"]) == (before["gaps"] + 1, before["flushes"] + 1)


async def test_a_restarted_empty_server_outdates_nothing(fleet: Fleet, figure: Figure) -> None:
    """Log, control hash and data are gone: a new generation, which both agree on."""
    before, _ = await fleet.stats()
    probe = fleet.probe(4, bound=1.5)
    async with probe.running(pause=0.01):
        probe.excused = FOREVER
        fleet.server.restart()
        restarted = probe.excused = fleet.now()
        await until(fleet.agree, 3)
        agreed = fleet.now() - restarted
    after, _ = await fleet.stats()

    figure("server restarted empty", probe.summary(), "0 after 1.5 s")
    figure("server restarted empty, agreed again after", seconds(agreed), "1.5 s")
    assert after["gen"] != before["gen"]


@pytest.mark.parametrize("overtaken", [False, True], ids=["behind", "overtaken"])
async def test_a_promoted_replica_that_lacks_edits_outdates_nothing(
    fleet: Fleet, figure: Figure, overtaken: bool
) -> None:
    """Edits that only the lost server knew, and that one process had not heard of."""
    keys = fleet.keys(20)
    await fleet.warm(keys)
    before, _ = await fleet.stats()
    old = fleet.server
    new = fleet.stack.enter_context(ValkeyServer(replicaof=f"127.0.0.1 {old.port}"))
    await until(lambda: b"link_status:up" in new.command("INFO", "replication"), 5)
    assert old.command("WAIT", 1, 2000) == 1
    new.command("REPLICAOF", "NO", "ONE")
    fleet.doors[1].stall("tail")
    probe = fleet.probe(keys, bound=1.5)
    versions = await asyncio.gather(*(probe.edit(0, key) for key in keys))
    for door in fleet.doors:
        door.refuse()
    old.stop()
    if overtaken:
        log = f"{{{NAMESPACE}}}:cache:invalidate"
        seq = (await fleet.pair[0].stats())["seq"]
        new.command("EVAL", REPLACE, 2, f"{log}:ctl", log, seq - 30, seq + 30, b"other")
    fleet.server = new
    for door in fleet.doors:
        door.target = new.port
        door.refuse(False)
        door.flow()
        door.reset()
    healed = fleet.now()
    await asyncio.gather(
        *(
            probe.follow(key, version, healed, own=0)
            for key, version in zip(keys, versions, strict=True)
        )
    )
    await until(fleet.agree, 3)
    after, _ = await fleet.stats()

    name = "replica promoted, its history ahead" if overtaken else "replica promoted, edits lost"
    figure(name, probe.summary(), "0 after 1.5 s")
    probe.check()
    assert after["gen"] != before["gen"]


async def test_edits_go_on_where_no_memory_is_left(fleet: Fleet, figure: Figure) -> None:
    """Fills of the shared tier fail, and nobody but the counters notices."""
    one, two = await fleet.stats()

    async def nothing_is_queued() -> bool:
        return not any([(await each.stats())["queued"] for each in fleet.pair])

    async with fleet.probe(4).running(pause=0.005) as probe:
        fleet.server.command("CONFIG", "SET", "maxmemory", "1")
        await until(lambda: probe.edits >= 100, 10)
        await until(nothing_is_queued, 1)
        fleet.server.command("CONFIG", "SET", "maxmemory", "0")
    later = await fleet.stats()

    sent = later[0]["sent"] + later[1]["sent"] - one["sent"] - two["sent"]
    figure("no memory left", probe.summary(), "0; all edits told")
    assert sent >= probe.edits


async def test_hits_go_on_through_a_burst_of_records(fleet: Fleet, figure: Figure) -> None:
    """50,000 records at once: applied within 10 s, while hits are answered."""
    (key,) = fleet.keys(1)
    await fleet.warm([key])
    process = fleet.pair[1]
    caller = process.caller()
    seq = (await process.stats())["seq"]
    writer = RedisLog(fleet.server.url, namespace=NAMESPACE)
    begun = fleet.now()
    await write_burst(writer, 50_000, fleet.server)
    waits = []

    async def is_applied() -> bool:
        for _ in range(20):
            asked = fleet.now()
            await caller.ask(f"/v/{key}")
            waits.append(fleet.now() - asked)
        return bool((await process.stats())["seq"] >= seq + 50_000)

    await until(is_applied, 20)
    taken = fleet.now() - begun
    await writer.close()
    waits.sort()

    figure("50,000 records at once, applied after", seconds(taken), "10 s")
    p99 = waits[int(0.99 * len(waits))]
    figure("50,000 records at once, p99 of a hit", seconds(p99), "50 ms")


async def fill_during_an_edit(fleet: Fleet, route: str, probe: Probe) -> int:
    """One round over thirty keys; how many fills were kept that should not have been."""
    keys = fleet.keys(30)
    for each in fleet.pair:
        await each.ask("/set/gate/shut")
    fills = [asyncio.create_task(each.ask(f"/v/{key}?held")) for each in fleet.pair for key in keys]

    async def all_have_read() -> bool:
        return all([(await each.stats())["held"] == len(keys) for each in fleet.pair])

    await until(all_have_read, 10)
    versions = await asyncio.gather(*(probe.edit(0, key, route) for key in keys))
    edited = fleet.now()
    for each in fleet.pair:
        await each.ask("/set/gate/open")
    await asyncio.gather(*fills)
    wrong = 0
    for each in fleet.pair:
        for key, version in zip(keys, versions, strict=True):
            # Asked as the fill was, so that a copy that was kept would answer.
            wrong += int((await each.ask(f"/v/{key}?held")).text) < version
    for key, version in zip(keys, versions, strict=True):
        await probe.follow(key, version, edited, own=0)
    return wrong


@pytest.mark.parametrize("rounds", [1, pytest.param(167, marks=SOAK)])
@pytest.mark.parametrize("route", ["tag", "path", "glob"])
async def test_what_is_first_filled_during_an_edit_is_not_kept(
    fleet: Fleet, figure: Figure, route: str, rounds: int
) -> None:
    """Fills of unknown keys have read the old version; the edit comes; then they end."""
    probe = fleet.probe(0)
    wrong = sum([await fill_during_an_edit(fleet, route, probe) for _ in range(rounds)])

    what = f"{wrong} outdated in {2 * probe.edits:,} fills"
    figure(f"first filled during the edit, by {route}", what, "0")
    probe.check()
    assert not wrong


async def test_too_many_edits_for_the_queue_become_one(fleet: Fleet, figure: Figure) -> None:
    """20,000 tags and some edits while Redis is away for one process; then all is dropped once."""
    keys = fleet.keys(20)
    await fleet.warm(keys)
    before, _ = await fleet.stats()
    door = fleet.doors[0]
    door.refuse()
    door.reset()
    probe = fleet.probe(keys)
    versions = await asyncio.gather(*(probe.edit(0, key) for key in keys))
    assert (await fleet.pair[0].ask("/many/20000", "PUT")).status == 200
    away = await fleet.pair[0].stats()
    door.refuse(False)
    healed = fleet.now()
    await asyncio.gather(
        *(
            probe.follow(key, version, healed, own=0)
            for key, version in zip(keys, versions, strict=True)
        )
    )

    figure("20,000 selectors while Redis is away", probe.summary(), "0, 1 s after its return")
    probe.check()
    assert away["queued"] <= MAX_PENDING
    assert away["overflows"] > before["overflows"]


async def commit_after_the_answer(fleet: Fleet, route: str, probe: Probe) -> None:
    """One round over fifty keys."""
    keys = fleet.keys(50)
    writer = fleet.pair[0]
    await writer.ask("/set/commits/shut")
    runs = [writer.caller() for _ in keys]
    answers = await asyncio.gather(
        *(run.ask(f"/{route}/{key}", "PUT") for run, key in zip(runs, keys, strict=True))
    )
    await fleet.warm(keys)
    for each in fleet.pair:
        kept = await each.ask(f"/v/{keys[-1]}")
        assert (kept.text, b"; hit" in kept.head) == ("0", True)
    await writer.ask("/set/commits/open")
    await until(lambda: all(fleet.versions[key] for key in keys), 5)
    committed = fleet.now()
    await asyncio.gather(*(probe.follow(key, 1, committed) for key in keys))
    for run in runs:
        run.close()

    assert {answer.status for answer in answers} == {200}


@pytest.mark.parametrize("rounds", [1, pytest.param(200, marks=SOAK)])
@pytest.mark.parametrize("route", ["dependency", "background"])
async def test_what_commits_after_the_answer_is_dropped_again(
    fleet: Fleet, figure: Figure, route: str, rounds: int
) -> None:
    """Fills between the answer and the commit store what is old; it is gone when the run ends."""
    probe = fleet.probe(0)
    for _ in range(rounds):
        await commit_after_the_answer(fleet, route, probe)

    figure(f"commit after the answer ({route})", probe.summary(), "0 after 1 s")
    probe.check()


async def test_what_a_lagging_replica_says_is_not_kept_while_it_settles(
    fleet: Fleet, figure: Figure
) -> None:
    """`settle=`: fills after the edit read what is old, and nobody else gets that."""
    keys = fleet.keys(20)
    for key in keys:
        assert (await fleet.pair[0].ask(f"/primary/{key}", "PUT")).status == 200
        for each in fleet.pair:
            await each.ask(f"/replica/{key}")
        fleet.versions.raise_by_one(key)
    wrong = 0
    for key in keys:
        for each in fleet.pair:
            wrong += (await each.ask(f"/replica/{key}")).text != "1"
    assert (await fleet.pair[0].ask(f"/primary/{keys[-1]}", "PUT")).status == 200

    async def is_kept() -> bool:
        reply = await fleet.pair[1].ask(f"/replica/{keys[-1]}")
        return b"; hit" in reply.head

    settled = await until(is_kept, 2)

    what = f"{wrong} outdated in {2 * len(keys)}"
    figure("settle=0.5 with a lagging replica", what, "0")
    figure("settle=0.5, kept again after", seconds(settled), "0.5 s")
    assert not wrong
