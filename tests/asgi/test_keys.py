"""What separates one stored response from another, and what the application sees of a request."""

import itertools
import random

import pytest

from asgi_multitier import Policy, Rule
from asgi_multitier._types import Receive, Scope, Send
from tests.support import EVERYTHING, Origin, caching, respond

Lines = list[tuple[str, str]]


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with everything of the request that an application may depend on."""
    told = {k: scope[k] for k in ("path", "raw_path", "query_string", "root_path", "scheme")}
    body = repr((told, sorted(scope["headers"]))).encode("utf-8", "surrogatepass")
    await respond(send, body)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/a/b", "/a%2fb"),
        ("/a%2fb", "/a%2Fb"),
        ("/a", "/a/"),
        ("/a", "//a"),
        ("/a", "/./a"),
        ("/a", "/b/../a"),
        ("/a", "/b/%2e%2e/a"),
        ("/a", "/%61"),
        ("/a", "/A"),
        ("/a", "/a;x=1"),
        ("/a", "/a%00"),
        ("/a", "/a%23b"),
        ("/a?b", "/a%3Fb"),
        ("/%E8", "/%E9"),
        ("/a\\b", "/a/b"),
        ("/a%5Cb", "/a\\b"),
        ("/%2561", "/%61"),
        ("/a?b", "/a?b="),
        ("/a?b=1", "/a?b=1&"),
        ("/a?b=1&b=2", "/a?b=2&b=1"),
        ("/a?b=1&%62=2", "/a?%62=2&b=1"),
        ("/a?b=1;c=2", "/a?b=1&c=2"),
        ("/a?b=%E8", "/a?b=%E9"),
        ("/a?b=+", "/a?b=%20"),
        ("/a?b=1", "/a?B=1"),
        ("/a?utm_content=x;b=1", "/a?b=1"),
    ],
)
async def test_targets_that_differ_in_bytes_are_told_apart(one: str, other: str) -> None:
    """No two targets share a response unless only the order of differently named pairs differs."""
    async with caching(Origin(echo)) as cache:
        for target in (one, other):
            assert not (await cache.get(target)).hit
        first, second = await cache.get(one), await cache.get(other)

        assert first.hit
        assert second.hit
        assert first.body != second.body


@pytest.mark.parametrize(
    ("one", "other"),
    [("/a?b=1&c=2", "/a?c=2&b=1"), ("/a?b=1&c=2&b=3", "/a?b=1&b=3&c=2")],
)
async def test_the_order_of_differently_named_parameters_matters_where_it_is_seen(
    one: str, other: str
) -> None:
    """Another order is another target (RFC 9111 §4), unless an allow-list sorts it for all."""
    async with caching(Origin(echo)) as cache:
        bodies = [(await cache.get(target)).body for target in (one, other)]
        assert bodies[0] != bodies[1]
    async with caching(Origin(echo), [Rule("*", 300, query=["c", "b"])]) as cache:
        replies = [await cache.get(target) for target in (other, one)]

        assert [reply.hit for reply in replies] == [False, True]
        assert f"'{one.partition('?')[2]}'".replace("&c=2&b=3", "&b=3&c=2").encode() in (
            replies[0].body
        )


@pytest.mark.no_cover  # it repeats what others cover
async def test_thousands_of_odd_targets_never_meet() -> None:
    """Of targets that differ in raw bytes, each is answered as the origin would answer it."""
    pieces = ["a", "/", "%2f", "%2F", "%2e", ".", "%00", "%23", "%3F", ";x=1", "\\", "%E8", "%25"]
    pieces += ["%E9", "%252f", "%61", "A", "~", "%7E", "*", "@", ":", "%0d%0a", "?", "&", "=", "+"]
    randomly = random.Random(5)
    targets = list(
        {"/" + "".join(randomly.choices(pieces, k=randomly.randint(1, 5))) for _ in range(3_500)}
    )
    origin = Origin(echo)
    async with caching(origin, l1_bytes=256 * 1024 * 1024) as cache:
        assert len(targets) > 2_500
        bodies = {target: (await cache.get(target)).body for target in targets}
        for target, body in bodies.items():
            raw_path, _, query = target.partition("?")
            reply = await cache.get(target)

            assert reply.body == body
            assert f"'raw_path': {raw_path.encode()!r}".encode() in body
            assert f"'query_string': {query.encode()!r}".encode() in body


@pytest.mark.parametrize(
    ("host", "same"),
    [
        ("EXAMPLE.org", True),
        ("example.org:80", True),
        ("example.org:8080", False),
        ("example.org:443", False),
        ("example.org.", False),
        ("example.com", False),
        ("127.0.0.1", False),
        ("[::1]", False),
        ("[::1]:8080", False),
    ],
)
async def test_hosts_are_equal_in_case_and_default_port_only(host: str, same: bool) -> None:
    """Another spelling of the host is another key unless it names the same origin."""
    async with caching(Origin(echo)) as cache:
        await cache.get("/x")
        reply = await cache.get("/x", [("host", host)])

        assert reply.hit is same


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [""],
        ["example.org", "example.org"],
        ["example.org", "evil.example"],
        ["a/?x="],
        ["a b"],
        ["user@example.org"],
        ["example.org:"],
        ["example.org:x"],
        ["example.org:123456"],
        ["a:b:80"],
        ["exämple.org"],
        ["example.org\r\nx: y"],
    ],
    ids=repr,
)
async def test_a_request_without_one_sound_host_passes_by(hosts: list[str]) -> None:
    """No host, two hosts or a malformed one: not answered from the cache, and not stored."""
    origin = Origin(echo)
    async with caching(origin) as cache:
        await cache.get("/x")
        lines = [(b"host", host.encode("latin-1")) for host in hosts] + [(b"x-y", b"z")]
        replies = [await cache.get("/x", lines=lines) for _ in range(2)]

        assert [reply.detail for reply in replies] == ["host", "host"]
        assert origin.calls == 3
        assert b"x-y" not in (await cache.get("/x")).body


@pytest.mark.parametrize(
    "target",
    [
        "*",
        "http://evil.example/x",
        "x",
        "/x#frag",
        "/x\x01",
        "/x y",
        "/\xe9",
        "/x?\xff",
        "/" + "a" * 9000,
    ],
    ids=lambda target: repr(target[:24]),
)
async def test_targets_that_parsers_disagree_about_pass_by(target: str) -> None:
    """Absolute form, fragments, control and non-ASCII bytes and oversized URLs are not cached."""
    origin = Origin()
    async with caching(origin) as cache:
        replies = [await cache.get(target) for _ in range(2)]

        assert {reply.detail for reply in replies} == {"target"}
        assert origin.calls == 2


@pytest.mark.parametrize(
    "change",
    [
        {"scheme": "https"},
        {"root_path": "/x"},
        {"path": "/rewritten"},
    ],
    ids=str,
)
async def test_what_the_server_says_of_a_request_is_part_of_the_key(
    change: dict[str, str],
) -> None:
    """Scheme, root path, and a path that a layer outside rewrote, separate responses."""
    async with caching(Origin(echo)) as cache:
        await cache.get("/x/y")
        other = await cache.get("/x/y", **change)

        assert not other.hit
        assert (await cache.get("/x/y", **change)).hit


async def test_a_server_without_raw_path_is_keyed_by_the_path() -> None:
    """`raw_path` is optional in ASGI; some servers leave the query in it."""
    async with caching(Origin()) as cache:
        for path in ("/a", "/b"):
            assert not (await cache.get(path, raw_path=None)).hit
            assert (await cache.get(path, raw_path=None)).hit
        await cache.get("/q?a=1")

        assert (await cache.get("/q?a=1", raw_path=b"/q?a=1")).hit


async def test_an_allow_list_narrows_the_key_and_what_the_application_sees() -> None:
    """Parameters that the rule does not name neither split the cache nor reach the application."""
    origin = Origin(echo)
    async with caching(origin, [Rule("*", 300, query=["lang", "q"])]) as cache:
        first = await cache.get("/x?utm=1&lang=de&%71=2&fbclid=3")
        second = await cache.get("/x?lang=de&%71=2&evil=<script>")
        cloaked = await cache.get("/x?lang=de&%71=2&utm=1;lang=evil")

        assert second.hit
        assert cloaked.hit
        assert first.body == second.body
        assert origin.scopes[0]["query_string"] == b"lang=de&%71=2"
        assert not (await cache.get("/x?lang=en&%71=2")).hit


async def test_an_empty_allow_list_leaves_no_query() -> None:
    """`query=[]`: the response does not depend on the query, and the application gets none."""
    origin = Origin(echo)
    async with caching(origin, [Rule("*", 300, query=[])]) as cache:
        await cache.get("/x?a=1")

        assert (await cache.get("/x")).hit
        assert origin.scopes[0]["query_string"] == b""


async def test_named_cookies_key_and_are_all_that_the_application_sees() -> None:
    """With `cookies=["theme"]` the other cookies neither split the cache nor get in."""
    origin = Origin(echo)
    async with caching(origin, [Rule("*", 300, cookies=["theme"])]) as cache:
        await cache.get("/x", [("cookie", "sid=1; theme=dark; bare"), ("cookie", "x=y")])
        same = await cache.get("/x", [("cookie", "theme=dark; sid=2")])
        other = await cache.get("/x", [("cookie", "theme=light")])
        none = await cache.get("/x", [("cookie", "sid=3")])
        without = await cache.get("/x")
        twice = await cache.get("/x", [("cookie", "theme=dark; theme=light")])

        assert same.hit
        assert [other.hit, none.hit, without.hit, twice.hit] == [False, False, True, False]
        seen = [[v for n, v in s["headers"] if n == b"cookie"] for s in origin.scopes]
        assert seen == [[b"theme=dark"], [b"theme=light"], [], [b"theme=dark; theme=light"]]


async def test_named_fields_key() -> None:
    """With `vary=["accept-language"]` each value has a copy, and absent differs from empty."""
    async with caching(Origin(), [Rule("*", 300, vary=["Accept-Language", "x-a"])]) as cache:
        cases: list[Lines] = [
            [],
            [("accept-language", "")],
            [("accept-language", "de")],
            [("x-a", "de")],
            [("accept-language", "de"), ("x-a", "")],
            [("accept-language", "de, x-a=")],
            # An application is given the first line as a rule.
            [("accept-language", "de"), ("accept-language", "x-a=")],
            [("x-a", "de\x0b")],
        ]
        for case in cases:
            assert not (await cache.get("/x", case)).hit
        for case in cases:
            assert (await cache.get("/x", case)).hit


async def test_response_vary_separates_and_is_found_again() -> None:
    """The origin's own `Vary` gives each request its variant, also when more fields are named."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        sent = dict(scope["headers"])
        named = b"accept-language" if sent.get(b"accept-language") == b"de" else b"x-b"
        await respond(send, repr(sorted(sent.items())).encode(), (b"vary", named))

    async with caching(Origin(page)) as cache:
        cases: list[Lines] = [
            [("accept-language", a), ("x-b", b)] for a, b in itertools.product(["de", "fr"], "12")
        ]
        for case in cases:
            await cache.get("/x", case)
        for case in cases:
            reply = await cache.get("/x", case)
            wanted = dict(case)
            assert wanted["accept-language"].encode() in reply.body
            if wanted["accept-language"] != "de":
                assert f"(b'x-b', b'{wanted['x-b']}')".encode() in reply.body


@pytest.mark.parametrize("partition", ["a", 1, b"a", "1", b"1"], ids=repr)
async def test_partitions_are_told_apart_by_type_and_value(partition: object) -> None:
    """A partition gets back what it stored, and no other does."""
    chosen: list[object] = [partition]
    rule = Rule("*", 300, vary_by=lambda request: chosen[0])  # type: ignore[arg-type,return-value]
    async with caching(Origin(), [rule]) as cache:
        await cache.get("/x")
        for other in ("a", 1, b"a", "1", b"1", "", "b"):
            chosen[0] = other
            reply = await cache.get("/x")

            same = type(other) is type(partition) and other == partition
            assert reply.hit is same


async def test_partition_may_be_found_out_asynchronously() -> None:
    """`vary_by` may be a coroutine function, and may use the manager."""

    async def who(request: object) -> str:
        manager = request.state.cache  # type: ignore[attr-defined]
        user: str = await manager.get_or_compute("user", lambda: "ann")
        return user

    async with caching(Origin(), [Rule("*", 300, vary_by=who)]) as cache:
        await cache.get("/x")

        assert (await cache.get("/x")).hit


async def test_releases_do_not_share_responses() -> None:
    """`version=` is part of every key."""
    for version in ("1", "2"):
        async with caching(Origin(), version=version) as cache:
            plan_key = await _only_key(cache)
            assert version in plan_key


async def _only_key(cache: object) -> str:
    await cache.get("/x")  # type: ignore[attr-defined]
    (slot,) = cache.manager.engine.stack.local.select(lambda entry: True)  # type: ignore[attr-defined]
    key: str = slot.entry.key
    return key


FORWARDING = [
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-scheme",
    "x-forwarded-proto",
    "x-forwarded-protocol",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-host",
    "x-scheme",
    "x-url-scheme",
    "x-script-name",
    "front-end-https",
]
OVERRIDING = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-override-url",
    "x-http-host-override",
    "x-http-destinationurl",
    "x-forwarded-path",
    "x-forwarded-uri",
]


@pytest.mark.parametrize("name", FORWARDING)
async def test_what_builds_urls_poisons_nobody(name: str) -> None:
    """A request with a forwarding field gets a copy of its own; the next clean one a clean one."""
    async with caching(Origin(echo)) as cache:
        hostile = await cache.get("/x", [(name, "host=evil.example")])
        clean = await cache.get("/x")
        again = await cache.get("/x", [(name, "host=evil.example")])

        assert b"evil" in hostile.body
        assert b"evil" not in clean.body
        assert again.hit


async def test_forwarded_splits_by_host_and_proto_not_by_client() -> None:
    """A reverse proxy that names each client in `Forwarded` does not split the cache."""
    async with caching(Origin()) as cache:
        await cache.get("/x", [("forwarded", "for=1.2.3.4;host=a.example;proto=https")])
        same = await cache.get("/x", [("forwarded", "for=5.6.7.8;host=a.example;proto=https")])
        other = await cache.get("/x", [("forwarded", "for=1.2.3.4;host=b.example;proto=https")])

        assert same.hit
        assert not other.hit


@pytest.mark.parametrize("name", OVERRIDING)
async def test_what_replaces_method_or_target_passes_by(name: str) -> None:
    """A request with such a field is neither stored nor answered from the cache."""
    origin = Origin(echo)
    async with caching(origin) as cache:
        hostile = [await cache.get("/x", [(name, "/admin")]) for _ in range(2)]
        clean = await cache.get("/x")

        assert [reply.detail for reply in hostile] == ["method-override"] * 2
        assert b"admin" not in clean.body
        assert origin.calls == 3


async def test_a_mount_elsewhere_is_another_place() -> None:
    """The same path under another root path is another response."""
    async with caching(Origin(echo), EVERYTHING, default=Policy(5)) as cache:
        await cache.get("/a/x", root_path="/a")

        assert not (await cache.get("/a/x", root_path="")).hit
