"""Fixtures that several directories share."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.servers import FaultProxy, ValkeyServer


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
