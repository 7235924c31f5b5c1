"""A scripted origin behind the real middleware, and scripted clients in front of it.

A scenario is a list of steps. Each step is one request, together with what the origin would say if
it were asked now, and what is expected: answered from the cache, by the origin, or from the cache
after the origin was asked for a validation. Time is a number that the steps move.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest

from asgi_multitier import CacheManager, CacheMiddleware, Policy
from asgi_multitier._types import Message, Receive, Scope, Send
from asgi_multitier.policy.dates import format_http_date

WALL = 1_800_000_000.0
"""Unix seconds at which every scenario begins."""

PLAIN = "default"
FULL = "every-option"
PROFILES: dict[str, Policy] = {
    PLAIN: Policy.from_origin(),
    FULL: Policy.from_origin(
        heuristics=True,
        store_set_cookie=True,
        honor_request_directives=True,
        stale_on_error=True,
        partial=True,
        normalise_language=True,
        methods=["GET", "HEAD", "POST"],
    ),
}

HIT = "cached"
ORIGIN = "not-cached"
VALIDATED = "validated"

Line: TypeAlias = tuple[str, str | int | float]
"""A field line; a number becomes the HTTP date of so many seconds from now."""

Lines: TypeAlias = tuple[Line, ...]
Choice: TypeAlias = str | tuple[str, str]
"""What is expected in both profiles, or in the default one and in that with every option on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One request, and what the origin would say.

    Attributes:
        fields: Field lines of the origin's response.
        status: Its status.
        body: Its content; None for one that differs each time.
        parts: The content in several messages, instead of `body`.
        drops: The origin raises instead of answering; before its last part where it has several.
        again: What it says if it is asked a second time.
        method, path, query, ask: The request and its field lines.
        expect: Where the answer is to come from.
        answer: The status that the client is to get; None if it does not matter.
        has: Field lines that the client is to get.
        lacks: Names of fields that it is not to get.
        content: The content that it is to get.
        sent: Field lines that the origin is to have been sent.
        unsent: Names of fields that it is not to have been sent.
        sent_method: The method that it is to have been asked with.
        why: What `Cache-Status` is to contain.
        then: Seconds that pass afterwards.
    """

    fields: Lines = ()
    status: int = 200
    body: bytes | None = None
    parts: tuple[bytes, ...] = ()
    drops: bool = False
    again: "Step | None" = None
    method: str = "GET"
    path: str = "/thing"
    query: str = ""
    ask: Lines = ()
    expect: Choice = ORIGIN
    answer: int | None = None
    has: Lines = ()
    lacks: tuple[str, ...] = ()
    content: bytes | None = None
    sent: Lines = ()
    unsent: tuple[str, ...] = ()
    sent_method: str | None = None
    why: str | None = None
    then: float = 0.0

    def expected(self, profile: str) -> str:
        """What is expected in this profile."""
        if isinstance(self.expect, str):
            return self.expect
        return self.expect[0] if profile == PLAIN else self.expect[1]


def put(*fields: Line, then: float = 0.0, **more: Any) -> Step:
    """A first request, which only the origin can answer."""
    return Step(fields=fields, then=then, **more)


def get(expect: Choice = HIT, *fields: Line, **more: Any) -> Step:
    """A request that is expected to be answered in a certain way."""
    return Step(expect=expect, fields=fields, **more)


def case(name: str, *steps: Step) -> Any:
    """A row of a table: a scenario under its clause's name."""
    return pytest.param(steps, id=name)


def reuse(name: str, expect: Choice, *fields: Line, then: float = 3.0, **more: Any) -> Any:
    """A row: a response with these fields, and whether the same request finds it a while later."""
    asked = {key: more[key] for key in ("ask", "path", "query") if key in more}
    return case(name, put(*fields, then=then, **more), get(expect, **asked))


@dataclass(slots=True)
class Asked:
    """What the origin was asked."""

    method: str
    lines: list[tuple[bytes, bytes]]
    body: bytes = b""

    def values(self, name: str) -> list[str]:
        """The values of a field, in order."""
        wanted = name.lower().encode()
        return [value.decode("latin-1") for key, value in self.lines if key == wanted]


class Dropped(ConnectionError):
    """The origin has hung up."""


@dataclass(slots=True)
class Answered:
    """What a client got."""

    status: int
    lines: list[tuple[bytes, bytes]]
    body: bytes

    def values(self, name: str) -> list[str]:
        """The values of a field, in order."""
        wanted = name.lower().encode()
        return [value.decode("latin-1") for key, value in self.lines if key.lower() == wanted]

    @property
    def cache_status(self) -> str:
        """What this cache says of itself."""
        return self.values("cache-status")[-1]


@dataclass(slots=True)
class World:
    """An origin, the middleware before it, and the time.

    Attributes:
        script: What the origin says when it is asked.
        seen: What it was asked.
        now: Seconds since the beginning.
    """

    policy: Policy
    script: Step = field(default_factory=Step)
    seen: list[Asked] = field(default_factory=list)
    now: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)
    manager: CacheManager = field(init=False)
    middleware: CacheMiddleware = field(init=False)

    def __post_init__(self) -> None:
        self.manager = CacheManager(
            clock=lambda: 1000.0 + self.now,
            wall=lambda: WALL + self.now,
            **{"redis_url": None, "namespace": "conformance", **self.settings},
        )
        self.middleware = CacheMiddleware(self.origin, self.manager, default=self.policy)

    def lines(self, lines: Sequence[Line]) -> list[tuple[bytes, bytes]]:
        """Field lines as bytes; numbers become dates."""
        return [
            (
                name.encode(),
                value.encode("latin-1")
                if isinstance(value, str)
                else format_http_date(WALL + self.now + value),
            )
            for name, value in lines
        ]

    async def origin(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application: says what the script says."""
        if scope["type"] != "http":
            return
        message = await receive()
        step = self.script
        self.script = step.again or step
        asked = Asked(scope["method"], list(scope["headers"]), message.get("body", b""))
        self.seen.append(asked)
        if step.drops and not step.parts:
            raise Dropped
        body = b"content %d" % len(self.seen) if step.body is None else step.body
        fields = self.lines(step.fields)
        fields.append((b"x-run", b"%d" % len(self.seen)))
        await send({"type": "http.response.start", "status": step.status, "headers": fields})
        bodiless = step.status in (204, 304) or scope["method"] == "HEAD"
        *parts, last = step.parts or (b"" if bodiless else body,)
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        if step.drops:
            raise Dropped
        await send({"type": "http.response.body", "body": last})

    async def ask(self, step: Step, body: bytes = b"") -> Answered:
        """Send the step's request."""
        self.script = step
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": step.method,
            "scheme": "http",
            "path": step.path,
            "raw_path": step.path.encode(),
            "query_string": step.query.encode(),
            "root_path": "",
            "headers": [
                (b"host", b"origin.example"),
                *((name.lower(), value) for name, value in self.lines(step.ask)),
            ],
            "client": ("192.0.2.1", 50000),
            "server": ("origin.example", 80),
        }
        await self.middleware(scope, receive, send)
        start, *parts = sent
        return Answered(
            start["status"],
            list(start["headers"]),
            b"".join(part.get("body", b"") for part in parts),
        )

    async def settle(self) -> None:
        """Wait until nothing goes on in the background."""
        while self.manager.engine.flights.running:  # noqa: ASYNC110  # turns of the loop, no time
            await asyncio.sleep(0)
        await self.manager.engine.stack.settle()

    async def close(self) -> None:
        """Release everything."""
        await self.manager.close()


async def play(steps: Sequence[Step], profile: str) -> None:
    """Play a scenario in a profile and check each step."""
    world = World(PROFILES[profile])
    try:
        for number, step in enumerate(steps, 1):
            await _check(world, step, profile, f"step {number}")
    finally:
        await world.close()


async def _check(world: World, step: Step, profile: str, place: str) -> None:
    before = len(world.seen)
    try:
        got = await world.ask(step)
    except Dropped:
        # The server in front answers 500 for an application that fails.
        got = Answered(500, [(b"cache-status", b"asgi-multitier; fwd=stale")], b"")
    in_time = len(world.seen)
    expected = step.expected(profile)
    how = f"{place}: {got.status} {got.lines} after {world.seen[before:]}"

    assert _source(got, world.seen[before:in_time]) == expected, how
    if expected == HIT and "detail=stale-" not in got.cache_status:
        assert in_time == before, how
    if step.answer is not None:
        assert got.status == step.answer, how
    for name, value in world.lines(step.has):
        assert value.decode("latin-1") in got.values(name.decode()), how
    for name in step.lacks:
        assert not got.values(name), how
    if step.content is not None:
        assert got.body == step.content, how
    if step.why is not None:
        assert step.why in got.cache_status, how
    if before < in_time and expected != HIT:
        asked = world.seen[before]
        for name, value in world.lines(step.sent):
            assert asked.values(name.decode()) == [value.decode("latin-1")], how
        for name in step.unsent:
            assert not asked.values(name), how
        if step.sent_method is not None:
            assert asked.method == step.sent_method, how
    await world.settle()
    world.now += step.then


def _source(got: Answered, asked: list[Asked]) -> str:
    """Where an answer came from, by what the cache says of it and what the origin has seen."""
    if "; hit" in got.cache_status or "detail=stale-if-error" in got.cache_status:
        return HIT
    conditional = any(
        asking.values("if-none-match") or asking.values("if-modified-since") for asking in asked
    )
    return VALIDATED if conditional and "fwd-status=304" in got.cache_status else ORIGIN
