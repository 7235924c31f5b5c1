"""What a server tells of itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asgi_multitier.redis import Link, connect
from asgi_multitier.redis.examination import Examination, examine
from tests.fakeredis_server import FakeredisServer
from tests.servers import ValkeyServer, free_port


@asynccontextmanager
async def linked(target: object) -> AsyncIterator[Link]:
    """Connections to a server."""
    link = connect(target, timeout=10)  # type: ignore[arg-type]
    yield link
    await link.close()


async def examined(target: object) -> Examination:
    """What it tells."""
    async with linked(target) as link:
        return await examine(link, "shop", "cache:invalidate")


async def test_a_server(valkey: ValkeyServer) -> None:
    """All that a user may know who may do everything."""
    found = await examined(valkey.url)

    assert (found.error, found.role, found.refused) == ("", "master", ())
    assert found.latency is not None
    assert found.version
    assert found.policy
    assert found.used
    assert found.limit == 0


async def test_a_user_who_may_do_little(own_valkey: ValkeyServer) -> None:
    """Nothing of the server is known, and what the cache needs is named."""
    own_valkey.command("ACL", "SETUSER", "app", "on", ">p", "~*", "+@all", "-info", "-xadd")
    found = await examined(f"redis://app:p@127.0.0.1:{own_valkey.port}")

    assert (found.error, found.version, found.policy, found.used) == ("", "", "", None)
    assert [command.split()[0] for command in found.refused] == ["INFO", "XADD"]


async def test_a_server_that_knows_no_permissions() -> None:
    """As one of fakeredis is."""
    found = await examined(FakeredisServer().target)

    assert (found.error, found.refused) == ("", ())


async def test_a_server_that_is_away() -> None:
    """Why it does not answer, without an exception."""
    found = await examined(f"redis://127.0.0.1:{free_port()}")

    assert found.latency is None
    assert found.error
