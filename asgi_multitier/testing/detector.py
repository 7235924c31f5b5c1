"""The detector of undeclared inputs: does a cached response depend on more than its key covers?

While it is on, each request whose response is shared is put to the application once more, as it
came and with only what its key covers. Where the two answers differ, it takes the inputs away one
by one to find which of them made the difference. Where the application answers one request in two
ways, as with the time of day in it, nothing can be said, and that part is left out.
"""

import asyncio
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from .._types import ASGIApp, Message, Receive, Scope, Send
from ..asgi.lifespan import give_state
from ..asgi.middleware import CacheMiddleware
from ..policy.content import WITH_CONTENT
from ..policy.status_field import cache_status
from .inputs import Input, SharedRequest

_asking: ContextVar[bool] = ContextVar("asgi_multitier_detector", default=False)

_ANSWERED = frozenset(("GET", "HEAD", *WITH_CONTENT))
"""Methods of requests that may be answered by a shared response."""

_SHOWN = 60
"""Characters of an answer that a finding shows."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A response that depends on what its key does not cover.

    Attributes:
        url: Path and query of the request.
        route: The route's path template.
        inputs: What made the difference: `"field accept-currency"`, `"cookie theme"`,
            `"query parameter page"`.
        text: The whole finding in words.
    """

    url: str
    route: str
    inputs: tuple[str, ...]
    text: str


@dataclass(eq=False)
class Detector:
    """What was found.

    Attributes:
        findings: One for each route and input; clear it to let the test pass.
        compared: Routes that were asked twice; paths where no route is known.
    """

    findings: list[Finding] = field(default_factory=list)
    compared: set[str] = field(default_factory=set)

    def add(self, finding: Finding) -> None:
        """Add a finding, unless there is one of this route and input."""
        known = {(one.route, one.inputs) for one in self.findings}
        if (finding.route, finding.inputs) not in known:
            self.findings.append(finding)

    def check(self) -> None:
        """Fail if anything was found.

        Raises:
            AssertionError: With all findings in words.
        """
        found, self.findings[:] = list(self.findings), []
        if found:
            raise AssertionError("\n\n".join(one.text for one in found))


_on: list[Detector] = []


@contextmanager
def detecting() -> Iterator[Detector]:
    """Compare the answers to all requests inside; they may be in any thread."""
    if _on:
        # Two fixtures of one test: the first collects.
        yield _on[0]
        return
    detector = Detector()
    original = CacheMiddleware.__call__
    _on.append(detector)
    CacheMiddleware.__call__ = _watching(original)  # type: ignore[method-assign]
    try:
        yield detector
    finally:
        CacheMiddleware.__call__ = original  # type: ignore[method-assign]
        _on.remove(detector)


def _watching(original: Any) -> Any:
    @wraps(original)
    async def called(self: CacheMiddleware, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _ANSWERED or _asking.get():
            await original(self, scope, receive, send)
            return
        came = {**scope, "headers": list(scope["headers"])}
        lines: list[Any] = []
        content = bytearray()

        async def reading() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                content.extend(message.get("body", b""))
            return message

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                lines[:] = list(message.get("headers", ()))
            await send(message)

        await original(self, scope, reading, noting)
        status = cache_status(lines)
        if status.may_be_shared:
            token = _asking.set(True)
            try:
                await _compare(self, came, bytes(content))
            finally:
                _asking.reset(token)

    return called


async def _compare(cache: CacheMiddleware, scope: Scope, content: bytes) -> None:
    """Ask the application both ways, and add a finding where the answers differ."""
    request = SharedRequest.of(cache, scope, content)
    if request is None:
        return
    ask = _Ask(cache, request)
    whole = await ask()
    uncovered = await request.uncovered(whole.lines)
    _on[0].compared.add(request.route or request.url.partition("?")[0])
    if not uncovered:
        return
    reduced = await ask(uncovered)
    if whole.differs(reduced) and (parts := whole.differs(reduced, but=whole.differs(await ask()))):
        ours = await _culprits(ask, whole, uncovered, parts)
        _on[0].add(_finding(request, ours, whole, reduced, parts))


async def _culprits(
    ask: "_Ask", whole: "AppAnswer", uncovered: list[Input], parts: set[str]
) -> list[Input]:
    """Which of the inputs make the difference: one by one, or all where none does alone."""
    found = [one for one in uncovered if whole.differs(await ask([one])) & parts]
    return found or uncovered


@dataclass(frozen=True, slots=True)
class AppAnswer:
    """What the application answered.

    Attributes:
        status: The status code; 0 if it raised.
        lines: The field lines, lower-case.
        body: The content, or the exception.
    """

    status: int
    lines: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def differs(self, other: "AppAnswer", but: set[str] | None = None) -> set[str]:
        """The parts that are not the same: `status`, `body`, names of fields."""
        names = {name for name, _ in (*self.lines, *other.lines)} - _OWN
        parts = {
            f"field {name.decode()}"
            for name in names
            if [v for n, v in self.lines if n == name] != [v for n, v in other.lines if n == name]
        }
        parts |= {"status"} if self.status != other.status else set()
        parts |= {"body"} if self.body != other.body else set()
        if "body" in (but or ()):
            parts.discard("field content-length")
        return parts - (but or set())

    def shown(self, part: str) -> str:
        """A part of it, in short."""
        if part == "status" or not self.status:
            return str(self.status) if self.status else self.body.decode(errors="replace")
        if part == "body":
            text = self._content().decode("utf-8", "replace")
        else:
            name = part.removeprefix("field ").encode()
            text = b", ".join(v for n, v in self.lines if n == name).decode("latin-1") or "absent"
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."

    def _content(self) -> bytes:
        """The content without its coding, where that is gzip."""
        if (b"content-encoding", b"gzip") not in self.lines:
            return self.body
        try:
            return gzip.decompress(self.body)
        except (OSError, EOFError, zlib.error):
            return self.body


_OWN = frozenset({b"date", b"age", b"server", b"connection"})
"""Fields of one message, not of what it answers."""


class _Ask:
    """Asks the application without the cache."""

    def __init__(self, cache: CacheMiddleware, request: SharedRequest) -> None:
        self._app: ASGIApp = cache.app
        self._manager = cache.manager
        self._request = request

    async def __call__(self, left_out: "list[Input] | tuple[()]" = ()) -> AppAnswer:
        """Its answer where these inputs are left out."""
        scope = self._request.without(left_out)
        if "state" in scope:
            scope["state"] = dict(scope["state"])
        give_state(scope, self._manager)
        messages: list[Message] = []
        done = asyncio.Event()
        asked = False

        async def receive() -> Message:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": self._request.content, "more_body": False}
            await done.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            messages.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                done.set()

        try:
            await self._app(scope, receive, send)
        except Exception as error:  # noqa: BLE001  # to raise is an answer as well
            if not messages:
                return AppAnswer(0, (), f"{type(error).__name__}: {error}".encode())
        start = next((m for m in messages if m["type"] == "http.response.start"), None)
        if start is None:
            return AppAnswer(0, (), b"no response")
        lines = tuple((bytes(n).lower(), bytes(v)) for n, v in start.get("headers", ()))
        parts = (m.get("body", b"") for m in messages if m["type"] == "http.response.body")
        return AppAnswer(start["status"], lines, b"".join(parts))


def _finding(
    request: SharedRequest, ours: list[Input], whole: AppAnswer, reduced: AppAnswer, parts: set[str]
) -> Finding:
    part = next((one for one in ("status", "body") if one in parts), min(parts))
    named = tuple(map(str, ours))
    values = ", ".join(one.shown for one in ours)
    method = request.scope["method"]
    where = f"{method} {request.url} (route {request.route or 'unknown'})"
    what = f"its response depends on {' and '.join(named)}, which its key does not cover"
    lines = [
        f"{where} is cached, and {what}: clients with another value get the same copy",
        f"with    {values}: {part} {whole.shown(part)}",
        f"without {values}: {part} {reduced.shown(part)}",
        "what to do: " + "; ".join(dict.fromkeys(one.cure for one in ours)),
    ]
    return Finding(request.url, request.route, named, "\n".join(lines))
