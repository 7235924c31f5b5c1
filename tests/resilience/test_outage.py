"""The server of the second tier dies or freezes, or clients leave, and nobody else notices.

One real process under load. That nobody waits for too long is reported, not asserted.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.coherence.probe import Instance, Reply
from tests.coherence.versions import Versions
from tests.figures import Figure, seconds
from tests.patience import until
from tests.resilience.load import ROOM, Load
from tests.servers import ValkeyServer

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes

SOAK = (pytest.mark.soak, pytest.mark.timeout(0))
SEED = 20_240_611

PATIENCE = 20.0
"""Seconds for what is certain to come."""


@asynccontextmanager
async def loaded(place: Path, server: ValkeyServer, namespace: str) -> AsyncIterator[Load]:
    """A process, loaded and warm; after the block nothing may have been answered wrongly."""
    process = Instance(
        place, server.url, namespace, settings={"ASGI_MULTITIER_L1_ENTRIES": str(ROOM)}
    )
    try:
        await process.wait()
        load = Load(process, Versions(place / "versions"), SEED)
        async with load.running():
            await until(lambda: min(load.count("l1"), load.count("l2")) > 50, PATIENCE)
            yield load

        async def all_is_told() -> bool:
            return not (await process.stats())["queued"]

        await until(all_is_told, PATIENCE)
        stats = await process.stats()
    finally:
        process.close()
    assert load.wrong == []
    assert load.count("edit")
    assert stats["trusted"]
    assert not stats["failures"].get("broken")


async def test_a_killed_server_costs_hits_of_the_second_tier_and_nothing_else(
    own_valkey: ValkeyServer, namespace: str, tmp_path: Path, figure: Figure
) -> None:
    """kill -9 for 3 s under load: no error, no wrong answer, and then all is as before."""
    now = asyncio.get_running_loop().time
    async with loaded(tmp_path, own_valkey, namespace) as load:
        begun = now()
        await asyncio.sleep(1)
        killed = now()
        own_valkey.stop()
        await asyncio.sleep(3)
        own_valkey.start()
        back = now()
        hit = await until(lambda: load.count("l2", back), PATIENCE)
        await until(lambda: load.count("edit", back) > 5, PATIENCE)

    healthy = load.took(begun, killed, 0.99)
    first = load.took(killed, killed + 1, 0.99) - healthy
    later = load.took(killed + 1, back, 0.99) - healthy
    name = "server killed for 3 s under load"
    figure(f"{name}, added at p99 in the first second", seconds(max(0.0, first)), "250 ms")
    figure(f"{name}, added at p99 once the breaker is open", seconds(max(0.0, later)), "2 ms")
    figure(f"{name}, L2 hits again after its return", seconds(hit), "2 s")
    figure(f"{name}, slowest request meanwhile", seconds(load.took(killed, back, 1)), "250 ms")


@pytest.mark.parametrize("frozen", [5, pytest.param(20, marks=SOAK)], ids=["5 s", "20 s"])
async def test_a_frozen_server_costs_hits_of_the_second_tier_and_nothing_else(
    own_valkey: ValkeyServer, namespace: str, tmp_path: Path, figure: Figure, frozen: int
) -> None:
    """SIGSTOP under load, where connections stand and nothing is answered."""
    now = asyncio.get_running_loop().time
    async with loaded(tmp_path, own_valkey, namespace) as load:
        own_valkey.freeze()
        begun = now()
        await asyncio.sleep(frozen)
        own_valkey.thaw()
        back = now()
        hit = await until(lambda: load.count("l2", back), PATIENCE)
        await until(lambda: load.count("edit", back) > 5, PATIENCE)

    asked = sum(begun <= each.sent < back for each in load.asked)
    name = f"server frozen for {frozen} s under load"
    figure(f"{name}, longest of {asked:,}", seconds(load.took(begun, back, 1)), "250 ms")
    figure(f"{name}, L2 hits again after its return", seconds(hit), "2 s")


STAMPEDE = 1_000
LEAVING = 100


async def test_clients_that_leave_a_stampede_harm_nobody_who_stays(
    valkey: ValkeyServer, namespace: str, tmp_path: Path
) -> None:
    """A thousand wait for one answer; a hundred leave, among them who asked first."""
    chosen = random.Random(SEED)
    process = Instance(tmp_path, valkey.url, namespace)
    callers = [process.caller() for _ in range(STAMPEDE)]
    try:
        await process.wait()
        notes = tmp_path / "notes"
        asking = [asyncio.create_task(callers[0].ask("/slow/it"))]
        await until(notes.exists, PATIENCE)
        asking += [asyncio.create_task(caller.ask("/slow/it")) for caller in callers[1:]]

        async def all_wait() -> bool:
            return bool((await process.stats())["waiting"] == STAMPEDE - 1)

        await until(all_wait, PATIENCE)
        leaving = {0, *chosen.sample(range(1, STAMPEDE), LEAVING - 1)}
        moments = sorted((chosen.uniform(0, 0.6), number) for number in leaving)
        begun = asyncio.get_running_loop().time()
        for moment, number in moments:
            await asyncio.sleep(begun + moment - asyncio.get_running_loop().time())
            asking[number].cancel()
            if moment > 0.3:
                # The answer goes out while the second half leaves.
                (tmp_path / "go").touch()
        done = await asyncio.wait_for(asyncio.gather(*asking, return_exceptions=True), PATIENCE)
    finally:
        process.close()

    stayed = [reply for number, reply in enumerate(done) if number not in leaving]
    whole = [reply for reply in stayed if isinstance(reply, Reply) and reply.status == 200]
    assert len(whole) == STAMPEDE - LEAVING
    assert {reply.text for reply in whole} == {"slow " * 200}
    assert len(notes.read_text().splitlines()) == 1, "one run of the origin"
