"""Usual hits: what is answered at once is what the general way would have answered."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from asgi_multitier import CacheManager, CacheMiddleware, Policy, Rule
from asgi_multitier._types import Message, Receive, Scope, Send
from asgi_multitier.asgi.asked import Asked
from asgi_multitier.asgi.hits import Hits
from asgi_multitier.asgi.plan import Plan
from asgi_multitier.asgi.replay import Prepared
from asgi_multitier.policy.request import FieldLines
from asgi_multitier.testing import FakeClock

Lines = list[tuple[bytes, bytes]]

STEPS = 1_500

READ = b"accept-language accept-encoding x-forwarded-proto x-forwarded-host x-tenant cookie".split()
"""Fields that the application's answers show."""

OWN_VARY = {
    b"/varied/1": b"Accept-Encoding",
    b"/varied/2": b"Accept-Language, Accept-Encoding",
    b"/varied/3": b"Origin",
    b"/origin/1": b"Accept-Language",
}

TAG = b"?"
"""Stands for the entity tag that the last answer for the target had."""

FIELDS: tuple[tuple[tuple[bytes, bytes], ...], ...] = (
    ((b"user-agent", b"one"), (b"accept", b"*/*")),
    ((b"accept-language", b"de"),),
    ((b"accept-language", b"en, de;q=0.5"),),
    ((b"accept-language", b"de"), (b"accept-language", b"en")),
    ((b"Accept-Language", b"fr"),),
    ((b"accept-encoding", b"gzip, br"),),
    ((b"accept-encoding", b"br,gzip"),),
    ((b"origin", b"https://shop.example"),),
    ((b"origin", b"https://other.example"),),
    ((b"x-forwarded-proto", b"https"), (b"x-forwarded-for", b"192.0.2.7")),
    ((b"x-forwarded-host", b"other.example"),),
    ((b"forwarded", b"for=192.0.2.1;proto=https"),),
    ((b"forwarded", b"for=192.0.2.2;proto=https"),),
    ((b"Forwarded", b"for=192.0.2.3;proto=http"),),
    ((b"cookie", b"theme=dark; _ga=1"),),
    ((b"cookie", b"theme=dark; _ga=2"),),
    ((b"cookie", b"theme=light"),),
    ((b"cookie", b"_ga=3"),),
    ((b"cookie", b"theme=dark"), (b"cookie", b"theme=light")),
    ((b"cookie", b"accept-language"), (b"cookie", b"de")),
    ((b"authorization", b"Bearer a"),),
    ((b"x-api-key", b"k"),),
    ((b"x-tenant", b"a"),),
    ((b"x-tenant", b"b"),),
    ((b"x-tenant", b"raises"),),
    ((b"x_tenant", b"a"),),
    *[((b"if-none-match", TAG),)] * 4,
    ((b"if-none-match", b"W/" + TAG),),
    ((b"if-none-match", b'"other", ' + TAG),),
    ((b"if-none-match", b'"other"'),),
    ((b"if-none-match", b"*"),),
    ((b"if-none-match", TAG), (b"if-none-match", b'"other"')),
    ((b"if-modified-since", b"Sun, 06 Nov 1994 08:49:37 GMT"),),
    ((b"if-match", b'"other"'),),
    ((b"range", b"bytes=0-3"),),
    ((b"range", b"bytes=5-"),),
    ((b"range", b"bytes=-2"),),
    ((b"range", b"bytes=9999-"),),
    ((b"range", b"lines=1-2"),),
    ((b"range", b"bytes=0-1,3-4"),),
    ((b"range", b"bytes=0-3"), (b"if-range", TAG)),
    ((b"range", b"bytes=0-3"), (b"range", b"bytes=0-3")),
    ((b"cache-control", b"no-cache"),),
    ((b"cache-control", b"max-age=3"),),
    ((b"pragma", b"no-cache"),),
    ((b"content-length", b"0"),),
    ((b"x-http-method-override", b"PUT"),),
)


_TENANTS = [((b"x-tenant", b"a"),), ((b"x-tenant", b"b"),)]
_CODINGS = [((b"accept-encoding", coding),) for coding in (b"gzip", b"br", b"gzip, br")]

USUAL = {
    "/tenant/1": _TENANTS,
    "/tenant-named/1": _TENANTS,
    "/language/1": [((b"accept-language", language),) for language in (b"de", b"en")],
    "/varied/1": _CODINGS,
    "/varied/4": [*_CODINGS, ((b"origin", b"https://shop.example"),)],
}
"""These are asked for more often than others, by requests that differ in this alone."""


def tenant_of(request: Any) -> str | None:
    """Whose copy a request gets."""
    tenant: str | None = request.headers.get("x-tenant")
    if tenant == "raises":
        raise ValueError(tenant)
    return tenant


def language_of(request: Any) -> str | None:
    """The same, by a field that identifies no user."""
    language: str | None = request.headers.get("accept-language")
    return language


async def _tenant_of(request: Any) -> str | None:
    return tenant_of(request)


RULES = (
    Rule("/plain/*", 60),
    Rule("/public/*", 60, public=True),
    Rule("/named/*", 60, cookies=["theme"]),
    Rule("/ignored/*", 60, ignore_cookies=["_ga*"], public=True),
    Rule("/tracked/*", 60, ignore_cookies=["_ga*"]),
    Rule("/none/*", 60, ignore_cookies=True),
    Rule("/vary/*", 60, vary=["accept-language"]),
    Rule("/vary-key/*", 60, vary=["x-api-key", "authorization"]),
    Rule("/vary-spelt/*", 60, vary=["x_tenant"]),
    Rule("/tenant/*", 60, vary_by=tenant_of),
    Rule("/language/*", 60, vary_by=language_of),
    Rule("/tenant-later/*", 60, vary_by=lambda request: _tenant_of(request)),
    Rule("/tenant-named/*", 60, vary_by=tenant_of, cookies=["theme"], vary=["accept-language"]),
    Rule("/varied/*", 60),
    Rule("/asked/*", 60, honor_request_directives=True),
    Rule("/stale/*", 20, stale_while_revalidate=30),
    Rule("/eager/*", 40, eager_refresh=0.5),
)

TARGETS = (
    *(rule.glob.replace("*", "1") for rule in RULES),
    "/plain/2",
    "/varied/2",
    "/varied/3",
    "/varied/4",
    "/none/2",
    "/tenant/missing",
    "/plain/missing",
    "/origin/1",
    "/origin/private",
)


class GeneralWay(Hits):
    """Answers nothing at once."""

    def ready(
        self, plan: Plan, found: FieldLines | None, scope: Scope, asked: Asked | None = None
    ) -> Prepared | None:
        return None


class World:
    """An application whose answers show what they were made of, and its cache.

    Args:
        hits: Which class decides what is answered at once.
    """

    def __init__(self, hits: Callable[..., Hits]) -> None:
        self.clock = FakeClock()
        self.runs = 0
        self.manager = CacheManager(
            redis_url=None, clock=self.clock, wall=self.clock, namespace="world"
        )
        self.middleware = CacheMiddleware(
            self.app, self.manager, rules=RULES, default=Policy.from_origin()
        )
        self.middleware._hits = hits(self.manager, self.middleware._planning)
        self.at_once = 0

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application."""
        self.runs += 1
        path = scope["raw_path"]
        shown = [
            f"{n.decode().lower()}={v.decode()}" for n, v in scope["headers"] if n.lower() in READ
        ]
        body = f"{self.runs} {path!r} {scope['query_string']!r} {' '.join(shown)}".encode()
        lines = [
            (b"content-type", b"text/plain"),
            (b"content-length", b"%d" % len(body)),
            (b"etag", b'"%d"' % self.runs),
        ]
        if path in OWN_VARY:
            lines.append((b"vary", OWN_VARY[path]))
        if path == b"/varied/4":
            others = (b"Accept-Encoding", b"Accept-Language", b"Accept-Encoding, Origin", None)
            if (vary := others[self.runs % 4]) is not None:
                lines.append((b"vary", vary))
        if path.startswith(b"/origin"):
            lines.append((b"cache-control", b"max-age=60"))
        if path.endswith(b"private"):
            lines[-1] = (b"cache-control", b"max-age=60, public")
        status = 404 if path.endswith(b"missing") else 200
        await send({"type": "http.response.start", "status": status, "headers": lines})
        await send({"type": "http.response.body", "body": body})

    async def ask(self, scope: Scope) -> list[Message]:
        """What a client gets."""
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(dict(message))

        await self.middleware(scope, receive, send)
        await self.manager.engine.stack.settle()
        return sent


def scope_of(method: str, target: str, lines: Lines) -> dict[str, Any]:
    """A request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": target,
        "raw_path": target.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"shop.example"), *lines],
    }


def steps(seed: int) -> Iterator[tuple[float, str, str, Lines]]:
    """Seconds that pass, the method, the target, and the lines of a request."""
    chance = random.Random(seed)
    asked: list[tuple[str, str, Lines]] = []
    for _ in range(STEPS):
        passing = chance.choice((0.4, 1, 7, 35)) if chance.random() < 0.1 else 0.0
        if chance.random() < 0.1:
            method, target = "GET", chance.choice(tuple(USUAL))
            lines = list(chance.choice(USUAL[target]))
        elif asked and chance.random() < 0.6:
            # What was asked for lately, by another client.
            method, target, lines = chance.choice(asked[-12:])
        else:
            method = "HEAD" if chance.random() < 0.1 else "GET"
            target, lines = chance.choice(TARGETS), []
            for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
                lines += chance.choice(FIELDS)
            asked.append((method, target, lines))
        yield passing, method, target, lines


async def answers(world: World, seed: int) -> tuple[list[Any], Mapping[str, Any], int]:
    """What clients get, request by request; what was counted; and how often the application ran."""
    got: list[Any] = []
    tags: dict[str, bytes] = {}
    chance = random.Random(seed)
    async with world.manager:
        for passing, method, target, lines in steps(seed):
            world.clock.advance(passing)
            if chance.random() < 0.02:
                await world.manager.invalidate_path(chance.choice(TARGETS))
            tag = tags.get(target, b'"1"')
            sent = [(bytes(name), value.replace(TAG, tag)) for name, value in lines]
            start, *rest = await world.ask(scope_of(method, target, sent))
            fields = sorted(start["headers"])
            tags[target] = dict(fields).get(b"etag", tag)
            got.append((method, target, sent, start["status"], fields, rest))
        routes = dict(world.manager.stats().routes)
    return got, routes, world.runs


@pytest.mark.no_cover
@pytest.mark.parametrize("seed", range(12))
async def test_what_is_ready_is_what_the_general_way_gives(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Random requests with random fields: the same answers, runs and counters, one by one."""
    ready: Counter[int] = Counter()

    class Counting(Hits):
        def ready(self, *args: Any) -> Prepared | None:
            found = super().ready(*args)
            if found is not None:
                ready[found.status] += 1
            return found

    expected = await answers(World(GeneralWay), seed)
    found = await answers(World(Counting), seed)

    for one, other in zip(found[0], expected[0], strict=True):
        assert one == other
    assert found[1:] == expected[1:]
    assert ready[200] > STEPS / 10
    assert ready[206]
    assert ready[304]


class Told(Hits):
    """Notes the status of all that is answered at once."""

    def ready(self, *args: Any) -> Prepared | None:
        found = super().ready(*args)
        if found is not None:
            told.append(found.status)
        return found


told: list[int] = []


@pytest.mark.parametrize(
    ("target", "lines"),
    [
        ("/plain/1", []),
        ("/varied/1", [(b"accept-encoding", b"br")]),
        ("/named/1", [(b"cookie", b"theme=dark; _ga=1")]),
    ],
)
async def test_an_invalidation_of_something_else_leaves_hits_ready(
    target: str, lines: Lines
) -> None:
    """The log's index is asked once; the general way is not taken."""
    told.clear()
    world = World(Told)
    async with world.manager:
        for _ in range(3):
            await world.ask(scope_of("GET", target, lines))
        assert told
        told.clear()
        await world.manager.invalidate_tags("other")
        await world.ask(scope_of("GET", target, lines))
        assert told == [200]
        await world.manager.invalidate_path(target)
        await world.ask(scope_of("GET", target, lines))
        assert told == [200]
        assert world.runs == 2


async def test_what_requests_select_is_remembered_within_bounds() -> None:
    """Clients send fields of any length and number: old ones are forgotten, long ones not kept."""
    manager = CacheManager(redis_url=None, l1_bytes=1 << 20, l1_entries=100, namespace="world")
    world = World(Hits)
    world.manager = manager
    world.middleware = CacheMiddleware(world.app, manager, rules=RULES)
    remembered = world.middleware._hits.selections.remembered
    async with manager:
        for number in range(2_000):
            tenant = [(b"x-tenant", b"%d" % (number // 2))]
            await world.ask(scope_of("GET", "/tenant/1", tenant))
        assert 50 < len(remembered) <= 200
        before = len(remembered)
        for size in (100, 10_000):
            for _ in range(3):
                line = (b"accept-language", b"a" * size)
                await world.ask(scope_of("GET", "/vary/1", [line]))
        assert len(remembered) == before + 1


async def test_a_line_that_the_application_adds_is_not_taken_for_a_clients() -> None:
    """Fields equal to the last ones are not read again; what was edited in place is no request."""
    world = World(Told)
    added = (b"authorization", b"Bearer x")
    async with world.manager:
        for _ in range(40):
            scope = scope_of("GET", "/plain/1", [])
            await world.ask(scope)
            scope["headers"].append(added)
            start, _ = await world.ask(scope_of("GET", "/plain/1", [added]))
            assert b"bypass" in dict(start["headers"])[b"cache-status"]
