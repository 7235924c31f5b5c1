"""Cookies that a response does not depend on; answers to `Authorization` under `public=True`."""

import asyncio
from typing import Any

import pytest

from asgi_multitier import ConfigError, Policy, Rule, cached
from asgi_multitier._types import Receive, Scope, Send
from tests.support import Origin, caching, respond

Lines = list[tuple[str, str]]


async def shop(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what an application makes of cookies and credentials."""
    cookies = [value for name, value in scope["headers"] if name == b"cookie"]
    who = dict(scope["headers"]).get(b"authorization", b"stranger")
    await respond(send, b" ".join([*cookies, who]), (b"vary", b"Cookie"))


@pytest.mark.parametrize(
    ("ignored", "sent", "hits"),
    [
        (True, "sid=ann", True),
        (True, "bare", True),
        (["_ga*", "theme"], "_ga=1; _gid=2", False),
        (["_ga*", "theme"], "_ga=1; _ga_X=2; theme=dark", True),
        (["_ga*", "theme"], "_ga=1; themes=dark", False),
        (["_ga*", "theme"], "_ga=1; sid=ann", False),
        (["_ga*", "theme"], '_ga="x; sid=ann"', False),
        (["_ga*", "theme"], "_ga", False),
        ("_ga*", "_ga=1;; ", True),
        (False, "_ga=1", False),
    ],
    ids=str,
)
async def test_a_request_whose_cookies_are_all_ignored_has_none(
    ignored: Any, sent: str, hits: bool
) -> None:
    """It is answered from the cache, and what is stored has seen no cookie; others pass by."""
    origin = Origin(shop)
    async with caching(origin, [Rule("*", 300, ignore_cookies=ignored)]) as cache:
        first, second = [await cache.get("/x", [("cookie", sent)]) for _ in range(2)]
        clean = await cache.get("/x")

        assert second.hit is hits
        assert clean.hit is hits
        assert clean.body == b"stranger"
        if not hits:
            assert [first.detail, second.detail] == ["cookie"] * 2
            assert sent.encode() in second.body


async def test_cookies_on_two_lines_are_one_field() -> None:
    """HTTP/2 sends them so."""
    async with caching(Origin(shop), [Rule("*", 300, ignore_cookies=["_ga"])]) as cache:
        await cache.get("/x")

        assert (await cache.get("/x", [("cookie", "_ga=1"), ("cookie", "_ga=2")])).hit
        assert not (await cache.get("/x", [("cookie", "_ga=1"), ("cookie", "sid=2")])).hit


async def test_what_is_left_of_the_cookies_counts_as_ever() -> None:
    """In the key of a whole field, and where responses decide for themselves."""
    policies = [
        Policy(300, vary=["cookie"], ignore_cookies=["_ga"]),
        Policy(300, vary_by=lambda request: "u", ignore_cookies=True),
    ]
    for policy in policies:
        async with caching(Origin(shop), [Rule("*", policy)]) as cache:
            await cache.get("/x", [("cookie", "_ga=1; sid=ann")])
            assert (await cache.get("/x", [("cookie", "_ga=2; sid=ann")])).hit
            other = await cache.get("/x", [("cookie", "_ga=2; sid=bob")])
            assert other.hit is (policy.ignore_cookies is True)
            assert b"ann" not in other.body


async def test_a_login_is_still_respected() -> None:
    """Ignoring cookies says nothing of `Authorization`, nor of what layers outside know."""
    async with caching(Origin(shop), [Rule("*", 300, ignore_cookies=True)]) as cache:
        await cache.get("/x")
        ann = await cache.get("/x", [("authorization", "ann"), ("cookie", "a=1")])
        known = await cache.get("/x", [("cookie", "a=1")], session={"user": "ann"})

        assert not known.hit
        assert (ann.body, ann.detail) == (b"a=1 ann", "authorization")


@pytest.mark.parametrize(
    ("says", "shared"),
    [(b"", False), (b"max-age=60", False), (b"public", True), (b"s-maxage=60", True)],
    ids=str,
)
async def test_public_shares_an_answer_to_authorization_only_if_it_says_so(
    says: bytes, shared: bool
) -> None:
    """RFC 9111 §3.5: the rule speaks for cookies and keys, the response for `Authorization`."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        who = dict(scope["headers"]).get(b"authorization", b"stranger")
        await respond(send, who, *([(b"cache-control", says)] if says else []))

    async with caching(Origin(page), [Rule("*", 300, public=True)]) as cache:
        ann = await cache.get("/x", [("authorization", "ann")])
        bob = await cache.get("/x", [("authorization", "bob")])

        assert ann.stored is bob.hit is shared
        assert bob.body == (b"ann" if shared else b"bob")
        assert (await cache.get("/x")).body == (b"ann" if shared else b"stranger")


async def test_answers_to_authorization_stop_no_others_from_sharing_a_run() -> None:
    """Somebody's own answer is no hit-for-miss mark for those who ask without credentials."""
    asked, gate = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        own = dict(scope["headers"]).get(b"authorization")
        if own is None:
            asked.set()
            await gate.wait()
        await respond(send, own or b"for all")

    origin = Origin(slow)
    async with caching(origin, [Rule("*", 300, public=True)]) as cache:
        first = await cache.get("/x", [("authorization", "ann")])
        others = [asyncio.create_task(cache.get("/x")) for _ in range(10)]
        await asked.wait()
        second = await cache.get("/x", [("authorization", "bob")])
        gate.set()
        replies = await asyncio.gather(*others)

        assert [first.body, second.body] == [b"ann", b"bob"]
        assert {reply.body for reply in replies} == {b"for all"}
        assert origin.calls == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ignore_cookies": "*"}, ["ignore_cookies='*'", "True for all"]),
        ({"ignore_cookies": ["a*b"]}, ["ignore_cookies='a*b'", "a star at the end"]),
        ({"ignore_cookies": 1}, ["ignore_cookies=1"]),
        ({"ignore_cookies": None}, ["ignore_cookies=None"]),
        ({"ignore_cookies": True, "cookies": "a"}, ["ignore_cookies=True", "cookies="]),
        ({"ignore_cookies": True, "vary": "cookie"}, ["ignore_cookies=True", "vary="]),
        ({"ignore_cookies": ["a*"], "cookies": "ab"}, ["ignore_cookies=['a*']", "ab"]),
        ({"public": True, "cookies": "a"}, ["public=True", "cookies="]),
        ({"public": True, "vary": "authorization"}, ["public=True", "authorization"]),
        ({"public": True, "vary": "cookie"}, ["public=True", "cookie"]),
    ],
    ids=str,
)
def test_what_contradicts_is_refused(options: dict[str, Any], words: list[str]) -> None:
    """At every door: `Policy`, `Rule`, `cached`."""
    for door in (Policy, lambda *a, **o: Rule("*", *a, **o), lambda *a, **o: cached(*a, **o)(shop)):
        with pytest.raises(ConfigError) as caught:
            door(60, **options)
        for word in words:
            assert word in str(caught.value)


COOKIES = "lang=en; _ga=1; sid=ann"


@pytest.mark.parametrize(
    ("cookies", "ignored", "seen"),
    [
        # What the application is given; None where the request passes by, with all of them.
        ([], False, None),
        ([], True, ""),
        ([], ["_ga*"], None),
        ([], ["_ga*", "sid", "lang"], ""),
        (["lang"], False, "lang=en"),
        (["lang"], ["_ga*"], "lang=en"),
        (["lang"], ["_ga*", "sid"], "lang=en"),
        (["lang", "sid"], ["_ga*"], "lang=en; sid=ann"),
        (["none"], ["sid"], ""),
    ],
    ids=str,
)
async def test_cookies_that_matter_and_cookies_that_do_not(
    cookies: list[str], ignored: Any, seen: str | None
) -> None:
    """Together: what is in the key is what the application gets, and nothing else is."""
    origin = Origin(shop)
    rules = [Rule("*", 300, cookies=cookies, ignore_cookies=ignored)]
    async with caching(origin, rules) as cache:
        first, second = [await cache.get("/x", [("cookie", COOKIES)]) for _ in range(2)]
        got = first.body.decode().removesuffix("stranger").strip()
        assert got == (COOKIES if seen is None else seen)
        assert second.hit is (seen is not None)
        for name in ("lang", "sid", "_ga"):
            changed = COOKIES.replace(f"{name}=", f"{name}=x")
            hit = (await cache.get("/x", [("cookie", changed)])).hit
            assert hit is (seen is not None and name not in cookies), name
