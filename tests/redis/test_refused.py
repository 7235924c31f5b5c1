"""A server that answers some commands and refuses others: asked at a bounded rate, told of once."""

import asyncio
import logging
import re
from typing import Any

import pytest

from asgi_multitier import CacheManager
from asgi_multitier.coherence.outbox import MAX_PAUSE
from asgi_multitier.entry import Born
from asgi_multitier.errors import BackendError
from asgi_multitier.redis import Leases, Link, RedisLog, RedisTier, log_store
from asgi_multitier.redis import lease as leases_module
from tests.patience import until
from tests.redis.support import Recorder, followed, invalidate, permits
from tests.servers import FaultProxy, ValkeyServer, free_port
from tests.support import pass_time

USER = ("ACL", "SETUSER", "app", "on", ">p", "~*", "+@all")


def _url(proxy: FaultProxy) -> str:
    return f"redis://app:p@127.0.0.1:{proxy.port}/0"


def _lines(caplog: pytest.LogCaptureFixture, least: int = logging.INFO) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "asgi_multitier" and record.levelno >= least
    ]


@pytest.mark.parametrize("refused", ["xread", "evalsha", "eval|evalsha"])
async def test_a_log_that_may_not_be_read_any_more_is_asked_in_growing_pauses(
    own_valkey: ValkeyServer,
    proxy: FaultProxy,
    namespace: str,
    caplog: pytest.LogCaptureFixture,
    refused: str,
) -> None:
    """Scripts that still work are no sign that it can be read; one line when it is lost."""
    own_valkey.command(*USER)
    caplog.set_level(logging.INFO)
    async with followed(_url(proxy), namespace) as log:
        tail: Any = log._tail
        await until(lambda: tail._connected and log.trusted, 5.0)
        caplog.clear()
        accepted = proxy.accepted
        own_valkey.command("ACL", "SETUSER", "app", *(f"-{name}" for name in refused.split("|")))
        proxy.reset()
        await until(lambda: tail._pause == MAX_PAUSE, 20.0)

        # 20, 40, 80, 160 and 320 ms lie before the longest pause.
        assert proxy.accepted - accepted <= 9
        assert len(_lines(caplog)) == 1
        assert "does not answer" in _lines(caplog)[0]

        own_valkey.command("ACL", "SETUSER", "app", "+@all")
        before = Born(log.index.gen, log.index.seq)
        await invalidate(log)
        await until(lambda: tail._connected, 5.0)
        await until(lambda: not permits(log, before) and not log.index.pending_count, 5.0)
        assert len(_lines(caplog)) == 2
        assert "can be read again" in _lines(caplog)[1]


async def test_a_lease_whose_releases_may_not_be_read_is_waited_for_in_pauses(
    own_valkey: ValkeyServer,
    proxy: FaultProxy,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who is woken because reading failed claims again, and its next tail waits longer."""
    own_valkey.command(*USER)
    own_valkey.command("ACL", "SETUSER", "app", "-xread")
    holder = Leases(own_valkey.url, namespace=namespace)
    held = await holder.claim("k")
    waiting = Leases(_url(proxy), namespace=namespace)
    pauses = []

    for _ in range(6):
        claim = await waiting.claim("k")
        if claim.won:
            break
        await claim.released(5.0)
        await claim.release()
        pauses.append(waiting._pause)
    await held.release()

    assert pauses == sorted(pauses)
    assert len(set(pauses)) == len(pauses) > 2
    assert pauses[-1] <= leases_module._MAX_PAUSE
    for each in (holder, waiting):
        await each.close()
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("refused", "allowed"), [("-set", "+set"), ("-xadd", "+xadd")], ids=["take", "give back"]
)
async def test_leases_that_are_refused_are_not_asked_for_at_every_miss(
    own_valkey: ValkeyServer,
    namespace: str,
    caplog: pytest.LogCaptureFixture,
    refused: str,
    allowed: str,
) -> None:
    """Three times, then once a second; the origin runs meanwhile, and one line is said each way."""
    own_valkey.command(*USER, refused)
    url = f"redis://app:p@127.0.0.1:{own_valkey.port}"
    leases = Leases(Link(url, timeout=5.0), namespace=namespace)

    async def held() -> list[bool]:
        found = []
        for number in range(5):
            claim = await leases.claim(f"k{number}")
            assert claim.won
            found.append(claim.held)
            await claim.release()
        return found

    # What is had cannot be given back, or is not had at all.
    had = refused == "-xadd"
    assert await held() == [had] * 3 + [False] * 2
    asked = _scripts(own_valkey)
    assert await held() == [False] * 5
    assert _scripts(own_valkey) == asked
    await pass_time(1.1)
    assert await held() == [had] + [False] * 4
    assert len(_lines(caplog)) == 1
    assert "leases are skipped: circuit breaker open" in _lines(caplog)[0]

    own_valkey.command("ACL", "SETUSER", "app", allowed)
    assert await held() == [False] * 5
    await pass_time(1.1)
    assert await held() == [True] * 5
    assert len(_lines(caplog)) == 2
    assert "again" in _lines(caplog)[1]
    assert not leases._waiting
    await leases.close()
    await leases.link.close()


def _scripts(server: ValkeyServer) -> int:
    """How many times a script was run."""
    told = server.command("INFO", "commandstats").decode()
    return sum(int(calls) for calls in re.findall(r"cmdstat_eval(?:sha)?:calls=(\d+)", told))


@pytest.mark.parametrize("key", ["k", "absent"])
@pytest.mark.parametrize("refused", ["get", "pttl"])
async def test_a_tier_that_may_not_read_says_so(
    own_valkey: ValkeyServer, namespace: str, refused: str, key: str
) -> None:
    """Whichever of its commands is refused: it is a failure, and not a key that is absent."""
    own_valkey.command(*USER)
    own_valkey.command("ACL", "SETUSER", "app", f"-{refused}")
    tier = RedisTier(f"redis://app:p@127.0.0.1:{own_valkey.port}/0", namespace=namespace)
    try:
        await tier.set("k", b"v", 60)
        with pytest.raises(BackendError, match=refused):
            await tier.get(key)
    finally:
        await tier.close()


async def test_a_user_without_info_has_both_tier_and_log(
    own_valkey: ValkeyServer, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Only a failover is then seen by nothing but the records; one line says what is refused."""
    own_valkey.command(*USER)
    own_valkey.command("ACL", "SETUSER", "app", "-info")
    url = f"redis://app:p@127.0.0.1:{own_valkey.port}/0"
    async with (
        followed(own_valkey.url, namespace) as other,
        followed(url, namespace) as log,
        CacheManager(redis_url=url, namespace=namespace) as manager,
    ):
        await until(lambda: log.trusted and manager.engine.log.trusted, 5.0)
        gen = log.index.gen
        assert await log.reached(await invalidate(other) or Born("", 0), 2.0)
        assert await other.reached(await invalidate(log) or Born("", 0), 2.0)
        await manager.set("k", "v")
        manager.engine.stack.local.clear()
        assert await manager.get("k") == "v"
        # Users who may and who may not do not take each other for another server.
        assert log.index.gen == other.index.gen == gen

    refused = {line for line in _lines(caplog) if "permission" in line}
    assert len(refused) == 1
    assert "INFO server" in refused.pop()


@pytest.mark.parametrize("refused", ["-xtrim", "-xlen", "-xtrim -xlen"])
async def test_a_log_that_may_not_be_trimmed_is_written_all_the_same(
    own_valkey: ValkeyServer, namespace: str, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    """It grows beyond its bytes, up to its number of records, and no cache is dropped."""
    monkeypatch.setattr(log_store, "MAX_BYTES", 1)
    own_valkey.command(*USER, *refused.split())
    async with followed(f"redis://app:p@127.0.0.1:{own_valkey.port}/0", namespace) as log:
        gen, seq = log.index.gen, log.index.seq
        for number in range(3):
            assert await invalidate(log) == Born(gen, seq + number + 1)


async def test_a_command_that_a_script_may_not_run_is_named(
    own_valkey: ValkeyServer, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Before the script that needs it fails."""
    own_valkey.command(*USER)
    own_valkey.command("ACL", "SETUSER", "app", "-hmget")
    async with followed(f"redis://app:p@127.0.0.1:{own_valkey.port}/0", namespace) as log:
        assert not log.trusted
    assert any("permission to run HMGET" in line for line in _lines(caplog))


@pytest.mark.parametrize("optional", [True, False])
async def test_a_close_where_no_server_was_ever_seen(
    namespace: str, caplog: pytest.LogCaptureFixture, optional: bool
) -> None:
    """With an address that nobody gave there is nobody to tell; else it is said what is lost."""
    log = RedisLog(f"redis://127.0.0.1:{free_port()}", namespace=namespace, optional=optional)
    await log.start(Recorder())
    assert await invalidate(log) is None
    sent = log._outbox._send
    asked = []

    async def send(operation: Any) -> Born:
        asked.append(operation)
        return await sent(operation)

    log._outbox._send = send  # type: ignore[method-assign]
    await log.close()

    assert bool(asked) is not optional
    assert any("are lost" in line for line in _lines(caplog)) is not optional
