"""A cache in front of this one gives nobody another's answer."""

from typing import Any

import pytest

from asgi_multitier import Policy, Rule
from asgi_multitier._types import Receive, Scope, Send
from tests.support import Cache, Origin, Reply, caching, respond

Lines = list[tuple[str, str]]


def listed(reply: Reply, name: str) -> set[str]:
    """The members of a field, in lower case."""
    return {m.strip().lower() for m in (reply.get(name) or b"").decode().split(",") if m.strip()}


class Front:
    """A shared cache as RFC 9111 has it, in front of the one under test."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._stored: dict[str, list[tuple[dict[str, str | None], Reply]]] = {}

    async def get(self, target: str, lines: Lines) -> bytes:
        sent = dict(lines)
        for chosen, reply in self._stored.get(target, []):
            if all(sent.get(name) == value for name, value in chosen.items()):
                return reply.body
        reply = await self._cache.get(target, lines)
        control, vary = listed(reply, "cache-control"), listed(reply, "vary")
        targeted = reply.get("cdn-cache-control") is not None
        fresh = targeted or any(one.startswith(("max-age=", "s-maxage=")) for one in control)
        fresh = fresh or reply.get("expires") is not None
        own = not targeted and control & {"private", "no-store"}
        if fresh and not own and "*" not in vary and "authorization" not in sent:
            chosen = {name: sent.get(name) for name in vary}
            self._stored.setdefault(target, []).append((chosen, reply))
        return reply.body


async def who(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with all that says who asks, and whatever caching fields the path names."""
    said = {
        "/explicit": [(b"cache-control", b"public, max-age=60")],
        "/targeted": [(b"cdn-cache-control", b"max-age=60")],
        "/expires": [(b"expires", b"Thu, 01 Jan 2099 00:00:00 GMT")],
        "/varied": [(b"cache-control", b"max-age=60"), (b"vary", b"Accept")],
    }.get(scope["path"], [])
    sent = dict(scope["headers"])
    names = (b"x-company-token", b"x-lang", b"cookie", b"authorization")
    await respond(send, b" ".join(sent.get(name, b"-") for name in names), *said)


NOBODY: Lines = []
TOKENS: list[Lines] = [[("x-company-token", "ann")], [("x-company-token", "bob")]]
COOKIES: list[Lines] = [[("cookie", "sid=ann")], [("cookie", "sid=bob")]]
LOGINS: list[Lines] = [[("authorization", "ann")], [("authorization", "bob")]]

RULES: dict[str, tuple[dict[str, Any], list[Lines]]] = {
    "credential": ({"vary": ["x-company-token"]}, TOKENS),
    "language": ({"vary": ["x-lang"]}, [[("x-lang", "de")], [("x-lang", "fr")]]),
    "cookies": ({"cookies": ["sid"]}, COOKIES),
    "whole-cookie": ({"vary": ["cookie"]}, COOKIES),
    "authorization": ({"vary": ["authorization"]}, LOGINS),
    "vary-by": ({"vary_by": lambda request: request.headers.get("cookie", "-")}, COOKIES),
}


@pytest.mark.parametrize("path", ["/explicit", "/targeted", "/expires", "/varied", "/silent"])
@pytest.mark.parametrize("lifetime", [60, None], ids=["annotated", "from-origin"])
@pytest.mark.parametrize("rule", RULES)
async def test_a_cache_in_front_mixes_nobody_up(rule: str, lifetime: int | None, path: str) -> None:
    """Whatever the application says of its answers, on misses, hits and bypasses alike."""
    options, people = RULES[rule]
    await mixes_nobody_up(Policy(lifetime, **options), path, people)


async def test_a_lifetime_for_clients_is_not_for_those_who_say_who_they_are() -> None:
    """`client_cache=` is this cache's own word; a request with a credential is not answered so."""
    await mixes_nobody_up(Policy(60, client_cache=60), "/silent", COOKIES + LOGINS)


async def mixes_nobody_up(policy: Policy, path: str, people: list[Lines]) -> None:
    """Ask twice for everybody, through a cache in front."""
    async with caching(Origin(who), [Rule("*", policy)]) as cache:
        front = Front(cache)
        for lines in (NOBODY, *people, NOBODY, *people):
            body = (await front.get(path, lines)).decode().split()

            assert {text for text in body if text != "-"} == {value for _, value in lines}


@pytest.mark.parametrize(
    ("options", "lines", "varies", "private"),
    [
        ({"vary": ["x-company-token"]}, [("x-company-token", "a")], {"x-company-token"}, True),
        ({"vary": ["x-lang"]}, [("x-lang", "a")], {"x-lang"}, False),
        ({"cookies": ["sid"]}, [("cookie", "sid=a")], {"cookie"}, True),
        ({"vary_by": lambda r: "a"}, [], {"cookie", "authorization"}, True),
        ({"client_cache": 60}, [], {"cookie", "authorization"}, False),
        ({"client_cache": 60, "ignore_cookies": True}, [], {"authorization"}, False),
        ({"client_cache": 60, "public": True}, [], set(), False),
        ({"public": True}, [], set(), False),
        ({}, [], set(), False),
        ({}, [("origin", "https://a.example")], {"origin"}, False),
    ],
    ids=str,
)
async def test_every_answer_of_a_route_says_the_same(
    options: dict[str, Any], lines: Lines, varies: set[str], private: bool
) -> None:
    """Miss, hit, 304, HEAD, range and bypass; what is stored is judged by its own words later."""
    async with caching(Origin(who), [Rule("*", 60, **options)]) as cache:
        miss = await cache.get("/x", lines)
        hit = await cache.get("/x", lines)
        tag = (hit.get("etag") or b"").decode()
        replies = {
            "miss": miss,
            "hit": hit,
            "again": await cache.get("/x", lines),
            "not-modified": await cache.get("/x", [*lines, ("if-none-match", tag)]),
            "range": await cache.get("/x", [*lines, ("range", "bytes=0-0")]),
        }
        if "origin" not in dict(lines) and (private or "x-lang" in varies):
            replies["bypass"] = await cache.get("/x", [*lines, ("if-match", '"a"')])

        assert [replies[name].status for name in ("not-modified", "range")] == [304, 206]
        assert hit.hit
        for name, reply in replies.items():
            assert listed(reply, "vary") == varies, name
            assert ("private" in listed(reply, "cache-control")) is private, name


async def test_what_is_told_does_not_keep_a_response_from_being_stored_again() -> None:
    """A validated response is judged by what the application said, not by what was added."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        modified = (b"last-modified", b"Thu, 01 Jan 1970 00:00:00 GMT")
        if b"if-modified-since" in dict(scope["headers"]):
            await respond(send, b"", modified, status=304)
        else:
            await respond(send, b"page", modified)

    async with caching(Origin(page), [Rule("*", 60, cookies=["sid"])]) as cache:
        lines = [("cookie", "sid=ann")]
        await cache.get("/x", lines)
        cache.clock.advance(61)
        validated = await cache.get("/x", lines)

        assert validated.stored
        assert (await cache.get("/x", [("cookie", "sid=ann; theme=dark")])).hit


@pytest.mark.parametrize("origin", [False, True], ids=["annotated", "from_origin"])
async def test_a_304_out_of_a_run_is_told_as_well(origin: bool) -> None:
    """A client that has the response already, while the application sends it once more."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        lines = [
            (b"etag", b'"e"'),
            (b"cache-control", b"public, s-maxage=60"),
            (b"set-cookie", b"a=b"),
        ]
        await respond(send, b"page", *lines)

    options: Any = {"vary": ["x-company-token"]}
    policy = Policy.from_origin(**options) if origin else Policy(60, **options)
    async with caching(Origin(page), [Rule("*", policy)]) as cache:
        reply = await cache.get("/x", [("x-company-token", "ann"), ("if-none-match", '"e"')])

        assert reply.status == 304
        assert listed(reply, "cache-control") == {"private"}
        assert listed(reply, "vary") == {"x-company-token"}
