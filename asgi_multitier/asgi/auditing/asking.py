"""The run of the application for an audit: the client's own request, for no client."""

import asyncio
from typing import Final

from ..._types import Headers, Message, Scope
from ...engine.engine import Engine
from ...policy.headers import normalised, without
from ...policy.ranges import is_complete
from ...policy.validation import DIRECTIVES, unconditional
from ..client import ClientGone
from ..fill.question import WHOLE, scope_for_app
from ..framework import FILL_KEY
from ..receiving import ReceiveSide
from ..request import Request

LIMIT: Final = 30.0
"""Seconds that the application may take, where its rule has no `hard_timeout`."""

_OVERLOAD = 429
"""As a 5xx: it says nothing of what was asked for (RFC 6585 §4)."""

_BODILESS = frozenset((204, 304))


def scope_of(engine: Engine, request: Request) -> Scope:
    """The request as its client sent it, with all that the hit did not look at.

    Conditions, ranges and directives to caches are taken off, as the whole answer is compared.
    What the application writes into the state or the session of the request reaches no layer
    outside.

    Args:
        engine: The cache.
        request: The client's.
    """
    scope = scope_for_app(request, WHOLE, background=True)
    lines = unconditional(normalised(request.scope["headers"]))
    scope["headers"] = [*without(lines, DIRECTIVES)]
    scope["query_string"] = request.scope.get("query_string", b"")
    for name in ("state", "session"):
        if type(kept := scope.get(name)) is dict:
            scope[name] = dict(kept)
    scope[FILL_KEY] = engine
    return scope


class Asking:
    """The application's channel in one audit.

    Args:
        limit: Bytes of content that are read at most; nothing that is stored has more.

    Attributes:
        status: Of the answer; 0 before it begins.
        headers: Its field lines, normalised.
        too_long: Whether the content is beyond the limit.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._chunks: list[bytes] = []
        self._size = 0
        self._ended = False
        self.status = 0
        self.headers: Headers = ()
        self.too_long: bool = False

    async def send(self, message: Message) -> None:
        """Take one message of the application.

        Raises:
            ClientGone: The rest is not wanted.
        """
        kind = message["type"]
        if kind == "http.response.start":
            self.status = message["status"]
            self.headers = normalised(message.get("headers", ()))
        elif kind == "http.response.body" and not self._ended:
            chunk = bytes(message.get("body", b""))
            self._size += len(chunk)
            if self._size > self._limit:
                self.too_long = True
                self._chunks.clear()
                raise ClientGone("more than can be stored")
            self._chunks.append(chunk)
            self._ended = not message.get("more_body", False)
        # As a connection whose client reads slowly: the event loop belongs to clients.
        await asyncio.sleep(0)

    @property
    def is_conclusive(self) -> bool:
        """Whether it is a whole answer, and one about what was asked for."""
        if not self.status or self.status >= 500 or self.status == _OVERLOAD:
            return False
        if self.too_long:
            return True
        bodiless = self.status in _BODILESS and not self._size
        return self._ended and (bodiless or is_complete(self.status, self.headers, self._size))

    @property
    def body(self) -> bytes:
        """The content, unless it is too long."""
        return b"".join(self._chunks)


async def ask(engine: Engine, request: Request, asking: Asking, key: str) -> None:
    """Let the application answer, and do what it does after its answer; within the same time.

    Args:
        engine: The cache.
        request: The client's.
        asking: Gets the answer; that has none if the application failed or took too long.
        key: The key of what has answered the client: a run for it does not wait for itself.
    """
    scope, side = scope_of(engine, request), ReceiveSide(None, request.content or b"")

    async def send(message: Message) -> None:
        await asking.send(message)
        side.heed(message)

    # What it has answered until it fails decides: a server has sent that by then.
    try:
        async with asyncio.timeout(request.plan.policy.hard_timeout or LIMIT):
            with engine.flights.running_for(key):
                await request.app(scope, side.receive, send)
    except BaseException as error:
        if _ends_the_audit(error):
            raise
    side.release()


def _ends_the_audit(error: BaseException) -> bool:
    """Whether something else than the application ends it: what that raises is a failure."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, KeyboardInterrupt | GeneratorExit)
