"""What tests of the middleware share: a client that notes messages, origins, a cache."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from urllib.parse import unquote

from asgi_multitier import CacheManager, CacheMiddleware, Policy, Rule
from asgi_multitier._types import ASGIApp, Headers, Message, Receive, Scope, Send
from asgi_multitier.testing import FakeClock
from tests.patience import PATIENCE

T = TypeVar("T")

EVERYTHING = (Rule("*", 300),)
"""Rules that cache everything for 5 minutes."""

HOST = (b"host", b"example.org")


@dataclass
class Reply:
    """The messages that a client got."""

    messages: list[Message] = field(default_factory=list)

    @property
    def start(self) -> Message:
        """The only `http.response.start`."""
        (start,) = [m for m in self.messages if m["type"] == "http.response.start"]
        return start

    @property
    def status(self) -> int:
        """The status code."""
        return int(self.start["status"])

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The field lines in order."""
        return [(bytes(name), bytes(value)) for name, value in self.start["headers"]]

    @property
    def body(self) -> bytes:
        """The content."""
        return b"".join(m.get("body", b"") for m in self.messages if m["type"].endswith(".body"))

    @property
    def complete(self) -> bool:
        """Whether the last message says that nothing follows."""
        last = self.messages[-1]
        return bool(last["type"] == "http.response.body" and not last.get("more_body", False))

    def all(self, name: str) -> list[bytes]:
        """The values of all lines of this name."""
        return [value for key, value in self.headers if key == name.encode()]

    def get(self, name: str) -> bytes | None:
        """The value of the only line of this name; None if there is none."""
        found = self.all(name)
        assert len(found) <= 1, found
        return found[0] if found else None

    @property
    def cache(self) -> str:
        """What `Cache-Status` says."""
        return (self.get("cache-status") or b"").decode().removeprefix("asgi-multitier; ")

    @property
    def hit(self) -> bool:
        """Whether the cache answered without the origin."""
        return self.cache.startswith("hit")

    @property
    def stored(self) -> bool:
        """Whether the origin's answer was stored."""
        return "stored" in self.cache.split("; ")

    @property
    def detail(self) -> str:
        """The reason in `Cache-Status`; "" if there is none."""
        found = re.search(r"detail=([\w-]+)", self.cache)
        return found[1] if found else ""


class Visit:
    """One request under way: its channel, and how to leave it.

    Attributes:
        body: What the request contains.
        reply: What has arrived so far.
        heard: Is set whenever something arrives.
    """

    def __init__(self, *, broken: bool = False, body: bytes = b"") -> None:
        self.body = body
        self.reply = Reply()
        self.heard = asyncio.Event()
        self.broken = broken
        self._gone = asyncio.Event()
        self._asked = False

    def leave(self) -> None:
        """The client closes the connection: the server says so, and takes nothing any more."""
        self._gone.set()
        self.broken = True

    async def receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.broken:
            raise OSError("the client is gone")
        self.reply.messages.append(message)
        self.heard.set()


class Answered(Visit):
    """A request after whose whole answer the server says that it is over, as servers do."""

    async def send(self, message: Message) -> None:
        await super().send(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._gone.set()


def scope_of(
    method: str,
    target: str,
    headers: Iterable[tuple[str | bytes, str | bytes]] = (),
    *,
    lines: list[tuple[bytes, bytes]] | None = None,
    **changes: Any,
) -> Scope:
    """The scope of a request.

    Args:
        method: The method.
        target: Path and query as sent.
        headers: Field lines; a sound `Host` is added unless there is one.
        lines: All field lines as they are, instead.
        **changes: Other values in the scope.
    """
    raw_path, _, query = target.partition("?")
    if lines is None:
        lines = [(_bytes(name).lower(), _bytes(value)) for name, value in headers]
        if not any(name == b"host" for name, _ in lines):
            lines.insert(0, HOST)
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(raw_path),
        "raw_path": raw_path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": lines,
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 80),
        **changes,
    }


def _bytes(text: str | bytes) -> bytes:
    return text.encode("latin-1") if isinstance(text, str) else text


class Client:
    """Speaks ASGI to an application, as a server would.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def request(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[str | bytes, str | bytes]] = (),
        *,
        visit: Visit | None = None,
        **changes: Any,
    ) -> Reply:
        """Send one request and wait until the application returns."""
        visit = visit or Visit()
        await self.app(scope_of(method, target, headers, **changes), visit.receive, visit.send)
        return visit.reply

    async def get(
        self, target: str, headers: Iterable[tuple[str | bytes, str | bytes]] = (), **changes: Any
    ) -> Reply:
        """A GET."""
        return await self.request("GET", target, headers, **changes)

    def begin(
        self,
        target: str,
        headers: Iterable[tuple[str | bytes, str | bytes]] = (),
        *,
        visit: Visit | None = None,
        **changes: Any,
    ) -> "asyncio.Task[Reply]":
        """Begin a GET in a task of its own."""
        return asyncio.create_task(self.get(target, headers, visit=visit, **changes))


Answer = Callable[[Scope, Receive, Send], Any]


class Origin:
    """An application without a framework that counts and notes what it is asked.

    Args:
        answer: Sends the response; by default its call number, as text.

    Attributes:
        scopes: The scopes of its calls.
        gate: Calls wait for it before they answer; open unless a test closes it.
        arrived: Calls that have reached the gate.
    """

    def __init__(self, answer: Answer | None = None) -> None:
        self.scopes: list[Scope] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Semaphore(0)
        self._answer = answer or self.count

    @property
    def calls(self) -> int:
        """How often it was called."""
        return len(self.scopes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        self.arrived.release()
        await self.gate.wait()
        await self._answer(scope, receive, send)

    async def count(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the number of the call."""
        await respond(send, b"%d" % self.calls)


async def respond(
    send: Send,
    body: bytes = b"hello",
    *lines: tuple[bytes, bytes],
    status: int = 200,
    length: bool = True,
) -> None:
    """Send a whole response in one body message, with its length unless told otherwise."""
    headers = [*lines]
    if length:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def answering(
    body: bytes = b"hello", *lines: tuple[bytes, bytes], status: int = 200, length: bool = True
) -> Answer:
    """An answer that is always the same."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, body, *lines, status=status, length=length)

    return answer


@dataclass
class Cache:
    """A cached application in a test.

    Attributes:
        client: Speaks to the middleware.
        middleware: The middleware.
        manager: Its manager.
        clock: The manager's clock.
    """

    client: Client
    middleware: CacheMiddleware
    manager: CacheManager
    clock: FakeClock

    @property
    def get(self) -> Any:
        """`Client.get`."""
        return self.client.get


@asynccontextmanager
async def caching(
    app: ASGIApp,
    rules: Iterable[Rule] = EVERYTHING,
    *,
    default: Policy | None = None,
    **settings: Any,
) -> AsyncIterator[Cache]:
    """An application behind the middleware, in memory only; at the end no task may be left.

    Args:
        app: The application.
        rules: Rules.
        default: The policy for what no rule matches.
        **settings: What `CacheManager` takes.
    """
    before = asyncio.all_tasks()
    clock = FakeClock()
    # To look for a name would search all that the tests' modules hold.
    settings = {"redis_url": None, "namespace": "test", "clock": clock, "wall": clock, **settings}
    manager = CacheManager(**settings)
    middleware = CacheMiddleware(app, manager, rules=tuple(rules), default=default)
    try:
        yield Cache(Client(middleware), middleware, manager, clock)
    finally:
        await manager.close()
    await settled()

    assert asyncio.all_tasks() - before == set()
    assert len(manager.engine.flights) == 0


async def settled(rounds: int = 20) -> None:
    """Let everything run that is ready to run."""
    for _ in range(rounds):
        await asyncio.sleep(0)


async def pass_time(seconds: float) -> None:
    """Let the event loop's clock run ahead, and everything run that is due by then.

    Timers, deadlines and `asyncio.sleep` go by that clock; what takes another one does not notice.
    What has been begun sets its timers first.
    """
    await settled()
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds  # type: ignore[method-assign]
    await settled()


def stop_time() -> None:
    """Let the event loop's clock stand still from here on, but for `pass_time`.

    What is to happen at a moment then does not happen early where the machine stalls.
    """
    loop = asyncio.get_running_loop()
    now = loop.time()
    loop.time = lambda: now  # type: ignore[method-assign]


def timers() -> int:
    """How many timers of the event loop are set: each holds what it is to call."""
    scheduled: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    return sum(not timer.cancelled() for timer in scheduled)


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """What it returns; fails if it waits for anything at all."""
    try:
        work.send(None)
    except StopIteration as end:
        return cast("T", end.value)
    work.close()
    raise AssertionError("it waits for something")


async def until_told(
    client: Client, target: str, body: bytes, seconds: float = 5.0, step: float = 0.002
) -> None:
    """Ask until the answer is this body; fail if it takes far too long."""
    async with asyncio.timeout(seconds * PATIENCE):
        while (await client.get(target)).body != body:  # noqa: ASYNC110  # as `until`
            await asyncio.sleep(step)


def plain(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The field lines without what the cache adds."""
    return [line for line in headers if line[0] not in (b"age", b"cache-status")]
