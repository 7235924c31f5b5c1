"""Settings in an address or of a user's client: which are taken, and that none breaks anything."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import redis
import redis.asyncio as aredis
from fastapi import FastAPI
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ConstantBackoff
from redis.credentials import CredentialProvider

from asgi_multitier import CacheManager, CacheMiddleware, ConfigError, cached, invalidates
from asgi_multitier.errors import BackendError
from asgi_multitier.redis import Leases, RedisStreams, RedisTier, connect
from asgi_multitier.redis.address import read_address
from tests.redis.support import followed, invalidate
from tests.servers import ValkeyServer, free_port

HARMLESS = [
    "decode_responses=True",
    "decode_responses=yes&encoding=latin-1",
    "protocol=3",
    "protocol=3&decode_responses=1",
    "encoding=utf-16",
    "encoding_errors=replace",
    "health_check_interval=1",
    "legacy_responses=false",
    "max_connections=1",
    "retry_on_timeout=true",
    "single_connection_client=true",
    "socket_connect_timeout=0.000001",
    "socket_keepalive=no",
    "socket_read_size=16",
    "socket_timeout=0.000001",
    "timeout=1",
    "client_name=shop",
    "db=1",
]


class Refusing(CredentialProvider):
    """Credentials that cannot be had."""

    def get_credentials(self) -> Any:
        raise LookupError("no such account")


def _clients(server: ValkeyServer) -> dict[str, Any]:
    where: dict[str, Any] = {"host": "127.0.0.1", "port": server.port}
    blocking = aredis.BlockingConnectionPool(**where, max_connections=1, timeout=1)
    return {
        "decoding": aredis.Redis(**where, decode_responses=True),
        "RESP3": aredis.Redis(**where, protocol=3),
        "RESP3, decoding": aredis.Redis(**where, protocol=3, decode_responses=True),
        "another encoding": aredis.Redis(**where, encoding="utf-16"),
        "retrying": aredis.Redis(
            **where, retry=Retry(ConstantBackoff(1), 9), retry_on_error=[Exception]
        ),
        "one connection": aredis.Redis(**where, single_connection_client=True),
        "a blocking pool": aredis.Redis(connection_pool=blocking),
        "impatient": aredis.Redis(**where, socket_timeout=1e-6, socket_connect_timeout=1e-6),
        "from an address": aredis.Redis.from_url(server.url + "?protocol=3&decode_responses=True"),
        "on a socket": aredis.Redis(unix_socket_path=str(server.socket), decode_responses=True),
    }


KINDS = (
    "decoding",
    "RESP3",
    "RESP3, decoding",
    "another encoding",
    "retrying",
    "one connection",
    "a blocking pool",
    "impatient",
    "from an address",
    "on a socket",
)


@pytest.fixture
def shop(valkey: ValkeyServer, namespace: str) -> Iterator[Callable[..., Any]]:
    """An application that reads and edits one price."""

    def make(**where: Any) -> Any:
        prices = {"1": 10}
        app = FastAPI()

        @app.get("/prices/{name}")
        @cached(60, tags=["price:{name}"])
        async def read(name: str) -> int:
            return prices[name]

        @app.put("/prices/{name}")
        @invalidates(tags=["price:{name}"])
        async def edit(name: str, value: int) -> int:
            prices[name] = value
            return value

        manager = CacheManager(namespace=namespace, **where)
        return CacheMiddleware(app, manager), manager

    return make


async def _edits_and_reads(app: Any, manager: CacheManager) -> None:
    transport = httpx.ASGITransport(app)
    async with manager, httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        assert (await client.get("/prices/1")).json() == 10
        reply = await client.put("/prices/1?value=20")
        assert (reply.status_code, reply.json()) == (200, 20)
        assert (await client.get("/prices/1")).json() == 20
        await manager.set("k", "v")
        manager.engine.stack.local.clear()
        assert await manager.get("k") == "v"
        assert (await manager.health()).healthy
        assert manager.invalidation_stats().queued == 0
        assert manager.engine.log.trusted


@pytest.mark.parametrize("options", HARMLESS)
async def test_options_of_an_address_change_nothing_about_the_cache(
    shop: Callable[..., Any], valkey: ValkeyServer, options: str
) -> None:
    """How answers are read and waited for is the cache's own, whatever an address says."""
    await _edits_and_reads(*shop(redis_url=f"{valkey.url.removesuffix('/0')}?{options}"))


@pytest.mark.parametrize("kind", KINDS)
async def test_settings_of_a_users_client_change_nothing_about_the_cache(
    shop: Callable[..., Any], valkey: ValkeyServer, kind: str
) -> None:
    """The same, where they are settings of a client."""
    client = _clients(valkey)[kind]
    await _edits_and_reads(*shop(redis=client))
    await client.aclose()


async def test_streams_leases_and_log_read_what_a_decoding_client_would_have_spoilt(
    valkey: ValkeyServer, namespace: str
) -> None:
    """Each of them parses replies of its own."""
    url = valkey.url + "?decode_responses=True&protocol=3"
    link = connect(url, timeout=30)  # a machine may stall for longer than the usual time limit
    streams, leases = RedisStreams(link, namespace=namespace), Leases(link, namespace=namespace)
    await streams.publish("s", {"a": "1"})
    assert [entry["a"] for entry in await streams.read("s", "0")] == ["1"]
    claim = await leases.claim("k")
    assert claim.held
    assert not (await leases.claim("k")).won
    await claim.release()
    async with followed(url, namespace) as log:
        position = await invalidate(log)
        assert position is not None
        assert await log.reached(position, 1.0)
    await streams.close()
    await leases.close()
    await link.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://h?db=x", "db='x'.*a whole number from 0"),
        ("redis://h?db=-1", "db='-1'"),
        ("redis://h/first", "database='first'"),
        ("redis://h?socket_timeout=soon", "socket_timeout='soon'.*a number"),
        ("redis://h?health_check_interval=x", "health_check_interval='x'.*whole number"),
        ("redis://h?protocol=three", "protocol='three'"),
        ("redis://h?decode_response=True", "decode_response='True'.*decode_responses"),
        ("redis://h?credential_provider=x", "credential_provider.*redis="),
        ("redis://h?retry=3", "retry='3'.*redis="),
        ("redis://h?retry_on_error=x", "retry_on_error='x'"),
        ("redis://h?connection_class=x", "connection_class='x'"),
        ("redis://h?host=other", "host='other'"),
        ("redis://h?ssl_ca_certs=/ca.pem", "ssl_ca_certs='/ca.pem'.*rediss://"),
        ("redis://h?ssl=true", "ssl='true'"),
        ("unix:///s?ssl_cert_reqs=none", "ssl_cert_reqs='none'.*rediss://"),
        ("unix:///s?port=1", "port='1'"),
        ("rediss://h?ssl_cert_reqs=maybe", "ssl_cert_reqs"),
        ("rediss://h?ssl_ca_certs=/no/such/file", "ssl_ca_certs"),
        ("rediss://h?ssl_check_hostname=", "ssl_check_hostname"),
        ("rediss://h?ssl_min_version=1", "ssl_min_version"),
        ("rediss://h?ssl_color=red", "ssl_color='red'"),
        ("redis+unix:///s", "redis_url"),
        ("redis://h:0", "redis_url"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused_at_start_up(url: str, said: str) -> None:
    """With its name, its value and what is allowed."""
    with pytest.raises(ConfigError, match=said):
        CacheManager(redis_url=url)


@pytest.mark.parametrize(
    "url", ["redis://u:hush@h?db=x", "redis://h?passwort=hush", "redis://h?db=x&password=hush"]
)
def test_a_refusal_repeats_no_password(url: str) -> None:
    """Whatever else is wrong with the address."""
    with pytest.raises(ConfigError) as caught:
        CacheManager(redis_url=url)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (redis.Redis(), "redis.client.Redis.*redis.asyncio"),
        (Sentinel([("127.0.0.1", 1)]), "Sentinel.*master_for"),
        (aredis.ConnectionPool(), "ConnectionPool"),
        (
            aredis.Redis(connection_pool=aredis.ConnectionPool(colour="red")),
            "unexpected keyword argument 'colour'",
        ),
        (
            aredis.Redis(
                connection_pool=aredis.ConnectionPool(
                    connection_class=aredis.SSLConnection, ssl_ca_certs="/no/such/file"
                )
            ),
            "ssl_ca_certs",
        ),
    ],
    ids=["sync", "a Sentinel", "a pool", "an option of no connection", "no such certificate"],
)
def test_a_client_that_could_not_be_used_is_refused_at_start_up(target: Any, said: str) -> None:
    """What to give instead, or which setting it is."""
    with pytest.raises(ConfigError, match=said):
        CacheManager(redis=target)


async def test_credentials_that_cannot_be_had_are_a_counted_miss(
    shop: Callable[..., Any], valkey: ValkeyServer
) -> None:
    """What a provider raises reaches no request."""
    client = aredis.Redis(host="127.0.0.1", port=valkey.port, credential_provider=Refusing())
    app, manager = shop(redis=client)
    transport = httpx.ASGITransport(app)
    async with manager, httpx.AsyncClient(transport=transport, base_url="http://shop") as asking:
        assert (await asking.get("/prices/1")).json() == 10
        assert (await asking.put("/prices/1?value=20")).status_code == 200
        assert (await asking.get("/prices/1")).json() == 20
        assert manager.invalidation_stats().queued > 0
        # Nothing was sent over a connection whose user was never told.
        assert valkey.command("EXISTS", f"{{{manager.namespace}}}:cache:invalidate") == 0
    await client.aclose()


async def test_sentinels_are_asked_over_connections_of_the_loop_that_asks() -> None:
    """The user's own connections to them belong to the user's event loop."""
    sentinel = Sentinel([("127.0.0.1", 1)], sentinel_kwargs={"decode_responses": True})
    link = connect(sentinel.master_for("mymaster", decode_responses=True))
    one, two = link._build(1, 0.25), link._build(1, 0.25)
    watchers: list[Any] = [each.connection_pool.sentinel_manager for each in (one, two)]

    assert watchers[0].sentinels[0] is not watchers[1].sentinels[0]
    assert sentinel.sentinels[0] not in watchers[0].sentinels
    settings = watchers[0].sentinels[0].connection_pool.connection_kwargs
    assert (settings["host"], settings["port"]) == ("127.0.0.1", 1)
    assert settings["decode_responses"] is False


def test_what_the_user_said_of_a_cluster_is_kept() -> None:
    """Where its nodes are really found, and whether all slots must be served."""

    def remap(address: tuple[str, int]) -> tuple[str, int]:
        return address

    theirs = RedisCluster(
        host="127.0.0.1",
        port=1,
        address_remap=remap,
        require_full_coverage=False,
        username="u",
        password="p",
        decode_responses=True,
        protocol=3,
    )
    ours: Any = connect(theirs)._build(1, 0.25)

    assert ours.nodes_manager.address_remap is remap
    assert ours.nodes_manager.require_full_coverage is False
    assert ours.connection_kwargs["username"] == "u"
    assert ours.connection_kwargs["decode_responses"] is False
    assert ours.connection_kwargs["protocol"] == 2


async def test_the_address_of_a_clusters_node_is_told_what_to_give_instead(
    namespace: str,
) -> None:
    """A node answers for its own slots only: half a cache would work, and nobody would know why."""
    with ValkeyServer(cluster_enabled="yes", cluster_port=free_port()) as server:
        tier = RedisTier(server.url, namespace=namespace)
        with pytest.raises(BackendError, match=r"node of a cluster.*RedisCluster\("):
            await tier.get("k")
        await tier.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis:/x", "redis: is not followed by //"),
        ("unix:/tmp/s", "unix: is not followed by //"),
        ("redis://u:secret@h:99999/0", "its port is not a number from 1 to 65535"),
        ("redis://u:secret@h:abc", "its port is not a number from 1 to 65535"),
        ("redis://u:secret@h:0", "its port is not a number from 1 to 65535"),
        ("h:6379", "it does not begin with redis://"),
        ("u:secret@h", "it does not begin with redis://"),
        ("redis://[::1", "its host cannot be read"),
    ],
)
def test_what_is_wrong_with_an_address_is_told(url: str, said: str) -> None:
    """Without a password that it has."""
    with pytest.raises(ConfigError, match=f"^redis_url is not an address: {said}") as caught:
        read_address(url)

    assert "secret" not in str(caught.value)
    assert "; expected redis://[user:password@]host[:port][/db]" in str(caught.value)
