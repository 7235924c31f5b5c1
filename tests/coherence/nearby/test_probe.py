"""The consistency probe on workers that have neither a Redis nor a file given."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from tests.coherence.probe import Instance, Probe, instances
from tests.figures import Figure
from tests.patience import until

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes

ROUTES = ("tag", "path", "glob")


@pytest.mark.timeout(300)
async def test_two_thousand_edits_without_any_server(
    namespace: str, tmp_path: Path, figure: Figure
) -> None:
    """No worker serves an older version, also where a fourth worker is killed while it edits."""
    async with instances(tmp_path, ["none"] * 3, namespace) as three:
        fourth = await Instance(tmp_path, "none", namespace).wait()
        probe = Probe([each.caller for each in three], range(1, 25), bound=1.0)
        edits = asyncio.create_task(_edit(fourth))
        async with asyncio.TaskGroup() as both:
            both.create_task(probe.run(2_000, ROUTES))
            await until(lambda: probe.edits > 600, 200)
            fourth.close()
        assert await edits > 0
    figure("probe, three workers, no server", probe.summary(), "0; p99 50 ms")
    probe.check()


async def _edit(worker: Instance) -> int:
    """Edit a key of its own until the worker dies."""
    made = 0
    caller = worker.caller()
    with suppress(OSError):
        while True:
            await caller.ask("/tag/50", "PUT")
            made += 1
            await asyncio.sleep(0.01)  # as fast as it can, it takes the machine from the others
    return made
