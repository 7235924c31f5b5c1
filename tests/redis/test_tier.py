"""The tier on a real server."""

import asyncio
from typing import Any

import pytest

from asgi_multitier.entry import Born
from asgi_multitier.errors import BackendError, ConfigError
from asgi_multitier.redis import Link, RedisTier
from asgi_multitier.redis.tier import BIRTH
from asgi_multitier.tiers.base import Held, SharedTier
from tests.fakeredis_server import Server
from tests.redis.support import set_born
from tests.servers import FaultProxy, ValkeyServer
from tests.support import pass_time, settled

GEN = "a" * 32


@pytest.fixture
async def tier(server: Server, namespace: str) -> Any:
    made = RedisTier(server.target, namespace=namespace)
    yield made
    await made.close()


async def test_what_was_set_is_found_with_the_time_it_has_left(tier: RedisTier) -> None:
    """Bytes as they were, and never more seconds than were given."""
    await tier.set("k", b"\x00v", 10.0)
    held = await tier.get("k")

    assert held is not None
    assert held.value == b"\x00v"
    assert held.remaining is not None
    assert 9.0 < held.remaining <= 10.0
    assert await tier.get("absent") is None
    assert isinstance(tier, SharedTier)


async def test_many_are_read_and_written_at_once(tier: RedisTier) -> None:
    """In the order asked, however many."""
    await tier.set_many({f"k{n}": (str(n).encode(), 600.0) for n in range(300)})
    found = await tier.get_many([f"k{n}" for n in range(301)])

    assert [held.value for held in found if held] == [str(n).encode() for n in range(300)]
    assert found[300] is None
    assert await tier.get_many([]) == []
    await tier.set_many({})


async def test_a_younger_value_is_not_replaced_by_an_older_one(tier: RedisTier) -> None:
    """Within a generation the younger birth stays; another generation always replaces."""
    assert await set_born(tier, "k", b"two", 10.0, Born(GEN, 2))
    assert not await set_born(tier, "k", b"one", 10.0, Born(GEN, 1))
    assert await _value(tier) == b"two"
    assert await set_born(tier, "k", b"again", 10.0, Born(GEN, 2))
    assert await set_born(tier, "k", b"ten", 10.0, Born(GEN, 10))
    assert await set_born(tier, "k", b"other", 10.0, Born("b" * 32, 1))
    assert await _value(tier) == b"other"
    await tier.set("k", b"plain", 10.0)
    assert await set_born(tier, "k", b"first", 10.0, Born(GEN, 0))
    assert await _value(tier) == b"first"


async def test_many_born_values_are_written_at_once(tier: RedisTier) -> None:
    """Each is judged by itself."""
    await set_born(tier, "b", b"young", 10.0, Born(GEN, 9))
    await tier.set_many_born({"a": (b"1", 10.0, Born(GEN, 3)), "b": (b"old", 10.0, Born(GEN, 3))})
    found = await tier.get_many(["a", "b"])

    assert [held and held.value for held in found] == [b"1", b"young"]
    await tier.set_many_born({})


async def _value(tier: RedisTier) -> bytes | None:
    held = await tier.get("k")
    return held and held.value


async def test_several_keys_are_one_round_trip(
    own_valkey: ValkeyServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty keys are asked for at once, on a connection that is opened once."""
    tier = RedisTier(own_valkey.url, namespace=namespace)
    asked: list[int] = []
    ask = tier.link.ask

    async def noted(commands: bytes, count: int) -> list[Any]:
        asked.append(count)
        return await ask(commands, count)

    monkeypatch.setattr(tier.link, "ask", noted)
    await tier.set("k", b"v", 10.0)
    await tier.get("k")
    before = _connections(own_valkey)
    found = await tier.get_many(["k"] * 50)
    after = _connections(own_valkey)
    await tier.close()

    assert [held.value for held in found if held] == [b"v"] * 50
    assert asked == [2, 100]
    assert after - before == 1, "that of the second question to the server for its statistics"


def _connections(server: ValkeyServer) -> int:
    text = server.command("INFO", "stats").decode()
    line = next(line for line in text.splitlines() if line.startswith("total_connections_rec"))
    return int(line.partition(":")[2])


async def test_deleting_and_clearing_forget(tier: RedisTier, namespace: str) -> None:
    """Only what was named, and only this namespace."""
    other = RedisTier(tier.link, namespace=namespace + "x")
    await tier.set_many({f"k{n}": (b"v", 10.0) for n in range(600)})
    await other.set("k1", b"v", 10.0)

    assert await tier.delete(["k1", "k2", "absent"]) == 2
    assert await tier.get("k1") is None

    await tier.clear()

    assert not any(await tier.get_many([f"k{n}" for n in range(600)]))
    assert await other.get("k1") is not None


async def test_every_key_has_a_lifetime_and_spreads(
    tier: RedisTier, server: Server, namespace: str
) -> None:
    """Data keys have no common slot, and vanish by themselves."""
    await tier.set("k", b"v", 10.0)
    key = f"{namespace}:e:k"

    assert 0 < server.command("PTTL", key) <= 10_000
    assert "{" not in key


async def test_bytes_of_somebody_else_are_a_miss(
    tier: RedisTier, server: Server, namespace: str
) -> None:
    """What is shorter than a birth cannot be an entry; what never ends is not ours."""
    server.command("SET", f"{namespace}:e:short", "x", "PX", 10_000)
    server.command("SET", f"{namespace}:e:endless", "x" * 100)

    assert await tier.get("short") is None
    assert await tier.get("endless") is None


async def test_a_value_that_was_cut_off_is_replaced(
    tier: RedisTier, server: Server, namespace: str
) -> None:
    """It begins as the new one does, and has no number to compare."""
    for length in (32, 40, 47):
        server.command("SET", f"{namespace}:e:k", (GEN + "0" * 16)[:length], "PX", 10_000)

        assert await set_born(tier, "k", b"v", 10.0, Born(GEN, 2))
        assert await _value(tier) == b"v"


async def test_a_key_of_another_type_is_a_miss_alone(
    tier: RedisTier, server: Server, namespace: str
) -> None:
    """What is asked for and written together with it is not harmed; a write takes its place."""
    await set_born(tier, "good", b"v", 10.0, Born(GEN, 1))
    server.command("RPUSH", f"{namespace}:e:list", "x")
    server.command("HSET", f"{namespace}:e:hash", "f", "x")
    found = await tier.get_many(["list", "good", "hash"])

    assert [held and held.value for held in found] == [None, b"v", None]
    items = {key: (key.encode(), 10.0, Born(GEN, 2)) for key in ("list", "good", "hash")}
    assert await tier.set_many_born(items) == [True, True, True]
    found = await tier.get_many(list(items))
    assert [held and held.value for held in found] == [b"list", b"good", b"hash"]


@pytest.mark.parametrize("command", ["get", "getrange"])
async def test_what_a_script_may_not_run_is_an_error_and_not_a_miss(
    own_valkey: ValkeyServer, namespace: str, command: str
) -> None:
    """A breaker and a log line tell of it; only a key of another type is passed over."""
    own_valkey.command("ACL", "SETUSER", "app", "on", ">p", "~*", "+@all", f"-{command}")
    tier = RedisTier(f"redis://app:p@127.0.0.1:{own_valkey.port}", namespace=namespace)
    work = tier.get("k") if command == "get" else set_born(tier, "k", b"v", 10.0, Born(GEN, 1))
    with pytest.raises(BackendError, match="permission"):
        await work
    await tier.close()


async def test_a_lifetime_below_a_millisecond_is_one(server: Server, namespace: str) -> None:
    """The server refuses 0, which is what such a lifetime is in its unit."""
    tier = RedisTier(server.target, namespace=namespace)

    await tier.set("k", b"v", 0.0001)
    await set_born(tier, "b", b"v", 0.0001, Born(GEN, 1))
    await tier.close()


@pytest.mark.parametrize(
    ("left", "found"),
    [
        pytest.param(1, [Held(b"v", 0.001)], id="a millisecond"),
        pytest.param(0, [None], id="less than a millisecond"),
        pytest.param(-1, [None], id="no lifetime"),
        pytest.param(-2, [None], id="gone between the two commands"),
    ],
)
@pytest.mark.parametrize("cluster", [False, True], ids=["server", "cluster"])
async def test_what_has_no_time_left_is_a_miss(
    left: int, found: list[Held | None], cluster: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the server says with it, by either way of reading."""
    tier = RedisTier("redis://127.0.0.1:1")
    tier.link.cluster, tier.link.multiplexes = cluster, not cluster
    replies = [b"0" * BIRTH + b"v", left]

    async def ask(commands: bytes, count: int) -> list[Any]:
        return replies

    async def pipelined(client: object, commands: object, *, raises: bool) -> list[Any]:
        return replies

    async def run(work: Any, *, key: str) -> Any:
        return await work(None)

    monkeypatch.setattr(tier.link, "ask", ask)
    monkeypatch.setattr("asgi_multitier.redis.tier._pipelined", pipelined)
    monkeypatch.setattr(tier.link, "run", run)

    assert await tier.get_many(["k"]) == found


async def test_a_server_that_is_not_there_is_a_backend_error_at_once(namespace: str) -> None:
    """Refused: no retries, no waiting; nothing else is raised."""
    tier = RedisTier("redis://user:hush@127.0.0.1:1", namespace=namespace)
    for work in (
        tier.get("k"),
        tier.get_many(["k"]),
        tier.set("k", b"v", 1.0),
        set_born(tier, "k", b"v", 1.0, Born(GEN, 1)),
        tier.delete(["k"]),
        tier.clear(),
        tier.ping(),
    ):
        with pytest.raises(BackendError) as caught:
            await asyncio.wait_for(work, 30.0)
        assert "hush" not in str(caught.value)
    await tier.close()
    await tier.close()


async def test_a_silent_server_costs_a_quarter_of_a_second(
    own_valkey: ValkeyServer, proxy: FaultProxy, namespace: str
) -> None:
    """The time-out holds for the wait for a turn and for the answer together."""
    tier = RedisTier(proxy.url, namespace=namespace)
    await tier.set("k", b"v", 10.0)
    proxy.stall()
    asked = [asyncio.create_task(tier.get("k")) for _ in range(100)]
    await pass_time(0.25)
    await settled(200)

    assert all(each.done() and isinstance(each.exception(), BackendError) for each in asked)
    proxy.flow()
    assert await tier.get("k") is not None
    await tier.close()


async def test_a_late_write_does_not_replace_what_came_after_it(
    own_valkey: ValkeyServer, proxy: FaultProxy, namespace: str
) -> None:
    """A write that timed out lingers in the network and lands after a younger one."""
    slow = RedisTier(proxy.url, namespace=namespace)
    quick = RedisTier(own_valkey.url, namespace=namespace)
    await set_born(slow, "k", b"zero", 10.0, Born(GEN, 0))
    proxy.stall()
    with pytest.raises(BackendError):
        await set_born(slow, "k", b"old", 10.0, Born(GEN, 1))
    await set_born(quick, "k", b"new", 10.0, Born(GEN, 2))
    proxy.flow()
    await set_born(slow, "fence", b"", 10.0, Born(GEN, 3))

    assert await _value(quick) == b"new"
    await slow.close()
    await quick.close()


@pytest.mark.parametrize("namespace_given", ["", "a b", "a*b", "{a}", "\u00e9", "x" * 65])
def test_a_namespace_that_means_something_in_a_pattern_is_refused(namespace_given: str) -> None:
    """Names are plain, so that patterns made of them select nothing else."""
    with pytest.raises(ConfigError, match="namespace"):
        RedisTier("redis://localhost", namespace=namespace_given)


def test_it_tells_where_it_is(namespace: str) -> None:
    """Without credentials."""
    link = Link("redis://u:p@localhost:7/3")
    tier = RedisTier(link, namespace=namespace)

    assert repr(tier) == f"<RedisTier {namespace} at redis://localhost:7/3>"
