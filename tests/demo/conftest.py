"""One fleet of real processes for all tests that need one."""

from collections.abc import Iterator

import pytest

from demo_app.fleet.fleet import Fleet
from demo_app.fleet.running import running_fleet
from tests.conftest import REDIS_TIMEOUT


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """Two instances, a server and their page. Who kills a part restarts it."""
    # See `slow_machine`: what is shared is to be there, however slow the machine is.
    patience = {"ASGI_MULTITIER_REDIS_TIMEOUT": str(REDIS_TIMEOUT)}
    with running_fleet((0, 0, 0), patience) as started:
        yield started
