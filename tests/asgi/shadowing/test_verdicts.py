"""When a difference counts: what is known, what has to be waited for, and for how long."""

import asyncio
from typing import Any

import pytest

from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.asgi.shadowing import verdicts as verdict_module
from asgi_multitier.asgi.shadowing.observer import GRACE
from asgi_multitier.asgi.shadowing.traits import TraitsReader
from asgi_multitier.asgi.shadowing.verdicts import MOST, Verdicts
from asgi_multitier.engine.mutations import UnderWay
from asgi_multitier.entry import Born, Entry, StoredResponse
from asgi_multitier.selectors import Selector
from tests.asgi.shadowing.support import Observing, observing
from tests.support import pass_time, respond

ENTRY = Entry(
    key="k",
    payload=StoredResponse(200, (), b""),
    born=Born("g", 5),
    created=0.0,
    fresh_until=1.0,
    keep_until=1.0,
    filled_at=0.0,
    path="/a",
    tags=("t",),
)


def mutation(*selectors: tuple[Any, str], ended: bool = False, elsewhere: bool = False) -> UnderWay:
    """One that drops these."""
    found = UnderWay("PUT /a", "/a", 0.0, ended=1.0 if ended else None, elsewhere=elsewhere)
    found.drops(Selector(*one) for one in selectors)
    return found


DROPS: dict[str, tuple[tuple[Any, str], bool]] = {
    "its path": (("path", "/a"), True),
    "its tag": (("tag", "t"), True),
    "below": (("prefix", "/"), True),
    "a pattern": (("glob", "/?"), True),
    "all": (("all", ""), True),
    "another path": (("path", "/b"), False),
    "another tag": (("tag", "T"), False),
    "a longer path": (("path", "/a/b"), False),
}


@pytest.mark.parametrize("what", DROPS)
def test_one_that_has_ended_is_known(what: str) -> None:
    """At once: it drops the entry, or it does not."""
    selector, drops = DROPS[what]
    told: list[bool] = []
    verdicts = Verdicts()

    verdicts.ask(ENTRY, [mutation(selector, ended=True)], 0.0, 0.0, told.append)

    assert told == [not drops]
    assert len(verdicts) == 0


@pytest.mark.parametrize("what", DROPS)
def test_one_that_goes_on_is_waited_for(what: str) -> None:
    """What it drops is known when it has ended."""
    selector, drops = DROPS[what]
    told: list[bool] = []
    verdicts, running, other = Verdicts(), mutation(), mutation(("all", ""))
    verdicts.ask(ENTRY, [running], 0.0, 0.0, told.append)
    verdicts.ended(other, 1.0)
    assert told == []

    running.drops([Selector(*selector)])
    running.ended = 2.0
    verdicts.ended(running, 2.0)

    assert told == [not drops]


def test_another_process_is_given_a_moment() -> None:
    """Until then, what it drops makes a verdict void, whenever that began."""
    told: list[tuple[str, bool]] = []
    verdicts = Verdicts()
    verdicts.ask(ENTRY, [], 1.0, 0.0, lambda counts: told.append(("one", counts)))
    verdicts.ended(mutation(("path", "/b"), ended=True, elsewhere=True), 0.5)
    assert told == []
    verdicts.ended(mutation(("path", "/a"), ended=True, elsewhere=True), 0.6)
    assert told == [("one", False)]

    verdicts.ask(ENTRY, [], 1.6, 0.6, lambda counts: told.append(("other", counts)))
    verdicts.look(1.5)
    verdicts.look(1.6)
    assert told[1:] == [("other", True)]


def test_what_a_mutation_drops_is_made_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many verdicts wait: it may name a thousand things."""
    made: list[object] = []
    told: list[bool] = []

    class Counted(verdict_module.Selected):
        def __init__(self, selectors: Any) -> None:
            made.append(self)
            super().__init__(selectors)

    monkeypatch.setattr(verdict_module, "Selected", Counted)
    verdicts = Verdicts()
    for _ in range(3):
        verdicts.ask(ENTRY, [], 1.0, 0.0, told.append)
    verdicts.ended(mutation(("tag", "t"), ended=True, elsewhere=True), 0.5)

    assert told == [False] * 3
    assert len(made) == 1
    verdicts.ended(mutation(ended=True, elsewhere=True), 0.6)
    assert len(made) == 1


async def test_a_verdict_that_cannot_be_told_harms_no_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not the mutation that it has waited for."""
    release, running, count = asyncio.Event(), asyncio.Event(), iter(range(9))

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "PUT":
            running.set()
            await release.wait()
        await respond(send, b"%d" % next(count))

    async with observing(answer) as seen:
        events = seen.cache.manager.engine.events
        await seen.cache.get("/a")
        change = asyncio.create_task(seen.cache.client.request("PUT", "/b"))
        await running.wait()
        await seen.cache.get("/a")
        seen.finish()
        assert len(seen.observer._verdicts) == 1

        def fail(*_: Any) -> Any:
            raise RuntimeError("broken")

        monkeypatch.setattr(TraitsReader, "read", fail)
        release.set()
        assert (await change).status == 200
        assert events.failures["internal"] == 1


def test_of_those_that_wait_there_is_a_bound() -> None:
    """The oldest is given up: it counts as nothing."""
    told: list[tuple[int, bool]] = []
    verdicts, running = Verdicts(), mutation()
    for number in range(MOST + 1):
        verdicts.ask(
            ENTRY, [running], 0.0, 0.0, lambda counts, number=number: told.append((number, counts))
        )
    assert told == [(0, False)]
    assert (len(verdicts), verdicts.given_up) == (MOST, 1)

    verdicts.give_up()
    assert len(told) == MOST + 1
    assert not any(counts for _, counts in told)


async def differing(seen: Observing) -> None:
    """A miss, and a hit whose answer differs."""
    for language in ("de", "en"):
        await seen.cache.get("/a", [("accept-language", language)])


async def language(scope: Any, receive: Any, send: Any) -> None:
    """An answer that depends on a field, and does not say so."""
    await respond(send, dict(scope["headers"]).get(b"accept-language", b""))


@pytest.mark.parametrize("drops", [True, False])
async def test_with_a_log_that_others_write_to(
    drops: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that comes shortly after the answer makes the verdict void."""
    async with observing(language) as seen:
        log = seen.cache.manager.engine.log
        monkeypatch.setattr(type(log), "is_alone", property(lambda _: False))
        await differing(seen)
        assert seen.would() == ["miss"]
        if drops:
            seen.cache.manager.engine.stack.dropped([Selector("path", "/a")])
        else:
            seen.cache.manager.engine.stack.dropped([Selector("path", "/b")])
            await pass_time(GRACE + 0.1)
        assert seen.wrong() == [False, not drops]

    assert [edit.route for edit in seen.edits] == [""]


async def test_at_the_end_nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not known by then does not count."""
    async with observing(language) as seen:
        log = seen.cache.manager.engine.log
        monkeypatch.setattr(type(log), "is_alone", property(lambda _: False))
        await differing(seen)
        seen.finish()

    assert seen.wrong() == [False, False]
