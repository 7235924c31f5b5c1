"""Requests that take a way of their own: credentials, positions, questions, callables that fail."""

from typing import Any

import pytest

from asgi_multitier import CacheManager, CacheMiddleware, Policy, Rule
from asgi_multitier.asgi.read_your_writes import COOKIE, token
from asgi_multitier.entry import Born
from asgi_multitier.selectors import Selector
from tests.asgi.shadowing.support import observing
from tests.asgi.shadowing.test_bytes import body, sending, start
from tests.support import Client, Origin, answering

SECRET = b"0123456789abcdef"
FRESH = (b"cache-control", b"max-age=60")


async def test_what_is_stored_for_requests_without_credentials_answers_none_with() -> None:
    """Unless it says so itself (RFC 9111 §3.5)."""
    async with observing(
        Origin(answering(b"a", FRESH)), (Rule("*", Policy.from_origin()),)
    ) as seen:
        await seen.cache.get("/a")
        await seen.cache.get("/a", [("authorization", "Bearer a")])
        await seen.cache.get("/a")
        assert seen.would() == ["miss", "authorization", "hit"]


async def test_only_if_cached() -> None:
    """Nothing that is stored would do: the cache would say so."""
    rules = (Rule("*", Policy.from_origin(honor_request_directives=True)),)
    only = [("cache-control", "only-if-cached")]
    async with observing(Origin(answering(b"a", FRESH)), rules) as seen:
        await seen.cache.get("/a", only)
        await seen.cache.get("/a")
        await seen.cache.get("/a", only)
        assert seen.would() == ["only-if-cached", "miss", "hit"]


def fail(request: Any) -> Any:
    """A callable of a rule that has a bug."""
    raise RuntimeError("a bug")


TAGS: dict[str, tuple[Any, str]] = {
    "fails": (fail, "broken"),
    "too many": (lambda request: [f"t{number}" for number in range(100)], "tags"),
}


@pytest.mark.parametrize("case", TAGS)
async def test_tags_that_cannot_be_given(case: str) -> None:
    """The answer would not be stored."""
    tags, reason = TAGS[case]
    async with observing(Origin(answering()), (Rule("*", 60, tags=[tags]),)) as seen:
        for _ in range(2):
            await seen.cache.get("/a")
        assert seen.would() == [reason, reason]


async def test_questions_with_content_are_told_as_what_they_are() -> None:
    """They are no changes: nothing is dropped."""
    rules = (Rule("*", 60, methods=["GET", "POST"], body=True),)
    async with observing(Origin(answering()), rules) as seen:
        fence = seen.cache.manager.engine.index.fence
        await seen.cache.client.request("POST", "/a")
        (told,) = seen.finish()

        assert (told.route, told.would, told.answer) == ("POST *", "request-body", None)
        assert seen.edits == []
        assert seen.cache.manager.engine.index.fence == fence


@pytest.mark.parametrize(("ahead", "would"), [(0, "hit"), (9, "position")])
async def test_a_client_that_carries_a_position(ahead: int, would: str) -> None:
    """It is met where that was reached; the application gets the cookie as it came."""
    manager = CacheManager(redis_url=None, namespace="t", mode="shadow", secret=SECRET)
    origin = Origin(answering())
    app = CacheMiddleware(origin, manager, rules=(Rule("*", 60),), read_your_writes=True)
    told: list[str] = []
    async with manager:
        observed = manager.observed
        manager.observed = lambda one, tally: (told.append(one.would), observed(one, tally))[1]  # type: ignore[method-assign]
        index = manager.engine.index
        cookie = f"{COOKIE}={token(Born(index.gen, index.seq + ahead), SECRET)}"
        await Client(app).get("/a")
        await Client(app).get("/a", [("cookie", cookie)])
        await manager.report()

    assert told == ["miss", would]
    assert (b"cookie", cookie.encode()) in origin.scopes[1]["headers"]


MESSAGES: dict[str, tuple[Any, str]] = {
    "trailers": (sending(start(trailers=True), body(b"x")), "trailers"),
    "a path": (
        sending(start(), {"type": "http.response.pathsend", "path": "/a"}),
        "not-understood",
    ),
    "more after the end": (sending(start(), body(b"x"), body(b"y")), "miss"),
    "two starts": (sending(start(), start(status=500), body(b"x")), "miss"),
    "a hint before": (sending({"type": "http.response.early_hint"}, start(), body()), "miss"),
}


@pytest.mark.parametrize("case", MESSAGES)
async def test_messages_that_make_an_answer_what_it_is(case: str) -> None:
    """A replay must contain all that was sent."""
    answer, would = MESSAGES[case]
    async with observing(Origin(answer)) as seen:
        await seen.cache.get("/a")
        assert seen.would() == [would]


async def test_pairs_may_be_lists() -> None:
    """As ASGI has it: any iterables of two."""
    async with observing(Origin(answering())) as seen:
        for _ in range(2):
            lines: Any = [[b"host", b"example.org"], [b"x-a", b"1"]]
            await seen.cache.get("/a", lines=lines)
        told = seen.finish()

    assert [one.would for one in told] == ["miss", "hit"]
    assert told[0].traits is told[1].traits
    assert set(told[0].traits.fields) == {b"x-a"}


DROPS = {
    "a pattern": (("glob", "/*"), 3),
    "below": (("prefix", "/a"), 2),
    "all": (("all", ""), 3),
    "a path": (("path", "/a"), 1),
    "a tag": (("tag", "t"), 3),
    "nothing": (("tag", "T"), 0),
}


@pytest.mark.parametrize("case", DROPS)
async def test_how_many_entries_are_dropped(case: str) -> None:
    """By what an invalidation names."""
    (kind, text), number = DROPS[case]
    async with observing(Origin(answering()), (Rule("*", 60, tags=["t"]),)) as seen:
        for target in ("/a", "/a/b", "/c"):
            await seen.cache.get(target)
        seen.finish()
        await seen.cache.manager.invalidate_selectors([Selector(kind, text)])  # type: ignore[arg-type]
        seen.finish()

    assert [edit.dropped for edit in seen.edits] == [number]


async def test_an_emptied_store_holds_nothing() -> None:
    """Nor names of what it held."""
    async with observing(Origin(answering())) as seen:
        await seen.cache.get("/a")
        seen.finish()
        store = seen.observer._store
        assert (len(store), len(store._tier._by_name)) == (1, 1)
        store._tier.clear()
        assert (len(store), len(store._tier._by_name), store.bytes) == (0, 0, 0)
        await seen.cache.get("/a")
        assert seen.would() == ["miss", "miss"]
