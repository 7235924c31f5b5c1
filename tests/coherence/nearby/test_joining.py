"""Workers that come, stop and die at any moment: nobody serves what is older than promised."""

import asyncio

import pytest

from tests.coherence.nearby.world import Scenario, Worker, World, simulate


async def come(world: World, workers: list[Worker], count: int = 3) -> None:
    """They come within moments of each other, some at the same instant."""
    for _ in range(count):
        worker = Worker(world)
        workers.append(worker)
        worker.spawn(worker.run())
        await asyncio.sleep(world.random.choice((0.0, world.delay(0.05), world.delay(1.0))))


async def peaceful(world: World, workers: list[Worker]) -> None:
    """Nothing happens to them."""
    await come(world, workers)
    await asyncio.sleep(3)


async def together(world: World, workers: list[Worker]) -> None:
    """Each finds all others, and none waits for one who waits for it."""
    workers += [Worker(world) for _ in range(3)]
    for worker in workers:
        worker.peers.open()
    for worker in workers:
        worker.spawn(worker.run())
    await asyncio.sleep(3)
    assert len(world.starts) == 3
    assert max(world.starts) < 0.9


async def stopped(world: World, workers: list[Worker]) -> None:
    """One is stopped while another comes."""
    await come(world, workers, 2)
    world.random.choice(workers).stop(world.random.choice((0.1, 0.5, 2.0, 6.0)))
    await asyncio.sleep(world.delay(0.3))
    await come(world, workers, 1)
    await asyncio.sleep(9)


async def killed(world: World, workers: list[Worker]) -> None:
    """One dies at whatever step, and another comes."""
    await come(world, workers)
    await asyncio.sleep(world.delay(0.3))
    world.random.choice(workers).kill()
    await asyncio.sleep(world.delay(0.3))
    await come(world, workers, 1)
    await asyncio.sleep(3)


async def full(world: World, workers: list[Worker]) -> None:
    """The disk is full for a while, from the beginning or later."""
    world.is_full = world.random.random() < 0.5
    await come(world, workers)
    await asyncio.sleep(world.delay(0.5))
    world.is_full = True
    await asyncio.sleep(world.delay(6))
    world.is_full = False
    await asyncio.sleep(3)


@pytest.mark.parametrize("scenario", [peaceful, together, stopped, killed, full])
@pytest.mark.no_cover  # it repeats what others cover
def test_no_order_of_steps_lets_an_older_version_stand(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each seed is another order of all that happens."""
    assert simulate(scenario, range(15), monkeypatch) == []
