"""A write that lands late does not replace what was filled after it."""

from asgi_multitier import CacheManager
from asgi_multitier.entry import Entry
from asgi_multitier.policy.key import storage_key
from asgi_multitier.selectors import Selector
from tests.servers import ValkeyServer


def value_of(cache: CacheManager, payload: bytes) -> Entry:
    """An entry filled now."""
    now = cache.engine.clock()
    return Entry(
        key="k",
        payload=payload,
        born=cache.engine.index.born(),
        created=now,
        fresh_until=now + 60,
        keep_until=now + 60,
        filled_at=now,
    )


async def test_a_late_write_of_an_older_fill_is_ignored(
    valkey: ValkeyServer, namespace: str
) -> None:
    """Born before another record, written after a fill born behind it: the younger stays."""
    async with CacheManager(redis_url=valkey.url, namespace=namespace) as cache:
        stack = cache.engine.stack
        older = value_of(cache, b"older")
        log = cache.engine.log
        position = await log.commit(log.begin([Selector("tag", "another")]))
        assert position is not None
        assert await log.reached(position, 2)
        younger = value_of(cache, b"younger")

        assert await stack.write([younger]) == (1, "")
        assert await stack.write([older]) == (1, "")

        held = await stack.shared[0].tier.get(storage_key("k"))
        assert held is not None
        assert held.value.endswith(b"younger")
