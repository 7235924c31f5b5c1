"""Questions of guarded routes: the guard sees each of them, and a hit skips the endpoint only."""

import asyncio
import json
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from pydantic import BaseModel

from asgi_multitier import cached, invalidates
from tests.asgi.bodies.support import JSON, post
from tests.support import Cache, Reply, caching, settled

ANN, BEN = ("x-user", "ann"), ("x-user", "ben")


class Search(BaseModel):
    """What is searched for."""

    text: str


class User(BaseModel):
    """Who asks."""

    id: str


class Shop:
    """An application whose guard lets some users in.

    Attributes:
        let_in: The users.
        guarded: How often the guard ran.
        runs: What the endpoint was called with.
    """

    def __init__(self, **options: Any) -> None:
        self.let_in = {"ann", "ben"}
        self.guarded = 0
        self.runs: list[tuple[str, str]] = []
        self.app = FastAPI()
        options = {"methods": ["POST", "QUERY"], "body": "json", "guarded": True, **options}

        def user(x_user: Annotated[str, Header()]) -> User:
            self.guarded += 1
            if x_user not in self.let_in:
                raise HTTPException(403)
            return User(id=x_user)

        @self.app.api_route("/s", methods=["POST", "QUERY"])
        @cached(60, vary_by="{user.id}", tags=["text:{search.text}"], **options)
        async def find(search: Search, user: Annotated[User, Depends(user)]) -> str:
            self.runs.append((user.id, search.text))
            return f"{len(self.runs)} {user.id} {search.text}"

        @self.app.api_route("/r", methods=["POST"], dependencies=[Depends(user)])
        @cached(60, **options)
        async def raw(search: Search, request: Request) -> list[Any]:
            self.runs.append(("", search.text))
            return [search.text, await request.json(), (await request.body()).decode()]

        @self.app.put("/s")
        @invalidates(tags=["text:{search.text}"])
        async def change(search: Search) -> None: ...


async def ask(cache: Cache, text: str, *fields: tuple[str, str], **options: Any) -> Reply:
    """Search for a text."""
    body = b'{"text": "%b"}' % text.encode()
    return await post(cache, body, JSON, *fields, **{"target": "/s", **options})


@pytest.mark.parametrize("method", ["POST", "QUERY"])
async def test_a_guard_sees_every_question(method: str) -> None:
    """Each user has answers of its own, and one who is not let in any more has none."""
    shop = Shop()
    async with caching(shop.app, ()) as cache:
        for user in (ANN, BEN, ANN, BEN):
            for text in ("tea", "milk"):
                reply = await ask(cache, text, user, method=method)
        assert (reply.hit, reply.body) == (True, b'"4 ben milk"')
        assert shop.guarded == 8
        shop.let_in = {"ann"}
        refused = await ask(cache, "tea", BEN, method=method)
        assert (refused.status, refused.detail) == (403, "guard")
        assert (await ask(cache, "tea", ANN, method=method)).hit
        assert cache.manager.invalidation_stats().sent == 0

    assert shop.runs == [("ann", "tea"), ("ann", "milk"), ("ben", "tea"), ("ben", "milk")]


async def test_a_change_drops_what_its_content_names() -> None:
    """Tags by an argument that is the content, on both sides."""
    shop = Shop()
    async with caching(shop.app, ()) as cache:
        await ask(cache, "tea", ANN)
        await ask(cache, "milk", ANN)
        await cache.manager.invalidate_tags("text:tea")
        assert not (await ask(cache, "tea", ANN)).hit
        assert (await ask(cache, "milk", ANN)).hit


async def test_an_endpoint_may_read_its_content_as_well() -> None:
    """From the request that it takes, although the framework has read it before."""
    shop = Shop()
    async with caching(shop.app, ()) as cache:
        reply = await ask(cache, "tea", ANN, target="/r")
        again = await ask(cache, "tea", BEN, target="/r")
        other = await ask(cache, "milk", BEN, target="/r")

    assert reply.body == b'["tea",{"text":"tea"},"{\\"text\\": \\"tea\\"}"]'
    assert (again.hit, again.body) == (True, reply.body)
    assert other.stored


@pytest.mark.parametrize(("method", "status"), [("POST", 200), ("QUERY", 304)])
async def test_conditions_are_those_of_the_method(method: str, status: int) -> None:
    """A POST with a condition is left to the application."""
    shop = Shop()
    async with caching(shop.app, ()) as cache:
        first = await ask(cache, "tea", ANN, method=method)
        tag = (first.get("etag") or b"").decode()
        reply = await ask(cache, "tea", ANN, ("if-none-match", tag), method=method, length=False)

    assert reply.status == status
    assert reply.cache.startswith("hit" if status == 304 else "fwd=bypass; detail=precondition")


async def test_identical_questions_share_one_run_of_the_endpoint() -> None:
    """Each after its own guard."""
    shop = Shop()
    async with caching(shop.app, ()) as cache:
        replies = await asyncio.gather(*(ask(cache, "tea", ANN) for _ in range(10)))
        await settled()

    assert {reply.body for reply in replies} == {b'"1 ann tea"'}
    assert (shop.guarded, len(shop.runs)) == (10, 1)


async def test_when_is_asked_before_the_guard() -> None:
    """What is no question is a change; the endpoint runs without the cache."""
    shop = Shop(when=lambda request: b"buy" not in request.body)
    async with caching(shop.app, ()) as cache:
        await ask(cache, "tea", ANN)
        change = await ask(cache, "buy", ANN)
        assert change.cache == "fwd=method; detail=when"
        assert (await ask(cache, "buy", ANN)).body == b'"3 ann buy"'
        assert not (await ask(cache, "tea", ANN)).hit


@pytest.mark.parametrize("later", [False, True])
async def test_callables_see_the_content_and_what_the_guard_has_found(later: bool) -> None:
    """As bytes, as without a guard; reading it takes nothing from the endpoint."""
    app, runs = FastAPI(), list[bytes]()

    def user(request: Request, x_user: Annotated[str, Header()]) -> None:
        request.state.user = x_user

    async def whose(request: Any) -> str:
        text = (await request.json())["text"] if later else request.body.decode()
        return f"{request.state.user} {request.path_params['shop']} {text}"

    @app.post("/{shop}", dependencies=[Depends(user)])
    @cached(
        60,
        methods=["POST"],
        body="json",
        guarded=True,
        vary_by=whose,
        tags=lambda request: f"text:{json.loads(request.body)['text']}",
    )
    async def find(request: Request) -> str:
        runs.append(await request.body())
        return f"{len(runs)}"

    async with caching(app, ()) as cache:
        for user_line in (ANN, BEN):
            await ask(cache, "tea", user_line)
            assert (await ask(cache, "tea", user_line)).hit
        await cache.manager.invalidate_tags("text:tea")
        assert not (await ask(cache, "tea", ANN)).hit

    assert runs == [b'{"text": "tea"}'] * 3
