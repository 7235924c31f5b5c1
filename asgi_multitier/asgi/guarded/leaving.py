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
from ...entry import Slot, StoredResponse
from ...policy import cache_status
from ...policy.cache_status import Forward
from ...policy.downstream import told_unless_public
from ...policy.headers import content_length, end_to_end, normalised, without
from ...policy.reasons import Reason
from ...policy.request import Field, chosen_by
from ...policy.storing import retagged, stored_validators
from ...policy.validation import IF_NONE_MATCH, NOT_FORWARDED, not_modified_headers
from ..framework import FILL_KEY
from ..layers import publish
from ..replay import AGE, age_line, answer, response_messages
from ..request import Request
from ..sending import without_content
from .made import OWN_FIELDS, Made
from .origin import EndpointOrigin
from .sink import Sink

_CHOICES = frozenset((Field.CONDITION, Field.RANGE))
"""What lets a request get less than the whole answer."""

_FILES = ("http.response.pathsend", "http.response.zerocopysend")


@dataclass(slots=True)
class Shown:
    """What the function around the endpoint has given the framework.

    Attributes:
        body: The content.
        age: Seconds since it was generated; None for a new one.
        member: What `Cache-Status` is to say; None if the run says it.
        slot: Where it is stored, if it is a plain hit; what was made of its lines is kept there.
    """

    body: bytes
    age: float | None = None
    member: bytes | None = None
    slot: Slot | None = None


@dataclass(frozen=True)
class Finished:
    """What was made of an answer that left with these field lines, for the next that does.

    Attributes:
        sent: The field lines as the application sent them.
        response: What is told to clients, with the content's validators.
    """

    sent: tuple[object, ...]
    response: StoredResponse

    @cached_property
    def unchanged(self) -> Headers:
        """The field lines of a 304."""
        return not_modified_headers(end_to_end(self.response.headers))

    def fits(self, status: int, sent: tuple[object, ...], body: bytes) -> bool:
        """Whether this answer is told as that one was."""
        told = self.response
        return told.status == status and self.sent == sent and told.body == body


class Story(Protocol):
    """The story of a request that is not a plain hit.

    Attributes:
        reason: Why it passes by the cache, if it does.
        origin: Its endpoint as the origin of a run.
        task: The story; None until it is asked.
        sink: What it says; None until it is asked.
    """

    reason: Reason | None
    origin: EndpointOrigin | None
    task: "asyncio.Task[None] | None"
    sink: Sink | None


class Leaving:
    """The channel between the application and the client of one guarded request.

    Args:
        engine: The cache.
        request: The request as it came.
        story: How it is answered.
        send: The client's channel.

    Attributes:
        scope: The request as the application gets it.
    """

    def __init__(self, engine: Engine, request: Request, story: Story, send: Send) -> None:
        self._engine = engine
        self._request = request
        self._story = story
        self._send = without_content(send) if request.method == "HEAD" else send
        self._chosen = not _CHOICES.isdisjoint(request.found)
        self.scope = self._for_application()
        self._made: Made | None = None
        self._shown: Shown | None = None
        self._start: Message | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._sent = False
        self._over = False

    def _for_application(self) -> Scope:
        """The request as the application gets it: for the whole answer, with all its cookies."""
        request = self._request
        scope = {**request.scope, "method": "GET", FILL_KEY: self._engine}
        headers = request.scope["headers"]
        if self._chosen:
            headers = [line for line in headers if line[0].lower() not in NOT_FORWARDED]
        scope["headers"] = list(headers)
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
        """The start of the answer; a plain hit's is held, as nothing waits for that."""
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
        chunk = bytes(message.get("body", b""))  # the same object, if it is bytes
        self._body.append(chunk)
        self._size += len(chunk)
        start = self._start
        assert start is not None  # noqa: S101  # the caller has seen it
        if not message.get("more_body", False) or self._size == _length_of(start):
            await self._complete(start, chunk if len(self._body) == 1 else b"".join(self._body))
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
        if sink is None or not sink.complete or sink.status >= 500:
            return False
        self._over = True
        response = self._told_of(sink.status, tuple(sink.own_lines), sink.body)
        await self._answer(response, sink.age, sink.member)
        return True

    async def _told(self) -> None:
        """Wait until the run has said what became of the answer."""
        task, sink = self._story.task, self._story.sink
        if task is not None and sink is not None:
            await asyncio.wait({task, sink.told}, return_when=asyncio.FIRST_COMPLETED)

    # To the client.

    async def _complete(self, start: Message, body: bytes) -> None:
        """All of the answer is here."""
        self._over, self._start = True, None
        shown = self._shown
        assert shown is not None  # noqa: S101  # else it is not held
        done = self._finished(shown, start, body)
        member = shown.member or self._member
        if shown.age is not None and done.response.status == 200 and self._has(done.response.etag):
            await self._send_all(304, (*done.unchanged, age_line(shown.age)), member, b"")
        else:
            await self._answer(done.response, shown.age, member)

    def _has(self, etag: bytes | None) -> bool:
        """Whether the client has exactly this: what browsers ask; all else is for `answer`."""
        found = self._request.found
        conditions = found.get(Field.CONDITION, ())
        if etag is None or len(conditions) != 1 or Field.RANGE in found:
            return False
        name, value = conditions[0]
        return value == etag and name.lower() == IF_NONE_MATCH

    def _finished(self, shown: Shown, start: Message, body: bytes) -> Finished:
        """The answer as clients are told of it.

        Most hits leave as the last one did: what was made of that is still right.
        """
        sent, slot = tuple(start.get("headers", ())), shown.slot
        known = None if slot is None else slot.replay
        if isinstance(known, Finished) and known.fits(start["status"], sent, body):
            return known
        headers = retagged(normalised(sent), shown.body, body, start["status"])
        done = Finished(sent, self._told_of(start["status"], headers, body))
        if slot is not None and body is shown.body:
            # Other content would be held besides what is accounted for.
            slot.replay = done
        return done

    def _told_of(self, status: int, lines: Headers, body: bytes) -> StoredResponse:
        lines = self._advised(without(lines, {AGE, OWN_FIELDS}))
        return StoredResponse(status, lines, body, *stored_validators(lines, self._engine.wall()))

    async def _answer(self, response: StoredResponse, age: float | None, member: bytes) -> None:
        """Send the whole answer, or what its client has asked for of it."""
        lines = response.headers if age is None else (*response.headers, age_line(age))
        if not self._chosen:
            await self._send_all(response.status, lines, member, response.body)
            return
        wall, request = self._engine.wall(), self._request
        self._sent = True
        for message in answer(
            response,
            lines,
            member,
            method=request.method,
            request_headers=request.headers,
            received=wall - (age or 0.0),
            now=wall,
        ):
            await self._send(message)

    async def _send_all(self, status: int, lines: Headers, member: bytes, body: bytes) -> None:
        self._sent = True
        for message in response_messages(status, (*lines, (cache_status.NAME, member)), body):
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
        told = b"" if story.sink is None else story.sink.member
        return told or cache_status.forwarded(Forward.URI_MISS)

    def _advised(self, lines: Headers) -> Headers:
        """With what caches downstream need to know."""
        chosen = chosen_by(self._request.found, cookies=False)
        return told_unless_public(lines, self._request.plan.terms, chosen)


def _length_of(start: Message) -> int | None:
    """The length of the content that a start announces."""
    return content_length(normalised(start.get("headers", ())))
