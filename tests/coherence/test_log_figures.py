"""What the log tells of itself: how far behind it is, how long things take, why it was flushed."""

import pytest

from asgi_multitier import CacheManager
from asgi_multitier.coherence.local import LocalLog
from asgi_multitier.coherence.store import Facts
from asgi_multitier.entry import Born
from asgi_multitier.errors import BackendError
from asgi_multitier.selectors import Selector
from tests.coherence.test_follower import TAG, Bench, facts
from tests.coherence.test_shared import junk, scripted
from tests.patience import until


def test_flushes_are_told_by_cause() -> None:
    """Those of a start are no sign of trouble; of which there are several kinds."""
    bench = Bench()
    follower = bench.follower
    bench.index.gen = ""
    follower.adopt(facts())
    assert follower.stats().flush_causes == {"start": 1}

    follower.adopt(facts(seq=90, first=80))
    follower.adopt(facts(gen="another", seq=1))
    follower.forget()
    bench.now = 10.0
    bench.read(1, None, gen="another", prev="")

    found = follower.stats()
    assert found.flush_causes == {
        "start": 1, "gap": 1, "replaced": 1, "unwritten": 1, "unreadable": 1,
    }  # fmt: skip
    assert found.flushes == 5


@pytest.mark.parametrize(("node", "source"), [("own", "own"), ("other", "other")])
def test_lags_are_told_by_whose_record_it_was(node: str, source: str) -> None:
    """Own ones by this clock alone; others' by what their records say."""
    bench = Bench(wall=lambda: 1_000.0 + bench.now)
    follower = bench.follower
    own = follower.begin([TAG], (), 0.0)
    follower.sending(own.id)
    bench.now = 0.3
    writer = follower.node if node == "own" else "another"
    bench.index.settled = True
    bench.read(6, bench.body(TAG, node=writer, sent=1_000.0), op=own.id)

    lags = follower.stats().lags
    assert lags[source].count == 1
    assert lags[source].seconds == pytest.approx(0.3)
    assert sum(took.count for took in lags.values()) == 1


async def test_writing_a_record_takes_what_the_store_takes() -> None:
    """Of records that were written; what failed is counted as an error."""
    async with scripted() as (log, store, clock):
        real = store.append

        async def slow(op: str, data: bytes, mac: bytes, *, after: int, timeout: float) -> Born:
            clock.advance(0.02)
            return await real(op, data, mac, after=after, timeout=timeout)

        store.append = slow  # type: ignore[method-assign]
        await log.commit(log.begin([TAG]))
        store.failures.append(BackendError("no"))
        await log.commit(log.begin([Selector("tag", "u")]))
        commits = log.stats().commits

    assert (commits.count, commits.seconds) == (1, pytest.approx(0.02))


async def test_it_tells_for_how_long_it_has_heard_nothing() -> None:
    """From the start until it is up to date, and since it was so the last time."""
    async with scripted() as (log, store, clock):
        clock.advance(2.5)
        assert log.stats().unheard == pytest.approx(2.5)
        store.script.put_nowait(junk(1, 1))
        assert await log.reached(Born("g", 1), 1.0)
        assert log.stats().unheard == 0.0
        clock.advance(1.0)
        assert log.stats().unheard == 1.0
    assert (log.stats().unheard, log.stats().behind) == (None, None)


async def test_it_tells_how_far_behind_it_is() -> None:
    """By the position that the store told last; one more at least, while there is more to read."""
    async with scripted() as (log, store, _):
        end = 7

        async def told(after: int, condemned: str = "") -> Facts:
            return Facts("g", end, "", 1, end, "o" if after else "")

        store.facts = told  # type: ignore[method-assign]
        store.script.put_nowait([])  # nothing came: positions are compared
        await until(lambda: log.stats().behind == 7)
        store.more = True
        store.script.put_nowait(junk(1, 3))
        await until(lambda: log.stats().behind == 4)
        store.script.put_nowait(junk(4, 6))
        await until(lambda: log.stats().behind == 1)
        store.more = False
        store.script.put_nowait(junk(10, 1))
        await until(lambda: log.stats().behind == 0)


async def test_a_log_of_one_process_follows_none() -> None:
    """There is nothing that it could be behind."""
    log = LocalLog()
    log.begin([TAG])
    found = log.stats()

    assert (found.behind, found.unheard, found.flushes) == (None, None, 0)
    assert found.index_selectors == 1
    async with CacheManager(redis_url=None, namespace="n") as manager:
        text = manager.metrics.text()
    assert "\nasgi_multitier_log_behind_records " not in text
    assert "\nasgi_multitier_log_index_selectors 0\n" in text
