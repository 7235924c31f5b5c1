"""Which mutations are under way, what they drop, and when they have ended."""

import asyncio
import threading

import pytest

from asgi_multitier import Rule
from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.engine import mutations as mutations_module
from asgi_multitier.engine.mutations import Mutations, UnderWay
from asgi_multitier.selectors import Selector
from asgi_multitier.testing import FakeClock
from tests.patience import PATIENCE
from tests.support import Visit, caching, respond, settled


class Heard:
    """Notes the mutations that have ended."""

    def __init__(self) -> None:
        self.all: list[UnderWay] = []

    def note(self, mutation: UnderWay) -> None:
        self.all.append(mutation)


class Editor:
    """An application whose PUT waits before it answers, and once more before it returns."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.may_answer, self.may_return = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "PUT":
            await self.may_answer.wait()
            await respond(send, b"", status=self.status)
            await self.may_return.wait()
        else:
            await respond(send, b"x")


async def test_one_is_under_way_until_the_application_returns() -> None:
    """With the times of its beginning, of its answer and of its end."""
    app, heard = Editor(), Heard()
    async with caching(app, [Rule("/a", 60)]) as cache:
        mutations = cache.manager.engine.mutations
        mutations.listen(heard.note)
        began = cache.clock()
        visit = asyncio.create_task(cache.client.request("PUT", "/a"))
        await settled()
        assert len(mutations) == 1
        cache.clock.advance(1.0)
        app.may_answer.set()
        await settled()
        cache.clock.advance(2.0)
        over = asyncio.create_task(mutations.settled())
        await settled()
        assert not over.done()
        assert heard.all == []
        app.may_return.set()
        await asyncio.wait_for(over, PATIENCE)
        await visit

    (one,) = heard.all
    assert (one.route, one.path, one.status) == ("PUT /a", "/a", 200)
    assert one.succeeded
    assert (one.began, one.answered, one.ended) == (began, began + 1.0, began + 3.0)
    assert list(one.selectors) == [Selector("path", "/a")]
    assert len(mutations) == 0


class BoomError(Exception):
    """What the application raises."""


ENDS = [
    pytest.param("fails", 0, True, id="raises before it answers"),
    pytest.param("cancelled", 0, True, id="is cancelled"),
    pytest.param("404", 404, False, id="refuses"),
]


@pytest.mark.parametrize(("end", "status", "drops"), ENDS)
async def test_one_ends_in_any_case(end: str, status: int, drops: bool) -> None:
    """What it drops is in force by then."""
    heard, gate = Heard(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if end == "fails":
            raise BoomError
        if end == "cancelled":
            await gate.wait()
        await respond(send, b"", status=404)

    async with caching(app, [Rule("/a", 60)]) as cache:
        mutations = cache.manager.engine.mutations
        mutations.listen(heard.note)
        task = asyncio.create_task(cache.client.request("PUT", "/a"))
        await settled()
        task.cancel()
        await asyncio.wait({task})

    (one,) = heard.all
    assert (one.status, one.succeeded, len(mutations)) == (status, False, 0)
    assert bool(one.selectors) is drops
    assert one.ended is not None


async def test_a_question_is_no_mutation() -> None:
    """A POST that its rule answers from the cache is told to no listener."""
    heard = Heard()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"answer")

    async with caching(app, [Rule("/ask", 60, methods=["POST"], body=True)]) as cache:
        cache.manager.engine.mutations.listen(heard.note)
        first = await cache.client.request("POST", "/ask", visit=Visit(body=b"q"))
        again = await cache.client.request("POST", "/ask", visit=Visit(body=b"q"))

        assert (first.stored, again.hit) == (True, True)
        assert len(cache.manager.engine.mutations) == 0
    assert heard.all == []


def test_a_listener_that_is_gone_is_forgotten() -> None:
    """Engines live longer than what listens to them."""
    mutations, stays = Mutations(FakeClock()), Heard()
    for _ in range(3):
        mutations.listen(Heard().note)
    mutations.listen(stays.note)

    with mutations.running("r", "/p"):
        pass

    assert len(stays.all) == 1
    assert len(mutations._listeners) == 1


async def test_one_may_end_in_another_thread() -> None:
    """As where another event loop than the cache's runs the application."""
    mutations, gate, begun = Mutations(FakeClock()), threading.Event(), threading.Event()

    def run() -> None:
        with mutations.running("r", "/p"):
            begun.set()
            gate.wait()

    thread = threading.Thread(target=run)
    thread.start()
    await asyncio.to_thread(begun.wait)
    over = asyncio.create_task(mutations.settled())
    await settled()
    assert not over.done()
    gate.set()

    await asyncio.wait_for(over, PATIENCE)
    thread.join()


async def test_waiting_leaves_nothing_behind_when_it_is_given_up() -> None:
    """Its caller limits the time."""
    mutations = Mutations(FakeClock())
    with mutations.running("r", "/p") as one:
        over = asyncio.create_task(mutations.settled())
        await settled()
        over.cancel()
        await asyncio.wait({over})

        assert one._waiting == []


def test_a_loop_that_is_closed_is_not_told() -> None:
    """A fork or a second loop leaves such waiters behind."""
    mutations = Mutations(FakeClock())
    with mutations.running("r", "/p") as one:
        loop = asyncio.new_event_loop()
        one._waiting.append((loop, loop.create_future()))
        loop.close()

    assert len(mutations) == 0


async def test_what_is_dropped_by_hand_is_noted() -> None:
    """In the request and in tasks that it has begun; not by what outlives it, nor elsewhere."""
    heard, left = Heard(), asyncio.Event()
    later: list[asyncio.Task[bool]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "PUT":
            await asyncio.create_task(cache.manager.invalidate_tags("by-task"))
            later.append(asyncio.create_task(outliving()))
        await cache.manager.invalidate_tags("by-hand")
        await respond(send, b"")

    async def outliving() -> bool:
        await left.wait()
        return await cache.manager.invalidate_tags("too-late")

    async with caching(app, [Rule("/a", 60)]) as cache:
        cache.manager.engine.mutations.listen(heard.note)
        await cache.client.request("PUT", "/a")
        left.set()
        await asyncio.wait(later)
        await cache.get("/b")

    (one,) = (each for each in heard.all if each.route)
    named = [selector.text for selector in one.selectors]
    assert named == ["by-task", "by-hand", "/a"]
    others = [selector.text for each in heard.all if not each.route for selector in each.selectors]
    assert others == ["too-late", "by-hand"]


def test_there_is_a_bound_for_what_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One mutation may drop any number of things."""
    monkeypatch.setattr(mutations_module, "MAX_SELECTORS", 2)
    one = UnderWay("r", "/p", 0.0)
    one.drops(Selector("tag", str(number)) for number in range(5))

    assert len(one.selectors) == 2
