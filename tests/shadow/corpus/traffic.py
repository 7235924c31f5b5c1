"""What a drive sends to an application of the corpus, and a note of each answer."""

import asyncio
import json
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.shadow.corpus.alike import Alike
from tests.shadow.corpus.visitors import PROBE, ROBOT, Lines, Visitor
from tests.shadow.corpus.world import World
from tests.support import Client, Reply, Visit, settled


@dataclass(eq=False)
class Step:
    """One request and what became of it.

    Attributes:
        method: Its method.
        target: Path and query.
        status: The status of the answer; of a 304, that of what the client has kept.
        body: The content that the client has in the end.
        raced: Whether a change was under way at any moment of it: then both answers are right.
        hit: Whether a cache says that it has answered.
    """

    method: str
    target: str
    status: int = 0
    body: bytes = b""
    raced: bool = False
    hit: bool = False

    @property
    def path(self) -> str:
        """The path."""
        return self.target.partition("?")[0]


class Traffic:
    """Clients, and the time between their requests.

    Args:
        client: Speaks to the application, with or without a cache.
        world: What the application runs on.
        alike: What is to be the same in all requests.

    Attributes:
        chance: Chooses clients, targets and gaps; the same in each run.
        steps: What was sent, in this order.
        host: The host that clients ask.
        proxies: Addresses of the proxies in front; empty for none.
    """

    def __init__(self, client: Client, world: World, alike: Alike) -> None:
        self.client = client
        self.alike = alike
        self.world = world
        self.chance = Random(f"traffic {world.seed}")
        self.steps: list[Step] = []
        self.host = "shop.example"
        self.proxies: tuple[str, ...] = ("10.0.3.7", "10.0.4.9")
        self._time = world.now
        self._changes = 0
        self._reads: list[Step] = []

    async def pause(self, mean: float = 1.0) -> None:
        """Let some time pass until the next request, and what is due happen meanwhile."""
        await self.wait(self.chance.expovariate(1 / mean))

    async def wait(self, seconds: float) -> None:
        """Let so much time pass."""
        # By a time of its own: a run of the application takes time that a hit does not take.
        self._time += seconds
        self.world.pass_until(self._time)
        await settled(2)

    async def get(
        self, visitor: Visitor | None, target: str, *, method: str = "GET", again: bool = False
    ) -> Step:
        """Ask for something.

        Args:
            visitor: Who asks; None for a robot without a name.
            target: Path and query.
            method: GET or HEAD.
            again: Whether the client shows the validator of what it has kept.
        """
        lines, address = self._given(visitor)
        target = self.alike.target(target)
        kept = visitor.kept.get(target) if visitor and again else None
        if kept:
            lines.append(("if-none-match", kept[0].decode()))
        if self.alike.leaves_out(method, target):
            return Step(method, target)
        step = self._begin(Step(method, target, raced=self._changes > 0))
        self._reads.append(step)
        try:
            reply = await self.client.request(method, target, lines, client=(address, 50_000))
        finally:
            self._reads.remove(step)
        self._note(step, reply)
        if reply.status == 304 and kept:
            step.status, step.body = 200, kept[1]
        elif visitor and (etag := reply.get("etag")) and method == "GET" and reply.status == 200:
            visitor.kept[target] = etag, reply.body
        await asyncio.sleep(0)
        return step

    async def change(
        self, method: str, target: str, content: object = None, visitor: Visitor | None = None
    ) -> Step:
        """Have something changed.

        Args:
            method: PUT, POST, PATCH or DELETE.
            target: Path and query.
            content: Sent as JSON.
            visitor: Who changes it; None for a program of the shop's own.
        """
        lines, address = self._given(visitor)
        body = b"" if content is None else json.dumps(content).encode()
        if body:
            lines += [("content-type", "application/json"), ("content-length", str(len(body)))]
        if self.alike.leaves_out(method, target):
            return Step(method, target)
        step = self._begin(Step(method, target))
        for read in self._reads:
            read.raced = True
        self._changes += 1
        try:
            reply = await self.client.request(
                method, target, lines, visit=Visit(body=body), client=(address, 50_000)
            )
        finally:
            self._changes -= 1
        self._note(step, reply)
        assert reply.status < 400, (method, target, reply.body)
        await asyncio.sleep(0)
        return step

    async def begin(self, request: Coroutine[Any, Any, Step]) -> "asyncio.Task[Step]":
        """Let a request begin, and go on when it waits for something or has its answer."""
        task = asyncio.create_task(request)
        await settled()
        return task

    async def noise(self) -> None:
        """At times, what every site gets as well: probes, robots, and what is not there."""
        drawn = self.chance.random()
        if drawn < 0.05:
            await self._plain("/healthz", PROBE, "10.0.0.2")
        elif drawn < 0.08:
            path = self.chance.choice(("/robots.txt", "/wp-login.php", "/favicon.ico"))
            await self._plain(path, ROBOT, "66.249.66.1")

    async def browse(
        self,
        visitors: Sequence[Visitor],
        targets: Sequence[str],
        requests: int,
        *,
        gap: float = 1.0,
        weights: Sequence[float] | None = None,
        again: float = 0.0,
    ) -> None:
        """Visitors ask for targets in no order.

        Args:
            visitors: Who.
            targets: What.
            requests: How many.
            gap: Seconds between them, on average.
            weights: How often each visitor asks; None for all alike.
            again: The share of requests in which a client shows the validator of what it has.
        """
        for _ in range(requests):
            (visitor,) = self.chance.choices(visitors, weights)
            if self.chance.random() < 0.08:
                visitor.begin_visit(self.chance, self.world.now)
            shows = again > 0 and self.chance.random() < again
            await self.get(visitor, self.chance.choice(targets), again=shows)
            await self.noise()
            await self.pause(gap)

    async def _plain(self, target: str, lines: Lines, address: str) -> None:
        step = self._begin(Step("GET", target))
        self._note(step, await self.client.get(target, lines, client=(address, 50_000)))

    def _begin(self, step: Step) -> Step:
        self.steps.append(step)
        return step

    def _note(self, step: Step, reply: Reply) -> None:
        step.status, step.hit = reply.status, reply.hit
        # A server sends no content of an answer to HEAD.
        step.body = b"" if step.method == "HEAD" else reply.body

    def _given(self, visitor: Visitor | None) -> tuple[Lines, str]:
        lines, address = self._lines(visitor)
        return self.alike.lines(lines), "81.2.3.4" if self.alike.has_one_address else address

    def _lines(self, visitor: Visitor | None) -> tuple[Lines, str]:
        """Field lines as the application gets them, and the address that it sees."""
        chance = self.chance
        if visitor is None:
            return [("host", self.host), ("user-agent", "python-httpx/0.28.1")], "10.0.8.5"
        lines = visitor.lines(self.host, chance)
        if not self.proxies:
            return lines, visitor.address
        trace = f"00-{chance.getrandbits(128):032x}-{chance.getrandbits(64):016x}-01"
        lines += [
            ("x-forwarded-for", visitor.address),
            ("x-forwarded-proto", "https"),
            ("x-request-id", f"{chance.getrandbits(128):032x}"),
            ("traceparent", trace),
        ]
        return lines, chance.choice(self.proxies)
