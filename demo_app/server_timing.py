"""The layer that tells a client how long the server took."""

import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class ServerTiming:
    """Adds `Server-Timing: total;dur=0.412`: milliseconds from the request to its answer's head.

    It stands outside the cache, which would store the field of the first run with the answer.

    Args:
        app: What answers.
        clock: Seconds; tests pass their own.
    """

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.perf_counter) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the field to its answer."""
        begun = self._clock()

        async def timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                took = 1000 * (self._clock() - begun)
                line = (b"server-timing", b"total;dur=%.3f" % took)
                message = {**message, "headers": [*message["headers"], line]}
            await send(message)

        await self._app(scope, receive, timed if scope["type"] == "http" else send)
