"""`POST /api/warm`: what is asked for, by whom, and what is told of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from asgi_multitier import CacheManager, CacheMiddleware, Rule, TierConfig
from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.admin import warming
from asgi_multitier.warming.report import WarmPart, WarmReport
from tests.admin.support import OPERATOR, Person, made
from tests.manager.support import SeenTier
from tests.patience import until
from tests.support import Client, respond

RULES = (Rule("/p*", 60), Rule("/boom", 60))
COUNTS = ("asked", "stored", "hits", "failed")


class Site:
    """An application with a cache, that a client has asked once.

    Args:
        manager: The cache.
        rules: What is cached.
    """

    def __init__(self, manager: CacheManager, rules: Sequence[Rule]) -> None:
        self.manager = manager
        self.asked: list[str] = []
        self.held: asyncio.Event | None = None
        self.client = Client(CacheMiddleware(self._answer, manager, rules=rules))
        self.operator = Person(manager.admin(OPERATOR))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(scope["path"])
        if scope["path"] == "/boom":
            raise LookupError("row of zoe")
        if scope["path"] == "/pause" and self.held is not None:
            await self.held.wait()
        await respond(send, b"x")

    async def warm(self, status: int = 200, **body: Any) -> Any:
        """What an operator gets."""
        return await self.operator.post(
            "/api/warm", {"rate": 1000, "scope": "host", **body}, status
        )


@asynccontextmanager
async def site(
    *, known: bool = True, rules: Sequence[Rule] = RULES, **settings: Any
) -> AsyncIterator[Site]:
    """A site that the other workers can ask; `known` if a client has asked it before."""
    manager = made(**settings)
    manager.workers.is_wanted = True
    found = Site(manager, rules)
    async with manager:
        await until(lambda: manager.workers.number is not None)
        if known:
            await found.client.get("/p0")
        found.asked.clear()
        yield found


def counts(told: dict[str, Any]) -> tuple[int, ...]:
    """Its figures."""
    return tuple(told[name] for name in COUNTS)


async def test_targets_are_asked_for() -> None:
    """What became of each is told, with the words of `Cache-Status`."""
    async with site() as here:
        told = await here.warm(targets=["/p1", "/p1", "/other", "/boom"], concurrency=1)
        again = await here.warm(targets=["/p1"], base_url="http://example.org")

    assert counts(told) == (4, 1, 1, 1)
    assert told["bypassed"] == {"no-rule": 1}
    assert [one["why"] for one in told["failures"]] == ["LookupError: row of zoe"]
    assert told["failures"][0]["url"].endswith("/boom")
    assert (told["of"], told["next"], told["detail"]) == (4, None, "")
    assert [(one["worker"], one["missing"]) for one in told["workers"]] == [(0, "")]
    assert again["asked"] == 1


WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({}, ""),
    ({"targets": ["/p"], "top": 2}, ""),
    ({"targets": "/p"}, "targets"),
    ({"targets": [1]}, "targets"),
    ({"targets": []}, "targets"),
    ({"targets": ["/p"] * 501}, "targets"),
    ({"targets": ["p"]}, "targets"),
    ({"targets": ["/p"], "base_url": 1}, "base_url"),
    ({"targets": ["/p"], "base_url": "shop"}, "targets"),
    ({"targets": ["/p"], "scope": "fleet"}, "scope"),
    ({"targets": ["/p"], "scope": []}, "scope"),
    ({"targets": ["/p"], "concurrency": 0}, "concurrency"),
    ({"targets": ["/p"], "concurrency": True}, "concurrency"),
    ({"targets": ["/p"], "rate": 1001}, "rate"),
    ({"targets": ["/p"], "skip": -1}, "skip"),
    ({"top": 0}, "top"),
    ({"top": 2001}, "top"),
    ({"top": "9"}, "top"),
    ({"urls": ["/p"]}, "urls"),
)


async def test_what_is_wrong_is_named() -> None:
    """And nothing is asked for."""
    async with site() as here:
        told = [(await here.operator.post("/api/warm", body, 422))["field"] for body, _ in WRONG]
        assert here.asked == []

    assert told == [field for _, field in WRONG]


async def test_a_cache_without_an_application_says_so() -> None:
    """There is nothing to ask."""
    async with made() as manager:
        person = Person(manager.admin(OPERATOR))
        told = await person.post("/api/warm", {"targets": ["/p"]}, 422)

    assert "no application" in told["detail"]


async def test_what_there_is_no_time_for_is_left_to_the_next_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says where that begins; each gets one step further at least."""
    monkeypatch.setattr(warming, "SECONDS", 0.0)
    async with site() as here:
        told, skip = [], 0
        while skip is not None:
            told.append(await here.warm(targets=["/p1", "/p2", "/p3"], skip=skip))
            skip = told[-1]["next"]
        beyond = await here.warm(targets=["/p1"], skip=5)

    assert here.asked == ["/p1", "/p2", "/p3"]
    assert [one["next"] for one in told] == [1, 2, None]
    assert (counts(beyond), beyond["next"]) == ((0, 0, 0, 0), None)


async def test_one_at_a_time() -> None:
    """Another one is told when to come back; a response that takes long is given up."""
    async with site() as here:
        here.held = asyncio.Event()
        first = asyncio.create_task(here.warm(targets=["/pause"]))
        await until(lambda: here.asked)
        reply = await here.operator.reply("POST", "/api/warm", body={"targets": ["/p1"]})
        here.held.set()
        assert counts(await first) == (1, 1, 0, 0)
        assert counts(await here.warm(targets=["/p1"])) == (1, 1, 0, 0)

    assert (reply.status, reply.get("retry-after")) == (503, b"8")


async def test_a_response_that_takes_too_long_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is not kept waiting."""
    monkeypatch.setattr(warming, "PATIENCE", 0.0)
    async with site() as here:
        here.held = asyncio.Event()
        told = await here.warm(targets=["/pause"])
        here.held.set()

    assert counts(told) == (1, 0, 0, 1)


async def test_where_the_cache_is_off_nothing_is_asked() -> None:
    """It says why."""
    async with site() as here:
        here.manager.mode = "off"
        told = await here.warm(targets=["/p1"])

    assert (here.asked, told["detail"]) == ([], "the cache is switched off")


async def test_it_is_an_act(caplog: pytest.LogCaptureFixture) -> None:
    """A line of the log, without what was asked for."""
    caplog.set_level("INFO")
    async with site() as here:
        await here.warm(targets=["/p-zoe"])

    [line] = [
        record.getMessage() for record in caplog.records if "warm 1 targets" in record.message
    ]
    assert "zoe" not in line


# The other workers of the machine.


async def test_where_nothing_is_shared_each_worker_is_asked() -> None:
    """One that no client has asked knows the host too; `scope` leaves the others out."""
    async with site() as here, site(known=False) as other:
        alone = await here.warm(targets=["/p1"], scope="process")
        assert (here.asked, other.asked, len(alone["workers"])) == (["/p1"], [], 1)
        told = await here.warm(targets=["/p1", "/p2"])

    assert other.asked == ["/p1", "/p2"]
    assert counts(told) == (4, 3, 1, 0)
    assert [(one["worker"], one["asked"]) for one in told["workers"]] == [(0, 2), (1, 2)]


async def test_where_a_tier_is_shared_one_worker_is_enough() -> None:
    """The others find it there."""
    tiers = {"tiers": [(SeenTier(time.monotonic), TierConfig(2))]}
    async with site(**tiers) as here, site(**tiers) as other:
        told = await here.warm(targets=["/p1"])

    assert (here.asked, other.asked) == (["/p1"], [])
    assert len(told["workers"]) == 1


WHOLE: dict[str, Any] = {
    **dict.fromkeys(COUNTS, 1),
    "done": 1,
    "of": 2,
    "pid": 7,
    "bypassed": {},
    "failures": [],
}
ODD: tuple[Any, ...] = (
    None,
    5,
    {"status": 200, "value": {"asked": 1}},
    {"status": 200, "value": WHOLE | {"done": None}},
    {"status": 200, "value": WHOLE | {"failures": None}},
    {"status": 503, "value": WHOLE},
)


@pytest.mark.parametrize("answer", ODD)
async def test_a_worker_that_answers_oddly_is_missing(answer: Any) -> None:
    """As one of another release: the others' figures stand."""

    async def odd(asked: dict[str, Any]) -> Any:
        return answer

    async with site() as here, site() as other:
        other.manager.workers.answers("admin", odd)
        told = await here.warm(targets=["/p1"])

    assert counts(told) == (1, 1, 0, 0)
    assert [one["missing"] for one in told["workers"]] == ["", "failed"]


async def test_the_rest_begins_where_the_slowest_worker_is() -> None:
    """The others find there what they have."""

    async def slow(asked: dict[str, Any]) -> Any:
        return {"status": 200, "value": WHOLE}

    async with site() as here, site() as other:
        other.manager.workers.answers("admin", slow)
        told = await here.warm(targets=["/p1", "/p2"])

    assert (told["asked"], told["done"], told["next"]) == (3, 1, 1)


async def test_what_does_not_fit_between_workers_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A question has what stands around the targets as well."""
    monkeypatch.setattr(warming, "SECONDS", 0.0)
    async with site() as here, site():
        told = await here.warm(422, targets=["/p" + "x" * 6538] * 10)

    assert "too long for the other workers" in told["detail"]


# What clients ask for most.


async def test_what_clients_ask_for_most() -> None:
    """Of the list in the shared tier; which processes with `warm=` write."""
    tiers = {"tiers": [(SeenTier(time.monotonic), TierConfig(2))]}
    async with site(**tiers) as here:
        assert (await here.warm(top=5))["detail"].startswith("no process has told")
    async with site(**tiers, warm="top:5") as here:
        await until(lambda: here.manager.warm_up_health.state == "done")
        for path in ("/p1", "/p1", "/p2", "/boomerang"):
            await here.client.get(path)
    async with site(**tiers) as here:
        told = await here.warm(top=1)

    assert (told["of"], told["asked"], told["detail"]) == (1, 1, "")


async def test_what_is_not_for_anyone_any_more_is_not_asked_for() -> None:
    """The list was written by processes with other rules."""
    tiers = {"tiers": [(SeenTier(time.monotonic), TierConfig(2))]}
    async with site(**tiers, warm="top:5") as here:
        await until(lambda: here.manager.warm_up_health.state == "done")
        await here.client.get("/p1")
    async with site(**tiers, rules=[Rule("/p0", 60)]) as here:
        told = await here.warm(top=5)

    assert (told["bypassed"], here.asked) == ({"not-open": 1}, [])


async def test_a_list_that_cannot_be_read() -> None:
    """It says so."""
    tier = SeenTier(time.monotonic)
    async with site(tiers=[(tier, TierConfig(2))]) as here:
        tier.broken = True
        told = await here.warm(top=5)

    assert (told["asked"], told["detail"]) == (0, "the shared tier does not answer")


async def test_without_a_shared_tier_there_is_no_list() -> None:
    """It says so."""
    async with site() as here:
        told = await here.warm(top=5)

    assert (told["asked"], told["detail"][:24]) == (0, "there is no shared tier ")


FULL = [{"url": "http://shop/zoe", "why": "LookupError: zoe"}]
SHORT = [{"url": None, "why": "LookupError"}]


@pytest.mark.parametrize(
    ("body", "redact", "shown"),
    [
        ({"targets": ["/zoe"]}, True, FULL),
        ({"top": 5}, True, SHORT),
        ({"top": 5}, False, FULL),
    ],
)
async def test_what_clients_ask_for_is_not_named(
    body: dict[str, Any], redact: bool, shown: list[Any]
) -> None:
    """Unless nothing is redacted; what the operator has written is."""
    report = WarmReport(asked=1, failed=1, failures={"http://shop/zoe": "LookupError: zoe"})

    class Failing(CacheManager):
        async def warm_part(self, *_: Any, **given: Any) -> WarmPart:
            assert (given["seconds"], given["patience"]) == (1, 7)
            return WarmPart(report, 1, 1)

    async with Failing(redis_url=None, namespace="shop") as manager:
        person = Person(manager.admin(OPERATOR, redact=redact))
        told = await person.post("/api/warm", body)

    assert told["failures"] == shown
