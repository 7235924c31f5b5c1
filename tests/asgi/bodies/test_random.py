"""Random questions and changes, many at one time: each answer is the one that its request asks for,
of a state that was there while it was under way.
"""

import asyncio
import json
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from asgi_multitier._types import Receive, Scope, Send
from tests.asgi.bodies.support import Chunks, searches
from tests.support import Cache, Reply, caching, respond

LIMIT = 60
TARGETS = ("/a", "/b", "/b?x=1")
TYPES = ("application/json", "application/json; charset=utf-8", "application/json; charset=x",
         "text/plain", "")  # fmt: skip
CONTENTS = (
    b'{"a":1,"b":[true,"1"]}', b'{"b": [true, "1"], "a": 1}', b'{"a":1.0,"b":[true,"1"]}',
    b'{"a":true,"b":[true,"1"]}', b'{"a":1,"a":2}', b'{"a":2}', b'{"a": 2}', b"[1, 2]", b"[1,2]",
    b"[2,1]", b'"\\u0000"', b'"\\u0000" ', b"", b"no json", b"no  json", b"\xff", b"[" * 50,
    b'{"change":1}', b'{"change": 1}', b'{"change":"' + b"x" * LIMIT + b'"}', b'"' + b"x" * LIMIT,
)  # fmt: skip
FIELDS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("range", "bytes=0-1"),), (("if-none-match", "*"),), (("authorization", "x"),),
    (("content-encoding", "x"),), (("expect", "100-continue"),),
    (("x-http-method-override", "PUT"),),
)  # fmt: skip


def changes(content: bytes) -> bool:
    """Whether it asks for a change."""
    return content.startswith(b'{"change"')


@dataclass
class Application:
    """Answers with all that it depends on, and with how often its target was changed.

    Attributes:
        meaning: Whether JSON is read, as FastAPI does, in place of the bytes.
        versions: How often each path was changed.
    """

    meaning: bool
    versions: dict[str, int] = field(default_factory=dict)
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    def told(self, method: str, target: str, kind: str, coding: str, content: bytes) -> str:
        """All that an answer depends on, but the version."""
        if method == "GET":
            return f"GET {target}"
        text = repr(content)
        if self.meaning and kind in TYPES[:2] and not coding:
            try:
                value = json.loads(content, object_pairs_hook=_with_repeats)
                text = json.dumps(value, sort_keys=True)
            except ValueError:
                pass
        return f"{method} {target} {kind} {coding} {text}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        content, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            content += message.get("body", b"")
            more = message.get("more_body", False)
        fields = dict(scope["headers"])
        method, path = scope["method"], scope["path"]
        if "x-http-method-override" in {name.decode() for name in fields} and method == "POST":
            method = "PUT"
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)
        if method == "PUT" or (method == "POST" and changes(content)):
            self.versions[path] = self.versions.get(path, 0) + 1
        version = self.versions.get(path, 0)
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)
        query = scope["query_string"].decode()
        target = f"{path}?{query}" if query else path
        kind, coding = (
            fields.get(name, b"").decode() for name in (b"content-type", b"content-encoding")
        )
        told = self.told(scope["method"], target, kind, coding, content)
        await respond(send, f"{told} | {version}".encode())


def _with_repeats(pairs: list[tuple[str, Any]]) -> Any:
    """An object, in which a name that stands twice has an order."""
    names = [name for name, _ in pairs]
    return dict(pairs) if len(set(names)) == len(names) else {"\x00repeats": pairs}


@dataclass
class Asked:
    """One request: what it is, and whether its client stays."""

    method: str
    target: str
    kind: str
    content: bytes
    fields: tuple[tuple[str, str], ...]
    leaves: bool
    cuts: int

    @property
    def is_counted(self) -> bool:
        """Whether the statistics know it: changes that no rule is for are not in them."""
        overrides = any(name == "x-http-method-override" for name, _ in self.fields)
        return self.method != "PUT" and not (overrides and self.method == "POST")

    async def send(self, cache: Cache) -> Reply:
        """Send it, in pieces."""
        headers = [*self.fields, *([("content-type", self.kind)] if self.kind else [])]
        size = max(1, len(self.content) // self.cuts)
        chunks = [self.content[at : at + size] for at in range(0, len(self.content), size)]
        if self.leaves:
            chunks = chunks[:-1]
        elif self.cuts == 1:
            headers.append(("content-length", str(len(self.content))))
        visit = Chunks(chunks or [b""], leaves=self.leaves)
        return await cache.client.request(self.method, self.target, headers, visit=visit)


class Traffic:
    """Requests at random, of few kinds at a time, so that many ask the same."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.turn()

    def turn(self) -> None:
        """Ask for other things from now on."""
        chance = self._chance
        self._targets = chance.sample(TARGETS, 2)
        self._kinds = chance.sample(TYPES, 2)
        self._contents = [*chance.sample(CONTENTS[:-4], 3), *chance.sample(CONTENTS[-4:], 1)]

    def next(self) -> Asked:
        """A request."""
        chance = self._chance
        method = chance.choices(["POST", "QUERY", "GET", "PUT"], [30, 15, 5, 1])[0]
        content = chance.choices(self._contents, [10, 10, 10, 1])[0]
        return Asked(
            method,
            chance.choice(self._targets),
            chance.choice(self._kinds),
            b"" if method == "GET" else content,
            chance.choice(FIELDS) if chance.random() < 0.3 else (),
            method != "GET" and chance.random() < 0.05,
            chance.choice((1, 1, 3)),
        )


@pytest.mark.parametrize("body", [True, "json"])
@pytest.mark.parametrize("seed", range(12))
async def test_answers_are_those_of_the_application(seed: int, body: Any) -> None:
    """And every request is counted once."""
    chance = random.Random(seed)
    application = Application(body == "json", chance=chance)
    rules = searches(
        body=body,
        max_body=LIMIT,
        stale_while_revalidate=5,
        when=lambda request: not changes(request.body),
    )
    hits, sent, traffic = 0, 0, Traffic(chance)
    async with caching(application, rules) as cache:
        for _ in range(60):
            before = dict(application.versions)
            asked = [traffic.next() for _ in range(chance.randrange(1, 9))]
            replies = await asyncio.gather(*(one.send(cache) for one in asked))
            for one, reply in zip(asked, replies, strict=True):
                sent += one.is_counted
                if one.leaves:
                    continue
                hits += reply.hit
                _check(application, one, reply, before)
            if chance.random() < 0.1:
                cache.clock.advance(302)
                traffic.turn()
        counted = cache.manager.stats().total
        assert counted.requests == sent

    assert hits > 20


def _check(application: Application, one: Asked, reply: Reply, before: dict[str, int]) -> None:
    coding = dict(one.fields).get("content-encoding", "")
    told = application.told(one.method, one.target, one.kind, coding, one.content)
    path = one.target.partition("?")[0]
    if reply.status == 304:
        assert one.method in ("GET", "QUERY")
        assert ("if-none-match", "*") in one.fields
        return
    if reply.status == 206:
        assert one.method == "GET"
        return
    said, _, version = reply.body.decode().rpartition(" | ")
    assert said == told
    assert before.get(path, 0) <= int(version) <= application.versions.get(path, 0)
    if one.method == "PUT" or (one.method == "POST" and changes(one.content)):
        assert reply.cache.startswith("fwd=method")
    if one.method == "POST" and one.fields and one.fields[0][0] in ("range", "if-none-match"):
        assert reply.cache.startswith("fwd=")
