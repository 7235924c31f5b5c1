"""An application that answers a scrape with the figures of this process."""

import hmac
from collections.abc import AsyncIterator, Callable

from .._types import Headers, Receive, Scope, Send
from ..policy.headers import values
from ..routing.annotations import inert
from .text import OPEN, PLAIN

_GUARDS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


@inert
class MetricsEndpoint:
    """Answers `GET` and `HEAD` with all meters, in the format that `Accept` asks for.

    Nothing is asked of a shared tier, and nothing is counted. It is an application without routes,
    to be mounted.

    Args:
        pieces: Makes the text in pieces; its argument says whether it is OpenMetrics.
        credentials: What the `Authorization` field has to be; None for anything.
    """

    def __init__(
        self, pieces: Callable[[bool], AsyncIterator[str]], credentials: bytes | None
    ) -> None:
        self._pieces = pieces
        self._credentials = credentials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """One ASGI scope; a WebSocket is refused."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        if scope["type"] != "http":
            return
        method, headers = scope["method"], scope["headers"]
        if not self._is_allowed(headers):
            # As where nothing is mounted: who has no token learns nothing.
            await _answer(send, 404, b"Not Found", b"text/plain; charset=utf-8")
        elif method not in ("GET", "HEAD"):
            await _answer(send, 405, b"", PLAIN, ((b"allow", b"GET, HEAD"),))
        else:
            kind = OPEN if _wants_openmetrics(headers) else PLAIN
            pieces = self._pieces(kind is OPEN) if method == "GET" else None
            await _answer(send, 200, b"", kind, ((b"vary", b"accept"),), pieces)

    def _is_allowed(self, headers: Headers) -> bool:
        if self._credentials is None:
            return True
        given = values(headers, b"authorization")
        return len(given) == 1 and hmac.compare_digest(given[0], self._credentials)


def _wants_openmetrics(headers: Headers) -> bool:
    """Whether a scraper names it; all that name it also take plain text."""
    return any(b"application/openmetrics-text" in value for value in values(headers, b"accept"))


async def _answer(
    send: Send,
    status: int,
    body: bytes,
    kind: bytes,
    more: Headers = (),
    pieces: AsyncIterator[str] | None = None,
) -> None:
    lines = [(b"content-type", kind), *more, *_GUARDS]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    if pieces is not None:
        # Not as one message: a text of many megabytes would be copied at once.
        async for piece in pieces:
            part = {"type": "http.response.body", "body": piece.encode(), "more_body": True}
            await send(part)
    await send({"type": "http.response.body", "body": body})
