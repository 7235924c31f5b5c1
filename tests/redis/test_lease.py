"""Leases on a real server."""

import asyncio
import time

import pytest

from asgi_multitier.redis import Leases, Link, lease
from asgi_multitier.redis.client import one_command
from asgi_multitier.redis.lease import Claim
from asgi_multitier.redis.scripts import Script
from tests.fakeredis_server import Server, own_tasks
from tests.figures import Figure, seconds
from tests.patience import until
from tests.servers import FaultProxy, ValkeyServer
from tests.support import pass_time, settled


async def test_one_of_many_wins(server: Server, namespace: str) -> None:
    """Twenty claims on two nodes: one holder."""
    patient = [Link(server.target, timeout=5.0) for _ in range(2)]
    one, two = (Leases(link, namespace=namespace) for link in patient)
    claims = await asyncio.gather(*(node.claim("k") for node in (one, two) * 10))

    assert sum(claim.won for claim in claims) == sum(claim.held for claim in claims) == 1
    for claim in claims:
        await claim.release()
    await one.close()
    await two.close()
    for link in patient:
        await link.close()


def is_woken(claim: Claim) -> bool:
    """Whether it was told to look again; waiting also ends with the lease's lifetime."""
    return claim._woken.done()


async def test_waiters_are_woken_at_once(server: Server, namespace: str, figure: Figure) -> None:
    """A release is told to ten waiters on another node; how soon is a figure."""
    one, two = (
        Leases(server.target, namespace=namespace),
        Leases(server.target, namespace=namespace),
    )
    holder = await one.claim("k")
    losers = [await two.claim("k") for _ in range(10)]
    waits = [asyncio.create_task(loser.released(5.0)) for loser in losers]
    await asyncio.sleep(0)
    start = time.monotonic()
    await holder.release()
    woken = await asyncio.gather(*waits)
    figure("lease: from its release to the last waiter", seconds(time.monotonic() - start), "0.1 s")

    assert woken == [True] * 10
    assert all(is_woken(loser) for loser in losers)
    assert (await two.claim("k")).held
    for loser in losers:
        await loser.release()
    await one.close()
    await two.close()
    assert not two._waiting


async def test_a_release_between_asking_and_waiting_is_not_missed(
    server: Server, namespace: str
) -> None:
    """The waiter listens before it asks."""
    one, two = (
        Leases(server.target, namespace=namespace),
        Leases(server.target, namespace=namespace),
    )
    holder = await one.claim("k")
    loser = await two.claim("k")
    await holder.release()

    assert await loser.released(2.0)
    assert is_woken(loser)
    await one.close()
    await two.close()


async def test_a_dead_holders_lease_ends_by_itself(server: Server, namespace: str) -> None:
    """A holder that is gone gives way when its time is over."""
    dead = Leases(server.target, namespace=namespace, ttl=0.5)
    alive = Leases(server.target, namespace=namespace, ttl=0.5)
    await dead.claim("k")
    await dead.close()
    loser = await alive.claim("k")

    assert not loser.won
    assert loser.ends - asyncio.get_running_loop().time() <= 0.5
    assert await loser.released(5.0)
    assert not is_woken(loser)
    await until(lambda: server.command("EXISTS", f"{{{namespace}}}:lease:k") == 0, 5.0)
    heir = await alive.claim("k")
    assert heir.held
    await heir.release()
    await loser.release()
    await alive.close()


async def test_a_working_holder_keeps_its_lease(server: Server, namespace: str) -> None:
    """It is renewed as long as the work takes; a waiter's time runs out first."""
    leases = Leases(server.target, namespace=namespace, ttl=30.0)
    holder = await leases.claim("k")
    key = f"{{{namespace}}}:lease:k"
    for _ in range(3):
        # A third of its life is over.
        server.command("PEXPIRE", key, 20_000)
        await pass_time(10.0)
        await until(lambda: server.command("PTTL", key) > 20_000, 5.0)
    loser = await leases.claim("k")

    assert holder.held
    assert not loser.won
    assert not await loser.released(0.01)
    await holder.release()
    await holder.release()
    await leases.close()


async def test_a_lease_taken_by_another_is_not_given_back(server: Server, namespace: str) -> None:
    """Only its own token deletes it, and the renewal notices the loss."""
    leases = Leases(server.target, namespace=namespace, ttl=0.1)
    holder = await leases.claim("k")
    key = f"{{{namespace}}}:lease:k"
    server.command("SET", key, "another", "PX", 10_000)
    await until(lambda: not holder.held, 5.0)
    await holder.release()

    assert server.command("GET", key) == b"another"
    assert "won" in repr(holder)
    await leases.close()


async def test_a_lease_that_was_given_back_is_not_renewed(server: Server, namespace: str) -> None:
    """Its renewal ends with it."""
    leases = Leases(server.target, namespace=namespace)
    holder = await leases.claim("k")
    assert len(leases._renewals) == 1
    await holder.release()
    await settled()

    assert leases._renewals == set()
    await leases.close()


async def test_a_lease_that_another_has_by_now_is_not_deleted(
    server: Server, namespace: str
) -> None:
    """Also where its holder has not noticed the loss yet."""
    leases = Leases(server.target, namespace=namespace, ttl=60)
    holder = await leases.claim("k")
    key = f"{{{namespace}}}:lease:k"
    server.command("SET", key, "another", "PX", 60_000)
    assert holder.held
    await holder.release()

    assert server.command("GET", key) == b"another"
    await leases.close()


async def test_a_caller_who_leaves_while_the_server_is_asked_waits_for_nothing(
    server: Server, namespace: str
) -> None:
    """No future of its own is left, which would keep the tail following."""
    leases = Leases(server.target, namespace=namespace)
    claim = asyncio.create_task(leases.claim("k"))
    await asyncio.sleep(0)
    assert leases._waiting
    claim.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claim

    assert leases._waiting == {}
    await leases.close()


async def test_a_lease_given_back_while_a_waiter_begins_to_listen_is_taken(
    server: Server, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No release tells of it any more: the server is asked again."""
    one, two = (Leases(server.target, namespace=namespace) for _ in range(2))
    holder = await one.claim("k")
    listen = two._listen

    async def released_first() -> None:
        await holder.release()
        await listen()

    monkeypatch.setattr(two, "_listen", released_first)
    waiter = await two.claim("k")

    assert waiter.won
    await waiter.release()
    await one.close()
    await two.close()


@pytest.mark.parametrize(
    "put",
    [("SET", "x"), ("RPUSH", "x"), ("SET", "x", "PX", 60_000)],
    ids=["endless", "list", "other"],
)
async def test_what_lies_under_a_leases_key(
    server: Server, namespace: str, put: tuple[str, ...]
) -> None:
    """What would never end is no lease: it is taken, held by one alone and given back."""
    leases = Leases(server.target, namespace=namespace)
    command, *rest = put
    server.command(command, f"{{{namespace}}}:lease:k", *rest)
    first = await leases.claim("k")
    if len(rest) == 1:
        second = await leases.claim("k")
        assert (first.held, second.won) == (True, False)
        await first.release()
        assert await second.released(5.0)
        await second.release()
        assert server.command("EXISTS", f"{{{namespace}}}:lease:k") == 0
    else:
        assert not first.won
        await first.release()
    await leases.close()


async def test_a_lease_that_became_something_else_is_lost(server: Server, namespace: str) -> None:
    """Its holder notices, and leaves alone what took its place."""
    leases = Leases(server.target, namespace=namespace, ttl=0.1)
    holder = await leases.claim("k")
    key = f"{{{namespace}}}:lease:k"
    server.command("EVAL", "redis.call('DEL', KEYS[1]) redis.call('RPUSH', KEYS[1], 1)", 1, key)
    await until(lambda: not holder.held, 5.0)
    await holder.release()

    assert server.command("LLEN", key) == 1
    await leases.close()


async def test_without_the_server_every_claim_is_won(namespace: str) -> None:
    """One run a worker: the fleet's rule degrades, nobody waits."""
    leases = Leases("redis://127.0.0.1:1", namespace=namespace)
    claims = [await leases.claim("k") for _ in range(3)]

    assert all(claim.won and not claim.held for claim in claims)
    for claim in claims:
        await claim.release()
    assert not leases._waiting
    await leases.close()


async def test_waiters_look_again_when_the_server_is_lost(
    own_valkey: ValkeyServer, proxy: FaultProxy, namespace: str
) -> None:
    """A cut wakes them: what was released meanwhile may never be told."""
    far = Leases(proxy.url, namespace=namespace)
    near = Leases(own_valkey.url, namespace=namespace)
    holder = await near.claim("k")
    loser = await far.claim("k")
    proxy.reset()

    assert await loser.released(2.0)
    assert is_woken(loser)
    again = await far.claim("k")
    if not again.held and again.won:
        # The cut met this one as well; it is not asked twice on behalf of the caller.
        again = await far.claim("k")
    assert not again.won
    await holder.release()
    assert await again.released(2.0)
    await far.close()
    await near.close()


async def test_the_tail_ends_when_nobody_waits(
    server: Server, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No connection is kept for nothing, and closing leaves no task. It lingers shortly here."""
    monkeypatch.setattr(lease, "_LINGER", 0.01)
    tasks = own_tasks()
    leases = Leases(server.target, namespace=namespace)
    holder = await leases.claim("k")
    loser = await leases.claim("k")
    await loser.release()
    await holder.release()
    await until(lambda: leases._tail is None or leases._tail.done(), 5.0)
    await leases.close()

    assert own_tasks() == tasks


async def test_closing_wakes_who_still_waits(server: Server, namespace: str) -> None:
    """A graceful end keeps nobody."""
    one, two = (
        Leases(server.target, namespace=namespace),
        Leases(server.target, namespace=namespace),
    )
    holder = await one.claim("k")
    loser = await two.claim("k")
    waiting = asyncio.create_task(loser.released(9.0))
    await asyncio.sleep(0)
    await two.close()

    assert is_woken(loser)
    assert await waiting
    await holder.release()
    await one.close()


def test_a_second_event_loop_hears_of_releases(server: Server, namespace: str) -> None:
    """The first one stands still, and its tail with it."""
    link = Link(server.target, timeout=10.0)
    leases = Leases(link, namespace=namespace, ttl=60.0)

    async def lose(*, release: bool) -> bool:
        holder = Leases(link, namespace=namespace, ttl=60.0)
        held = await holder.claim("k")
        loser = await leases.claim("k")
        assert held.held
        assert not loser.won
        if release:
            await held.release()
            await loser.released(10.0)
        woken = is_woken(loser)
        await held.release()
        await holder.close()
        if release:
            await leases.close()
        await link.close()
        return woken

    with asyncio.Runner() as first:
        assert not first.run(lose(release=False))
        assert asyncio.run(lose(release=True))


async def test_a_waiter_notices_a_server_that_hangs(
    own_valkey: ValkeyServer, namespace: str, figure: Figure
) -> None:
    """Long before the lease would have ended."""
    leases = Leases(own_valkey.url, namespace=namespace, ttl=60.0)
    holder, loser = await leases.claim("k"), await leases.claim("k")
    own_valkey.freeze()
    start = time.monotonic()

    assert await loser.released(5.0)
    assert is_woken(loser)
    figure("lease: server that hangs noticed after", seconds(time.monotonic() - start), "0.35 s")
    own_valkey.thaw()
    await loser.release()
    await holder.release()
    await leases.close()


TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

CLAIM_BEFORE = Script(
    """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return -1
end
local left = redis.call('PTTL', KEYS[1])
if left == -1 then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return left
""",
    "",
)
"""How a release before leases named a span has taken one."""


@pytest.mark.parametrize(
    ("held", "asked", "told"),
    [
        (TRACEPARENT, TRACEPARENT, TRACEPARENT),
        (TRACEPARENT, "", TRACEPARENT),
        (TRACEPARENT, None, ""),
        ("", TRACEPARENT, ""),
        (None, TRACEPARENT, ""),
    ],
)
async def test_a_lease_names_its_holders_span(
    server: Server, namespace: str, held: str | None, asked: str | None, told: str
) -> None:
    """To those who ask for it, and who lose."""
    link = Link(server.target, timeout=30.0)
    leases = Leases(link, namespace=namespace)
    holder = await leases.claim("k", held)
    loser = await leases.claim("k", asked)

    assert (holder.held, holder.holder) == (True, "")
    assert (loser.won, loser.holder) == (False, told)
    for claim in (holder, loser):
        await claim.release()
    assert (await leases.claim("k")).held
    await leases.close()
    await link.close()


async def test_leases_of_an_older_release(server: Server, namespace: str) -> None:
    """Each takes what is free, and leaves to the other what is held; neither gives that back."""
    link = Link(server.target, timeout=30.0)
    leases = Leases(link, namespace=namespace)
    key = f"{{{namespace}}}:lease:k"
    older = CLAIM_BEFORE.work([key], "0123456789abcdef", 60_000)

    assert await link.run(older) == -1
    loser = await leases.claim("k", TRACEPARENT)
    assert (loser.won, loser.holder) == (False, "")
    await loser.release()
    assert await link.run(one_command("GET", key)) == b"0123456789abcdef"

    await link.run(one_command("DEL", key))
    holder = await leases.claim("k", TRACEPARENT)
    assert 0 < await link.run(older) <= 3000
    await leases._run(lease.RENEW, [key], holder._token, 60_000)
    assert await link.run(older) > 3000
    await holder.release()
    assert await link.run(older) == -1
    await leases.close()
    await link.close()


async def test_a_lease_that_is_of_another_type(server: Server, namespace: str) -> None:
    """A key that these scripts did not write: it names no span."""
    link = Link(server.target, timeout=30.0)
    leases = Leases(link, namespace=namespace)
    key = f"{{{namespace}}}:lease:k"
    await link.run(one_command("HSET", key, "f", "v"))
    await link.run(one_command("PEXPIRE", key, 60_000))
    loser = await leases.claim("k", TRACEPARENT)

    assert (loser.won, loser.holder) == (False, "")
    await leases.close()
    await link.close()
