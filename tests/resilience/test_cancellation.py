"""Requests, and the cache's own work, cancelled at any of their awaits: nobody else notices.

A cancelled command leaves its reply behind in the connection; whoever took that connection next
would read another's answer. So what everybody asks for tells whose it is.
"""

import asyncio
import gc
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest

from asgi_multitier import CacheManager, CacheMiddleware, Rule
from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.redis import Link
from asgi_multitier.redis.client import CONNECTIONS, send
from asgi_multitier.redis.recipe import RedisClient
from tests.cut_off import CutOff, run
from tests.figures import Figure
from tests.patience import until
from tests.servers import ValkeyServer
from tests.support import Client as Browser
from tests.support import Visit, respond

pytestmark = pytest.mark.no_cover  # it repeats what others cover

CALLERS = 32
SEED = 20_240_612
SIZES = [2_000, pytest.param(100_000, marks=(pytest.mark.soak, pytest.mark.timeout(0)))]

RULES = (Rule("/fleet/*", 60, coalesce="fleet"), Rule("/page/*", 60))
KINDS = ("page", "page", "page", "fleet", "stream")
PAGES = 64
ROOM = 16
"""Entries that the first tier has room for: most hits are the second one's."""

MOST = CONNECTIONS + 2
"""Connections to the server: the log's tail and the leases' have one each."""

OURS = ("asgi-multitier flight", "asgi-multitier read", "asgi-multitier write")
"""The cache's own tasks that may be cut off as well: runs of the origin, and work on the server."""


# The connections.


def pool_of(link: Link) -> Any:
    """The connections of this event loop."""
    return link._lane().client.connection_pool


async def is_whole(link: Link, connections: int) -> None:
    """All connections are back, there are no more than allowed, and each answers the right one."""
    pool, lane = pool_of(link), link._lane()

    assert not pool._in_use_connections
    assert len(pool._available_connections) <= connections
    assert lane.turns._value == connections
    words = [b"%d" % number for number in range(4 * connections)]
    echoes = [link.run(lambda client, word=word: send(client, "ECHO", word)) for word in words]
    assert await asyncio.gather(*echoes) == words


async def _echo(link: Link, word: bytes) -> bool:
    return bool(await link.run(lambda client: send(client, "ECHO", word)) == word)


async def _pipeline(link: Link, word: bytes) -> bool:
    async def work(client: RedisClient) -> Any:
        pipeline = client.pipeline(transaction=False)
        send(pipeline, "ECHO", word)
        send(pipeline, "ECHO", word + word)
        return await pipeline.execute()

    return bool(await link.run(work) == [word, word + word])


async def _dedicated(link: Link, word: bytes) -> bool:
    async with link.dedicated() as connection:
        echo = connection.run(lambda client: send(client, "ECHO", word), timeout=10)
        return bool(await echo == word)


PIECES = [
    pytest.param(_echo, id="a command"),
    pytest.param(_pipeline, id="a pipeline"),
    pytest.param(_dedicated, id="a connection apart"),
]


@pytest.mark.parametrize("fresh", [True, False], ids=["connecting", "connected"])
@pytest.mark.parametrize("late", [False, True], ids=["waiting", "answered"])
@pytest.mark.parametrize("piece", PIECES)
async def test_work_cut_off_at_any_await_leaves_its_answer_to_nobody(
    valkey: ValkeyServer, piece: Any, late: bool, fresh: bool
) -> None:
    """One await after the other: the next work on that connection gets its own answer."""
    link = Link(valkey.url, timeout=10.0, connections=2)
    for at in count(1):
        if fresh:
            await link.close()
        else:
            assert await _echo(link, b"before")
        work = CutOff(piece(link, b"%d" % at), at, late=late)
        (result,) = await asyncio.gather(asyncio.create_task(run(work)), return_exceptions=True)

        assert result is True or isinstance(result, asyncio.CancelledError)
        await is_whole(link, 2)
        if work.awaits < at:
            break
    assert at > 1, "there was nothing to cut off"
    await link.close()


# The whole of it.


async def origin(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what it was asked for, as often as the path says."""
    body = body_of(scope["path"])
    await asyncio.sleep(0)
    if scope["method"] != "GET":
        await respond(send, b"changed")
    elif scope["path"].startswith("/stream/"):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for start in range(0, len(body), 512):
            await send(
                {"type": "http.response.body", "body": body[start : start + 512], "more_body": True}
            )
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})
    else:
        await respond(send, body)


def body_of(path: str) -> bytes:
    """What a path is answered with; long ones do not fit into one read of a socket."""
    number = int(path.rsplit("/", 1)[1])
    return path.encode() * (1 + number * number)


def an_await(chance: random.Random) -> int:
    """Which await of some work is to be its last: mostly one of the first, as most have few."""
    return 1 + int(chance.expovariate(0.5))


class Callers:
    """Many who ask at the same time, some of whom leave.

    Args:
        client: Whom to ask.
        requests: How many in all.

    Attributes:
        ends: How requests ended.
        wrong: Answers that were another's, or failures.
    """

    def __init__(self, client: Browser, requests: int) -> None:
        self.ends: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._client = client
        self._requests = iter(range(requests))

    def more(self, requests: int) -> None:
        """Have so many more to ask."""
        self._requests = iter(range(requests))

    async def run(self) -> None:
        """Ask until all is asked."""
        async with asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                group.create_task(self._call(random.Random(SEED + number)))

    async def _call(self, chance: random.Random) -> None:
        for _ in self._requests:
            method = "PUT" if chance.random() < 0.05 else "GET"
            path = f"/{chance.choice(KINDS)}/{chance.randrange(PAGES)}"
            at = an_await(chance) if chance.random() < 0.5 else 0
            visit = Visit()
            asking = self._client.request(method, path, visit=visit)
            work = CutOff(asking, at, late=chance.random() < 0.5)
            (end,) = await asyncio.gather(asyncio.create_task(run(work)), return_exceptions=True)
            self._judge(method, path, visit, end, cut=0 < at <= work.awaits)

    def _judge(self, method: str, path: str, visit: Visit, end: Any, *, cut: bool) -> None:
        left = isinstance(end, asyncio.CancelledError)
        expected = body_of(path) if method == "GET" else b"changed"
        body = visit.reply.body
        if isinstance(end, BaseException) and not left:
            self.wrong.append(f"{method} {path}: {end!r}")
        elif not expected.startswith(body) or not (left or body == expected):
            self.wrong.append(f"{method} {path} was answered {body[:40]!r}")
        self.ends["cut off" if cut and left else "left alone" if left else "answered"] += 1


@asynccontextmanager
async def cached(url: str, namespace: str) -> AsyncIterator[tuple[Browser, CacheManager]]:
    """A cache over the server; at the end no task is left, and nobody complained."""
    loop, before = asyncio.get_running_loop(), asyncio.all_tasks()
    complaints: list[Any] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    manager = CacheManager(redis_url=url, namespace=namespace, l1_entries=ROOM, redis_timeout=5)
    async with manager:
        yield Browser(CacheMiddleware(origin, manager, rules=RULES)), manager
        await until(lambda: not manager.engine.flights.running, 10)
        await manager.engine.stack.settle()
        assert len(manager.engine.flights) == 0
        # Another key's bytes would have been found out: they count as unreadable.
        assert manager.stats().tiers[1].unreadable.keys() <= {"invalidated"}
        await is_whole(manager._backends.link(), CONNECTIONS)
    gc.collect()
    assert asyncio.all_tasks() == before
    assert complaints == []


def connected(server: ValkeyServer) -> int:
    """Clients of the server, the one that asks not counted."""
    listed = server.command("CLIENT", "LIST").decode().splitlines()
    return len(listed) - 1


def cut_off_our_own(chance: random.Random) -> Counter[str]:
    """Cut off some of the cache's own tasks from now on, on this event loop. What was cut off."""
    cut: Counter[str] = Counter()

    def make(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> "asyncio.Task[Any]":
        if chance.random() > 0.1:
            return asyncio.Task(work, loop=loop, **options)
        cutting = CutOff(work, an_await(chance), late=chance.random() < 0.5, only=OURS)
        task = asyncio.Task(run(cutting), loop=loop, **options)
        # Where it is cancelled before it has begun, nobody else ends the work inside.
        task.add_done_callback(lambda _: work.close())
        task.add_done_callback(lambda ended: cut.update([ended.get_name()] * ended.cancelled()))
        return task

    asyncio.get_running_loop().set_task_factory(make)
    return cut


async def settled_connections(server: ValkeyServer) -> int:
    """Connections once the server has heard of those that were closed; no more than allowed."""
    await until(lambda: connected(server) <= MOST)
    return connected(server)


@pytest.mark.parametrize("requests", SIZES)
async def test_requests_cut_off_at_any_await_harm_nobody_else(
    own_valkey: ValkeyServer, namespace: str, requests: int, figure: Figure
) -> None:
    """Of 32 callers some leave: whoever stays is answered, with what he asked for."""
    async with cached(own_valkey.url, namespace) as (client, manager):
        callers = Callers(client, requests)
        await callers.run()
        ends, clients = callers.ends, await settled_connections(own_valkey)

        assert callers.wrong == []
        assert ends["left alone"] == 0
        assert ends["cut off"] > requests / 20
        assert manager.stats().tiers[1].hits > requests / 20
    await until(lambda: connected(own_valkey) == 0)
    what = f"{len(callers.wrong)} wrong of {requests:,}, {ends['cut off']:,} cut off"
    figure("requests cancelled at any await", what, "0", seed=SEED)
    figure("requests cancelled, connections to the server", clients, MOST, seed=SEED)


@pytest.mark.parametrize("requests", SIZES)
async def test_the_caches_own_work_cut_off_at_any_await_gives_nobody_anothers_answer(
    own_valkey: ValkeyServer, namespace: str, requests: int, figure: Figure
) -> None:
    """Runs of the origin, reads and writes end anywhere, as they do when a cache is closed."""
    async with cached(own_valkey.url, namespace) as (client, _):
        cut = cut_off_our_own(random.Random(SEED))
        callers = Callers(client, requests)
        await callers.run()
        # Few tasks do much where the machine is slow; more are asked for until each kind was met.
        async with asyncio.timeout(200):
            while not all(cut[name] for name in OURS):
                callers.more(200)
                await callers.run()
        asyncio.get_running_loop().set_task_factory(None)
        clients = await settled_connections(own_valkey)

        assert callers.wrong == []
        assert callers.ends["answered"] > requests / 2
    await until(lambda: connected(own_valkey) == 0)
    what = f"{len(callers.wrong)} wrong of {requests:,}, {sum(cut.values()):,} tasks cut off"
    figure("the cache's own tasks cancelled as well", what, "0", seed=SEED)
    figure("own tasks cancelled as well, connections to the server", clients, MOST, seed=SEED)
