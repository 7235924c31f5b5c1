"""The endpoint as the origin of a run.

A run has a task of its own; an endpoint belongs into the request whose dependencies it got. So the
run asks, the request's own task calls the endpoint, and what it made comes back to the run when the
framework has sent it: before that, a dependency may still fail to commit.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from ..._types import Header, Receive, Scope, Send
from ...policy.reasons import Reason
from .watched import EndpointScope

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from ...tracing.traces import Traces


class EndpointOrigin:
    """The application of a run: one request's endpoint.

    Args:
        limit: Bytes of the largest body that is stored.
        traces: The spans of the cache; None if there are none.

    Attributes:
        wanted: Done when the run asks for the endpoint.
        watched: What the endpoint reads of its request, where that matters.
        doubtful: Whether that cannot be seen although it matters.
        span: Of the run that has asked for the endpoint; None if it has none.
    """

    __slots__ = (
        "_answer",
        "_chunks",
        "_limit",
        "_refused",
        "_size",
        "_traces",
        "doubtful",
        "span",
        "wanted",
        "watched",
    )

    def __init__(self, limit: int, traces: "Traces | None" = None) -> None:
        loop = asyncio.get_running_loop()
        self.wanted: asyncio.Future[None] = loop.create_future()
        self.watched: EndpointScope | None = None
        self.doubtful: bool = False
        self._refused = False
        self._answer: asyncio.Future[tuple[int, list[Header], bytes | None]] = loop.create_future()
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._size = 0
        self._limit = limit
        self._traces = traces
        self.span: Span | None = None

    @property
    def objection(self) -> Reason | None:
        """Why the answer is its client's alone, if it is."""
        if self._refused:
            return Reason.NOT_UNDERSTOOD
        has_read = self.watched is not None and self.watched.has_read
        return Reason.IDENTITY if self.doubtful or has_read else None

    # For the run.

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Ask for the endpoint, and pass on what it made.

        Raises:
            CancelledError: The request has ended without an answer; the next one leads.
        """
        if self._traces is not None:
            self.span = self._traces.current()
        if not self.wanted.done():
            self.wanted.set_result(None)
        status, lines, body = await self._answer
        await send({"type": "http.response.start", "status": status, "headers": lines})
        if body is not None:
            await send({"type": "http.response.body", "body": body})
            return
        while chunk := await self._chunks.get():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if chunk is not None:  # else it broke off, which is no answer to keep
            await send({"type": "http.response.body", "body": b""})

    # For the request.

    @property
    def answered(self) -> bool:
        """Whether the run has its answer."""
        return self._answer.done() and not self._answer.cancelled()

    def answer(self, status: int, lines: list[Header], body: bytes | None) -> None:
        """The framework has begun to send what the endpoint made; None: it comes in chunks."""
        if not self._answer.done():
            self._answer.set_result((status, lines, body))

    def refuse(self, status: int) -> None:
        """The request got another answer than the endpoint's: nothing to be shared."""
        # Of a failure the status says as much, and something stale may stand in for it.
        self._refused = status < 400
        self.answer(status, [], b"")

    def abandon(self) -> None:
        """The request has ended: what it has not answered by now, it never will."""
        self._answer.cancel()
        self._chunks.put_nowait(None)

    async def heard(self, chunks: AsyncIterator[Any], charset: str) -> AsyncIterator[Any]:
        """The chunks of a streamed answer, which the run gets as well: too many of them, until it
        sees that they are.
        """
        end: bytes | None = None
        try:
            async for chunk in chunks:
                data = chunk if isinstance(chunk, bytes | memoryview) else chunk.encode(charset)
                if data and self._size <= self._limit:
                    self._size += len(data)
                    self._chunks.put_nowait(bytes(data))
                yield chunk
            end = b""
        finally:
            self._chunks.put_nowait(end)
