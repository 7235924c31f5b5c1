"""What leaves the application for a guarded request, and what its client gets of it.

The layers of the application see a whole answer to a GET without conditions. Validators, ranges,
the answer to HEAD, `Age` and `Cache-Status` are finished here, on the content that really leaves: a
layer may have compressed it or put it into an envelope.
"""

import asyncio
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from ..._types import Header, Headers, Message, Scope, Send
from ...engine.engine import Engine
from ...entry import StoredResponse
from ...policy import cache_status
from ...policy.cache_status import Forward
from ...policy.downstream import told_unless_public
from ...policy.headers import content_length, normalised
from ...policy.reasons import Reason
from ...policy.request import chosen_by
from ...policy.storing import retagged, stored_validators
from ...policy.validation import unconditional
from ..framework import FILL_KEY
from ..layers import publish
from ..replay import aged, answer
from ..request import Request
from ..sending import without_content
from .made import Made
from .origin import EndpointOrigin
from .sink import Sink

_FILES = ("http.response.pathsend", "http.response.zerocopysend")


@dataclass(frozen=True, slots=True)
class Shown:
    """What the function around the endpoint has given the framework.

    Attributes:
        body: The content.
        age: Seconds since it was generated; None for a new one.
        member: What `Cache-Status` is to say; None if the run says it.
    """

    body: bytes
    age: float | None = None
    member: bytes | None = None


class Story(Protocol):
    """The story of a request that is not a plain hit.

    Attributes:
        reason: Why it passes by the cache, if it does.
        origin: Its endpoint as the origin of a run.
        task: The story; None until it is asked.
        sink: What it says.
    """

    reason: Reason | None
    origin: EndpointOrigin | None
    task: "asyncio.Task[None] | None"
    sink: Sink


class Leaving:
    """The channel between the application and the client of one guarded request.

    Args:
        engine: The cache.
        request: The request as it came.
        story: How it is answered.
        send: The client's channel.
    """

    def __init__(self, engine: Engine, request: Request, story: Story, send: Send) -> None:
        self._engine = engine
        self._request = request
        self._story = story
        self._send = without_content(send) if request.method == "HEAD" else send
        self._made: Made | None = None
        self._shown: Shown | None = None
        self._start: Message | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._sent = False
        self._over = False

    @cached_property
    def scope(self) -> Scope:
        """The request as the application gets it: for the whole answer, with all its cookies."""
        request = self._request
        scope = {**request.scope, "method": "GET", FILL_KEY: self._engine}
        scope["headers"] = list(unconditional(normalised(request.scope["headers"])))
        if extensions := scope.get("extensions"):
            scope["extensions"] = {k: v for k, v in extensions.items() if k not in _FILES}
        return scope

    def show(self, shown: Shown) -> None:
        """The framework has a whole answer that comes from the cache."""
        self._shown = shown

    def lead(self, made: Made) -> None:
        """The framework has the answer of the endpoint, which runs for all that wait."""
        self._made = made
        if made.body is not None:
            self._shown = Shown(made.body)

    # From the application.

    async def send(self, message: Message) -> None:
        """One message of the application."""
        if self._over:
            return
        kind = message["type"]
        if kind == "http.response.start" and not self._sent:
            await self._begin(message)
        elif self._start is not None and kind == "http.response.body":
            await self._take(message)
        else:
            await self._flush()
            await self._send(message)

    async def finish(self) -> None:
        """The application has returned: what is held goes out."""
        await self._flush()

    async def replaced(self) -> bool:
        """The application raised: whether its client gets something stale instead."""
        if self._sent or self._over:
            return self._over
        return await self._replace(500)

    async def _begin(self, message: Message) -> None:
        publish(self.scope, self._request.scope)
        status = message["status"]
        if status >= 500:
            if await self._replace(status):
                return
        else:
            await self._answer_run(status)
        self._start = message
        if self._shown is None or status >= 500:
            await self._flush()

    async def _take(self, message: Message) -> None:
        """Content of a whole answer: held until it is all here, as layers cut it into pieces."""
        chunk = bytes(message.get("body", b""))
        self._body.append(chunk)
        self._size += len(chunk)
        assert self._start is not None  # noqa: S101  # the caller has seen it
        headers = normalised(self._start.get("headers", ()))
        if not message.get("more_body", False) or self._size == content_length(headers):
            await self._complete(self._start, headers, b"".join(self._body))
        elif self._size > self._engine.config.max_entry:
            await self._flush()

    # The run.

    async def _answer_run(self, status: int) -> None:
        """The framework sends an answer: the run has what it asked for."""
        story, made = self._story, self._made
        if story.origin is None or not story.origin.wanted.done():
            return
        if made is None or (made.body is None and not made.streams):
            story.origin.refuse(status)
        else:
            story.origin.answer(made.status, made.lines, made.body)
        if made is None or not made.streams:
            await self._told()

    async def _replace(self, status: int) -> bool:
        """The request fails: whether something stale stands in, for this client as for others."""
        story = self._story
        if story.origin is None or not story.origin.wanted.done():
            return False
        story.origin.refuse(status)
        await self._told()
        sink = story.sink
        if not sink.complete or sink.status >= 500:
            return False
        self._over = True
        await self._answer(sink.status, tuple(sink.own_lines), sink.body, sink.age, sink.member)
        return True

    async def _told(self) -> None:
        """Wait until the run has said what became of the answer."""
        task, sink = self._story.task, self._story.sink
        if task is not None:
            await asyncio.wait({task, sink.told}, return_when=asyncio.FIRST_COMPLETED)

    # To the client.

    async def _complete(self, start: Message, headers: Headers, body: bytes) -> None:
        """All of the answer is here."""
        self._over, self._start = True, None
        shown = self._shown
        assert shown is not None  # noqa: S101  # else it is not held
        headers = retagged(headers, shown.body, body, start["status"])
        await self._answer(start["status"], headers, body, shown.age, shown.member or self._member)

    async def _answer(
        self, status: int, lines: Headers, body: bytes, age: float | None, member: bytes
    ) -> None:
        wall, request = self._engine.wall(), self._request
        lines = self._advised(lines)
        response = StoredResponse(status, lines, body, *stored_validators(lines, wall))
        shown = lines if age is None else aged(lines, age)
        self._sent = True
        for message in answer(
            response,
            shown,
            member,
            method=request.method,
            request_headers=request.headers,
            received=wall - (age or 0.0),
            now=wall,
        ):
            await self._send(message)

    async def _flush(self) -> None:
        """Send on what is held, and from here on what comes."""
        start, chunks = self._start, self._body
        if start is None:
            return
        self._start, self._body = None, []
        self._sent = True
        lines: list[Header] = list(self._advised(normalised(start.get("headers", ()))))
        await self._send({**start, "headers": [*lines, (cache_status.NAME, self._member)]})
        for chunk in chunks:
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    @property
    def _member(self) -> bytes:
        """What `Cache-Status` says of an answer that is not the cache's own."""
        story = self._story
        if story.reason is not None:
            return cache_status.forwarded(Forward.BYPASS, detail=story.reason)
        return story.sink.member or cache_status.forwarded(Forward.URI_MISS)

    def _advised(self, lines: Headers) -> Headers:
        """With what caches downstream need to know."""
        chosen = chosen_by(self._request.found, cookies=False)
        return told_unless_public(lines, self._request.plan.terms, chosen)
