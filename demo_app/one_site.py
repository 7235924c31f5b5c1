"""The layer that makes several addresses one site, as a load balancer does."""

from starlette.types import ASGIApp, Receive, Scope, Send


class OneSite:
    """Gives all instances the same host name, as a load balancer would.

    The host is part of the key of a response, so instances with different addresses would share no
    entries in the second tier. `Origin` is part of the key too, because an application may answer
    each origin differently; here only CORS does, outside the cache, so the field is removed.
    """

    def __init__(self, app: ASGIApp, host: bytes = b"catalogue.example") -> None:
        self._app = app
        self._line = (b"host", host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the common host name."""
        if scope["type"] == "http":
            others = [line for line in scope["headers"] if line[0] not in (b"host", b"origin")]
            scope = {**scope, "headers": [self._line, *others]}
        await self._app(scope, receive, send)
