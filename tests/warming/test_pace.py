"""How a warm-up asks: a few at once, slowly, and whatever becomes of one, the others are asked."""

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest

from asgi_multitier.errors import ConfigError
from asgi_multitier.policy.status_field import CacheStatus
from asgi_multitier.warming.pace import PATIENCE, ask_all, check_pace
from asgi_multitier.warming.report import Reply, Results, WarmReport
from asgi_multitier.warming.targets import Origin, Target
from tests.support import pass_time, settled

STORED = Reply(200, CacheStatus(text="x", stored=True))
around: ContextVar[str] = ContextVar("around", default="nothing")


def targets(count: int) -> list[Target]:
    return [Target(Origin("http", b"a"), b"/%d" % number) for number in range(count)]


class Asked:
    """Requests that wait until they are let go."""

    def __init__(self) -> None:
        self.paths: list[bytes] = []
        self.seen: list[str] = []
        self.gate = asyncio.Semaphore(0)

    async def __call__(self, target: Target) -> Reply:
        self.paths.append(target.raw_path)
        self.seen.append(around.get())
        await self.gate.acquire()
        return STORED


async def test_no_more_at_once_than_allowed() -> None:
    """The next begins when one has ended."""
    asked, results = Asked(), Results()
    work = asyncio.create_task(ask_all(targets(4), asked, results, concurrency=2, rate=1000))
    await pass_time(1)
    await pass_time(1)
    assert asked.paths == [b"/0", b"/1"]
    asked.gate.release()
    await pass_time(1)
    assert asked.paths == [b"/0", b"/1", b"/2"]
    for _ in range(3):
        asked.gate.release()
        await pass_time(1)
    await work

    assert results.report() == WarmReport(asked=4, stored=4)


async def test_no_faster_than_allowed() -> None:
    """Time passes between the beginnings, and none before the first."""
    asked = Asked()
    work = asyncio.create_task(ask_all(targets(2), asked, Results(), concurrency=9, rate=0.1))
    await settled()
    assert len(asked.paths) == 1
    await pass_time(9)
    assert len(asked.paths) == 1
    await pass_time(1.1)
    assert len(asked.paths) == 2
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def test_others_are_asked_while_there_is_time() -> None:
    """The first in any case; how many were is told."""
    asked, left = Asked(), [True, False]
    asked.gate = asyncio.Semaphore(9)
    done = [
        await ask_all(targets(4), asked, Results(), rate=1000, goes_on=goes_on)
        for goes_on in (lambda: left.pop(0), lambda: False, lambda: True)
    ]

    assert done == [2, 1, 4]


async def test_what_is_set_around_the_caller_is_not_around_what_it_asks() -> None:
    """A request in which a warm-up is begun has a user, a transaction, a run of its own."""
    asked = Asked()
    around.set("a request")
    asked.gate.release()
    await ask_all(targets(1), asked, Results())

    assert asked.seen == ["nothing"]


async def test_what_hangs_is_ended_and_counted() -> None:
    """An endless stream, or an application that never answers."""
    asked, results = Asked(), Results()
    work = asyncio.create_task(ask_all(targets(1), asked, results))
    await pass_time(PATIENCE + 0.1)
    await work

    assert results.report().failures == {"http://a/0": "TimeoutError: "}


async def test_a_warm_up_that_is_cancelled_leaves_nothing() -> None:
    """What it has asked for is cancelled with it."""
    before = asyncio.all_tasks()
    asked = Asked()
    work = asyncio.create_task(ask_all(targets(3), asked, Results(), concurrency=2, rate=1000))
    await pass_time(1)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)

    assert work.cancelled()
    assert asyncio.all_tasks() == before


def said(text: str, **options: Any) -> CacheStatus:
    return CacheStatus(text=text, **options)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (STORED, WarmReport(asked=1, stored=1)),
        (
            Reply(200, said("x", stored=True, collapsed=True, forward="uri-miss")),
            WarmReport(asked=1, stored=1),
        ),
        (Reply(200, said("x", hit=True, detail="l2")), WarmReport(asked=1, hits=1)),
        (Reply(200, said("x", forward="uri-miss"), kept=True), WarmReport(asked=1, stored=1)),
        (
            Reply(200, said("x", forward="uri-miss")),
            WarmReport(asked=1, bypassed={"uri-miss": 1}),
        ),
        (
            Reply(200, said("x", forward="bypass", detail="cookie")),
            WarmReport(asked=1, bypassed={"cookie": 1}),
        ),
        (Reply(307, said("")), WarmReport(asked=1, bypassed={"not-reached": 1})),
        (
            Reply(503, said("x", forward="uri-miss", detail="status")),
            WarmReport(asked=1, failed=1, failures={"http://a/0": "status 503"}),
        ),
        (
            Reply(200, said("x", forward="stale", detail="stale-if-error")),
            WarmReport(
                asked=1,
                failed=1,
                failures={"http://a/0": "a stale entry stood in: stale-if-error"},
            ),
        ),
        (
            OSError("no\u20ac" + "x" * 500),
            WarmReport(asked=1, failed=1, failures={"http://a/0": "OSError: no\u20ac" + "x" * 188}),
        ),
    ],
)
def test_what_becomes_of_a_request(reply: Reply | Exception, expected: WarmReport) -> None:
    """Each is counted once."""
    results = Results()
    results.add(targets(1)[0], reply)
    report = results.report()

    assert report == expected
    assert report.asked == sum((report.stored, report.hits, report.failed)) + sum(
        report.bypassed.values()
    )


def test_a_report_says_what_the_first_failures_were() -> None:
    """All are counted; not all are told."""
    results = Results()
    for target in targets(100):
        results.add(target, OSError("no"))
    report = results.report()

    assert (report.failed, len(report.failures)) == (100, 10)


@pytest.mark.parametrize(
    ("concurrency", "rate", "words"),
    [
        (0, 1, "concurrency=0 is not allowed; expected a whole number from 1 to 100"),
        (101, 1, "concurrency=101"),
        (True, 1, "concurrency=True"),
        (1.5, 1, "concurrency=1.5"),
        (1, 0, "rate=0 is not allowed; expected requests a second, above 0"),
        (1, -1, "rate=-1"),
        (1, 1001, "rate=1001"),
        (1, float("nan"), "rate=nan"),
        (1, True, "rate=True"),
        (1, "fast", "rate='fast'"),
    ],
)
def test_a_pace_that_is_none(concurrency: Any, rate: Any, words: str) -> None:
    """The message names what is allowed."""
    with pytest.raises(ConfigError) as caught:
        check_pace(concurrency, rate)

    assert words in str(caught.value)
