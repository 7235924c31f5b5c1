"""A server that answers some commands and refuses others: asked at a bounded rate, told of once."""

import asyncio
import logging
from typing import Any

import pytest

from asgi_multitier.coherence.outbox import MAX_PAUSE
from asgi_multitier.entry import Born
from asgi_multitier.redis import Leases
from asgi_multitier.redis import lease as leases_module
from tests.redis.support import followed, invalidate, permits, until
from tests.servers import FaultProxy, ValkeyServer

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
        assert "read again" in _lines(caplog)[1]


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
