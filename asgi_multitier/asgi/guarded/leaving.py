"""What leaves the application for a guarded request, and what its client gets of it.

The layers of the application see a whole answer to a GET without conditions. Content codings,
validators, ranges, the answer to HEAD, `Age` and `Cache-Status` are finished here, on the content
that really leaves: a layer may have compressed it or put it into an envelope.
"""

from typing import Protocol

from msgspec.structs import replace

from ..._types import Header, Headers, Message, Scope, Send
from ...engine.engine import Engine
from ...entry import Slot, StoredResponse
from ...policy import cache_status
from ...policy.cache_status import Forward
from ...policy.downstream import is_public, told_unless_public
from ...policy.encoded import is_encodable
from ...policy.headers import content_length, normalised, without
from ...policy.reasons import Reason
from ...policy.request import CHOICES, choosing_fields
from ...policy.storing import retagged, stored_validators
from ..layers import publish
from ..replay import AGE, age_line, answer, response_messages
from ..representation import represented
from ..request import Request
from ..sending import without_content
from ..traced import note
from .made import OWN_FIELDS, Shown
from .miss import Miss
from .replay import GuardedReplay


class Story(Protocol):
    """How a guarded request is answered.

    Attributes:
        scope: The request as the application gets it.
        reason: Why it passes by the cache, if it does.
        miss: What asks for its answer; None if nothing has to.
        replay: What a plain hit is answered with; None if it is none.
        slot: Where that is stored.
        added: Field lines of this request alone, at the end of what a plain hit leaves with.
        shown: The whole response that the framework has got; None if it has another.
    """

    scope: Scope
    reason: Reason | None
    miss: Miss | None
    replay: GuardedReplay | None
    slot: Slot | None
    added: Headers

    @property
    def shown(self) -> Shown | None: ...


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
        self._start: Message | None = None
        self._shown: Shown | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._sent = False
        self._over = False

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

    async def fail(self) -> None:
        """The application has raised: its client may get something stale instead."""
        if not (self._sent or self._over):
            await self._replace(500)

    async def _begin(self, message: Message) -> None:
        """The start of the answer; a plain hit's is held, as nothing waits for that."""
        if self._story.reason is not None:
            note(self._engine, "pass", reason=self._story.reason)
        publish(self._story.scope, self._request.scope)
        self._shown = self._story.shown
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
        miss = self._story.miss
        if miss is None or not miss.origin.wanted.done():
            return
        made = miss.made
        if made is None or (made.body is None and not made.streams):
            miss.origin.refuse(status)
        else:
            miss.origin.answer(made.status, made.lines, made.body)
        if made is None or not made.streams:
            await miss.told()

    async def _replace(self, status: int) -> bool:
        """The request fails: whether something stale stands in, for this client as for others."""
        miss = self._story.miss
        if miss is None or not miss.origin.wanted.done():
            return False
        miss.origin.refuse(status)
        await miss.told()
        sink = miss.sink
        if not sink.complete or sink.status >= 500:
            return False
        self._over = True
        response = self._left(sink.status, tuple(sink.own_lines), sink.body)
        told, received = self._advised(response.headers), self._received(sink.age)
        await self._answer(response, told, sink.age, sink.member, received, miss.slot)
        return True

    # To the client.

    async def _complete(self, start: Message, body: bytes) -> None:
        """All of the answer is here."""
        self._over, self._start = True, None
        shown = self._shown
        assert shown is not None  # noqa: S101  # else it is not held
        sent, added = list(start.get("headers", ())), self._story.added
        if added and tuple(sent[-len(added) :]) == added:
            sent = sent[: -len(added)]
        else:
            added = ()
        replay = self._story.replay
        # What comes back as it was stored is not held twice.
        as_stored = replay is not None and tuple(sent) == replay.given
        lines = tuple(sent) if as_stored else normalised(sent)
        headers = retagged(lines, shown.body, body, start["status"])
        response = self._left(start["status"], headers, body)
        told = self._advised(response.headers)
        if replay is not None and body is shown.body:
            # Other content would be held besides what is accounted for.
            plan = self._request.plan
            encodable = bool(plan.offers) and is_encodable(response.headers, plan.terms.targeted)
            replay.has_left(sent, replace(response, headers=told), encodable=encodable)
        if added:
            told = (*told, *normalised(added))
        # Other content, which a layer has put in its place, has no date, and is not stored.
        same = body == shown.body
        received, slot = (self._received(shown.age), self._slot) if same else (None, None)
        member = shown.member or self._member
        await self._answer(response, told, shown.age, member, received, slot)

    @property
    def _slot(self) -> Slot | None:
        """Where the content is stored that the framework was given; None if that is not known."""
        story = self._story
        return story.slot if story.miss is None else story.miss.slot

    def _left(self, status: int, lines: Headers, body: bytes) -> StoredResponse:
        """A whole response as it has left the application."""
        lines = without(lines, {AGE, OWN_FIELDS})
        return StoredResponse(status, lines, body, *stored_validators(lines, self._engine.wall()))

    def _received(self, age: float | None) -> float:
        """When the age of a response was 0, in Unix seconds."""
        return self._engine.wall() - (age or 0.0)

    async def _answer(
        self,
        response: StoredResponse,
        told: Headers,
        age: float | None,
        member: bytes,
        received: float | None,
        slot: Slot | None,
    ) -> None:
        """Send the whole answer, in a coding that its client accepts, or what it has asked for."""
        request = self._request
        lines = told if age is None else (*told, age_line(age))
        response, lines = represented(self._engine, request, response, lines, slot)
        if CHOICES.isdisjoint(request.found):
            await self._send_all(response.status, lines, member, response.body)
            return
        self._sent = True
        for message in answer(
            response,
            lines,
            member,
            method=request.method,
            request_headers=request.headers,
            received=received,
            now=self._engine.wall(),
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
        told = b"" if story.miss is None else story.miss.sink.member
        return told or cache_status.forwarded(Forward.URI_MISS)

    def _advised(self, lines: Headers) -> Headers:
        """With what caches downstream need to know."""
        if self._story.reason is None and is_public(lines):
            self._engine.events.guarded_is_public(self._request.label)
        chosen = choosing_fields(self._request.found, cookies=False)
        return told_unless_public(lines, self._request.plan.terms, chosen)


def _length_of(start: Message) -> int | None:
    """The length of the content that a start announces."""
    return content_length(normalised(start.get("headers", ())))
