"""The application's channel in a run: keeps a copy of what may be stored, streams the rest.

A response is judged at `http.response.start`. What may not be stored goes to the client from its
first message on, untouched. Of what may be stored, the start is held until the first body message
says whether that is all:

- It is (the usual case): the entry is committed, and only then is anything sent to the client, so
  it can be given the content's own validator.
- It is not: the client gets every message as it comes, a copy is kept within the limit, and the
  entry is committed before the last message goes out. No stream waits for its end.
- Nothing comes: after `HOLD` seconds the client gets what there is, and the rest as it comes.

A message of an unknown kind makes the response its client's alone: a replay must contain all that
was sent.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum, auto
from typing import Self

from .._types import Headers, Message, Receive
from ..policy.headers import content_length, normalised
from ..policy.ranges import is_complete
from ..policy.reasons import Reason
from ..policy.storing import Store
from .client import Client, ClientGone
from .receiving import ReceiveSide

HOLD = 0.25
"""Seconds that a client waits for what is held: its last message may never come."""


class Discard(Enum):
    """A verdict besides `Store` and `Reason`: another response takes this one's place."""

    DISCARD = auto()


class ResponseHandler(ABC):
    """Decides about a captured response. Called synchronously, in this order.

    A capture calls its handler; the handler knows no capture.

    Attributes:
        holds_back: Nothing goes to the client before the response is complete: it is only a part of
            what the client gets. Set by `judge`.
    """

    holds_back = False

    @abstractmethod
    def judge(self, status: int, headers: Headers) -> Store | Reason | Discard:
        """May the response be stored? Called at `http.response.start`."""

    def declines(self, reason: Reason, status: int, headers: Headers) -> bool:  # noqa: ARG002
        """Whether the client gets none of a response that is not stored: it asked for another."""
        return False

    @abstractmethod
    def pass_on(self, reason: Reason, status: int, headers: Headers) -> Headers:
        """It will not be stored: release all who wait. Returns the field lines for the client."""

    def not_modified(self, status: int, headers: Headers) -> list[Message]:  # noqa: ARG002
        """The 304 for a client that has the response already; else nothing."""
        return []

    @abstractmethod
    def stream_headers(self, headers: Headers) -> Headers:
        """It is sent on while it comes. Returns the field lines for the client."""

    def on_streaming(self) -> None:  # noqa: B027  # only shared runs have requests that wait
        """More of its content follows, at an unknown time."""

    @abstractmethod
    def commit(self, store: Store, status: int, headers: Headers, body: bytes) -> None:
        """It is complete: store it and release all who wait."""

    def on_incomplete(self, reason: Reason) -> None:  # noqa: B027  # only where it holds back
        """A response that was held back cannot be completed or kept; its client got none of it."""

    @abstractmethod
    def replies(self) -> list[Message]:
        """What a client gets to which nothing was sent, after a commit or a `Discard`."""


class _State(Enum):
    NEW = auto()
    HELD = auto()
    TEE = auto()
    PASS = auto()
    DONE = auto()
    DISCARD = auto()


class Capture:
    """The application's channel in one run: its `receive`, and its `send` as a state machine.

    The states of one response follow each other, so it is one story.

    Args:
        handler: Decides about the response.
        client: The client that the response is for; None for a background run.
        limit: Bytes of body kept at most.
        content: The content of the request.

    Attributes:
        receive: The application's `receive`.
    """

    def __init__(
        self, handler: ResponseHandler, client: Client | None, *, limit: int, content: bytes = b""
    ) -> None:
        self._handler = handler
        self._client = client
        self._inbound = ReceiveSide(client, content)
        self.receive: Receive = self._inbound.receive
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

    @property
    def started(self) -> bool:
        """Whether the application has begun to answer."""
        return self._state is not _State.NEW

    @property
    def silent(self) -> bool:
        """Whether nothing of the response was sent to a client yet."""
        return self._client is None or self._state in (_State.NEW, _State.HELD)

    @property
    def streaming(self) -> bool:
        """Whether the run now serves its client alone."""
        return self._state is _State.PASS

    async def send(self, message: Message) -> None:
        """Take one message of the application."""
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
            await self.forward(message)
        self._inbound.heed(message)
        no_client = self._client is None or self._client.gone
        if (self._abandoned or (self.streaming and no_client)) and message.get("more_body"):
            raise ClientGone("no client waits for the rest of this response, and it is not stored")

    async def __aenter__(self) -> Self:
        """The application runs inside."""
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        """It has ended: what is being sent to the client arrives first, unless it was cancelled."""
        self._inbound.release()
        self._disarm()
        if self._opening is None:
            return
        try:
            if error is None or isinstance(error, Exception):
                await self._opening
        finally:
            if not self._opening.cancel() and not self._opening.cancelled():
                self._opening.exception()  # it may not have been retrieved

    async def finish(self) -> None:
        """The application returned. What it left unfinished is not stored."""
        if self._state is _State.HELD:
            await self._release(Reason.INCOMPLETE)
        elif self._state is _State.TEE:
            self._pass_on(Reason.INCOMPLETE, ())

    async def let_go(self, lines_for: Callable[[Headers], Headers]) -> None:
        """The application failed after it had begun: the client gets what was held for its end.

        Args:
            lines_for: Makes the field lines for the client out of the application's.
        """
        if self._state is not _State.HELD or self._handler.holds_back:
            return
        chunks, self._body = self._body, []
        headers = lines_for(normalised(self._start.get("headers", ())))
        self._state = _State.PASS
        await self.forward({**self._start, "headers": list(headers)})
        await self._forward_chunks(chunks)

    async def forward(self, message: Message) -> None:
        """Give the client a message, if it is still there.

        Raises:
            OSError: The connection is lost, and the run serves this client alone.
        """
        if self._client is None:
            return
        try:
            await self._client.deliver(message)
        except OSError:
            # Alone, the application must learn of it; a fill goes on for others.
            if self._state is _State.PASS:
                raise

    async def _begin(self, message: Message) -> None:
        headers = normalised(message.get("headers", ()))
        status = message["status"]
        self._start = message
        verdict = self._handler.judge(status, headers)
        if isinstance(verdict, Store):
            self._length = content_length(headers)
            if message.get("trailers"):
                verdict = Reason.TRAILERS
            elif self._length is not None and self._length > self._limit:
                verdict = Reason.OVERSIZED
            else:
                self._store = verdict
                self._state = _State.HELD
                if self._client is not None and not self._handler.holds_back:
                    self._overdue = asyncio.get_running_loop().call_later(HOLD, self._open_late)
                return
        if isinstance(verdict, Discard):
            self._state = _State.DISCARD
            for reply in self._handler.replies():
                await self.forward(reply)
            return
        if self._handler.declines(verdict, status, headers):
            self._discard()
        elif self._handler.holds_back:
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
        if self._size != self._length and not self._handler.holds_back and not self._streams:
            # More is to come.
            self._streams = True
            self._handler.on_streaming()
            if self._state is _State.HELD:
                self._state = _State.TEE
                await self._open(self._body[:-1])
        if self._state is _State.TEE:
            await self.forward(message)

    def _open_late(self) -> None:
        """What is held has waited for long enough."""
        if self._state is not _State.HELD:
            return
        self._state = _State.TEE
        self._opening = asyncio.create_task(self._open(self._body[:]), name="asgi-multitier held")

    async def _opened(self, opening: "asyncio.Task[None]") -> None:
        """What was held goes out before anything else, even if the application stops waiting.

        The message of an application that stops waiting is lost: what follows is not kept.
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
        headers = self._handler.stream_headers(sent)
        if not await self._send_not_modified(sent):
            await self.forward({**self._start, "headers": list(headers)})
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
        self._handler.commit(self._store, self._start["status"], headers, body)
        self._state = _State.DONE
        if teed:
            await self.forward(message)
        else:
            for reply in self._handler.replies():
                await self.forward(reply)

    def _bodiless(self) -> bool:
        """204 and 304 have no content whatever their Content-Length says (RFC 9110 §8.6)."""
        return self._start["status"] in (204, 304) and self._size == 0

    async def _release(
        self, reason: Reason, message: Message | None = None, *, kept: bool = False
    ) -> None:
        """What was kept turns out not to be storable: give the client what it has not had."""
        if self._handler.holds_back:
            self._discard()
            self._handler.on_incomplete(reason)
            return
        backlog, self._body = self._body[: -1 if kept else None], []
        if self._state is _State.TEE:
            self._pass_on(reason, ())
        else:
            await self._pass(reason)
            await self._forward_chunks(backlog)
        if message is not None:
            await self.forward(message)

    async def _pass(self, reason: Reason) -> None:
        sent = normalised(self._start.get("headers", ()))
        headers = self._pass_on(reason, sent)
        if not await self._send_not_modified(sent):
            await self.forward({**self._start, "headers": list(headers)})

    def _pass_on(self, reason: Reason, sent: Headers) -> Headers:
        """From here on the run serves its client alone; the field lines for that one."""
        self._state = _State.PASS
        self._inbound.release()
        return self._handler.pass_on(reason, self._start["status"], sent)

    async def _send_not_modified(self, headers: Headers) -> bool:
        """Give the client a 304, if that will do; it gets nothing else of the response then."""
        replies = self._handler.not_modified(self._start["status"], headers)
        for reply in replies:
            await self.forward(reply)
        if replies and self._client is not None:
            self._client.leave()
        return bool(replies)

    def _discard(self) -> None:
        """No client gets the response, and no more of it is taken."""
        self._state = _State.DISCARD
        self._abandoned = True
        self._inbound.release()
        self._body.clear()

    async def _forward_chunks(self, chunks: list[bytes]) -> None:
        """Give the client what was held, of which more is to come."""
        for chunk in chunks:
            await self.forward({"type": "http.response.body", "body": chunk, "more_body": True})
