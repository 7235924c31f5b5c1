"""What an answer has for the client of one exchange is not replayed to the next."""

from collections.abc import Sequence
from typing import Any

import pytest

from asgi_multitier import ConfigError, Policy, Rule
from asgi_multitier._types import Header, Message, Receive, Scope, Send
from tests.support import Origin, answering, caching, respond, settled

OWN: Sequence[Header] = (
    (b"x-request-id", b"1"),
    (b"x-ratelimit-remaining", b"9"),
    (b"server-timing", b"db;dur=5"),
)
PLAIN: Header = (b"x-plain", b"yes")


async def test_only_the_client_of_the_run_gets_what_speaks_of_it() -> None:
    """A hit has the rest."""
    async with caching(Origin(answering(b"x", *OWN, PLAIN))) as cache:
        first, second = await cache.get("/x"), await cache.get("/x")

        assert all(line in first.headers for line in (*OWN, PLAIN))
        assert second.hit
        assert PLAIN in second.headers
        assert not {name for name, _ in OWN} & {name for name, _ in second.headers}


async def test_a_waiter_gets_nothing_that_speaks_of_the_leaders_exchange() -> None:
    """It is answered by what is stored."""
    origin = Origin(answering(b"x", *OWN, PLAIN))
    origin.gate.clear()
    async with caching(origin) as cache:
        leader, waiter = cache.client.begin("/x"), cache.client.begin("/x")
        await origin.arrived.acquire()
        await settled()
        origin.gate.set()

        assert OWN[0] in (await leader).headers
        assert "collapsed" in (await waiter).cache
        assert OWN[0] not in (await waiter).headers


@pytest.mark.parametrize(
    "line",
    [
        (b"x-csrf-token", b"t"),
        (b"x-auth-token", b"t"),
        (b"authentication-info", b'nextnonce="n"'),
        (b"content-security-policy", b"script-src 'nonce-n'"),
    ],
)
async def test_an_answer_with_a_proof_for_its_client_is_not_stored(line: Header) -> None:
    """Each client gets one of its own."""
    origin = Origin(answering(b"x", line))
    async with caching(origin, [Rule("*", 60, public=True)]) as cache:
        replies = [await cache.get("/x"), await cache.get("/x")]

        assert origin.calls == 2
        assert [reply.detail for reply in replies] == ["personal-field", "personal-field"]


async def test_a_rule_leaves_out_more() -> None:
    """`strip=` names it: a cookie or a token then is its client's alone, and the rest shared."""
    lines = [(b"x-served-by", b"node-1"), (b"set-cookie", b"seen=1"), (b"x-csrf-token", b"t")]
    origin = Origin(answering(b"x", *lines, PLAIN))
    names = ["X-Served-By", "Set-Cookie", "X-CSRF-Token"]
    async with caching(origin, [Rule("*", 60, strip=names)]) as cache:
        first, second = await cache.get("/x"), await cache.get("/x")

        assert all(line in first.headers for line in lines)
        assert second.hit
        assert PLAIN in second.headers
        assert not {name for name, _ in lines} & {name for name, _ in second.headers}


@pytest.mark.parametrize("name", ["Content-Type", "content-encoding", "Vary", "content-length"])
def test_what_the_content_is_read_by_cannot_be_left_out(name: str) -> None:
    """A hit would be another response."""
    with pytest.raises(ConfigError, match=f"strip={name.lower()!r}"):
        Policy(60, strip=[name])


async def test_a_validation_does_not_store_what_it_has_for_its_client() -> None:
    """A 304's request id and cookie reach the one client; the copy gets a new life."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        asked = dict(scope["headers"]).get(b"if-none-match")
        lines = [(b"cache-control", b"max-age=5"), (b"etag", b'"v"')]
        if asked:
            own = [(b"set-cookie", b"a=1"), (b"x-request-id", b"2"), (b"x-csrf-token", b"t")]
            await respond(send, b"", *lines, *own, status=304, length=False)
        else:
            await respond(send, b"x", *lines)

    async with caching(Origin(answer), [], default=Policy.from_origin()) as cache:
        await cache.get("/x")
        cache.clock.advance(6)
        validated, hit = await cache.get("/x"), await cache.get("/x")

        assert (validated.status, validated.body) == (200, b"x")
        assert validated.get("set-cookie") == b"a=1"
        assert validated.get("x-request-id") == b"2"
        assert validated.get("x-csrf-token") == b"t"
        assert hit.hit
        for name in ("set-cookie", "x-request-id", "x-csrf-token"):
            assert hit.get(name) is None


# A run that is made for everybody asks as nobody in particular.


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "policy",
    [
        Policy.from_origin(stale_while_revalidate=60),
        Policy.from_origin(eager_refresh=0.1),
        Policy(10, stale_while_revalidate=60),
        Policy(10, eager_refresh=0.1),
    ],
    ids=["origin-stale", "origin-eager", "annotated-stale", "annotated-eager"],
)
async def test_a_background_run_asks_for_everybody(method: str, policy: Policy) -> None:
    """By GET, and without what the one request says of itself, whose answer it is not."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        body = b"content" if scope["method"] == "GET" else b""
        await respond(send, body, (b"cache-control", b"max-age=10"), length=False)

    origin = Origin(answer)
    async with caching(origin, [Rule("*", policy)]) as cache:
        await cache.get("/x")
        cache.clock.advance(9 if policy.eager_refresh else 11)
        own = [("cache-control", "no-cache"), ("pragma", "no-cache"), ("if-none-match", '"a"')]
        await cache.client.request(method, "/x", own)
        await settled()
        cache.clock.advance(1)
        again = await cache.get("/x")

        assert (again.hit, again.body) == (True, b"content")
        assert origin.scopes[1]["method"] == "GET"
        asked = {name for name, _ in origin.scopes[1]["headers"]}
        assert asked == {b"host"}


# A body that no field announces.


def body_of(*parts: bytes) -> Any:
    """A channel that brings a body in parts, as HTTP/2 does."""
    messages: list[Message] = [
        {"type": "http.request", "body": part, "more_body": number < len(parts)}
        for number, part in enumerate(parts, 1)
    ]

    async def receive() -> Message:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    return receive


async def echo_body(scope: Scope, receive: Receive, send: Send) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await respond(send, b"got " + body)


@pytest.mark.parametrize("version", ["2", "3", "2.0"])
@pytest.mark.parametrize("parts", [(b"question",), (b"", b"question"), (b"que", b"sti", b"on")])
async def test_a_body_over_http_2_reaches_the_application(
    version: str, parts: tuple[bytes, ...]
) -> None:
    """No Content-Length tells of it; neither a miss nor a hit ignores it."""
    async with caching(Origin(echo_body)) as cache:
        bodies, details = [], []
        for body in ((b"",), parts, (b"",)):
            sent: list[Message] = []

            async def send(message: Message, sent: list[Message] = sent) -> None:
                sent.append(message)

            scope = {**cache_scope(), "http_version": version}
            await cache.middleware(scope, body_of(*body), send)
            bodies.append(sent[1]["body"])
            details.append(dict(sent[0]["headers"])[b"cache-status"])

        assert bodies == [b"got ", b"got question", b"got "]
        assert b"fwd=bypass; detail=request-body" in details[1]
        assert b"hit" in details[2]


def cache_scope() -> Scope:
    """A request of one page."""
    return {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/x",
        "raw_path": b"/x",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"example.org")],
    }
