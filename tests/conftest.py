"""Fixtures that several directories share."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.figures import ROWS, Figure, Row, lines
from tests.servers import FaultProxy, ValkeyServer


def pytest_configure(config: pytest.Config) -> None:
    """Begin the table of figures."""
    config.stash[ROWS] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured, beside what is promised."""
    rows = terminalreporter.config.stash[ROWS]
    if rows:
        terminalreporter.section("figures measured")
        for line in lines(rows):
            terminalreporter.write_line(line)


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """Puts a figure into the table at the end of the run."""
    rows = request.config.stash[ROWS]

    def note(scenario: str, measured: object, bar: object, *, seed: object = "") -> None:
        rows.append(Row(scenario, str(measured), str(bar), str(seed)))

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


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own on the shared server."""
    from hashlib import blake2b

    return "t-" + blake2b(request.node.nodeid.encode(), digest_size=8).hexdigest()


@pytest.fixture
async def proxy(own_valkey: ValkeyServer) -> AsyncIterator[FaultProxy]:
    """A fault proxy before the test's own server."""
    async with FaultProxy(own_valkey.port) as made:
        yield made
