"""`coalesce="fleet"`: one run of the origin in all processes, where there is a server to ask."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from asgi_multitier import CacheManager, CacheMiddleware, Rule
from asgi_multitier._types import ASGIApp, Receive, Scope, Send
from asgi_multitier.redis import Leases
from tests.fakeredis_server import Server
from tests.patience import until
from tests.servers import ValkeyServer
from tests.support import Client, Origin, answering, respond, settled

FLEET = (Rule("*", 60, coalesce="fleet", coalesce_timeout=600),)


@asynccontextmanager
async def instances(
    server: Server, namespace: str, *apps: ASGIApp
) -> AsyncIterator[list[tuple[Client, CacheManager]]]:
    """One instance for each application, all over one server."""
    async with AsyncExitStack() as stack:
        made = []
        for app in apps:
            # A machine that is busy answers late, and not by default in time.
            manager = CacheManager(redis=server.target, namespace=namespace)
            await stack.enter_async_context(manager)
            made.append((Client(CacheMiddleware(app, manager, rules=FLEET)), manager))
        yield made


def waiting(manager: CacheManager) -> Callable[[], bool]:
    """Whether somebody of this instance waits for another's lease."""
    leases = manager.engine.leases
    assert isinstance(leases, Leases)
    return lambda: bool(leases._waiting)


async def test_one_run_for_all_instances(server: Server, namespace: str) -> None:
    """Requests on two instances for a cold key: the origin runs once, both get its answer."""
    one, two = Origin(answering(b"once")), Origin(answering(b"twice"))
    one.gate.clear()
    async with instances(server, namespace, one, two) as ((here, _), (there, manager)):
        first = here.begin("/x")
        await one.arrived.acquire()
        others = [there.begin("/x") for _ in range(3)]
        await until(waiting(manager))
        one.gate.set()
        replies = await asyncio.gather(first, *others)

        assert (one.calls, two.calls) == (1, 0)
        assert {reply.body for reply in replies} == {b"once"}
        assert all("collapsed" in reply.cache for reply in replies[1:])
        assert (await there.get("/x")).hit


async def test_a_variant_is_found_elsewhere(server: Server, namespace: str) -> None:
    """What another instance stored under a `Vary` is found by way of its marker."""
    vary = (b"vary", b"accept-language")
    one, two = Origin(answering(b"hallo", vary)), Origin(answering(b"wrong", vary))
    one.gate.clear()
    german = [("accept-language", "de")]
    async with instances(server, namespace, one, two) as ((here, _), (there, manager)):
        first = here.begin("/x", german)
        await one.arrived.acquire()
        second = there.begin("/x", german)
        await until(waiting(manager))
        one.gate.set()

        assert [(await task).body for task in (first, second)] == [b"hallo", b"hallo"]
        assert two.calls == 0


async def test_fields_that_another_instance_has_found_count_here_as_well(
    server: Server, namespace: str
) -> None:
    """A response that names another field in `Vary` is chosen by both from then on."""
    one = Origin(answering(b"hallo", (b"vary", b"accept-language")))
    two = Origin(answering(b"hello", (b"vary", b"x-theme")))
    one.gate.clear()
    german, english = [("accept-language", "de")], [("accept-language", "en")]
    async with instances(server, namespace, one, two) as ((here, _), (there, manager)):
        first = here.begin("/x", german)
        await one.arrived.acquire()
        second = there.begin("/x", english)
        await until(waiting(manager))
        one.gate.set()

        assert [(await task).body for task in (first, second)] == [b"hallo", b"hello"]
        assert (await there.get("/x", english)).hit
        assert not (await there.get("/x", german)).hit


async def test_an_answer_that_is_not_stored_releases_the_others(
    server: Server, namespace: str
) -> None:
    """Each instance then asks its own application, without waiting for a lifetime to end."""
    private = (b"cache-control", b"private")
    one, two = Origin(answering(b"one", private)), Origin(answering(b"two", private))
    one.gate.clear()
    async with instances(server, namespace, one, two) as ((here, _), (there, manager)):
        first = here.begin("/x")
        await one.arrived.acquire()
        second = there.begin("/x")
        await until(waiting(manager))
        one.gate.set()

        assert [(await task).body for task in (first, second)] == [b"one", b"two"]


async def test_an_origin_that_raises_releases_the_others(server: Server, namespace: str) -> None:
    """The exception is the holder's own; another instance runs its application at once."""

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    one, two = Origin(failing), Origin(answering(b"two"))
    one.gate.clear()
    async with instances(server, namespace, one, two) as ((here, _), (there, manager)):
        first = here.begin("/x")
        await one.arrived.acquire()
        second = there.begin("/x")
        await until(waiting(manager))
        one.gate.set()

        with pytest.raises(ZeroDivisionError):
            await first
        assert (await second).body == b"two"


@pytest.mark.parametrize(
    ("control", "body"), [(b"max-age=60", b"one"), (b"private", b"two")], ids=["stored", "not"]
)
async def test_a_background_task_of_the_origin_does_not_hold_the_lease(
    server: Server, namespace: str, control: bytes, body: bytes
) -> None:
    """The others are released when the answer is there, not when the application returns."""
    release = asyncio.Event()

    async def lingering(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"one", (b"cache-control", control))
        await release.wait()

    one, two = Origin(lingering), Origin(answering(b"two"))
    one.gate.clear()
    async with instances(server, namespace, one, two) as ((here, _), (there, manager)):
        first = here.begin("/x")
        await one.arrived.acquire()
        second = there.begin("/x")
        await until(waiting(manager))
        one.gate.set()

        async with asyncio.timeout(60):
            assert (await second).body == body
        assert not first.done()
        release.set()
        await first


async def test_without_the_server_each_instance_runs_once(
    own_valkey: ValkeyServer, namespace: str
) -> None:
    """A server that has gone costs one run for each instance, and no error."""
    one, two = Origin(answering(b"one")), Origin(answering(b"two"))
    async with instances(own_valkey, namespace, one, two) as ((here, _), (there, _)):
        own_valkey.stop()
        await settled()

        replies = await asyncio.gather(here.get("/x"), here.get("/x"), there.get("/x"))

        assert [reply.body for reply in replies] == [b"one", b"one", b"two"]
        assert (one.calls, two.calls) == (1, 1)
