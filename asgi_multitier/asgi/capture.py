"""The origin's `send`: keeps a copy of a response that may be stored, streams any other.

A response is judged at `http.response.start`. What may not be stored goes to the client from its
first message on, untouched. Of what may be stored, the start is held until the first body message
tells whether that is all:

- It is (the usual case): the entry is committed, and only then does the client hear anything, so
  it can be given the content's own validator.
- It is not: the client gets every message as it comes, a copy is kept within the limit, and the
  entry is committed before the last message goes out. No stream waits for its end.
- Nothing comes: after `HOLD` seconds the client gets what there is, and the rest as it comes.

A message of a kind that is not known here makes the response its client's alone: what is sent again
must be all that was sent.
"""

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol, Self

from .._types import Headers, Message, Receive, Send
from ..policy.headers import content_length, normalised
from ..policy.ranges import is_complete
from ..policy.reasons import Reason
from ..policy.storing import Store

HOLD = 0.25
"""Seconds that a client waits for what is held: its last message may never come."""


class Client:
    """The client that caused a run: its channel, and whether it is still there.

    Attributes:
        receive, send: Its channel.
        left: Is done when it has left, or has had all that it gets.
    """

    __slots__ = ("left", "receive", "send")

    def __init__(self, receive: Receive, send: Send) -> None:
        self.receive = receive
        self.send = send
        self.left: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def gone(self) -> bool:
        """Whether it has left, or has had all that it gets."""
        return self.left.done()

    def leave(self) -> None:
        """It has left, or has had all that it gets."""
        if not self.left.done():
            self.left.set_result(None)


class Unheard(OSError):  # noqa: N818  # an outcome, not a fault
    """Nobody is left to hear the rest of this response, and it is not stored: it may end here."""


class Discard(Enum):
    """A judgement beside `Store` and `Reason`: another response takes this one's place."""

    DISCARD = auto()


class Desk(Protocol):
    """Who decides about a captured response. Called synchronously, in this order."""

    def judge(self, status: int, headers: Headers) -> Store | Reason | Discard:
        """May it be stored? Called at `http.response.start`."""

    def pass_on(self, reason: Reason, status: int, headers: Headers) -> Headers:
        """It will not be stored: release who waits. Returns the field lines for the client."""

    def opening(self, headers: Headers) -> Headers:
        """It is sent on while it comes. Returns the field lines for the client."""

    def streams(self) -> None:
        """More of its content is to come, who knows when."""

    def commit(self, store: Store, status: int, headers: Headers, body: bytes) -> None:
        """It is complete: store it and release who waits."""

    def closing(self) -> list[Message]:
        """What a client gets that has not heard anything yet, after a commit or a `Discard`."""

    def spoilt(self, reason: Reason) -> None:
        """A response that was held back is not complete: nobody has heard of it."""

    def declines(self, reason: Reason, status: int, headers: Headers) -> bool:
        """It will not be stored, and is not what its client asked for: nobody is to hear of it."""

    def spared(self, status: int, headers: Headers) -> list[Message]:
        """What its client gets in its place at once, as it has it already; else nothing."""


class _State(Enum):
    NEW = auto()
    HELD = auto()
    TEE = auto()
    PASS = auto()
    DONE = auto()
    DISCARD = auto()


class Capture:
    """The `send` of one run of the origin.

    Args:
        desk: Who decides.
        client: Whom the response is for; None for a background run.
        limit: Bytes of body kept at most.

    Attributes:
        holds_back: Nothing goes to the client before the response is complete: it is only half of
            an answer. Set while it is judged.
    """

    __slots__ = (
        "_abandoned",
        "_body",
        "_client",
        "_desk",
        "_length",
        "_limit",
        "_opening",
        "_overdue",
        "_size",
        "_start",
        "_state",
        "_store",
        "_streams",
        "holds_back",
    )

    def __init__(self, desk: Desk, client: Client | None, *, limit: int) -> None:
        self._desk = desk
        self._client = client
        self._limit = limit
        self._state = _State.NEW
        self._start: Message = {}
        self._store: Store | None = None
        self._length: int | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._abandoned = False
        self._streams = False
        self._overdue: asyncio.TimerHandle | None = None
        self._opening: asyncio.Task[None] | None = None
        self.holds_back = False

    @property
    def started(self) -> bool:
        """Whether the origin has begun to answer."""
        return self._state is not _State.NEW

    @property
    def silent(self) -> bool:
        """Whether nobody has heard anything of the answer yet."""
        return self._client is None or self._state in (_State.NEW, _State.HELD)

    @property
    def streaming(self) -> bool:
        """Whether the run now serves its client alone."""
        return self._state is _State.PASS

    @property
    def finished(self) -> bool:
        """Whether the whole response was committed."""
        return self._state is _State.DONE

    async def send(self, message: Message) -> None:
        """Take one message of the origin."""
        if self._opening is not None:
            await self._opened(self._opening)
        kind = message["type"]
        if kind == "http.response.start" and self._state is _State.NEW:
            await self._begin(message)
        elif self._state in (_State.HELD, _State.TEE):
            if kind == "http.response.body":
                await self._take(message)
            else:
                await self._release(Reason.NOT_UNDERSTOOD, message)
        elif self._state not in (_State.DONE, _State.DISCARD):
            await self._forward(message)
        unheard = self._abandoned or (self.streaming and self._unheard)
        if unheard and message.get("more_body"):
            raise Unheard("nobody is left to hear the rest of this response")

    async def __aenter__(self) -> Self:
        """The origin runs inside."""
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        """It says no more: what is on its way to the client arrives first, unless all is off."""
        self._disarm()
        if self._opening is None:
            return
        try:
            if error is None or isinstance(error, Exception):
                await self._opening
        finally:
            if not self._opening.cancel() and not self._opening.cancelled():
                self._opening.exception()  # nobody may have asked for it

    async def finish(self) -> None:
        """The origin returned. What it left unfinished is not stored."""
        if self._state is _State.HELD:
            await self._release(Reason.INCOMPLETE)
        elif self._state is _State.TEE:
            self._desk.pass_on(Reason.INCOMPLETE, self._start["status"], ())
            self._state = _State.PASS

    async def let_go(self, told: Callable[[Headers], Headers]) -> None:
        """The origin failed after it had begun: the client gets what was held for its end.

        Args:
            told: Makes the field lines for the client out of the origin's.
        """
        if self._state is not _State.HELD or self.holds_back:
            return
        chunks, self._body = self._body, []
        headers = told(normalised(self._start.get("headers", ())))
        self._state = _State.PASS
        await self._forward({**self._start, "headers": list(headers)})
        await self._forward_chunks(chunks)

    async def deliver(self, message: Message) -> None:
        """Give the client a message in the origin's place: it failed before it said anything."""
        await self._forward(message)

    async def _begin(self, message: Message) -> None:
        headers = normalised(message.get("headers", ()))
        status = message["status"]
        self._start = message
        verdict = self._desk.judge(status, headers)
        if isinstance(verdict, Store):
            self._length = content_length(headers)
            if message.get("trailers"):
                verdict = Reason.TRAILERS
            elif self._length is not None and self._length > self._limit:
                verdict = Reason.OVERSIZED
            else:
                self._store = verdict
                self._state = _State.HELD
                if self._client is not None and not self.holds_back:
                    self._overdue = asyncio.get_running_loop().call_later(HOLD, self._open_late)
                return
        if isinstance(verdict, Discard):
            self._state = _State.DISCARD
            for reply in self._desk.closing():
                await self._forward(reply)
            return
        if self._desk.declines(verdict, status, headers):
            self._discard()
        elif self.holds_back:
            await self._release(verdict)
        else:
            await self._pass(verdict)

    async def _take(self, message: Message) -> None:
        chunk = bytes(message.get("body", b""))
        more = message.get("more_body", False)
        self._size += len(chunk)
        if self._size > self._limit:
            await self._release(Reason.OVERSIZED, message)
            return
        self._body.append(chunk)
        if not more:
            await self._complete(message)
            return
        if self._size != self._length and not self.holds_back and not self._streams:
            # More is to come.
            self._streams = True
            self._desk.streams()
            if self._state is _State.HELD:
                self._state = _State.TEE
                await self._open(self._body[:-1])
        if self._state is _State.TEE:
            await self._forward(message)

    def _open_late(self) -> None:
        """What is held has waited for long enough."""
        if self._state is not _State.HELD:
            return
        self._state = _State.TEE
        self._opening = asyncio.create_task(self._open(self._body[:]), name="asgi-multitier held")

    async def _opened(self, opening: "asyncio.Task[None]") -> None:
        """What was held goes out before anything else, also if the origin stops waiting for that.

        The message of an origin that stops waiting is lost, so what comes after it is not kept.
        """
        if not opening.done():
            try:
                await asyncio.wait({opening})
            except asyncio.CancelledError:
                await self.finish()
                raise
        opening.result()

    async def _open(self, held: list[bytes]) -> None:
        """From here on the client gets everything as it comes."""
        self._disarm()
        sent = normalised(self._start.get("headers", ()))
        headers = self._desk.opening(sent)
        if not await self._spare(sent):
            await self._forward({**self._start, "headers": list(headers)})
            await self._forward_chunks(held)

    def _disarm(self) -> None:
        """Nothing is held any more, or it is about to go out."""
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    async def _complete(self, message: Message) -> None:
        headers = normalised(self._start.get("headers", ()))
        if not is_complete(self._start["status"], headers, self._size) and not self._bodiless():
            await self._release(Reason.INCOMPLETE, message, kept=True)
            return
        assert self._store is not None  # noqa: S101  # held or teed: it was judged storable
        teed = self._state is _State.TEE
        body = b"".join(self._body)
        self._body.clear()
        # The entry is there before the client can know that its answer is complete.
        self._desk.commit(self._store, self._start["status"], headers, body)
        self._state = _State.DONE
        if teed:
            await self._forward(message)
        else:
            for reply in self._desk.closing():
                await self._forward(reply)

    def _bodiless(self) -> bool:
        """204 and 304 have no content whatever their Content-Length says (RFC 9110 §8.6)."""
        return self._start["status"] in (204, 304) and self._size == 0

    async def _release(
        self, reason: Reason, message: Message | None = None, *, kept: bool = False
    ) -> None:
        """What was kept turns out not to be storable: give the client what it has not had."""
        if self.holds_back:
            self._discard()
            self._desk.spoilt(reason)
            return
        teed = self._state is _State.TEE
        backlog, self._body = self._body[: -1 if kept else None], []
        if teed:
            self._desk.pass_on(reason, self._start["status"], ())
            self._state = _State.PASS
        else:
            await self._pass(reason)
            await self._forward_chunks(backlog)
        if message is not None:
            await self._forward(message)

    async def _pass(self, reason: Reason) -> None:
        sent = normalised(self._start.get("headers", ()))
        headers = self._desk.pass_on(reason, self._start["status"], sent)
        self._state = _State.PASS
        if not await self._spare(sent):
            await self._forward({**self._start, "headers": list(headers)})

    async def _spare(self, headers: Headers) -> bool:
        """Give the client less than the response, if that will do; it hears no more of it then."""
        replies = self._desk.spared(self._start["status"], headers)
        for reply in replies:
            await self._forward(reply)
        if replies and self._client is not None:
            self._client.leave()
        return bool(replies)

    def _discard(self) -> None:
        """Nobody is to hear of the response, and no more of it is taken."""
        self._state = _State.DISCARD
        self._abandoned = True
        self._body.clear()

    @property
    def _unheard(self) -> bool:
        return self._client is None or self._client.gone

    async def _forward_chunks(self, chunks: list[bytes]) -> None:
        """Give the client what was held, of which more is to come."""
        for chunk in chunks:
            await self._forward({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _forward(self, message: Message) -> None:
        client = self._client
        if client is None or client.gone:
            return
        try:
            await client.send(message)
        except OSError:
            # The connection is lost. Alone, the origin must hear of it; a fill goes on for others.
            client.leave()
            if self._state is _State.PASS:
                raise
