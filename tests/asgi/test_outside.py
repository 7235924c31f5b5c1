"""What layers around the cache have found out about a request never reaches another's answer."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, BaseUser, SimpleUser, UnauthenticatedUser
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from asgi_multitier import Policy, Rule, cached
from asgi_multitier._types import ASGIApp, Receive, Scope, Send
from asgi_multitier.asgi.layers.state import NotedState
from tests.support import Client, Origin, caching, respond

ASKING = ((b"x-from-outside", b"alice"),)
"""A field that only the layer outside knows the meaning of."""


class Around:
    """A layer around the cache that finds out who asks, by a field of its own.

    Args:
        app: The cached application.
        leave: Leaves in the scope what it has found: the name, None for nobody.
    """

    def __init__(self, app: ASGIApp, leave: Callable[[Scope, str | None], None]) -> None:
        self.app = app
        self.leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = dict(scope["headers"]).get(b"x-from-outside")
        self.leave(scope, None if name is None else name.decode())
        await self.app(scope, receive, send)


def as_session(scope: Scope, name: str | None) -> None:
    scope["session"] = {} if name is None else {"person": name}


def as_starlette_user(scope: Scope, name: str | None) -> None:
    user: BaseUser = UnauthenticatedUser() if name is None else SimpleUser(name)
    scope["user"], scope["auth"] = user, AuthCredentials([] if name is None else ["authenticated"])


def as_any_user(scope: Scope, name: str | None) -> None:
    scope["user"] = name


def as_scopes(scope: Scope, name: str | None) -> None:
    scope["auth"] = name and AuthCredentials([name])


def as_certificate(scope: Scope, name: str | None) -> None:
    chain = [] if name is None else [name]
    scope["extensions"] = {"tls": {"client_cert_chain": chain}}


def as_state(scope: Scope, name: str | None) -> None:
    state = scope.setdefault("state", {})
    if name is not None:
        state["person"] = name


def as_state_always(scope: Scope, name: str | None) -> None:
    scope.setdefault("state", {})["person"] = name


def as_own_name(scope: Scope, name: str | None) -> None:
    if name is not None:
        scope["person"] = name


def as_own_name_always(scope: Scope, name: str | None) -> None:
    scope["person"] = name


def as_event(scope: Scope, name: str | None) -> None:
    scope["gateway.event"] = {"person": name}


def said(scope: Scope) -> str:
    """The name, wherever it stands."""
    request = Request(scope)
    for found in (
        scope.get("session", {}).get("person"),
        getattr(scope.get("user"), "display_name", None) or scope.get("user"),
        scope["auth"].scopes[:1] if scope.get("auth") else None,
        scope.get("extensions", {}).get("tls", {}).get("client_cert_chain"),
        getattr(request.state, "person", None),
        scope.get("person"),
        scope.get("gateway.event", {}).get("person"),
    ):
        if found and not isinstance(found, UnauthenticatedUser):
            return "alice"
    return "anon"


async def greet(scope: Scope, receive: Receive, send: Send) -> None:
    await respond(send, b"hello " + said(scope).encode())


KNOWN = [
    as_session,
    as_starlette_user,
    as_any_user,
    as_scopes,
    as_certificate,
    as_state,
    as_state_always,
    as_own_name,
    as_own_name_always,
    as_event,
]


@pytest.mark.parametrize("leave", KNOWN, ids=lambda leave: leave.__name__)
@pytest.mark.parametrize("first", [(), ASKING], ids=["anonymous-first", "user-first"])
async def test_each_gets_its_own_greeting(
    leave: Callable[[Scope, str | None], None], first: Any
) -> None:
    """Neither a miss nor a hit mixes those whom a layer outside knows with the others."""
    async with caching(Origin(greet)) as cache:
        app = Around(cache.middleware, leave)
        cache.client.app = app
        orders = [first, (), ASKING, (), ASKING]
        replies = [(who, (await cache.get("/x", who)).body) for who in orders]

        expected = {(): b"hello anon", ASKING: b"hello alice"}
        assert replies == [(who, expected[who]) for who in orders]


@pytest.mark.parametrize("leave", KNOWN[:5], ids=lambda leave: leave.__name__)
async def test_the_anonymous_still_share(leave: Callable[[Scope, str | None], None]) -> None:
    """A layer that has found nobody costs no hit."""
    async with caching(Origin()) as cache:
        cache.client.app = Around(cache.middleware, leave)
        replies = [await cache.get("/x"), await cache.get("/x")]

        assert [reply.hit for reply in replies] == [False, True]
        assert (await cache.get("/x", ASKING)).detail == "identity"


async def test_public_and_vary_by_say_how_users_are_told_apart() -> None:
    """Then a known user meets the cache."""
    by_person = Rule("/own", 60, vary_by=lambda request: request.scope["user"] or "nobody")
    async with caching(Origin(), [by_person, Rule("/all", 60, public=True)]) as cache:
        cache.client.app = Around(cache.middleware, as_any_user)
        for path, bodies in (("/own", [b"1", b"2", b"1"]), ("/all", [b"3", b"3", b"3"])):
            replies = [await cache.get(path, who) for who in ((), ASKING, ())]

            assert [reply.body for reply in replies] == bodies


# What a run makes of a session.


class LazySession:
    """A session that is not loaded yet, and says so loudly."""

    def __bool__(self) -> bool:
        raise RuntimeError("the session is not loaded")


def sessions(app: ASGIApp) -> ASGIApp:
    """A layer that gives every request an empty session and writes it back as a cookie."""

    async def around(scope: Scope, receive: Receive, send: Send) -> None:
        scope["session"] = {}
        await app(scope, receive, send)

    return around


async def with_token(scope: Scope, receive: Receive, send: Send) -> None:
    """A form with a token of its visitor's session."""
    token = scope["session"].setdefault("csrf", f"token-{id(scope['session'])}")
    await respond(send, token.encode())


async def late_token(scope: Scope, receive: Receive, send: Send) -> None:
    """The session is written while the answer is on its way."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    scope["session"]["seen"] = True
    await send({"type": "http.response.body", "body": b"x"})


async def replaced(scope: Scope, receive: Receive, send: Send) -> None:
    """The session is another object afterwards."""
    scope["session"] = {"seen": True}
    await respond(send, b"x")


class Flagged(dict[str, object]):
    """A session that says itself that it was written."""

    modified = False


async def flagged(scope: Scope, receive: Receive, send: Send) -> None:
    scope["session"] = Flagged() if not scope["session"] else scope["session"]
    scope["session"].modified = True
    await respond(send, b"x")


@pytest.mark.parametrize("answer", [with_token, late_token, replaced, flagged])
@pytest.mark.parametrize("public", [False, True])
async def test_an_answer_that_writes_a_session_is_not_shared(answer: Any, public: bool) -> None:
    """It will be a Set-Cookie on the way out, which no `public` shares either."""
    origin = Origin(answer)
    async with caching(origin, [Rule("*", 60, public=public)]) as cache:
        cache.client.app = sessions(cache.middleware)
        replies = [await cache.get("/form"), await cache.get("/form")]

        assert origin.calls == 2
        assert not any(reply.hit or reply.stored for reply in replies)


async def test_a_nested_change_counts_as_written() -> None:
    """The session was not empty, and only something within it changes."""

    async def append(scope: Scope, receive: Receive, send: Send) -> None:
        scope["session"]["cart"].append("book")
        await respond(send, b"%d" % len(scope["session"]["cart"]))

    def filled(scope: Scope, name: str | None) -> None:
        scope["session"] = {"cart": []}

    origin = Origin(append)
    async with caching(origin, [Rule("*", 60, public=True)]) as cache:
        cache.client.app = Around(cache.middleware, filled)
        replies = [await cache.get("/cart"), await cache.get("/cart")]

        assert [reply.detail for reply in replies] == ["set-cookie", "set-cookie"]


async def test_an_empty_session_that_is_only_read_is_shared() -> None:
    """Everybody with an empty session gets the same."""

    async def read(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"%d" % len(scope["session"]))

    async with caching(Origin(read)) as cache:
        cache.client.app = sessions(cache.middleware)
        replies = [await cache.get("/x"), await cache.get("/x")]

        assert [reply.hit for reply in replies] == [False, True]


async def test_a_session_that_cannot_be_asked_is_somebodys() -> None:
    """A layer's object that raises is no reason to share, nor to fail."""

    def lazy(scope: Scope, name: str | None) -> None:
        scope["session"] = LazySession()

    async with caching(Origin()) as cache:
        cache.client.app = Around(cache.middleware, lazy)
        replies = [await cache.get("/x"), await cache.get("/x")]

        assert [reply.body for reply in replies] == [b"1", b"2"]
        assert [reply.detail for reply in replies] == ["identity", "identity"]


async def test_a_user_that_appears_inside_is_its_own() -> None:
    """A layer inside finds out by a field that the cache does not know."""

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        name = dict(scope["headers"]).get(b"x-from-outside", b"")
        scope["user"] = SimpleUser(name.decode()) if name else UnauthenticatedUser()
        await respond(send, b"hello " + (name or b"anon"))

    async with caching(Origin(inside)) as cache:
        replies = [await cache.get("/x", who) for who in (ASKING, (), ASKING[:0])]

        assert [reply.body for reply in replies] == [b"hello alice", b"hello anon", b"hello anon"]
        assert [reply.stored for reply in replies] == [False, True, False]


async def test_a_waiter_asks_for_itself_where_the_run_wrote_a_session() -> None:
    """The first visitor's token is nobody else's, also for those who came at the same time."""
    origin = Origin(with_token)
    origin.gate.clear()
    async with caching(origin) as cache:
        cache.client.app = sessions(cache.middleware)
        visits = [cache.client.begin("/form") for _ in range(3)]
        await origin.arrived.acquire()
        origin.gate.set()
        bodies = {(await visit).body for visit in visits}

        assert len(bodies) == 3


async def test_the_answer_to_a_post_of_a_known_user_is_not_kept() -> None:
    """What a POST brings is kept for GET only where nobody in particular has asked."""

    async def created(scope: Scope, receive: Receive, send: Send) -> None:
        lines = [(b"cache-control", b"max-age=60"), (b"content-location", b"/x")]
        await respond(send, said(scope).encode(), *lines)

    policy = Policy.from_origin(methods=["GET", "POST"])
    for leave in KNOWN:
        async with caching(Origin(created), [], default=policy) as cache:
            cache.client.app = Around(cache.middleware, leave)
            posted = await cache.client.request("POST", "/x", ASKING)
            got = await cache.get("/x")

            assert (posted.body, got.body) == (b"alice", b"anon"), leave.__name__


@pytest.mark.parametrize("answer", [with_token, late_token])
async def test_a_post_that_writes_a_session_is_not_kept(answer: Any) -> None:
    """A form's answer with its visitor's own token."""

    async def posted(scope: Scope, receive: Receive, send: Send) -> None:
        async def storable(message: Any) -> None:
            if message["type"] == "http.response.start":
                lines = [(b"cache-control", b"max-age=60"), (b"content-location", b"/x")]
                message = {**message, "headers": [*message["headers"], *lines]}
            await send(message)

        await answer(scope, receive, storable)

    policy = Policy.from_origin(methods=["GET", "POST"])
    origin = Origin(posted)
    async with caching(origin, [], default=policy) as cache:
        cache.client.app = sessions(cache.middleware)
        await cache.client.request("POST", "/x")
        await cache.get("/x")

        assert origin.calls == 2


def _named(scope: Scope, name: str | None) -> None:
    scope["person"] = name


async def test_a_layer_inside_that_copies_the_scope_has_read_all_of_it() -> None:
    """What it does with the copy is not seen."""

    async def copying(scope: Scope, receive: Receive, send: Send) -> None:
        await greet({**scope}, receive, send)

    async with caching(Origin(copying)) as cache:
        cache.client.app = Around(cache.middleware, _named)
        replies = [await cache.get("/x", who) for who in (ASKING, ())]

        assert [reply.body for reply in replies] == [b"hello alice", b"hello anon"]


async def mid_way(scope: Scope, receive: Receive, send: Send) -> None:
    """What the answer depends on shows after its start."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": said(scope).encode()})


async def later(scope: Scope, receive: Receive, send: Send) -> None:
    """It shows after some of the answer was sent on."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello ", "more_body": True})
    await send({"type": "http.response.body", "body": said(scope).encode()})


@pytest.mark.parametrize("answer", [mid_way, later, late_token])
@pytest.mark.parametrize("leave", [as_state_always, as_own_name_always, as_session])
async def test_caches_downstream_are_not_told_to_keep_what_is_one_clients(
    answer: Any, leave: Callable[[Scope, str | None], None]
) -> None:
    """`client_cache=` is for what everybody may have, also where that shows late."""
    async with caching(Origin(answer), [Rule("*", 60, client_cache=60)]) as cache:
        cache.client.app = sessions(Around(cache.middleware, leave))
        reply = await cache.get("/x", ASKING)

        assert not reply.stored
        assert reply.get("cache-control") is None


async def test_clients_are_told_where_layers_outside_keep_nothing() -> None:
    """Also of a response that is sent on while it comes."""
    async with caching(Origin(later), [Rule("*", 60, client_cache=60)]) as cache:
        assert (await cache.get("/x")).get("cache-control") == b"max-age=60"


# What a run reads of the state.


@cached(60)
async def localised(request: Request) -> Response:
    return PlainTextResponse(getattr(request.state, "language", "en"))


@cached(60)
async def streamed(request: Request) -> Response:
    async def parts() -> Any:
        yield "in "
        yield getattr(request.state, "language", "en")

    return StreamingResponse(parts())


@cached(60)
async def plain(request: Request) -> Response:
    request.state.seen = "here"
    return PlainTextResponse(f"{request.state.seen} {request.state.request_id}"[:4])


@cached(60)
async def pooled(request: Request) -> Response:
    return PlainTextResponse(request.state.catalogue["book"])


def site() -> Starlette:
    return Starlette(
        routes=[
            Route("/localised", localised),
            Route("/streamed", streamed),
            Route("/plain", plain),
            Route("/pooled", pooled),
        ]
    )


def speaking(scope: Scope, name: str | None) -> None:
    state = scope.setdefault("state", {})
    state["request_id"] = object()
    scope["request_id"] = scope["person"] = object()
    if name is not None:
        state["language"] = name


@pytest.mark.parametrize("path", ["/localised", "/streamed"])
async def test_what_depends_on_the_state_of_a_layer_outside_is_not_shared(path: str) -> None:
    """Whether the run finds it there or not: the next request may carry it."""
    async with caching(site(), []) as cache:
        cache.client.app = Around(cache.middleware, speaking)
        replies = [await cache.get(path, who) for who in ((), ASKING, ())]

        assert [reply.body.split()[-1] for reply in replies] == [b"en", b"alice", b"en"]
        assert not any(reply.stored for reply in replies)


async def test_what_the_run_writes_itself_or_only_names_the_request_is_no_dependence() -> None:
    """Its own notes, and the request's id."""
    async with caching(site(), []) as cache:
        cache.client.app = Around(cache.middleware, speaking)
        replies = [await cache.get("/plain"), await cache.get("/plain")]

        assert [(reply.body, reply.hit) for reply in replies] == [(b"here", False), (b"here", True)]


async def test_what_the_lifespan_has_put_into_every_state_is_no_dependence() -> None:
    """It is the same for all requests, so answers made of it are shared."""
    shared = {"catalogue": {"book": "7.50"}}
    async with caching(site(), []) as cache:
        cache.middleware._lifespan.common = shared
        replies = [await cache.get("/pooled", state=dict(shared)) for _ in range(2)]

        assert [(reply.body, reply.hit) for reply in replies] == [(b"7.50", False), (b"7.50", True)]
        other = {"catalogue": {"book": "own"}}
        cache.clock.advance(61)
        assert (await cache.get("/pooled", state=other)).detail == "identity"


async def test_layers_outside_see_what_the_application_leaves_in_the_state() -> None:
    """A miss writes through to the state that they know."""
    state: dict[str, Any] = {}
    async with caching(site(), []) as cache:
        await cache.get("/plain", state={**state, "request_id": "1"})
        seen: dict[str, Any] = {"request_id": "2"}
        cache.clock.advance(61)
        await cache.get("/plain", state=seen)

        assert seen["seen"] == "here"


def _each_way() -> Iterator[Callable[[NotedState], Any]]:
    yield lambda state: state["tenant"]
    yield lambda state: state.get("tenant")
    yield lambda state: "tenant" in state
    yield lambda state: state.get("absent")
    yield list
    yield dict
    yield lambda state: {**state}
    yield lambda state: state.copy()
    yield copy.copy
    yield copy.deepcopy
    yield lambda state: list(state.values())
    yield lambda state: list(state.items())
    yield lambda state: state.setdefault("tenant", "b")
    yield lambda state: state.pop("tenant")
    yield lambda state: state.popitem()


@pytest.mark.parametrize("read", list(_each_way()))
def test_every_way_of_reading_is_noted(read: Callable[[NotedState], Any]) -> None:
    """No way around."""
    state = NotedState({"tenant": "a"}, {})
    read(state)

    assert state.read


def test_writing_reaches_the_shared_state_and_is_no_reading() -> None:
    """Whatever way it is written."""
    shared: dict[str, Any] = {}
    state = NotedState(shared, {})
    state["a"] = 1
    state.update({"b": 2}, c=3)
    state |= {"d": 4}
    state.setdefault("a", 5)
    del state["b"]

    assert shared == {"a": 1, "c": 3, "d": 4} == dict(state)
    assert not state.read
    state.clear()
    assert shared == {}


async def test_a_304_for_a_client_known_outside_renews_nothing() -> None:
    """It may not hold for the copy that all share: the whole is asked for, for that client."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        named = dict(scope["headers"])
        name = scope["state"]["person"].encode() if ASKING[0][0] in named else b"anon"
        if b"if-none-match" in named:
            await respond(send, b"", (b"cache-control", b"max-age=60"), status=304, length=False)
        else:
            lines = ((b"cache-control", b"max-age=2"), (b"etag", b'"same"'))
            await respond(send, b"hello " + name, *lines)

    async with caching(page, (), default=Policy.from_origin()) as cache:
        client = Client(Around(cache.middleware, as_state))
        await client.get("/x")
        cache.clock.advance(3)
        known = await client.get("/x", ASKING)
        after = await client.get("/x")

        assert known.body == b"hello alice"
        assert not known.stored
        assert (after.body, after.hit) == (b"hello anon", False)
