"""Fixtures that several directories share."""

import os
import random
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import astuple
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

from asgi_multitier import CacheConfig
from tests import figures, skips, traced, warden
from tests.fakeredis_server import FakeredisServer, Server
from tests.figures import Figure
from tests.patience import PATIENCE
from tests.servers import FaultProxy, ValkeyServer

REDIS_TIMEOUT = 30.0
"""Seconds for which requests in tests wait for a server: a slow machine may stop for some."""

WARDEN: pytest.StashKey[warden.Warden | None] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Have whatever the tests start end with them, and all that run tests name them alike."""
    config.stash[WARDEN] = warden.begin()
    # A set among a test's parameters shows in its name, in an order that goes by this.
    os.environ.setdefault("PYTHONHASHSEED", str(random.randrange(2**32)))
    if coverage := config.pluginmanager.getplugin("_cov"):
        config.pluginmanager.register(traced.Tracing(coverage), "traced")


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Leave out of a test's name where in memory a parameter lies: workers compare the names."""
    for mark in metafunc.definition.iter_markers("parametrize"):
        if callable(naming := mark.kwargs.get("ids")):
            mark.kwargs["ids"] = partial(_without_address, naming)


def _without_address(naming: Callable[[object], object], value: object) -> object:
    name = naming(value)
    return re.sub(r" at 0x[0-9a-f]+", "", name) if isinstance(name, str) else name


def pytest_unconfigure(config: pytest.Config) -> None:
    """Wait until all of it has ended, and its temporary files are gone."""
    if watching := config.stash[WARDEN]:
        watching.dismiss()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> Generator[None, object, object]:
    """After all else: what was measured beside what is promised, and what was skipped and why."""
    result = yield
    if terminalreporter.config.option.collectonly:
        return result
    passed = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    rows = figures.noted(report.user_properties for report in passed)
    if rows:
        terminalreporter.section("figures measured")
        for line in figures.lines(rows):
            terminalreporter.write_line(line)
    skipped = [skips.reason(report.longrepr) for report in terminalreporter.getreports("skipped")]
    terminalreporter.write_line(skips.line(skipped))
    return result


@pytest.fixture(scope="session", autouse=True)
def slow_machine() -> Iterator[None]:
    """Wait for a response's end and for Redis as long as a slow machine needs.

    See `usual_hold` and `usual_redis_timeout`.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("asgi_multitier.asgi.capture.HOLD", PATIENCE)
        patch.setitem(_DEFAULTS, "redis_timeout", REDIS_TIMEOUT)
        yield


_DEFAULTS: dict[str, Any] = CacheConfig.__init__.__kwdefaults__
_USUAL_REDIS_TIMEOUT = _DEFAULTS["redis_timeout"]


@pytest.fixture
def usual_redis_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for Redis for as long as in production."""
    monkeypatch.setitem(_DEFAULTS, "redis_timeout", _USUAL_REDIS_TIMEOUT)


@pytest.fixture
def usual_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold a response for its end for as long as in production."""
    monkeypatch.setattr("asgi_multitier.asgi.capture.HOLD", 0.25)


@pytest.fixture
def figure(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Figure:
    """Puts a figure into the table at the end of the run; those of fakeredis are none."""
    asked = {"server", "own_server"} & set(request.fixturenames)
    is_fake = any(isinstance(request.getfixturevalue(one), FakeredisServer) for one in asked)

    def note(scenario: str, measured: object, bar: object, *, seed: object = "") -> None:
        if is_fake:
            return
        row = figures.Row(scenario, str(measured), str(bar), str(seed))
        record_property(figures.PROPERTY, astuple(row))

    return note


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """A real server for tests that do not harm it; each takes a namespace of its own."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A real server for one test, to be killed, frozen, filled or flushed."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture(params=["valkey", "fakeredis"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each server that holds the second tier, the log, leases and streams; see `valkey`."""
    return _server_of(request, "valkey")


@pytest.fixture(params=["own_valkey", "fakeredis"])
def own_server(request: pytest.FixtureRequest) -> Server:
    """The same, for one test; see `own_valkey`."""
    return _server_of(request, "own_valkey")


def _server_of(request: pytest.FixtureRequest, real: str) -> Server:
    if request.param == "fakeredis":
        return FakeredisServer()
    made: ValkeyServer = request.getfixturevalue(real)
    return made


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own on the shared server."""
    return "t-" + blake2b(request.node.nodeid.encode(), digest_size=8).hexdigest()


@pytest.fixture
async def proxy(own_valkey: ValkeyServer) -> AsyncIterator[FaultProxy]:
    """A fault proxy before the test's own server."""
    async with FaultProxy(own_valkey.port) as made:
        yield made


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the private directories lie: a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="r-") as made:
        monkeypatch.setenv("XDG_RUNTIME_DIR", made)
        yield Path(made)
