"""Fixtures of the tiers' tests."""

from collections.abc import Iterator

import pytest

from tests.tiers.memcached_server import PROGRAM, MemcachedServer, OwnMemcached, RealMemcached

_INSTALLED = pytest.mark.skipif(PROGRAM is None, reason="no memcached on the PATH")

SERVERS = (
    pytest.param(OwnMemcached, id="own"),
    pytest.param(RealMemcached, id="real", marks=_INSTALLED),
)


@pytest.fixture(scope="session", params=SERVERS)
def memcached(request: pytest.FixtureRequest) -> Iterator[MemcachedServer]:
    """A server for tests that do not harm it; each takes a namespace of its own."""
    with request.param() as server:
        yield server


@pytest.fixture(params=SERVERS)
def own_memcached(request: pytest.FixtureRequest) -> Iterator[MemcachedServer]:
    """A server for one test, to be killed."""
    with request.param() as server:
        yield server
