"""Names of request fields that applications read in their own way: with `_`, and of identity."""

from typing import Any

import pytest

from asgi_multitier import Rule
from asgi_multitier._types import Receive, Scope, Send
from tests.support import Origin, caching, respond


async def by_wsgi(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer as an application behind a WSGI gateway sees the request."""
    environ: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    asked = ("FORWARDED_HOST", "HTTP_METHOD_OVERRIDE", "API_KEY", "LANG", "ACCEPT_LANGUAGE")
    read = [environ.get(f"HTTP_{'' if n.startswith('ACC') else 'X_'}{n}", "-") for n in asked]
    await respond(send, " ".join(read).encode(), (b"vary", b"accept-language"))


@pytest.mark.parametrize(
    "name",
    [
        "x_forwarded_host",
        "X_Forwarded-Host",
        "x_http_method_override",
        "x_api_key",
        "x_lang",
        "accept_language",
    ],
)
@pytest.mark.parametrize(
    "options",
    [{}, {"vary": ["x-lang"]}, {"public": True}, {"vary_by": lambda request: "one"}],
    ids=["plain", "vary", "public", "vary-by"],
)
async def test_an_underscore_poisons_nobody(name: str, options: dict[str, Any]) -> None:
    """What a gateway reads as a field that the key has, or that is refused, passes by."""
    origin = Origin(by_wsgi)
    async with caching(origin, [Rule("*", 300, **options)]) as cache:
        hostile = await cache.get("/x", [(name, "evil")])
        clean = await cache.get("/x")
        again = await cache.get("/x", [(name, "evil")])

        assert b"evil" in hostile.body
        assert b"evil" not in clean.body
        assert [hostile.detail, again.detail] == ["field-name"] * 2
        assert (await cache.get("/x")).hit


async def test_a_keyed_field_is_keyed_in_its_own_spelling_only() -> None:
    """`vary=["x_lang"]` is for applications that read it so; the other spelling passes by."""
    async with caching(Origin(by_wsgi), [Rule("*", 300, vary=["x_lang"])]) as cache:
        for value in ("de", "fr"):
            first = await cache.get("/x", [("x_lang", value)])
            second = await cache.get("/x", [("X_LANG", value)])
            assert value.encode() in first.body
            assert second.hit
            assert second.body == first.body
        for lines in ([("x-lang", "it")], [("x_lang", "de"), ("x-lang", "it")]):
            assert (await cache.get("/x", lines)).detail == "field-name"
        assert b"it" not in (await cache.get("/x")).body


async def test_a_field_of_a_gateway_that_names_the_user_is_nobody_elses() -> None:
    """Read by hand in an endpoint under a plain rule."""

    async def hello(scope: Scope, receive: Receive, send: Send) -> None:
        who = dict(scope["headers"]).get(b"x-company-member", b"anon")
        await respond(send, b"hello " + who)

    async with caching(Origin(hello)) as cache:
        ann = await cache.get("/x", [("x-company-member", "ann")])
        anon = await cache.get("/x")
        bob = await cache.get("/x", [("X-Company-Member", "bob")])

        assert [ann.body, anon.body, bob.body] == [b"hello ann", b"hello anon", b"hello bob"]
        assert [ann.detail, bob.detail] == ["credentials"] * 2


async def test_a_browser_behind_a_proxy_is_answered_from_the_cache() -> None:
    """What comes with every request keeps nothing from the cache."""
    usual = [
        ("user-agent", "Mozilla/5.0"),
        ("sec-ch-ua", '"Chromium";v="140"'),
        ("sec-fetch-user", "?1"),
        ("x-request-id", "1"),
        ("traceparent", "00-1-2-01"),
        ("x-forwarded-for", "1.2.3.4"),
        ("cf-visitor", '{"scheme":"https"}'),
    ]
    async with caching(Origin()) as cache:
        await cache.get("/x")

        assert (await cache.get("/x", usual)).hit
