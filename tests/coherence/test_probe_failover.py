"""Masters that are lost with what only they and a lost process knew, or that turn into replicas."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.coherence.probe import Instance, Probe
from tests.figures import Figure, seconds
from tests.patience import until
from tests.servers import FaultProxy, ValkeyServer

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes

KEYS = range(1, 21)

CHOOSING = """
import os
from asgi_multitier import CacheManager
from asgi_multitier.redis import RedisLog

log = RedisLog(
    os.environ["REDIS_URL"],
    namespace=os.environ["ASGI_MULTITIER_NAMESPACE"],
    on_failover=os.environ["ON_FAILOVER"],
)
serve(application(CacheManager(log=log)), *sockets)
"""
"""A process that is told what a failover means."""

LIFETIME = 4.0
"""Seconds that a copy lives where nothing else ends it."""


class Pair:
    """Two processes with a proxy each, before a master that has a replica.

    Args:
        stack: Closes what is made here.
        place: The directory of the shared files.
        namespace: The cache's namespace.
        master: The server that the proxies lead to.
        replica: The server that replicates it.
        doors: The proxies.
        command: What the processes run.
        settings: Their further environment.

    Attributes:
        warmed: Loop time at which they began to fill.
    """

    def __init__(
        self,
        stack: AsyncExitStack,
        place: Path,
        namespace: str,
        *,
        master: ValkeyServer,
        replica: ValkeyServer,
        doors: Sequence[FaultProxy],
        command: str,
        settings: dict[str, str],
    ) -> None:
        self.master, self.replica, self.doors = master, replica, doors
        self.now = asyncio.get_running_loop().time
        self.warmed = 0.0
        self._stack = stack
        self._make = partial(
            Instance, place, namespace=namespace, command=command, settings=settings
        )
        self.made = [self.start(door) for door in doors]

    def start(self, door: FaultProxy) -> Instance:
        """A process that finds Redis behind this proxy."""
        made = self._make(redis_url=door.url)
        self._stack.callback(made.close)
        return made

    async def warm(self) -> None:
        """Have both hold all keys, and the replica what they have written."""
        self.warmed = self.now()
        for each in self.made:
            await each.warm(KEYS)
        await until(lambda: self.master.command("DBSIZE") >= len(KEYS) + 2, 5)
        assert self.master.command("WAIT", 1, 2000) == 1

    async def edit(self, by: Instance) -> dict[int, int]:
        """Edit every key; the new versions."""
        replies = await asyncio.gather(*(by.ask(f"/tag/{key}", "PUT") for key in KEYS))
        assert {reply.status for reply in replies} == {200}
        return {key: int(reply.text) for key, reply in zip(KEYS, replies, strict=True)}

    def lead_to(self, server: ValkeyServer) -> None:
        """Have the address lead to another server; connections that there are stay."""
        for door in self.doors:
            door.target = server.port

    async def agree(self) -> bool:
        """Whether both believe the same log, and nothing waits."""
        one, two = [await each.stats() for each in self.made]
        whole = one["trusted"] and two["trusted"] and one["gen"] == two["gen"]
        return bool(whole and not any(each["queued"] or each["pending"] for each in (one, two)))


@asynccontextmanager
async def pair(
    place: Path, namespace: str, command: str = "serve(application(), *sockets)", **settings: str
) -> AsyncIterator[Pair]:
    """Two processes, up to date and warm."""
    async with AsyncExitStack() as stack:
        master = stack.enter_context(ValkeyServer())
        replica = stack.enter_context(ValkeyServer(replicaof=f"127.0.0.1 {master.port}"))
        await until(partial(is_in_step, replica), 5)
        doors = [await stack.enter_async_context(FaultProxy(master.port)) for _ in range(2)]
        made = Pair(
            stack,
            place,
            namespace,
            master=master,
            replica=replica,
            doors=doors,
            command=command,
            settings=settings,
        )
        for each in made.made:
            await each.wait()
        await made.warm()
        yield made


def is_in_step(replica: ValkeyServer) -> bool:
    """Whether it has all that its master has."""
    return b"link_status:up" in replica.command("INFO", "replication")


async def follow(probe: Probe, versions: dict[int, int], since: float) -> None:
    """Ask everybody until they are as new as edits of a process that is gone."""
    await asyncio.gather(*(probe.follow(key, version, since) for key, version in versions.items()))


async def lose_the_editor_with_the_master(two: Pair) -> tuple[dict[int, int], float]:
    """Edits that only the editor and the master know, and then both are killed at once.

    Returns:
        The versions, and when the edits were answered.
    """
    editor, _ = two.made
    two.replica.command("REPLICAOF", "NO", "ONE")
    two.doors[1].stall("tail")
    versions = await two.edit(editor)
    edited = two.now()
    editor.close()
    two.master.stop()
    two.lead_to(two.replica)
    for door in two.doors:
        door.flow()
        door.reset()
    return versions, edited


async def test_who_flushes_at_a_failover_needs_nobody_who_knew_of_the_edits(
    namespace: str, tmp_path: Path, figure: Figure
) -> None:
    """`on_failover="flush"`: nothing outdated once it is noticed, also in who comes anew."""
    async with pair(tmp_path, namespace, CHOOSING, ON_FAILOVER="flush") as two:
        witness = two.made[1]
        gen = (await witness.stats())["gen"]
        versions, _ = await lose_the_editor_with_the_master(two)
        lost = two.now()

        async def is_noticed() -> bool:
            return (await witness.stats())["gen"] != gen

        await until(is_noticed, 3)
        noticed = two.now()
        heir = await two.start(two.doors[0]).wait()
        probe = Probe([witness.caller, heir.caller], (), bound=0.0)
        await follow(probe, versions, noticed)

        figure("editor and master killed, flush", probe.summary(), "0 once noticed")
        figure("editor and master killed, noticed after", seconds(noticed - lost), "1.5 s")
        probe.check()


async def test_who_trusts_a_failover_is_wrong_for_a_lifetime_at_most(
    namespace: str, tmp_path: Path, figure: Figure
) -> None:
    """`on_failover="trust"`: nobody tells of the edits, and what is held ends with its lifetime."""
    async with pair(
        tmp_path, namespace, CHOOSING, ON_FAILOVER="trust", LIFETIME=f"{LIFETIME}"
    ) as two:
        witness = two.made[1]
        gen = (await witness.stats())["gen"]
        versions, edited = await lose_the_editor_with_the_master(two)
        held = [await witness.ask(f"/v/{key}") for key in KEYS]
        in_time = two.now() - two.warmed < LIFETIME
        heir = await two.start(two.doors[0]).wait()
        found = [await heir.ask(f"/v/{key}") for key in KEYS]
        all_in_time = two.now() - two.warmed < LIFETIME
        probe = Probe([witness.caller, heir.caller], (), bound=LIFETIME)
        await follow(probe, versions, edited)

        figure(
            "editor and master killed, trust",
            probe.summary(),
            f"0 after the lifetime, {LIFETIME:g} s",
        )
        probe.check()
        # The price: they do believe what they hold, and what the new master holds. Where a busy
        # machine took a lifetime to get here, nothing is left that could be believed.
        if in_time:
            assert {(reply.text, b"detail=l1" in reply.head) for reply in held} == {("0", True)}
        if all_in_time:
            assert {(reply.text, b"detail=l2" in reply.head) for reply in found} == {("0", True)}
        assert (await witness.stats())["gen"] == gen


async def test_a_master_that_became_a_replica_is_left_for_the_new_one(
    namespace: str, tmp_path: Path, figure: Figure
) -> None:
    """Its connections stand, but it refuses writes: counted, queued, and told to the new master."""
    async with pair(tmp_path, namespace) as two:
        editor, witness = two.made
        two.replica.command("REPLICAOF", "NO", "ONE")
        two.master.command("REPLICAOF", "127.0.0.1", two.replica.port)
        await until(partial(is_in_step, two.master), 5)
        before = await editor.stats()
        # One first: the circuit breaker of many failures would let the others wait of itself.
        assert (await editor.ask("/tag/1", "PUT")).text == "1"
        refused = await editor.stats()
        versions = await two.edit(editor)
        await witness.ask("/v/1000")

        async def is_counted() -> bool:
            reading = await witness.stats()
            return reading["unwritten"] and "ReadOnlyError" in reading["errors"][0]

        await until(is_counted, 1)
        opened = [door.accepted for door in two.doors]
        two.lead_to(two.replica)
        led = two.now()
        probe = Probe([each.caller for each in two.made], (), bound=2.0)
        await asyncio.gather(
            *(probe.follow(key, version, led, own=0) for key, version in versions.items())
        )
        await until(two.agree, 2)
        found = two.now() - led

        figure("master became a replica", probe.summary(), "0 after 2 s")
        figure("master became a replica, new master known to all after", seconds(found), "2 s")
        probe.check()
        assert refused["queued"] == refused["pending"] > 0
        assert refused["sent"] == before["sent"]
        assert all(door.accepted > count for door, count in zip(two.doors, opened, strict=True))


async def test_what_an_old_master_was_told_while_there_was_a_new_one_is_told_to_that_too(
    namespace: str, tmp_path: Path, figure: Figure
) -> None:
    """Two masters for a while: edits on the old one reach who had left it, 1.5 s after it is left.

    The one who follows the new master has filled what is edited before the edit, in the new
    generation; the editor has read its own records back, from the old master.
    """
    async with pair(tmp_path, namespace) as two:
        editor, witness = two.made
        gen = (await editor.stats())["gen"]
        two.replica.command("REPLICAOF", "NO", "ONE")
        two.doors[1].target = two.replica.port
        two.doors[1].reset()

        async def has_left() -> bool:
            reading = await witness.stats()
            return bool(reading["trusted"] and reading["gen"] != gen)

        async def has_read_back() -> bool:
            reading = await editor.stats()
            return not reading["pending"] and reading["gen"] == gen

        await until(has_left, 3)
        await witness.warm(KEYS)
        versions = await two.edit(editor)
        await until(has_read_back, 1)
        two.master.stop()
        two.lead_to(two.replica)
        left = two.now()
        probe = Probe([each.caller for each in two.made], (), bound=1.5)
        await asyncio.gather(
            *(probe.follow(key, version, left, own=0) for key, version in versions.items())
        )

        figure("two masters for a while", probe.summary(), "0, 1.5 s after it ended")
        probe.check()
