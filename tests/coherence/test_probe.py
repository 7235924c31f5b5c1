"""The consistency probe on real processes: healthy, and under each fault that has a bound."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.coherence.probe import Probe, instances
from tests.figures import Figure
from tests.servers import ValkeyServer

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes

ROUTES = ("tag", "path", "glob")
SOAK = int(os.environ.get("PROBE_EDITS", "1000000"))


async def healthy(
    valkey: ValkeyServer, namespace: str, place: Path, figure: Figure, edits: int
) -> None:
    async with instances(place, [valkey.url] * 2, namespace) as pair:
        probe = Probe([each.caller for each in pair], range(1, 13))
        begun = asyncio.get_running_loop().time()
        await probe.run(edits, ROUTES)
        taken = asyncio.get_running_loop().time() - begun
    figure(f"probe, two processes, healthy, {taken:.0f} s", probe.summary(), "0; p99 10 ms")
    probe.check()


@pytest.mark.timeout(240)
async def test_two_thousand_edits(
    valkey: ValkeyServer, namespace: str, tmp_path: Path, figure: Figure
) -> None:
    """No older version is served: by the editor from its answer on, by the other a moment later."""
    await healthy(valkey, namespace, tmp_path, figure, 2_000)


@pytest.mark.soak
@pytest.mark.timeout(0)
async def test_a_million_edits(
    valkey: ValkeyServer, namespace: str, tmp_path: Path, figure: Figure
) -> None:
    """The same, as long as it takes."""
    await healthy(valkey, namespace, tmp_path, figure, SOAK)
