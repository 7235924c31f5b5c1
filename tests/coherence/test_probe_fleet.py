"""What several processes do together: one run of the origin, a client's own writes, forks."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from asgi_multitier.redis.lease import TTL
from tests.coherence.probe import Instance, Probe, instances
from tests.figures import Figure, seconds
from tests.patience import PATIENCE, until
from tests.servers import FaultProxy, ValkeyServer

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.no_cover,  # what it tests runs in other processes
]

SECRET = "a secret of the tests"


class Four:
    """Four processes over one server, and a fifth whose log comes through a proxy.

    The proxy runs here, so what keeps this process busy keeps that one from its log.
    """

    def __init__(self, place: Path, door: FaultProxy, made: list[Instance]) -> None:
        self.door = door
        *self.made, self.late = made
        self.now = asyncio.get_running_loop().time
        self._notes = place / "notes"
        self._go = place / "go"

    def runs(self) -> list[int]:
        """The processes in which the slow route ran, in order."""
        return [int(line) for line in self._notes.read_text().split()] if self._begun() else []

    def _begun(self) -> bool:
        return self._notes.exists()

    def hold(self) -> None:
        """Let no run of the slow route end, and forget those that there were."""
        self._go.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)

    def go(self) -> None:
        """Let them end."""
        self._go.touch()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def four(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Four]:
    place = tmp_path_factory.mktemp("four")
    async with AsyncExitStack() as stack:
        server = stack.enter_context(ValkeyServer())
        door = await stack.enter_async_context(FaultProxy(server.port))
        urls = [server.url] * 4 + [door.url]
        made = await stack.enter_async_context(
            instances(place, urls, "four", ASGI_MULTITIER_SECRET=SECRET, REDIS_TIMEOUT="2")
        )
        yield Four(place, door, made)


async def test_a_client_sees_its_own_write_everywhere(four: Four, figure: Figure) -> None:
    """With the cookie that its write was answered with: at once, also where the log comes late."""
    one, other = four.made[0].caller(), four.late.caller()

    async def write_and_read(rounds: int) -> tuple[int, float]:
        outdated, slowest = 0, 0.0
        for _ in range(rounds):
            await other.ask("/v/1")
            written = await one.ask("/tag/1", "PUT")
            asked = four.now()
            read = await other.ask("/v/1", cookie=written.cookie)
            slowest = max(slowest, four.now() - asked)
            outdated += int(read.text) < int(written.text)
        return outdated, slowest

    for delay, rounds in ((0.0, 100), (0.01, 10)):
        four.door.delay = delay
        outdated, slowest = await write_and_read(rounds)
        name = f"read-your-writes, the log {seconds(2 * delay)} late"
        figure(name, f"{outdated} outdated in {rounds}, slowest {seconds(slowest)}", "0; 50 ms")
        assert not outdated
    four.door.delay = 0.0
    four.door.stall("tail")
    outdated, slowest = await write_and_read(10)
    four.door.flow()
    await until(four.late.is_trusted, 3)

    name = "read-your-writes, the log in a black hole"
    figure(name, f"{outdated} outdated in 10, slowest {seconds(slowest)}", "0; 50 ms + origin")
    assert not outdated


async def test_four_processes_run_the_origin_once(four: Four, figure: Figure) -> None:
    """A thousand requests at once for a cold key: one run, and all have its answer soon."""
    four.hold()
    ended: list[float] = []

    async def ask(number: int) -> str:
        reply = await four.made[number % 4].ask("/slow/once")
        ended.append(four.now())
        return reply.text

    def ask_a_thousand() -> list[asyncio.Task[str]]:
        ended.clear()
        return [asyncio.create_task(ask(number)) for number in range(1000)]

    requests = ask_a_thousand()

    async def all_wait() -> bool:
        waiting = [int((await each.stats())["waiting"]) for each in four.made]
        return sum(waiting) == 1000 - len(waiting)

    await until(all_wait, 20)
    four.go()
    gone = four.now()
    texts = set(await asyncio.gather(*requests))
    runs = four.runs()
    p99 = sorted(ended)[990] - gone
    begun = four.now()
    await asyncio.gather(*ask_a_thousand())
    of_hits = sorted(ended)[990] - begun

    figure("1,000 callers of 4 processes", f"{len(runs)} run of the origin", "1")
    beside = f"{seconds(p99)}; as many hits {seconds(of_hits)}"
    figure("1,000 callers of 4 processes, p99 beyond the origin", beside, "50 ms")
    assert texts == {"slow " * 200}
    assert len(runs) == 1


async def test_where_the_holder_dies_another_takes_over(four: Four, figure: Figure) -> None:
    """kill -9 of the process that runs the origin: its lease ends, one other runs it."""
    four.hold()
    requests = [asyncio.create_task(each.ask("/slow/heir")) for each in four.made[:3]]
    await until(lambda: len(four.runs()) == 1, 5)

    async def others_wait() -> bool:
        return sum([(await each.stats())["leases"] for each in four.made[:3]]) == 2

    await until(others_wait, 5)
    (holder,) = (each for each in four.made if each.process.pid == four.runs()[0])
    holder.signal(signal.SIGKILL)
    taken = await until(lambda: len(four.runs()) == 2, TTL + 2)
    four.go()
    replies = await asyncio.gather(*requests, return_exceptions=True)
    answered = [reply.text for reply in replies if not isinstance(reply, BaseException)]

    figure("holder killed, another runs the origin after", seconds(taken), f"{TTL:g} s")
    assert answered == ["slow " * 200] * 2
    assert len(four.runs()) == 2


FORK = """
import asyncio
import os

app = application()
manager = next(each for each in app.user_middleware).kwargs["cache"]


async def use():
    async with manager:
        await manager.set("before", "the fork")


asyncio.run(use())
children = []
for each in sockets:
    child = os.fork()
    if not child:
        serve(app, each)
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
"""
"""The cache has had connections and a node id before the fork."""


async def test_forked_processes_are_nodes_of_their_own(
    valkey: ValkeyServer, namespace: str, tmp_path: Path, figure: Figure
) -> None:
    """An application made before the fork: other node ids, other connections, nothing outdated."""
    parent = Instance(tmp_path, valkey.url, namespace, command=FORK, sockets=2)
    try:
        async with asyncio.timeout(20 * PATIENCE):
            names = {(await parent.stats(port))["node"] for port in parent.ports}
        probe = Probe([partial(parent.caller, port) for port in parent.ports], range(1, 5))
        await probe.run(200)
    finally:
        parent.close()

    figure("forked after the application was made", probe.summary(), "0")
    probe.check()
    assert len(names) == 2
