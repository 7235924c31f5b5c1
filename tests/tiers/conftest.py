"""Fixtures of the tiers' tests."""

from collections.abc import Iterator

import pytest

from tests.tiers.memcached_server import MemcachedServer


@pytest.fixture(scope="session")
def memcached() -> Iterator[MemcachedServer]:
    """A real server for tests that do not harm it; each takes a namespace of its own."""
    with MemcachedServer() as server:
        yield server
