"""Nobody gets another's answer, however the application finds out who asks."""

import asyncio
from typing import Any

import pytest
from starlette.responses import PlainTextResponse, StreamingResponse

from asgi_multitier import Policy, Rule
from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.selectors import Selector
from tests.support import Origin, answering, caching, respond, settled


class User:
    """A partition that is none: its text may be another's, once it is gone."""

    def __repr__(self) -> str:
        return "user"


@pytest.mark.parametrize("partition", [User(), False, 1.5, ["a"], "\udce9", ()], ids=repr)
async def test_a_partition_of_another_kind_is_none(partition: Any) -> None:
    """Two users' objects may look the same as text: nothing is shared by them."""
    rule = Rule("*", 60, vary_by=lambda request: partition)
    async with caching(Origin(), [rule]) as cache:
        replies = [await cache.get("/x") for _ in range(2)]

        assert [(reply.body, reply.detail) for reply in replies] == [
            (b"1", "partition"),
            (b"2", "partition"),
        ]
        assert cache.manager.stats().failures["vary_by"] == 2


async def test_an_async_condition_is_awaited() -> None:
    """A coroutine is not taken for "yes"."""

    async def when(request: Any) -> bool:
        return request.headers.get("x-mode") is None

    async with caching(Origin(), [Rule("*", 60, when=when)]) as cache:
        preview = await cache.get("/x", [("x-mode", "1")])
        others = [await cache.get("/x"), await cache.get("/x")]

        assert preview.detail == "when"
        assert [reply.body for reply in others] == [b"2", b"2"]


async def test_answers_to_cookies_are_their_owners_alone() -> None:
    """Where the responses' headers decide, a plain `max-age` does not share them."""

    async def by_cookie(scope: Scope, receive: Receive, send: Send) -> None:
        cookie = dict(scope["headers"]).get(b"cookie", b"nobody")
        await respond(send, cookie, (b"cache-control", b"max-age=60"))

    async with caching(Origin(by_cookie), [], default=Policy.from_origin()) as cache:
        cookies = ["s=alice", "s=bob", None, "s=alice"]
        replies = [await cache.get("/x", [("cookie", c)] if c else []) for c in cookies]

        assert [reply.body for reply in replies] == [b"s=alice", b"s=bob", b"nobody", b"s=alice"]
        assert [reply.hit for reply in replies] == [False, False, False, True]


@pytest.mark.parametrize(
    "known",
    [{"session": {"user": "alice"}}, {"user": type("U", (), {"is_authenticated": True})()}],
    ids=["session", "user"],
)
async def test_whom_a_layer_outside_knows_passes_by(known: dict[str, Any]) -> None:
    """The application sees the session whatever the key covers, so its answer is not kept."""
    rule = Rule("*", 60, cookies=["theme"])
    async with caching(Origin(), [rule]) as cache:
        visit = [("cookie", "theme=dark; session=x")]

        assert (await cache.get("/x", visit, **known)).detail == "cookie"
        assert (await cache.get("/x", visit)).stored


async def test_others_do_not_wait_for_a_stream() -> None:
    """Who waits for an answer that takes its time goes alone after a moment; later ones too."""
    going = asyncio.Event()

    async def numbers() -> Any:
        yield b"1"
        await going.wait()
        yield b"2"

    async def streaming(scope: Scope, receive: Receive, send: Send) -> None:
        if origin.calls == 1:
            await StreamingResponse(numbers())(scope, receive, send)
        else:
            await PlainTextResponse("own")(scope, receive, send)

    origin = Origin(streaming)
    async with caching(origin) as cache:
        first = cache.client.begin("/x")
        await origin.arrived.acquire()
        await settled()
        waiter = await cache.get("/x")
        going.set()

        assert waiter.body == b"own"
        assert (await first).body == b"12"


async def test_a_stream_that_is_soon_over_is_shared() -> None:
    """Pieces alone do not make others run the origin."""
    origin = Origin()

    async def pieces(scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": []}
        await send(start)
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await settled()
        await send({"type": "http.response.body", "body": b"b"})

    origin = Origin(pieces)
    origin.gate.clear()
    async with caching(origin) as cache:
        tasks = [cache.client.begin("/x") for _ in range(5)]
        await origin.arrived.acquire()
        await settled()
        origin.gate.set()

        assert {(await task).body for task in tasks} == {b"ab"}
        assert origin.calls == 1


async def test_settling_answers_are_not_waited_for_one_by_one() -> None:
    """While nothing is kept, those who waited go alone at once instead of queueing again."""
    origin = Origin(answering(b"x"))
    async with caching(origin) as cache:
        await cache.manager.invalidate_selectors([Selector("path", "/x")], settle=3600)
        origin.gate.clear()
        tasks = [cache.client.begin("/x") for _ in range(10)]
        await origin.arrived.acquire()
        await settled()
        origin.gate.set()
        replies = await asyncio.gather(*tasks)

        assert origin.calls == 10
        assert {reply.detail for reply in replies} == {"invalidated"}
