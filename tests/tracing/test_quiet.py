"""Where an instrumentation of redis-py is loaded, a cache makes no noise while nothing is asked."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar, copy_context
from types import SimpleNamespace

import pytest
from opentelemetry.instrumentation import redis as instrumentation
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from asgi_multitier import CacheManager, CacheMiddleware, Rule
from asgi_multitier.redis import Leases
from asgi_multitier.tracing import background, quiet
from tests.patience import until
from tests.servers import ValkeyServer
from tests.support import Client, Origin, settled
from tests.tracing.support import Seen

pytestmark = pytest.mark.skipif(
    not hasattr(instrumentation, "is_instrumentation_enabled"),
    reason="this release of the instrumentation of redis-py cannot be silenced",
)

RULES = (Rule("*", 60, coalesce="fleet", coalesce_timeout=600),)


@pytest.fixture
def seen() -> Iterator[Seen]:
    """What the instrumentation of redis-py makes."""
    made = Seen()
    instrumentor = RedisInstrumentor()
    instrumentor.instrument(tracer_provider=made.provider)
    yield made
    instrumentor.uninstrument()


def calls(server: ValkeyServer, command: str) -> int:
    """How often a server was sent a command."""
    told = server.command("INFO", "commandstats")
    text = told.decode() if isinstance(told, bytes) else str(told)
    found = re.search(rf"cmdstat_{command}:calls=(\d+)", text)
    return int(found[1]) if found else 0


@asynccontextmanager
async def cache(server: ValkeyServer, namespace: str) -> AsyncIterator[CacheManager]:
    """A cache that beats often."""
    manager = CacheManager(
        redis_url=server.url, namespace=namespace, redis_timeout=30, heartbeat=True
    )
    async with manager:
        await until(lambda: manager.engine.log.trusted)
        yield manager


async def idles(server: ValkeyServer) -> None:
    """Wait until the log was followed and beats were stored some times."""
    for command, times in (("xread", 3), ("xadd", 3)):
        before = calls(server, command)
        await until(
            lambda before=before, command=command, times=times: (
                calls(server, command) >= before + times
            )
        )


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asgi_multitier.instances.heart.EVERY", 0.02)


def roots(seen: Seen) -> set[str]:
    """The names of spans that belong to no request."""
    return {span.name for span in seen.spans if span.parent is None} - {"request"}


@pytest.mark.usefixtures("often")
async def test_an_idle_cache_makes_no_span(
    seen: Seen, own_valkey: ValkeyServer, namespace: str
) -> None:
    """It follows the log and tells that it lives."""
    async with cache(own_valkey, namespace) as manager:
        manager.instrument(tracer_provider=seen.provider, metrics=False)
        await idles(own_valkey)

    assert roots(seen) == set()


@pytest.mark.usefixtures("often")
async def test_without_silence_it_would(
    seen: Seen, own_valkey: ValkeyServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The instrumentation does see these commands: the test above can fail."""
    monkeypatch.setattr(quiet, "_UTILS", "no such module")
    async with cache(own_valkey, namespace):
        await idles(own_valkey)

    assert {"XREAD", "XADD"} <= roots(seen)


async def test_what_is_done_for_a_request_makes_no_root(
    seen: Seen, own_valkey: ValkeyServer, namespace: str
) -> None:
    """Two processes, a lease that is renewed and waited for, writes, a change: all have a request.

    A lease is taken for one request, so it shows in its trace. What follows releases does not.
    """
    async with cache(own_valkey, namespace) as one, cache(own_valkey, namespace) as other:
        origin, clients = Origin(), []
        for manager in (one, other):
            manager.instrument(tracer_provider=seen.provider, metrics=False)
            leases = manager.engine.leases
            assert isinstance(leases, Leases)
            leases.ttl = 0.06
            clients.append(Client(CacheMiddleware(origin, manager, rules=RULES)))
        origin.gate.clear()

        async def ask(client: Client, method: str = "GET") -> None:
            with seen.request():
                await client.request(method, "/x")

        first = asyncio.create_task(ask(clients[0]))
        await origin.arrived.acquire()
        second = asyncio.create_task(ask(clients[1]))
        before = calls(own_valkey, "xread")
        await until(lambda: calls(own_valkey, "xread") >= before + 5)
        before = calls(own_valkey, "pexpire")
        await until(lambda: calls(own_valkey, "pexpire") >= before + 3)
        origin.gate.set()
        await asyncio.gather(first, second)
        await ask(clients[0], "PUT")
        await ask(clients[0])
        await one.engine.stack.settle()
        await settled()

    assert roots(seen) == set()
    fills = [span for span in seen.own if span.name == "cache fill *"]
    assert any(
        span.name == "EVALSHA" and seen.called(span.parent) == "cache fill *" for span in seen.spans
    )
    assert len(fills) == 3


# The context.


var: ContextVar[int] = ContextVar("var", default=0)


@pytest.mark.parametrize("loaded", [True, False])
def test_a_background_is_empty(loaded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the caller's is there; instrumentation is silent there, and nowhere else."""
    if not loaded:
        monkeypatch.delitem(sys.modules, "opentelemetry.instrumentation.utils")
    var.set(1)
    one, other = background(), background()

    assert one is not other
    assert var not in one
    assert one.run(is_instrumentation_enabled) is not loaded
    assert copy_context().run(is_instrumentation_enabled)
    assert is_instrumentation_enabled()
    one.run(var.set, 2)
    assert var not in other


def test_a_background_where_the_library_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release without that function: its context is empty."""
    monkeypatch.setitem(
        sys.modules,
        "opentelemetry.instrumentation.utils",
        SimpleNamespace(),  # type: ignore[arg-type]
    )

    assert list(background()) == []
