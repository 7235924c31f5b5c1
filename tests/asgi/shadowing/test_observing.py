"""What is told of requests and mutations."""

import asyncio
from functools import partial
from typing import Any

import pytest

from asgi_multitier import CacheMiddleware, Policy, Rule, cached, invalidates
from asgi_multitier._types import ASGIApp, Message, Receive, Scope, Send
from tests.asgi.shadowing.support import observing
from tests.asgi.support import BoomError, boom, boom_after_half
from tests.support import Client, Origin, Visit, answering, respond, scope_of, settled


class Value:
    """Answers with a value that a PUT changes."""

    def __init__(self) -> None:
        self.value = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.committed = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET":
            await respond(send, b"%d" % self.value)
            return
        self.value += 1
        self.committed.set()
        await self.gate.wait()
        await respond(send, b"ok", status=int(scope["query_string"] or b"200"))


async def test_a_miss_and_a_hit() -> None:
    """With all that the ledger wants to know."""
    async with observing(Origin(answering(b"hello"))) as seen:
        for _ in range(2):
            await seen.cache.get("/a?x=1", [("accept-language", "de")])
            seen.cache.clock.advance(2)
        miss, hit = seen.finish()

    assert (miss.would, miss.served, miss.hit, miss.number) == ("miss", None, 0, 1)
    assert (hit.would, hit.hit, hit.number) == ("hit", 1, 2)
    assert hit.served == hit.answer == miss.answer
    assert hit.key == miss.key
    assert (hit.route, hit.path, hit.lifetime, hit.tags) == (
        "GET *",
        "/a",
        300,
        frozenset(),
    )
    assert hit.began == miss.began + 2
    assert set(hit.traits.fields) == {b"accept-language"}
    assert hit.answer is not None
    assert (hit.answer.status, hit.answer.size) == (200, 5)


async def test_another_answer_is_wrong_each_time() -> None:
    """What is stored stays, as it would."""
    application = Value()
    async with observing(application) as seen:
        await seen.cache.get("/a")
        application.value = 1
        for _ in range(2):
            await seen.cache.get("/a")
        assert seen.would() == ["miss", "hit", "hit"]
        assert seen.wrong() == [False, True, True]
        assert [one.hit for one in seen.told] == [0, 1, 1]

        seen.cache.clock.advance(301)
        await seen.cache.get("/a")
        await seen.cache.get("/a")
        assert seen.would()[3:] == ["miss", "hit"]
        assert seen.wrong()[3:] == [False, False]


async def test_a_mutation_drops() -> None:
    """And is told with what it drops, in words."""
    application = Value()
    rules = (Rule("/a", 60, tags=["a", "b"]), Rule("*", 60))
    async with observing(application, rules) as seen:
        for target in ("/a?x=1", "/a?x=2", "/b"):
            await seen.cache.get(target)
        await seen.cache.client.request("PUT", "/a")
        await seen.cache.get("/a?x=1")
        assert seen.would()[3:] == ["miss"]

    (edit,) = seen.edits
    assert (edit.path, edit.selectors, edit.dropped) == ("/a", ("path:/a",), 2)
    assert edit.began <= edit.answered <= edit.ended


async def test_what_was_looked_up_meanwhile_was_dropped_by_it_too() -> None:
    """Also by a mutation whose end comes later than the next request."""
    application = Value()
    async with observing(application) as seen:
        await seen.cache.get("/a")
        client = seen.cache.client

        async def late(scope: Scope, receive: Receive, send: Send) -> None:
            await respond(send)
            await client.get("/a")

        seen.cache.middleware._run_app = late  # type: ignore[attr-defined]
        await client.request("PUT", "/a")
        seen.finish()

    assert [edit.dropped for edit in seen.edits] == [1]


@pytest.mark.parametrize(("status", "told"), [(200, 1), (303, 1), (404, 0), (500, 0)])
async def test_only_what_succeeds_is_an_edit(status: int, told: int) -> None:
    """As far as the application says."""
    async with observing(Value()) as seen:
        await seen.cache.get("/a")
        await seen.cache.client.request("PUT", f"/a?{status}")
        seen.finish()

    assert len(seen.edits) == told


async def test_what_is_dropped_by_hand_is_told_too() -> None:
    """Outside of a mutation, without a route."""
    async with observing(Value(), (Rule("*", 60, tags=["t"]),)) as seen:
        await seen.cache.get("/a")
        await seen.cache.manager.invalidate_tags("t")
        await seen.cache.get("/a")
        assert seen.would() == ["miss", "miss"]

    assert [(edit.route, edit.selectors, edit.dropped) for edit in seen.edits] == [
        ("", ("tag:t",), 1)
    ]


async def test_a_verdict_waits_for_mutations_under_way() -> None:
    """What they change may be seen before they drop anything: that is no mistake."""
    application = Value()
    async with observing(application) as seen:
        await seen.cache.get("/a")
        application.gate.clear()
        put = asyncio.create_task(seen.cache.client.request("PUT", "/a"))
        await application.committed.wait()
        await seen.cache.get("/a")
        assert seen.would() == ["miss"]

        application.gate.set()
        await put
        assert seen.would() == ["miss", "hit"]
        assert seen.wrong() == [False, False]
        assert seen.told[1].served is None


async def test_a_mutation_that_drops_something_else_excuses_nothing() -> None:
    """The answer was wrong, once it is known."""
    application = Value()
    async with observing(application) as seen:
        await seen.cache.get("/a")
        application.gate.clear()
        put = asyncio.create_task(seen.cache.client.request("PUT", "/b"))
        await application.committed.wait()
        await seen.cache.get("/a")
        assert seen.wrong() == [False]

        application.gate.set()
        await put
        assert seen.wrong() == [False, True]


async def test_an_entry_that_is_dropped_while_the_application_answers() -> None:
    """Would not have been sent after that: the verdict is void."""
    application = Value()
    origin = Origin(application)
    async with observing(origin) as seen:
        await seen.cache.get("/a")
        origin.gate.clear()
        task = seen.cache.client.begin("/a")
        await settled()
        application.value = 1
        await seen.cache.manager.invalidate_path("/a")
        origin.gate.set()
        await task

        assert seen.would() == ["miss", "hit"]
        assert seen.wrong() == [False, False]


async def test_what_began_before_a_drop_is_not_kept() -> None:
    """A fill that an invalidation has overtaken is served to no later request."""
    origin = Origin(Value())
    async with observing(origin) as seen:
        origin.gate.clear()
        task = seen.cache.client.begin("/a")
        await settled()
        await seen.cache.manager.invalidate_path("/a")
        origin.gate.set()
        await task
        await seen.cache.get("/a")

        assert seen.would() == ["miss", "miss"]


async def test_what_would_have_waited_is_counted() -> None:
    """For the run of another request of the same key; and it stores nothing of its own."""
    origin = Origin()
    async with observing(origin) as seen:
        origin.gate.clear()
        tasks = [seen.cache.client.begin(target) for target in ("/a", "/a", "/b")]
        await settled()
        origin.gate.set()
        await asyncio.gather(*tasks)
        await seen.cache.get("/a")

        assert sorted(seen.would()) == ["coalesced", "hit", "miss", "miss"]
        assert seen.told[-1].hit == seen.told[0].number


async def test_a_leader_that_fails_leaves_it_to_the_next() -> None:
    """What that brings is kept."""
    runs: list[int] = []

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        runs.append(1)
        if len(runs) == 1:
            raise BoomError
        await respond(send)

    origin = Origin(answer)
    async with observing(origin) as seen:
        origin.gate.clear()
        tasks = [seen.cache.client.begin("/a") for _ in range(2)]
        await settled()
        origin.gate.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        await seen.cache.get("/a")

        assert seen.would() == ["coalesced", "hit"]


REASONS: dict[str, tuple[Any, Any, list[tuple[str, str]], str]] = {
    "no rule": (answering(), (), [], "no-rule"),
    "a rule against it": (answering(), (Rule("*", None),), [], "no-cache-annotation"),
    "a cookie": (answering(), None, [("cookie", "a=1")], "cookie"),
    "credentials": (answering(), None, [("authorization", "a")], "authorization"),
    "switched off": (answering(), (Rule("*", 60, enabled=False),), [], "disabled"),
    "no": (answering(), (Rule("*", 60, when=lambda request: False),), [], "when"),
    "no user": (answering(), (Rule("*", 60, vary_by=lambda request: None),), [], "partition"),
    "a body": (answering(), None, [("content-length", "3")], "request-body"),
    "an upgrade": (answering(), None, [("upgrade", "websocket")], "upgrade"),
    "a cookie in the answer": (answering(b"", (b"set-cookie", b"a=1")), None, [], "set-cookie"),
    "private": (answering(b"", (b"cache-control", b"private")), None, [], "private"),
    "a failure": (answering(status=500), None, [], "status"),
    "events": (answering(b"", (b"content-type", b"text/event-stream")), None, [], "event-stream"),
    "too large": (answering(b"x" * 2000), None, [], "oversized"),
    "too short": (answering(b"", (b"content-length", b"3"), length=False), None, [], "incomplete"),
    "half of it": (boom_after_half, None, [], "incomplete"),
    "too many tags": (answering(b"", (b"cache-tag", b"t" * 200)), None, [], "tags"),
}


@pytest.mark.parametrize("case", REASONS)
async def test_why_nothing_would_be_stored_or_met(case: str) -> None:
    """In the words of `Cache-Status`; twice, as nothing is stored."""
    answer, rules, headers, reason = REASONS[case]
    rules = (Rule("*", 60),) if rules is None else rules
    async with observing(Origin(answer), rules, max_entry=1000) as seen:
        for _ in range(2):
            try:
                await seen.cache.get("/a", headers)
            except BoomError:
                assert case == "half of it"
        told = seen.finish()

    assert [one.would for one in told] == [reason, reason]
    assert {one.served for one in told} == {None}
    assert told[0].key == told[1].key != ""


async def test_an_answer_that_never_began_is_not_told() -> None:
    """There is none to tell of."""
    async with observing(Origin(boom)) as seen:
        with pytest.raises(BoomError):
            await seen.cache.get("/a")
        assert seen.finish() == []


UNCOMPARED: dict[str, tuple[str, list[tuple[str, str]], Any]] = {
    "a head": ("HEAD", [], answering(b"other")),
    "a range": ("GET", [("range", "bytes=1-2")], answering(b"other", status=206)),
    "not modified": ("GET", [("if-none-match", '"1"')], answering(b"", status=304)),
    "a failure": ("GET", [], answering(b"boom", status=503)),
    "events": ("GET", [], answering(b"", (b"content-type", b"text/event-stream; charset=utf-8"))),
    "too many requests": ("GET", [], answering(b"later", status=429)),
}


@pytest.mark.parametrize("case", UNCOMPARED)
async def test_a_hit_that_cannot_be_compared(case: str) -> None:
    """Counts as one, and not as wrong."""
    method, headers, later = UNCOMPARED[case]
    answers = [answering(b"hello"), later]

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await answers.pop(0)(scope, receive, send)

    async with observing(answer) as seen:
        await seen.cache.get("/a")
        await seen.cache.client.request(method, "/a", headers)
        told = seen.finish()

    assert [one.would for one in told] == ["miss", "hit"]
    assert (told[1].served, told[1].answer, told[1].hit) == (None, None, 1)


async def test_a_request_with_content_that_its_fields_do_not_show() -> None:
    """In HTTP/2, it is seen when the application reads it."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await respond(send)

    async with observing(answer) as seen:
        for content in (b"", b"abc"):
            visit = Visit(body=content)
            await seen.cache.client.get("/a", visit=visit, http_version="2")
        assert seen.would() == ["miss", "request-body"]


async def test_variants_are_told_apart() -> None:
    """By the fields that the answer names."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        language = dict(scope["headers"]).get(b"accept-language", b"")
        await respond(send, language, (b"vary", b"accept-language"))

    async with observing(answer) as seen:
        for language in ("de", "en", "de", "en"):
            await seen.cache.get("/a", [("accept-language", language)])
        assert seen.would() == ["miss", "miss", "hit", "hit"]
        assert seen.wrong() == [False] * 4


async def test_an_answer_that_is_renewed() -> None:
    """A stale one would be sent while the application is asked: its answer is the next."""
    application = Value()
    async with observing(application, (Rule("*", 10, stale_while_revalidate=60),)) as seen:
        await seen.cache.get("/a")
        seen.cache.clock.advance(20)
        application.value = 1
        await seen.cache.get("/a")
        await seen.cache.get("/a")

        assert seen.would() == ["miss", "stale", "hit"]
        assert seen.wrong() == [False, True, False]


async def test_a_stale_answer_in_place_of_a_failure() -> None:
    """Where the rule allows that."""
    answers = [answering(b"hello"), answering(status=503), answering(status=503)]

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await answers.pop(0)(scope, receive, send)

    async with observing(answer, (Rule("*", 10, stale_if_error=60),)) as seen:
        await seen.cache.get("/a")
        seen.cache.clock.advance(20)
        await seen.cache.get("/a")
        seen.cache.clock.advance(60)
        await seen.cache.get("/a")
        assert seen.would() == ["miss", "stale", "status"]


async def test_an_answer_takes_the_place_of_what_is_stored() -> None:
    """Although it is not stored itself."""
    answers = [answering(b"a", (b"cache-control", b"max-age=5"), (b"etag", b'"1"'))]
    answers += [answering(status=404), answering(b"b", (b"cache-control", b"max-age=5"))]

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await answers.pop(0)(scope, receive, send)

    async with observing(answer, (Rule("*", Policy.from_origin()),)) as seen:
        await seen.cache.get("/a")
        seen.cache.clock.advance(6)
        await seen.cache.get("/a")
        assert seen.would() == ["miss", "no-freshness"]
        assert len(seen.observer._store) == 0


async def test_tags_are_read_out_of_the_answer() -> None:
    """By the rule's templates; what does not fit them is not stored."""
    bodies = [b'{"id": 7}', b"no json"]

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, bodies[scope["path"] == "/b"], (b"content-type", b"application/json"))

    async with observing(answer, (Rule("*", 60, tags_from=["item:{id}"]),)) as seen:
        await seen.cache.get("/a")
        await seen.cache.get("/b")
        told = seen.finish()

    assert [one.would for one in told] == ["miss", "tags"]
    assert told[0].tags == {"item:7"}


async def test_a_guarded_route_is_told_as_what_it_is() -> None:
    """What its endpoint gets is in its key: it is not compared."""
    from fastapi import FastAPI

    from asgi_multitier import CacheManager

    app = FastAPI()

    @app.get("/a")
    @cached(60, guarded=True)
    async def a() -> str:
        return "a"

    @app.put("/a")
    @invalidates(tags=["a"])
    async def change() -> None: ...

    manager = CacheManager(redis_url=None, namespace="t", mode="shadow")
    async with manager:
        client = Client(CacheMiddleware(app, manager))
        await client.get("/a")
        await client.request("PUT", "/a")
        report = await manager.report()

    assert [(route.route, route.requests, route.hits) for route in report.routes] == [
        ("GET /a", 1, 0)
    ]


async def test_a_session_that_is_written_makes_an_answer_its_client_s() -> None:
    """As in a run on behalf of the cache; and the layers outside keep their own state."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        scope["session"]["seen"] = True
        scope["state"]["by"] = "application"
        await respond(send)

    async with observing(answer) as seen:
        state: dict[str, Any] = {}
        await seen.cache.get("/a", session={}, state=state)
        assert seen.would() == ["set-cookie"]
        assert state["by"] == "application"
        assert type(state) is dict


async def test_the_layers_outside_get_their_state_back() -> None:
    """Not the one that notes what the application reads of it."""
    async with observing(answering()) as seen:
        scope = scope_of("GET", "/a", state={"tenant": "a"})
        state, visit = scope["state"], Visit()
        await seen.cache.middleware(scope, visit.receive, visit.send)

        assert scope["state"] is state


@pytest.mark.parametrize("where", ["scope", "state"])
async def test_what_a_layer_outside_has_found_out_is_noted_when_it_is_read(where: str) -> None:
    """An answer that depends on it is its client's alone."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        held = scope if where == "scope" else scope["state"]
        await respond(send, held["tenant"].encode())

    async with observing(answer) as seen:
        given: Any = {"tenant": "a"} if where == "scope" else {"state": {"tenant": "a"}}
        reply = await seen.cache.get("/a", **given)
        assert reply.body == b"a"
        assert seen.would() == ["identity"]


async def test_two_applications_of_one_cache_tell_a_mutation_once() -> None:
    """Each has its own entries; what drops them is told by the first."""
    async with observing(Value()) as seen:
        other = CacheMiddleware(Value(), seen.cache.manager, rules=(Rule("*", 60),))
        await seen.cache.get("/a")
        await Client(other).get("/a")
        await seen.cache.client.request("PUT", "/a")
        for app in (seen.cache.middleware, other):
            observer = app._passing._shadow._observer
            assert observer is not None
            observer.finish()

        assert [edit.path for edit in seen.edits] == ["/a"]


async def test_a_mutation_of_another_event_loop_is_told_in_that_of_the_cache() -> None:
    """Whose ledger belongs to it."""
    async with observing(Value()) as seen:
        await seen.cache.get("/a")

        def change() -> None:
            asyncio.run(seen.cache.client.request("PUT", "/a"))

        await asyncio.to_thread(change)
        await settled()
        seen.finish()
        await seen.cache.get("/a")
        assert seen.would() == ["miss", "miss"]

    assert [edit.path for edit in seen.edits] == ["/a"]


async def test_what_the_application_does_to_its_fields_is_not_noted() -> None:
    """Those of the request as it came are."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        scope["headers"].append((b"x-added", b"1"))
        scope["path"] = "/other"
        await respond(send)

    async with observing(answer) as seen:
        await seen.cache.get("/a", [("x-sent", "1")])
        (told,) = seen.finish()

    assert (told.path, set(told.traits.fields)) == ("/a", {b"x-sent"})


async def test_the_same_cache_twice_tells_once() -> None:
    """The one inside, where that one has the rule."""
    async with observing(answering(b"x"), (Rule("*", 60),)) as seen:
        for rules in ((), (Rule("*", 60),)):
            seen.told.clear()
            outer = CacheMiddleware(seen.cache.middleware, seen.cache.manager, rules=rules)
            await Client(outer).get("/twice")
            seen.observer.finish()
            shadow = outer._passing._shadow
            assert shadow._observer is not None
            shadow._observer.finish()
            assert len(seen.told) == 1, rules


async def coded(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """A layer outside that edits the lines of an answer where they are, as Starlette's do."""

    async def edit(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"].append((b"set-cookie", b"session=1"))
            message["headers"].append((b"content-encoding", b"gzip"))
            message["headers"][:] = [each for each in message["headers"] if each[0] != LENGTH]
            message["headers"].append((LENGTH, b"99"))
        await send(message)

    await app(scope, receive, edit)


LENGTH = b"content-length"


async def test_what_layers_outside_make_of_an_answer_is_not_the_applications() -> None:
    """They are there when the answer comes from the cache, too."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        scope["headers"].append((b"x-layer", b"inside"))
        lines = [(b"content-type", b"text/plain"), (LENGTH, b"5")]
        await send({"type": "http.response.start", "status": 200, "headers": lines})
        await send({"type": "http.response.body", "body": b"hello"})

    async with observing(answer) as seen:
        client = Client(partial(coded, seen.cache.middleware))
        for _ in range(2):
            reply = await client.get("/a")
            assert (reply.get("content-encoding"), reply.get("content-length")) == (b"gzip", b"99")

        assert seen.would() == ["miss", "hit"]
        assert seen.wrong() == [False, False]
        assert all(b"x-layer" not in one.traits.fields for one in seen.told)


async def test_lines_that_can_be_read_once() -> None:
    """The client gets them, and what they say is seen."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        lines = iter([(b"cache-control", b"no-store"), (b"x-a", b"1")])
        await send({"type": "http.response.start", "status": 200, "headers": lines})
        await send({"type": "http.response.body", "body": b"hello"})

    async with observing(answer) as seen:
        reply = await seen.cache.get("/a")
        assert reply.headers == [(b"cache-control", b"no-store"), (b"x-a", b"1")]
        assert seen.would() == ["no-store"]
