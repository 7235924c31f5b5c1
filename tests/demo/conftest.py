"""One fleet of real processes for all tests that need one."""

from collections.abc import Iterator

import pytest

from demo_app.fleet.fleet import Fleet
from demo_app.fleet.running import running_fleet


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """Two instances, a server and their page. Who kills a part restarts it."""
    with running_fleet((0, 0, 0)) as started:
        yield started
