"""The examples run and print what they demonstrate."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from asgi_multitier.testing import SharedTierContract
from asgi_multitier.tiers.base import SharedTier
from tests.servers import ValkeyServer, free_port

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes

EXAMPLES = Path(__file__).parent.parent / "examples"

SHOWN = {
    "basic": [
        "got {'text': 'hello'}",
        "computing ...\nvalue [1, 2, 3]\nvalue [1, 2, 3]\n",
        "several: {'a': 1, 'b': None}",
        "after the invalidation: None",
        "8 requests, 4 hits, 4 misses",
    ],
    "strategies": [
        "REAL_TIME            0:00:10",
        "LONG_TERM            3:00:00",
        "CUSTOM        1 day, 0:00:00",
        "news: first\nnews: second\nnews: second\n",
    ],
    "stampede": [
        "100 callers, 1 call of the source",
        "the leader left, 9 were answered by 1 call",
        "takes longer than hard_timeout=0.05 s",
        "and a moment later: the report",
        "3 misses, 108 coalesced of 112",
    ],
    "database": [
        "User(id=1, name='Ada') then User(id=1, name='Ada') (1 read)",
        "None then None (2 reads)",
        "User(id=1, name='Ada Lovelace') (3 reads)",
        "ten callers, 1 query",
    ],
    "streams": [
        "newest first: ['5', '4', '3']",
        "oldest first: ['1', '2', '3', '4', '5']",
        "followed: ['6', '7']",
        "anna took 4 and finished 4\nbert took 3 and finished 3\n",
    ],
    # Whether it is within 50 ms depends on the machine too.
    "invalidation": [
        "before: 100 from memory",
        "update 120: seen here as 120, within 50 ms: ",
        "invalidate: seen here as None, within 50 ms: ",
        "heard: {'key': 1, 'update': 1}",
    ],
    "custom_backends": [
        "files: 1",
        "from the file: kept in a file",
        "tiers: [('memory', 0), ('directory', 1)]",
        "computed: 1\nand kept nowhere: None\n",
    ],
    "multi_tier": [
        "{'v': 1} from L1",
        "L1 memory     2 hits, 0 promotions",
        "L4 archive    2 hits, 1 promotions",
        "at most 60 s in memory: True",
    ],
    "health": [
        "healthy: L1 memory up, breaker closed, L2 flaky up, breaker closed\ndegraded",
        "L2 flaky down (connection refused), breaker open",
        "hit ratio 90%: good\nhealthy",
    ],
    "web": [
        "| fwd=uri-miss\n{'id': 1, 'stock': 5, 'supplier': 'Example Ltd'} | hit\n",
        "{'id': 1, 'stock': 9, 'supplier': 'Example Ltd'} | fwd=uri-miss\nreport: 16\n",
    ],
}


def test_every_example_is_run_and_listed() -> None:
    """Every example is in these tests and in the list of examples."""
    files = {path.stem for path in EXAMPLES.glob("*.py")}

    assert files == set(SHOWN)
    assert files == set(re.findall(r"\]\((\w+)\.py\)", (EXAMPLES / "README.md").read_text()))


@pytest.mark.parametrize("name", SHOWN)
def test_example_shows_what_it_says(name: str, valkey: ValkeyServer) -> None:
    """Each runs as a separate program, without a warning."""
    redis_url = valkey.url if name == "streams" else f"redis://127.0.0.1:{free_port()}"
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "REDIS_URL": redis_url, "ASGI_MULTITIER_NAMESPACE": f"example-{name}"},
        cwd=EXAMPLES,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    for shown in SHOWN[name]:
        assert shown in done.stdout


def load(name: str) -> ModuleType:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestDirectoryTier(SharedTierContract):
    """The example of a custom tier passes the contract suite."""

    directory: Path

    @pytest.fixture(autouse=True)
    def _use_directory(self, tmp_path: Path) -> None:
        self.directory = tmp_path

    async def make(self) -> SharedTier:
        """A tier in the test's directory."""
        tier: SharedTier = load("custom_backends").DirectoryTier(self.directory)
        return tier

    async def make_again(self) -> SharedTier | None:
        """The same tier, as in another process."""
        return await self.make()

    async def make_broken(self) -> SharedTier | None:
        """A file is in place of the directory."""
        (self.directory / "file").touch()
        tier: SharedTier = load("custom_backends").DirectoryTier(self.directory / "file")
        return tier
