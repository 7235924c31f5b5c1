"""The pytest plugin of asgi-multitier: caches are empty at the start of each test, and alone.

It stands outside of the package, since an import of the package takes longer than a run that does
not use it should pay. What it does is in `asgi_multitier.testing` and is imported at the first use.
"""

import sys
from collections.abc import Generator, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fakeredis import FakeServer

    from asgi_multitier.testing.clock import CacheClock
    from asgi_multitier.testing.detector import Detector
    from asgi_multitier.testing.fleet import MakeFleet

_SEAM = "asgi_multitier.manager.isolation"

_MARKERS = (
    "cache_attach: the caches of this test use the servers, files and logs of their settings",
    "cache_detect: fail the test where a cached response depends on what its key does not cover",
    "no_cache_detect: leave this test out of `--cache-detect`",
)


class Run:
    """The state of this run, which `manager.isolation` reads when the package is imported.

    Attributes:
        active: Whether tests are run with this plugin.
        in_test: Whether one runs now.
        attaches: Whether its caches use what they are configured with.
        compared: Routes that the detector has asked twice.
    """

    active = in_test = attaches = False

    def __init__(self) -> None:
        self.compared: set[str] = set()


run = Run()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Hold all caches from here on: a conftest.py may make some. Add `--cache-detect`."""
    run.active = True
    if (seam := sys.modules.get(_SEAM)) is not None:
        seam.begin()
    parser.getgroup("asgi-multitier").addoption(
        "--cache-detect",
        action="store_true",
        help="ask each cached route once more with only what its key covers; fail if that differs",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Name the markers; nothing has been asked yet, also where a process runs tests twice."""
    run.compared.clear()
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


def pytest_unconfigure() -> None:
    """Hold no cache any more."""
    run.active = run.in_test = run.attaches = False
    if (seam := sys.modules.get(_SEAM)) is not None:
        seam.end()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """Before anything of the test, also its fixtures: empty all caches."""
    run.in_test, run.attaches = True, item.get_closest_marker("cache_attach") is not None
    if (isolation := _isolation()) is not None:
        isolation.renew(attaches=run.attaches)
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:  # noqa: ARG001 (hook)
    """After the test's fixtures have ended."""
    try:
        return (yield)
    finally:
        run.in_test = run.attaches = False
        if (isolation := _isolation()) is not None:
            isolation.end_test()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Where the detector is on: ask twice, and fail where a response depends on more."""
    if not _detects(item):
        return (yield)
    with _testing("detector").detecting() as detector:
        try:
            result = yield
        finally:
            run.compared |= detector.compared
    detector.check()
    return result


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a worker of pytest-xdist: tell the main process which routes were asked twice."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["cache_compared"] = sorted(run.compared)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """In the main process of pytest-xdist: a worker has ended."""
    run.compared.update(getattr(node, "workeroutput", {}).get("cache_compared", ()))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say which routes the detector has seen: it finds nothing at a route that no test asks."""
    if config.getoption("cache_detect"):
        seen = ", ".join(sorted(run.compared)) or "none; the tests have asked no cached route"
        terminalreporter.write_line(f"cache detector: routes asked twice: {seen}")


def _detects(item: pytest.Item) -> bool:
    if item.get_closest_marker("no_cache_detect") is not None:
        return False
    marked = item.get_closest_marker("cache_detect") is not None
    marked = marked or "cache_detector" in getattr(item, "fixturenames", ())
    return marked or bool(item.config.getoption("cache_detect"))


@pytest.fixture
def cache_clock() -> "CacheClock":
    """The time of all caches: it stands still, and `cache_clock.advance(60)` moves it."""
    clock: CacheClock = _testing("clock").CacheClock(_begun())
    return clock


@pytest.fixture
def cache_fleet(request: pytest.FixtureRequest) -> "Iterator[MakeFleet]":
    """`cache_fleet(3, app)`: so many instances of an application, which share one log."""
    fleets = _testing("fleet").Fleets(_begun(), getattr(request, "module", None))
    yield fleets.make
    fleets.close()


@pytest.fixture
def cache_redis() -> "FakeServer":
    """A server of fakeredis, which the caches of this test use in place of Redis."""
    server: FakeServer = _testing("server").new_server()
    _begun().stand_on(server)
    return server


@pytest.fixture
def cache_detector() -> "Iterator[Detector]":
    """The detector of undeclared inputs, on for this test; it fails the test at its end."""
    with _testing("detector").detecting() as detector:
        yield detector
    detector.check()


def _isolation() -> Any:
    """What holds the caches; None while the package is not imported."""
    seam = sys.modules.get(_SEAM)
    return None if seam is None else seam.current


def _begun() -> Any:
    """What holds the caches; the package is imported for it."""
    _testing("clock")
    return _isolation()


def _testing(name: str) -> ModuleType:
    import importlib

    return importlib.import_module(f"asgi_multitier.testing.{name}")
