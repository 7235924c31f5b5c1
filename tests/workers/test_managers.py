"""Which caches can be asked by the other workers of their machine."""

import os
from pathlib import Path
from typing import Any

import pytest

from asgi_multitier import CacheManager, CacheMiddleware
from asgi_multitier.errors import ConfigError
from asgi_multitier.manager import isolation
from asgi_multitier.workers import sockets
from tests.support import EVERYTHING, Client, Origin


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of the test's own."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.fspath(tmp_path))
    return tmp_path


def serving(**settings: Any) -> CacheManager:
    """The manager of an application that has answered a request."""
    return CacheManager(redis_url=None, namespace="n", **settings)


async def asked(manager: CacheManager) -> None:
    """Let a client ask its application."""
    await Client(CacheMiddleware(Origin(), manager, rules=EVERYTHING)).get("/")


async def test_whoever_serves_an_application_can_be_asked() -> None:
    """Two of one namespace are two workers; one that is closed is none."""
    one, two = serving(), serving()
    await asked(one)
    await asked(two)
    assert (one.workers.number, two.workers.number) == (0, 1)
    await one.close()
    assert one.workers.number is None
    await two.close()
    assert sockets.paths("n") == {}


async def test_a_program_cannot_unless_something_reads_its_figures() -> None:
    """What runs for a moment would come and go among the workers."""
    async with CacheManager(redis_url=None, namespace="n") as program:
        assert program.workers.number is None
    program.workers.is_wanted = True
    async with program:
        assert program.workers.number == 0


@pytest.mark.parametrize(
    "settings", [{"workers": False}, {"mode": "off"}, {"namespace": None}], ids=str
)
async def test_where_it_is_switched_off_nothing_is_opened(
    settings: dict[str, Any], runtime: Path
) -> None:
    """Nor where the workers have no name in common."""
    async with CacheManager(**{"redis_url": None, "namespace": "n", **settings}) as manager:
        manager.workers.is_wanted = True
        await manager.close()
        await manager.start()
        assert manager.workers.number is None
    assert [file for _, _, files in os.walk(runtime) for file in files if "sock" in file] == []


async def test_the_environment_switches_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """As every setting."""
    monkeypatch.setenv("ASGI_MULTITIER_WORKERS", "0")
    manager = CacheManager(redis_url=None, namespace="n")
    assert manager.config.workers is False
    monkeypatch.setenv("ASGI_MULTITIER_WORKERS", "perhaps")
    with pytest.raises(ConfigError, match="workers='perhaps'"):
        CacheManager(redis_url=None, namespace="n")


async def test_a_failure_is_one_line_and_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And the cache works."""
    monkeypatch.setattr("asgi_multitier.workers.claims.MOST", 0)
    one, two = serving(), serving()
    await asked(one)
    await asked(one)
    assert one.stats().failures == {"workers": 1}
    (line,) = [record.message for record in caplog.records if "workers:" in record.message]
    assert line.startswith("workers: OSError: 0 workers have a number already; figures of several")
    await one.close()
    await two.close()


async def test_caches_in_tests_of_applications_open_nothing() -> None:
    """They stand on nothing that the test did not ask for; see `manager.isolation`."""
    isolation.begin().in_test = True
    try:
        async with CacheManager(redis_url=None, namespace="n") as manager:
            manager.workers.is_wanted = True
            await manager.close()
            await manager.start()
            assert manager.workers.number is None
    finally:
        isolation.end()
