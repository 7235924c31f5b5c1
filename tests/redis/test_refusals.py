"""A server that refuses, in every way that one has: the same is expected of each.

One application in front of a real server, with a second process's log that is another user's. The
answers stay those of the application, the server is asked at a bounded rate, a line is said once a
change, nothing of the log that others use is harmed, and all goes on when the refusal ends.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from redis.asyncio.cluster import RedisCluster

from asgi_multitier import CacheManager, CacheMiddleware, Policy, Rule
from asgi_multitier._types import Receive, Scope, Send
from tests.patience import PATIENCE, until
from tests.redis.support import followed, invalidate
from tests.servers import FaultProxy, ValkeyServer, free_port
from tests.support import Client, respond

USER = ("ACL", "SETUSER", "app")
ALLOWED = (*USER, "on", ">p", "~*", "+@all")
NAMESPACE = "refused"
HALF = (0, 8191)
"""The slots that a cluster loses."""

Act = Callable[[ValkeyServer], Any]


@dataclass(frozen=True)
class Refusal:
    """A way to refuse.

    Attributes:
        begin, end: What makes the server refuse, and what ends it.
        keeps: Whether the log goes on in its generation.
        user: Whose connections are refused; "" for the server's default user.
        options: Of the server.
    """

    begin: Act
    end: Act
    keeps: bool = True
    user: str = "app:p@"
    options: dict[str, Any] = field(default_factory=dict)


def _does(*commands: tuple[object, ...]) -> Act:
    def act(server: ValkeyServer) -> None:
        for words in commands:
            server.command(*words)

    return act


def _acl(refused: str, allowed: str = "+@all") -> Refusal:
    return Refusal(_does((*USER, *refused.split())), _does((*USER, *allowed.split())))


def _setting(name: str, refusing: object, usual: object) -> Refusal:
    return Refusal(_does(("CONFIG", "SET", name, refusing)), _does(("CONFIG", "SET", name, usual)))


_CUT = ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def _cannot_save(server: ValkeyServer) -> None:
    server.command("CONFIG", "SET", "save", "3600 1")
    server.command("SET", "changed", "1")
    (server.directory / "dump.rdb").mkdir()
    server.command("BGSAVE")
    while b"rdb_last_bgsave_status:err" not in server.command("INFO", "persistence"):
        time.sleep(0.005)


def _lock(server: ValkeyServer) -> None:
    server.command("CONFIG", "SET", "requirepass", "x")
    server.command(*_CUT)


def _unlock(server: ValkeyServer) -> None:
    with redis.Redis(port=server.port, password="x") as admin:
        admin.config_set("requirepass", "")


def _occupied(*keys: str, by: tuple[str, ...]) -> Refusal:
    """Something of another type lies in a key, and stays there."""

    def act(server: ValkeyServer) -> None:
        for key in keys:
            server.command("DEL", key)
            server.command(by[0], key, *by[1:])

    return Refusal(act, lambda server: None, keeps=keys == (_LEASES,))


def _renamed(command: str) -> Refusal:
    """The server comes back without a command: no permission changes, its configuration does."""

    def begin(server: ValkeyServer) -> None:
        server.options["rename_command"] = f"{command} "
        _restart(server)

    def end(server: ValkeyServer) -> None:
        del server.options["rename_command"]
        _restart(server)

    return Refusal(begin, end, keeps=False)


def _restart(server: ValkeyServer) -> None:
    server.restart()
    server.command(*ALLOWED)


_LOG = "{refused}:cache:invalidate"
_CTL, _LEASES = f"{_LOG}:ctl", "{refused}:leases"
_LIST, _TEXT, _HASH = ("RPUSH", "x"), ("SET", "x"), ("HSET", "f", "x")

_LOGS = ("hmget", "hset", "del", "pexpire", "xadd", "xrange", "xrevrange", "xread")
_NEEDED = ("eval", "evalsha", "info", *_LOGS, "get", "set", "getrange", "pttl")

ROWS = {
    **{f"without {name}": _acl(f"-{name}") for name in _NEEDED},
    "without scripts": _acl("-eval -evalsha"),
    "without anything": _acl("-@all"),
    "without keys": _acl("resetkeys", "~*"),
    "another password": _acl("resetpass >q", "resetpass >p"),
    "user switched off": Refusal(_does((*USER, "off"), _CUT), _does((*USER, "on"))),
    "password asked for": Refusal(_lock, _unlock, user=""),
    "replica": Refusal(
        _does(("REPLICAOF", "127.0.0.1", 1)), _does(("REPLICAOF", "NO", "ONE")), keeps=True
    ),
    "replica without data": Refusal(
        _does(("CONFIG", "SET", "replica-serve-stale-data", "no"), ("REPLICAOF", "127.0.0.1", 1)),
        _does(("REPLICAOF", "NO", "ONE")),
    ),
    "out of memory": _setting("maxmemory", 1, 0),
    "too few replicas": _setting("min-replicas-to-write", 1, 0),
    "cannot save": Refusal(
        _cannot_save, _does(("CONFIG", "SET", "stop-writes-on-bgsave-error", "no"))
    ),
    "cluster down": Refusal(
        _does(("CLUSTER", "DELSLOTSRANGE", *HALF)),
        _does(("CLUSTER", "ADDSLOTSRANGE", *HALF)),
        options={"cluster_enabled": "yes"},
    ),
    "control hash a list": _occupied(_CTL, by=_LIST),
    "control hash a text": _occupied(_CTL, by=_TEXT),
    "control hash empty": _occupied(_CTL, by=_HASH),
    "log a list": _occupied(_LOG, by=_LIST),
    "log a hash": _occupied(_LOG, by=_HASH),
    "both a text": _occupied(_CTL, _LOG, by=_TEXT),
    "leases a list": _occupied(_LEASES, by=_LIST),
    "evalsha renamed": _renamed("EVALSHA"),
    "xread renamed": _renamed("XREAD"),
    "get renamed": _renamed("GET"),
}


class Site:
    """An application whose pages have versions, and its visitors.

    Args:
        client: Speaks to it, through the cache.
        manager: Of the cache.
        versions: Of its pages.
    """

    def __init__(self, client: Client, manager: CacheManager, versions: Counter[str]) -> None:
        self.client = client
        self.manager = manager
        self.versions = versions
        self.visits = 0

    async def visit(self) -> None:
        """See a page, change it, and see that it has changed; two come at once."""
        self.visits += 1
        path = f"/{self.visits}"
        for _ in range(2):
            both = await asyncio.gather(self.client.get(path), self.client.get(path))
            assert {reply.body for reply in both} == {f"{self.versions[path]}".encode()}
            changed = await self.client.request("POST", path)
            assert (changed.status, changed.body) == (200, b"done")

    @property
    def is_whole(self) -> bool:
        """Whether all works and nothing waits."""
        engine = self.manager.engine
        (tier,) = engine.stack.shared
        log: Any = engine.log
        closed = tier.state(asyncio.get_running_loop().time()).value == "closed"
        return log.trusted and not log.stats().queued and closed


async def _site(stack: AsyncExitStack, target: Any) -> Site:
    versions: Counter[str] = Counter()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            versions[scope["path"]] += 1
            await respond(send, b"done")
        else:
            await respond(send, f"{versions[scope['path']]}".encode())

    where = {"redis": target} if isinstance(target, RedisCluster) else {"redis_url": target}
    settings: dict[str, Any] = {"namespace": NAMESPACE, **where}
    manager = await stack.enter_async_context(CacheManager(**settings))
    rules = [Rule("/*", Policy(60, coalesce="fleet"))]
    return Site(Client(CacheMiddleware(app, manager, rules=rules)), manager, versions)


def _lines(caplog: pytest.LogCaptureFixture, peer: int) -> list[str]:
    """What was said; nothing of the peer, which another port leads to as it is another process."""
    said = [one.getMessage() for one in caplog.records if one.name == "asgi_multitier"]
    return [line for line in said if f":{peer}" not in line]


@pytest.mark.parametrize("name", ROWS)
async def test_a_refusal(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """See the head of the file."""
    caplog.set_level(logging.INFO, "asgi_multitier")
    row = ROWS[name]
    port = free_port()
    now = asyncio.get_running_loop().time
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(FaultProxy(port))
        options = dict(row.options)
        if options:
            options |= {"cluster_port": free_port(), "cluster_announce_port": proxy.port}
        server = stack.enter_context(ValkeyServer(port, **options))
        server.command(*ALLOWED)
        target: Any = f"redis://{row.user}127.0.0.1:{proxy.port}"
        other: Any = server.url
        if options:
            server.command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            await until(lambda: b"state:ok" in server.command("CLUSTER", "INFO"), 10.0)
            target, other = (RedisCluster(host="127.0.0.1", port=n) for n in (proxy.port, port))
            stack.push_async_callback(target.aclose)
            stack.push_async_callback(other.aclose)
        peer = await stack.enter_async_context(followed(other, NAMESPACE))
        site = await _site(stack, target)
        for _ in range(3):
            await site.visit()
        await until(lambda: site.is_whole and peer.trusted, 10.0)
        gen = peer.index.gen

        # While it lasts.
        caplog.clear()
        accepted, sent, visits, begun = proxy.accepted, proxy.pieces, site.visits, now()
        await asyncio.to_thread(row.begin, server)
        while now() < begun + 0.6:
            await site.visit()
            await asyncio.sleep(0.05)
        said = _lines(caplog, port)
        lasted, visits = now() - begun, site.visits - visits
        assert proxy.accepted - accepted <= 20 + 15 * lasted
        assert proxy.pieces - sent <= 60 + 60 * lasted + 20 * visits
        assert len(said) <= 5 + lasted, said
        assert max(Counter(said).values(), default=1) == 1, said

        # When it is over.
        await asyncio.to_thread(row.end, server)
        async with asyncio.timeout(20.0 * PATIENCE):
            while not site.is_whole:
                await site.visit()
                await asyncio.sleep(0.05)
        await site.visit()
        position = await invalidate(site.manager.engine.log)  # type: ignore[arg-type]
        assert position is not None
        await until(lambda: peer.trusted, 10.0)
        assert await peer.reached(position, 5.0 * PATIENCE)
        assert (peer.index.gen == gen) is row.keeps
        assert len(_lines(caplog, port)) <= 12, _lines(caplog, port)
